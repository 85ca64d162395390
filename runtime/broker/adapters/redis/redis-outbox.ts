/**
 * Accepting messages on Redis.
 *
 * Owns: putting accepts of one turn of the event loop into one call, a few calls under way at a time, and doing again those that were
 * cut off or worked out from an old table.
 *
 * Invariants:
 * RO1. Messages reach the script in the order of their `accept` calls: when one call must be done again, nothing new is sent until all
 *      that are under way have answered, and those to be done again go first, in order.
 * RO2. A message that is not accepted by its deadline is rejected with `BrokerUnavailableError`; until then it is tried again in the same
 *      place of a call of the same number, so that the second try knows the first.
 */
import { BrokerClosedError, BrokerUnavailableError, QueueFullError } from '../../../kernel/errors.ts';
import type { Accepted, CarriedMessage } from '../../broker-adapter.ts';
import { ACCEPT_SCRIPT, ACCEPTED_AT_ONCE, REMEMBERED_CALLS } from './accept-script.ts';
import { encodeFrame } from './redis-frame.ts';
import { isPassing, listOf, type RedisArgument, type RedisReply, replyCode, textOf } from './redis-link.ts';
import type { RedisSession } from './redis-session.ts';
import { type NamedRetention, type NamedSubscription, SubscriptionTable } from './subscription-table.ts';

interface Waiting {
  readonly header: CarriedMessage['header'];
  readonly frame: Buffer;
  readonly deadlineMs: number;
  readonly resolve: (accepted: Accepted) => void;
  readonly reject: (error: Error) => void;
  names: readonly string[];
  over: boolean;
}

/** One call, tried until it is answered: its messages keep their places in it. */
interface Call {
  readonly number: number;
  readonly messages: readonly Waiting[];
}

const BATCH_MESSAGES = Math.min(512, ACCEPTED_AT_ONCE);
const BATCH_BYTES = 1 << 20;
const CALLS_UNDER_WAY = REMEMBERED_CALLS / 2;
const LOOK_MS = 250;

export class RedisOutbox {
  readonly #session: RedisSession;
  readonly #process: string;
  readonly #timeoutMs: number;
  readonly #table = new SubscriptionTable();
  #queue: Waiting[] = [];
  /** Answered with a fault that passes, in order. */
  #again: Call[] = [];
  readonly #underWay = new Set<Call>();
  #draining = false;
  #planned = false;
  #looking = false;
  #calls = 0;
  #closed = false;
  #lastFault: unknown;

  constructor(session: RedisSession, process: string, timeoutMs: number) {
    this.#session = session;
    this.#process = process;
    this.#timeoutMs = timeoutMs;
  }

