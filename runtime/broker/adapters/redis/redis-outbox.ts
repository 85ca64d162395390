/**
 * Accepting messages on Redis.
 *
 * Owns: putting accepts of one turn of the event loop into one call, a few calls under way at a time, and doing again those that were
 * cut off or worked out from an old table.
 *
 * Invariants:
 * RO1. Messages reach the script in the order of their `accept` calls: when one call must be done again, nothing new is sent until all
 *      that are under way have answered, and those to be done again go first, in order.
 * RO2. A message that is not accepted by its deadline is rejected with `BrokerUnavailableError`; until then it is tried again under the
 *      same token, so that the second try knows the first.
 */
import { BrokerClosedError, BrokerUnavailableError, QueueFullError } from '../../../kernel/errors.ts';
import type { Accepted, CarriedMessage } from '../../broker-adapter.ts';
import { encodeHeader } from '../carried-bytes.ts';
import { ACCEPT_SCRIPT } from './accept-script.ts';
import { isPassing, listOf, type RedisArgument, type RedisReply, replyCode, textOf } from './redis-link.ts';
import type { RedisSession } from './redis-session.ts';
import { type NamedRetention, type NamedSubscription, SubscriptionTable } from './subscription-table.ts';

interface Waiting {
  readonly message: CarriedMessage;
  readonly header: string;
  readonly token: string;
  readonly deadlineMs: number;
  readonly resolve: (accepted: Accepted) => void;
  readonly reject: (error: Error) => void;
  names: readonly string[];
  over: boolean;
}

const BATCH_MESSAGES = 512;
const BATCH_BYTES = 1 << 20;
const CALLS_UNDER_WAY = 12;
const LOOK_MS = 250;

export class RedisOutbox {
  readonly #session: RedisSession;
  readonly #process: string;
  readonly #windowMs: number;
  readonly #timeoutMs: number;
  readonly #table = new SubscriptionTable();
  #queue: Waiting[] = [];
  /** Answered with a fault that passes, in order. */
  #again: Waiting[] = [];
  readonly #underWay = new Set<readonly Waiting[]>();
  #draining = false;
  #planned = false;
  #looking = false;
  #tokens = 0;
  #closed = false;
  #lastFault: unknown;

  constructor(session: RedisSession, process: string, windowMs: number, timeoutMs: number) {
    this.#session = session;
    this.#process = process;
    this.#windowMs = windowMs;
    this.#timeoutMs = timeoutMs;
  }

