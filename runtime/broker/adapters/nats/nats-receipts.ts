/**
 * Receipts on NATS.
 *
 * Owns: what this process has sent and not heard the end of; telling senders, and hearing; the durable receipts, which are written for
 * EXACTLY_ONCE, for replies and for dead letters. For other messages the sender's process alone knows how far they have come, as long
 * as it lives.
 *
 * Invariants:
 * NR1. A durable receipt is written before its message is acknowledged.
 * NR2. A wait ends however the word of it is lost: after a lost connection, and a few times a minute, it is looked up: in the durable
 *      receipts, and at the consumers, which have acknowledged everything up to a sequence.
 */
import type { Subscription } from '@nats-io/transport-node';
import type { Wait } from '../../../kernel/clock.ts';
import { decodeValue } from '../../../wire/value-codec.ts';
import type { EncodedError } from '../../../kernel/errors.ts';
import type { DeliveryStatus, ReceiptState } from '../../contract/receipt.ts';
import { isSettled, receiptOf } from '../carried-bytes.ts';
import { consumerName, nameOf } from './nats-names.ts';
import type { NatsSession } from './nats-session.ts';

/** What became of a message at a subscription, as it is told and kept. */
export interface Word {
  readonly id: string;
  readonly subscription: string;
  readonly status: 'accepted' | 'delivered' | 'handled' | 'dead';
  readonly atMs: number;
  readonly attempt: number;
  readonly error?: EncodedError;
  /** base64 */
  readonly reply?: string;
}

interface Sent {
  readonly sequence: number;
  readonly states: Map<string, DeliveryStatus>;
  readonly waiters: Set<() => void>;
}

const SENT_LIMIT = 100_000;
const LOOK_MS = 15_000;

export class NatsReceipts {
  readonly #session: NatsSession;
  readonly #process: string;
  readonly #failed: (error: Error) => void;
  /** By id, oldest first. */
  readonly #sent = new Map<string, Sent>();
  #told = new Map<string, Word[]>();
  #telling = false;
  #heard: Subscription | undefined;
  #look: Wait | undefined;
  #closed = false;

  constructor(session: NatsSession, process: string, failed: (error: Error) => void) {
    this.#session = session;
    this.#process = process;
    this.#failed = failed;
  }

