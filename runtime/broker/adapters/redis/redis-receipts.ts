/**
 * Receipts on Redis: reading them, and waiting until a message is settled.
 *
 * Owns: the meaning of their lines, and who waits in this process. They are written by the scripts.
 *
 * Invariants:
 * RR1. A wait ends however the word of it is lost: after a lost connection the receipt is read again.
 */
import { BrokerClosedError } from '../../../kernel/errors.ts';
import type { DeliveryStatus, ReceiptState } from '../../contract/receipt.ts';
import { decodeValue } from '../../../wire/value-codec.ts';
import { decodeError, isSettled, receiptOf } from '../carried-bytes.ts';
import { listOf, textOf } from './redis-link.ts';
import { settledChannel } from './redis-keys.ts';
import type { RedisSession } from './redis-session.ts';
import { RECEIPT_SCRIPT } from './table-scripts.ts';

const replyOf = (bytes: Uint8Array | undefined): { readonly reply?: unknown } =>
  bytes === undefined ? {} : { reply: decodeValue(bytes) };

interface Waiter {
  readonly id: string;
  readonly look: () => void;
}

export class RedisReceipts {
  readonly #session: RedisSession;
  readonly #process: string;
  readonly #failed: (error: Error) => void;
  /** By the id under which the server tells of it. */
  readonly #waiters = new Map<string, Set<Waiter>>();
  #listening: Promise<unknown> | undefined;

  constructor(session: RedisSession, process: string, failed: (error: Error) => void) {
    this.#session = session;
    this.#process = process;
    this.#failed = failed;
  }

  async read(id: string): Promise<ReceiptState | undefined> {
    return (await this.#ask(id, ''))?.state;
  }

  /** Of a message that nobody knows (any more) it is that it was accepted, and nothing else. */
  async settled(id: string, signal: AbortSignal | undefined): Promise<ReceiptState> {
    signal?.throwIfAborted();
    this.#listening ??= this.#session.subscribe(settledChannel(this.#session.prefix, this.#process), (message) =>
      this.#told(textOf(message)),
    );
    await this.#listening;
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      let over = false;
      let known = id;
      const end = (): void => {
        over = true;
        signal?.removeEventListener('abort', aborted);
        const waiters = this.#waiters.get(known);
        waiters?.delete(waiter);
        if (waiters?.size === 0) this.#waiters.delete(known);
      };
      const aborted = (): void => {
        end();
        reject(signal?.reason as Error);
      };
      const look = async (): Promise<void> => {
        try {
          const answer = await this.#ask(id, this.#process);
          if (over) return;
          if (answer !== undefined && answer.id !== known) {
            this.#waiters.get(known)?.delete(waiter);
            known = answer.id;
            this.#add(known, waiter);
          }
          if (answer !== undefined && !isSettled(answer.state)) return;
          end();
          resolve(answer?.state ?? receiptOf(id, {}));
        } catch (error) {
          if (over) return;
          end();
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      const waiter: Waiter = { id, look: () => void look() };
      this.#add(known, waiter);
      signal?.addEventListener('abort', aborted, { once: true });
      waiter.look();
    });
  }

  /** The connection is there again: what was said meanwhile is lost. */
  lookAgain(): void {
    for (const waiters of this.#waiters.values()) for (const { look } of waiters) look();
  }

  close(): void {
    if (this.#waiters.size > 0) this.#failed(new BrokerClosedError('closed while receipts were waited for'));
    this.#waiters.clear();
  }

  #add(id: string, waiter: Waiter): void {
    const waiters = this.#waiters.get(id) ?? new Set();
    waiters.add(waiter);
    this.#waiters.set(id, waiters);
  }

  #told(id: string): void {
    for (const { look } of this.#waiters.get(id) ?? []) look();
  }

  async #ask(id: string, process: string): Promise<{ readonly id: string; readonly state: ReceiptState } | undefined> {
    const [text, hands, replies, known] = listOf(await this.#session.run(RECEIPT_SCRIPT, [id, process]));
    if (text === undefined) return undefined;
    const inHand = new Map<string, { readonly idleMs: number; readonly attempt: number }>();
    const hand = listOf(hands);
    for (let i = 0; i + 2 < hand.length; i += 3)
      inHand.set(textOf(hand[i]), { idleMs: Number(hand[i + 1]), attempt: Number(hand[i + 2]) });
    const answers = new Map<string, Uint8Array>();
    const list = listOf(replies);
    for (let i = 0; i + 1 < list.length; i += 2) answers.set(textOf(list[i]), list[i + 1] as Uint8Array);
    const subscriptions: Record<string, DeliveryStatus> = {};
    for (const line of textOf(text).split('\n').slice(1)) {
      const [name = '', state, at, attempt, more = ''] = line.split('\t');
      const facts = { atMs: Number(at), attempt: Number(attempt) };
      const held = inHand.get(name);
      if (state === 'h')
        subscriptions[name] = {
          status: 'handled',
          ...facts,
          ...replyOf(answers.get(name)),
        };
      else if (state === 'x') subscriptions[name] = { status: 'dead', ...facts, error: decodeError(more) };
      else if (state === 'd') subscriptions[name] = { status: 'delivered', ...facts };
      else if (held !== undefined)
        subscriptions[name] = {
          status: 'delivered',
          atMs: this.#session.clock.now() - held.idleMs,
          attempt: held.attempt,
        };
      else subscriptions[name] = { status: 'accepted', atMs: facts.atMs };
    }
    return { id: textOf(known), state: receiptOf(id, subscriptions) };
  }
}