  accept(message: CarriedMessage): Promise<Accepted> {
    if (this.#closed) return Promise.reject(new BrokerClosedError('the broker is closed'));
    return new Promise((resolve, reject) => {
      this.#queue.push({
        message,
        header: encodeHeader(message.header),
        token: `${this.#process}.${++this.#tokens}`,
        deadlineMs: this.#session.clock.monotonicMs() + this.#timeoutMs,
        resolve,
        reject,
        names: [],
        over: false,
      });
      this.#plan();
      this.#look();
    });
  }

  /** The connection is there again. */
  resume(): void {
    this.#plan();
  }

  close(): void {
    this.#closed = true;
    for (const waiting of [...[...this.#underWay].flat(), ...this.#again, ...this.#queue]) {
      if (waiting.over) continue;
      waiting.over = true;
      waiting.reject(new BrokerClosedError('the broker was closed before the message was accepted'));
    }
    this.#again = [];
    this.#queue = [];
  }

  #plan(): void {
    if (this.#planned || this.#closed) return;
    this.#planned = true;
    this.#session.clock.defer(() => {
      this.#planned = false;
      this.#send();
    });
  }

  #send(): void {
    if (!this.#session.isUp) return;
    while (this.#queue.length > 0 && this.#underWay.size < CALLS_UNDER_WAY && !this.#draining) {
      const batch = this.#nextBatch();
      if (batch.length > 0) void this.#call(batch);
    }
  }

  #nextBatch(): Waiting[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && count < BATCH_MESSAGES && bytes < BATCH_BYTES) {
      const { header, message } = this.#queue[count++] as Waiting;
      bytes += header.length + message.payload.length;
    }
    return this.#queue.splice(0, count).filter(({ over }) => !over);
  }

  async #call(batch: readonly Waiting[]): Promise<void> {
    this.#underWay.add(batch);
    let reply: RedisReply;
    try {
      reply = await this.#session.onceInOrder(ACCEPT_SCRIPT, this.#argumentsOf(batch));
      this.#answered(batch, listOf(reply));
    } catch (error) {
      await this.#failed(batch, error);
    }
    this.#underWay.delete(batch);
    if (this.#draining && this.#underWay.size === 0) {
      this.#draining = false;
      this.#queue = [...this.#again, ...this.#queue];
      this.#again = [];
    }
    if (this.#queue.length > 0) this.#plan();
  }

  #argumentsOf(batch: readonly Waiting[]): RedisArgument[] {
    const subs = new Numbered<NamedSubscription>();
    const keeps = new Numbered<NamedRetention>();
    const plans = new Numbered<string>();
    const messages: RedisArgument[] = [];
    for (const waiting of batch) {
      const { id, subject, source, key, idempotencyKey, notBeforeMs, expiresAtMs } = waiting.message.header;
      waiting.names = this.#table.targetsOf(subject).names;
      const idempotency = idempotencyKey === undefined || idempotencyKey === id ? '' : idempotencyKey;
      const isPlain = notBeforeMs === undefined && expiresAtMs === undefined && idempotency === '';
      messages.push(
        id,
        key ?? source,
        waiting.header,
        bytesOf(waiting.message.payload),
        waiting.token,
        plans.textOf(subject),
        isPlain ? '' : `${notBeforeMs ?? ''},${expiresAtMs ?? ''},${idempotency}`,
      );
    }
    const planned = plans.values.map((subject) => {
      const targets = this.#table.targetsOf(subject);
      return { s: subject, subs: subs.numbersOf(targets.subscriptions), keeps: keeps.numbersOf(targets.keeps) };
    });
    const named = JSON.stringify({ plans: planned, subs: subs.values, keeps: keeps.values });
    return [this.#table.version, String(this.#windowMs), named, ...messages];
  }

  #answered(batch: readonly Waiting[], reply: readonly RedisReply[]): void {
    if (textOf(reply[0]) === 'stale') {
      this.#table.replace(textOf(reply[1]), reply[2], reply[3]);
      this.#doAgain(batch);
      return;
    }
    for (const [i, waiting] of batch.entries()) {
      if (waiting.over) continue;
      waiting.over = true;
      const answer = textOf(reply[i]);
      if (answer.startsWith('2')) {
        const name = answer.slice(1);
        waiting.reject(
          new QueueFullError(`as many messages wait for subscription ${JSON.stringify(name)} as may`, {
            details: { subscription: name },
          }),
        );
      } else waiting.resolve(acceptedAs(answer, waiting.names));
    }
  }

  async #failed(batch: readonly Waiting[], error: unknown): Promise<void> {
    this.#lastFault = error;
    const noScript = replyCode(error) === 'NOSCRIPT';
    if (noScript || isPassing(error)) {
      this.#doAgain(batch);
      if (noScript) await this.#session.loadScripts().catch(() => {});
      else if (this.#session.isUp) await this.#session.pause(50);
      return;
    }
    for (const waiting of batch) {
      if (waiting.over) continue;
      waiting.over = true;
      waiting.reject(
        new BrokerUnavailableError(`Redis did not accept the message: ${String(error)}`, { cause: error }),
      );
    }
  }

  #doAgain(batch: readonly Waiting[]): void {
    this.#draining = true;
    this.#again.push(...batch.filter(({ over }) => !over));
  }

  /** Rejects what has waited too long: looked at a few times a second, as long as anything waits. */
  #look(): void {
    if (this.#looking) return;
    this.#looking = true;
    this.#session.clock.wait(Math.min(LOOK_MS, this.#timeoutMs), () => {
      this.#looking = false;
      if (this.#closed) return;
      const nowMs = this.#session.clock.monotonicMs();
      for (const waiting of [...[...this.#underWay].flat(), ...this.#again, ...this.#queue]) {
        if (waiting.over || waiting.deadlineMs > nowMs) continue;
        waiting.over = true;
        const cause = this.#lastFault;
        waiting.reject(
          new BrokerUnavailableError('Redis has not answered within the time a message may take to be accepted', {
            cause,
          }),
        );
      }
      this.#again = this.#again.filter(({ over }) => !over);
      this.#queue = this.#queue.filter(({ over }) => !over);
      if (this.#queue.length + this.#again.length + this.#underWay.size > 0) this.#look();
    });
  }
}

/** Clients know nothing but Buffer. */
const bytesOf = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);

function acceptedAs(answer: string, subscriptions: readonly string[]): Accepted {
  if (answer.startsWith('1')) return { duplicate: true, id: answer.slice(1), subscriptions, listeners: 0 };
  // Redis knows who has subscribed to the channel, not who hears the message.
  return answer === '0' ? { duplicate: false, subscriptions, listeners: 0 } : { duplicate: false, subscriptions };
}

/** Things that are named in one call, by number. */
class Numbered<T> {
  readonly values: T[] = [];
  readonly #numbers = new Map<T, number>();

  numbersOf(things: readonly T[]): number[] {
    return things.map((thing) => this.#numberOf(thing));
  }

  textOf(thing: T): string {
    return String(this.#numberOf(thing));
  }

  #numberOf(thing: T): number {
    let number = this.#numbers.get(thing);
    if (number === undefined) {
      number = this.values.push(thing);
      this.#numbers.set(thing, number);
    }
    return number;
  }
}