  open(): void {
    this.#heard = this.#session.connection.subscribe(this.#session.names.notices(this.#process), {
      callback: (error, message) => {
        if (error !== null) this.#failed(error);
        else for (const word of message.json<Word[]>()) this.learn(word);
      },
    });
    this.#planLook();
  }

  close(): void {
    this.#closed = true;
    this.#look?.cancel();
    this.#heard?.unsubscribe();
  }

  /** A message of this process was accepted. */
  sent(id: string, sequence: number, subscriptions: readonly string[], atMs: number): void {
    const old = this.#sent.get(id);
    const states = new Map<string, DeliveryStatus>();
    for (const name of subscriptions) states.set(name, old?.states.get(name) ?? { status: 'accepted', atMs });
    for (const [name, state] of old?.states ?? []) if (state.status !== 'accepted') states.set(name, state);
    this.#sent.set(id, { sequence, states, waiters: old?.waiters ?? new Set() });
    this.#trim();
  }

  /** Before a message is on its way: what is told of it may be here before the server's answer. */
  sending(id: string): void {
    if (!this.#sent.has(id)) this.#sent.set(id, { sequence: 0, states: new Map(), waiters: new Set() });
  }

  /** Writes the receipt that says for whom it is. */
  async keepAccepted(id: string, sequence: number, subscriptions: readonly string[], atMs: number): Promise<void> {
    const text = JSON.stringify({ sequence, subscriptions, atMs });
    await this.#session.again(() => this.#session.client.publish(this.#session.names.receipt(id), text));
  }

  async keep(word: Word): Promise<void> {
    const { names } = this.#session;
    const subject = names.receiptAt(word.id, word.subscription);
    await this.#session.again(() => this.#session.client.publish(subject, JSON.stringify(word)));
  }

  /** Tells the sender, in one go with what else there is to tell it in this turn. */
  tell(process: string, word: Word): void {
    const words = this.#told.get(process);
    if (words === undefined) this.#told.set(process, [word]);
    else words.push(word);
    if (this.#telling) return;
    this.#telling = true;
    this.#session.clock.defer(() => {
      this.#telling = false;
      const told = this.#told;
      this.#told = new Map();
      for (const [to, list] of told) this.#send(to, list);
    });
  }

  #send(process: string, words: readonly Word[]): void {
    if (process === this.#process) {
      for (const word of words) this.learn(word);
      return;
    }
    // A sender that is not there any more looks its receipts up.
    if (!this.#session.isUp) return;
    for (let from = 0; from < words.length; from += 500)
      this.#session.connection.publish(
        this.#session.names.notices(process),
        JSON.stringify(words.slice(from, from + 500)),
      );
  }

  async keptAt(id: string, subscription: string): Promise<Word | undefined> {
    const { names } = this.#session;
    const found = await this.#session.last(names.receipts, names.receiptAt(id, subscription));
    return found === null ? undefined : found.json<Word>();
  }

  async read(id: string): Promise<ReceiptState | undefined> {
    const sent = this.#sent.get(id);
    if (sent !== undefined && isSettled(receiptOf(id, Object.fromEntries(sent.states)))) return stateOf(id, sent);
    const kept = await this.#kept(id);
    if (kept === undefined) return sent === undefined ? undefined : stateOf(id, sent);
    const states = new Map(sent?.states);
    for (const [name, state] of Object.entries(kept)) if (isEnd(state) || !states.has(name)) states.set(name, state);
    return receiptOf(id, Object.fromEntries(states));
  }

  async settled(id: string, signal: AbortSignal | undefined): Promise<ReceiptState> {
    signal?.throwIfAborted();
    let sent = this.#sent.get(id);
    if (sent === undefined) {
      const kept = await this.#kept(id);
      if (kept === undefined) return receiptOf(id, {});
      sent = this.#sent.get(id) ?? { sequence: 0, states: new Map(Object.entries(kept)), waiters: new Set() };
      this.#sent.set(id, sent);
      signal?.throwIfAborted();
    }
    return new Promise((resolve, reject) => {
      const over = (): void => {
        this.#sent.get(id)?.waiters.delete(look);
        signal?.removeEventListener('abort', aborted);
      };
      const aborted = (): void => {
        over();
        reject(signal?.reason as Error);
      };
      const look = (): void => {
        const state = stateOf(id, this.#sent.get(id));
        if (!isSettled(state)) return;
        over();
        resolve(state);
      };
      sent.waiters.add(look);
      signal?.addEventListener('abort', aborted, { once: true });
      look();
    });
  }

  /** An ended subscription: nobody waits for it any more. */
  forget(subscription: string): void {
    for (const sent of this.#sent.values()) {
      const state = sent.states.get(subscription);
      if (state === undefined || state.status === 'handled' || state.status === 'dead') continue;
      sent.states.delete(subscription);
      for (const look of sent.waiters) look();
    }
  }

  /** Sent again: it is open again, here. */
  reopen(id: string, subscription: string, atMs: number): void {
    this.#sent.get(id)?.states.set(subscription, { status: 'accepted', atMs });
  }

  /** What has been told while nobody heard it. */
  async lookAgain(): Promise<void> {
    const floors = new Map<string, number>();
    for (const [id, sent] of this.#sent) {
      if (sent.waiters.size === 0) continue;
      for (const [name, state] of Object.entries((await this.#kept(id)) ?? {}))
        if (isEnd(state)) sent.states.set(name, state);
      for (const [name, { status, atMs }] of sent.states) {
        if (status === 'handled' || status === 'dead' || sent.sequence === 0) continue;
        if (!floors.has(name)) floors.set(name, await this.#floorOf(name));
        if ((floors.get(name) as number) >= sent.sequence)
          sent.states.set(name, { status: 'handled', atMs, attempt: 1 });
      }
      for (const look of sent.waiters) look();
    }
  }

  #planLook(): void {
    this.#look = this.#session.clock.wait(LOOK_MS, () => {
      const done = this.#session.isUp ? this.lookAgain() : Promise.resolve();
      void done.catch((error: unknown) => this.#failed(error as Error)).then(() => this.#closed || this.#planLook());
    });
  }

  async #floorOf(name: string): Promise<number> {
    try {
      const info = await this.#session.manager.consumers.info(this.#session.names.stream, consumerName(name, 'main'));
      return info.ack_floor.stream_seq;
    } catch {
      return 0;
    }
  }

  /** What became of a message, if it is one of this process. */
  learn(word: Word): void {
    const sent = this.#sent.get(word.id);
    if (sent === undefined) return;
    sent.states.set(word.subscription, statusOf(word));
    for (const look of sent.waiters) look();
  }

  async #kept(id: string): Promise<Record<string, DeliveryStatus> | undefined> {
    const { names } = this.#session;
    const all = await this.#session.last(names.receipts, names.receipt(id));
    const kept: Record<string, DeliveryStatus> = {};
    let found = all !== null;
    if (all !== null) {
      const { subscriptions, atMs } = all.json<{ subscriptions: string[]; atMs: number }>();
      for (const name of subscriptions) kept[name] = { status: 'accepted', atMs };
      for (const name of subscriptions) {
        const at = await this.#session.last(names.receipts, names.receiptAt(id, name));
        if (at !== null) kept[name] = statusOf(at.json<Word>());
      }
    } else {
      const filter = names.receiptAt(id, '').replace(/\.$/, '.*');
      await this.#session.read(names.receipts, filter, { lastPerSubject: true }, ({ subject, data }) => {
        found = true;
        const token = subject.slice(subject.lastIndexOf('.') + 1);
        kept[nameOf(token)] = statusOf(JSON.parse(Buffer.from(data).toString()) as Word);
        return 'go on';
      });
    }
    return found ? kept : undefined;
  }

  #trim(): void {
    if (this.#sent.size <= SENT_LIMIT) return;
    for (const [id, { waiters }] of this.#sent) {
      if (this.#sent.size <= SENT_LIMIT) break;
      if (waiters.size === 0) this.#sent.delete(id);
    }
  }
}

const isEnd = ({ status }: DeliveryStatus): boolean => status === 'handled' || status === 'dead';

const stateOf = (id: string, sent: Sent | undefined): ReceiptState =>
  receiptOf(id, Object.fromEntries(sent?.states ?? []));

function statusOf({ status, atMs, attempt, error, reply }: Word): DeliveryStatus {
  if (status === 'dead') return { status, atMs, attempt, error: error as EncodedError };
  if (status === 'accepted') return { status, atMs };
  if (status === 'delivered') return { status, atMs, attempt };
  return {
    status,
    atMs,
    attempt,
    ...(reply === undefined ? {} : { reply: decodeValue(Buffer.from(reply, 'base64')) }),
  };
}