  accept(message: CarriedMessage): Promise<Accepted> {
    if (this.#closed) return Promise.reject(new BrokerClosedError('the broker is closed'));
    return new Promise((resolve, reject) => {
      this.#queue.push({
        header: message.header,
        frame: encodeFrame(message),
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
    for (const waiting of this.#all()) {
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

  #all(): readonly Waiting[] {
    return [...[...this.#underWay, ...this.#again].flatMap(({ messages }) => messages), ...this.#queue];
  }

  #send(): void {
    if (!this.#session.isUp || this.#draining) return;
    for (const call of this.#again.splice(0)) void this.#call(call);
    while (this.#queue.length > 0 && this.#underWay.size < CALLS_UNDER_WAY) {
      const messages = this.#nextBatch();
      if (messages.length > 0) void this.#call({ number: ++this.#calls, messages });
    }
  }

  #nextBatch(): Waiting[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && count < BATCH_MESSAGES && bytes < BATCH_BYTES) {
      const { frame } = this.#queue[count++] as Waiting;
      bytes += frame.length;
    }
    return this.#queue.splice(0, count).filter(({ over }) => !over);
  }

  async #call(call: Call): Promise<void> {
    this.#underWay.add(call);
    try {
      const reply = await this.#session.onceInOrder(ACCEPT_SCRIPT, this.#argumentsOf(call));
      this.#answered(call, listOf(reply));
    } catch (error) {
      await this.#failed(call, error);
    }
    this.#underWay.delete(call);
    if (this.#draining && this.#underWay.size === 0) {
      this.#draining = false;
      this.#again.sort((a, b) => a.number - b.number);
    }
    if (this.#queue.length + this.#again.length > 0) this.#plan();
  }

  #argumentsOf({ number, messages }: Call): RedisArgument[] {
    const subs = new Numbered<NamedSubscription>();
    const keeps = new Numbered<NamedRetention>();
    const plans = new Numbered<string>();
    const ids: string[] = [];
    const frames: RedisArgument[] = [];
    let before: CarriedMessage['header'] | undefined;
    let first = 0;
    for (const [at, waiting] of messages.entries()) {
      const { header, frame, over } = waiting;
      waiting.names = this.#table.targetsOf(header.subject).names;
      ids.push(over ? '' : header.id);
      if (!isSameWay(header, before)) {
        if (at > 0) frames[first + 1] = String(frames.length - first - 2);
        first = frames.length;
        frames.push(wayOf(header, plans), '');
      }
      frames.push(frame);
      before = header;
    }
    frames[first + 1] = String(frames.length - first - 2);
    const planned = plans.values.map((subject) => {
      const targets = this.#table.targetsOf(subject);
      return { s: subject, subs: subs.numbersOf(targets.subscriptions), keeps: keeps.numbersOf(targets.keeps) };
    });
    const named = JSON.stringify({ plans: planned, subs: subs.values, keeps: keeps.values });
    return [this.#table.version, named, this.#process, String(number), String(ids.length), ...ids, ...frames];
  }

  #answered(call: Call, reply: readonly RedisReply[]): void {
    const first = textOf(reply[0]);
    if (first === 'stale') {
      this.#table.replace(textOf(reply[1]), reply[2], reply[3]);
      this.#doAgain(call);
      return;
    }
    for (const [i, waiting] of call.messages.entries()) {
      if (waiting.over) continue;
      waiting.over = true;
      const answer = reply.length === 1 ? first : textOf(reply[i]);
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

  async #failed(call: Call, error: unknown): Promise<void> {
    this.#lastFault = error;
    const noScript = replyCode(error) === 'NOSCRIPT';
    if (noScript || isPassing(error)) {
      this.#doAgain(call);
      if (noScript) await this.#session.loadScripts().catch(() => {});
      else if (this.#session.isUp) await this.#session.pause(50);
      return;
    }
    for (const waiting of call.messages) {
      if (waiting.over) continue;
      waiting.over = true;
      waiting.reject(
        new BrokerUnavailableError(`Redis did not accept the message: ${String(error)}`, { cause: error }),
      );
    }
  }

  #doAgain(call: Call): void {
    this.#draining = true;
    if (call.messages.some(({ over }) => !over)) this.#again.push(call);
  }

  /** Rejects what has waited too long: looked at a few times a second, as long as anything waits. */
  #look(): void {
    if (this.#looking) return;
    this.#looking = true;
    this.#session.clock.wait(Math.min(LOOK_MS, this.#timeoutMs), () => {
      this.#looking = false;
      if (this.#closed) return;
      const nowMs = this.#session.clock.monotonicMs();
      for (const waiting of this.#all()) {
        if (waiting.over || waiting.deadlineMs > nowMs) continue;
        waiting.over = true;
        const cause = this.#lastFault;
        waiting.reject(
          new BrokerUnavailableError('Redis has not answered within the time a message may take to be accepted', {
            cause,
          }),
        );
      }
      this.#again = this.#again.filter(({ messages }) => messages.some(({ over }) => !over));
      this.#queue = this.#queue.filter(({ over }) => !over);
      if (this.#queue.length + this.#again.length + this.#underWay.size > 0) this.#look();
    });
  }
}

type Header = CarriedMessage['header'];

const idempotencyOf = ({ id, idempotencyKey = '' }: Header): string => (idempotencyKey === id ? '' : idempotencyKey);

/** Nearly all of a call go the same way. */
const isSameWay = (header: Header, before: Header | undefined): boolean =>
  before !== undefined &&
  header.subject === before.subject &&
  (header.key ?? header.source) === (before.key ?? before.source) &&
  header.notBeforeMs === before.notBeforeMs &&
  header.expiresAtMs === before.expiresAtMs &&
  idempotencyOf(header) === '' &&
  idempotencyOf(before) === '';

/** As the accept script reads it. */
function wayOf(header: Header, plans: Numbered<string>): string {
  const { subject, source, key = source, notBeforeMs = '', expiresAtMs = '' } = header;
  const idempotency = idempotencyOf(header);
  return `${plans.textOf(subject)},${notBeforeMs},${expiresAtMs},${Buffer.byteLength(idempotency)},${idempotency}${key}`;
}

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
