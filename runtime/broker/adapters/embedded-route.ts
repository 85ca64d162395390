/**
 * The way to one durable subscription: its queue, spoken to in batches.
 *
 * Owns: collecting what is published at the same time into one turn of the queue, questions about receipts, and those who wait for a
 * message's end.
 *
 * Invariants:
 * ER1. Messages reach the queue in the order of `offer`.
 * ER2. A lone message leaves in the same turn of the event loop; while batches are under way the next ones collect.
 */
import type { ActorHandle } from '../../kernel/actor-host.ts';
import { QueueFullError } from '../../kernel/errors.ts';
import { decodeValue } from '../../wire/value-codec.ts';
import type { DeliveryStatus } from '../contract/receipt.ts';
import { packBatch } from './embedded-batch.ts';
import { EndRecorder } from './embedded-end-recorder.ts';
import {
  BATCH_BYTES,
  BATCH_MESSAGES,
  type QueueMessage,
  type Verdict,
  type WireMessage,
  type WireStatus,
} from './embedded-protocol.ts';

/** Whoever offered a message. */
export interface Offering {
  /** The queue has it: `duplicateOf` when it had it before. */
  accepted(route: Route, duplicateOf: string | undefined): void;
  refused(error: unknown): void;
}

/** Whoever waits for the end of a message. */
export interface EndWaiter {
  ended(route: Route, status: DeliveryStatus): void;
}

type EndWaiters = EndWaiter | Set<EndWaiter>;

/** Batches under way to one queue before messages collect. */
const BATCHES_UNDER_WAY = 16;
/** How long a batch may take: longer than any disk. */
const ACCEPT_TIMEOUT_MS = 60_000;
/** Ends that are known without a question. */
const RECENT_ENDS = 8_192;

export class Route {
  /** The actor that gets its messages directly, if its handler is one. */
  actor: ActorHandle | undefined;
  /** How messages ended that the actor took. */
  readonly recorder = new EndRecorder((message) => this.say(message));
  readonly name: string;
  readonly pattern: string;
  readonly queue: ActorHandle;
  #messages: WireMessage[] = [];
  #offerings: Offering[] = [];
  #underWay = 0;
  #isScheduled = false;
  #isHeld = false;
  #questions: { id: string; answer: (status: DeliveryStatus | undefined) => void; fail: (error: unknown) => void }[] =
    [];
  /** Mostly one for a message. */
  readonly #waiters = new Map<string, EndWaiters>();
  /** Two halves: the older one is dropped as a whole. */
  #recent = new Map<string, DeliveryStatus>();
  #older = new Map<string, DeliveryStatus>();
  /** How many messages have ended here, in this process. */
  ends = 0;

  constructor(name: string, pattern: string, queue: ActorHandle) {
    this.name = name;
    this.pattern = pattern;
    this.queue = queue;
  }

  /** Keeps what is offered from now on until `release`: something older has to reach the queue first. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    if (this.#messages.length > 0) this.#schedule();
  }

  /** Gives older messages to the queue, past what is held. Resolves with how many it had no room for. */
  async fill(messages: readonly WireMessage[]): Promise<number> {
    const verdicts = await this.say<readonly Verdict[]>({ type: 'BATCH', batch: packBatch(messages) });
    return verdicts.filter((verdict) => verdict === 0).length;
  }

  offer(message: WireMessage, offering: Offering): void {
    this.#messages.push(message);
    this.#offerings.push(offering);
    this.#schedule();
  }

  /** How far a message has come; undefined for one that the queue does not remember. */
  status(id: string): Promise<DeliveryStatus | undefined> {
    return new Promise((answer, fail) => {
      this.#questions.push({ id, answer, fail });
      if (this.#questions.length === 1) queueMicrotask(() => void this.#ask());
    });
  }

  /** The end of a message, if it came lately. */
  recentEnd(id: string): DeliveryStatus | undefined {
    return this.#recent.get(id) ?? this.#older.get(id);
  }

  /** Whether an end since there were `ends` would be among the recent ones. */
  remembersSince(ends: number): boolean {
    return this.ends - ends <= RECENT_ENDS;
  }

  wait(id: string, waiter: EndWaiter): void {
    const waiters = this.#waiters.get(id);
    if (waiters === undefined) this.#waiters.set(id, waiter);
    else if (waiters instanceof Set) waiters.add(waiter);
    else this.#waiters.set(id, new Set([waiters, waiter]));
  }

  unwait(id: string, waiter: EndWaiter): void {
    const waiters = this.#waiters.get(id);
    if (waiters === waiter) this.#waiters.delete(id);
    else if (waiters instanceof Set && waiters.delete(waiter) && waiters.size === 0) this.#waiters.delete(id);
  }

  /** A message has ended, durably. */
  ended(id: string, status: DeliveryStatus): void {
    this.ends += 1;
    if (this.#recent.size >= RECENT_ENDS) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(id, status);
    if (this.#waiters.size === 0) return;
    const waiters = this.#waiters.get(id);
    if (waiters === undefined) return;
    this.#waiters.delete(id);
    if (!(waiters instanceof Set)) waiters.ended(this, status);
    else for (const waiter of waiters) waiter.ended(this, status);
  }

  /** Some messages are to be handled again: what is known of ends holds no more. */
  reopened(): void {
    this.#recent = new Map();
    this.#older = new Map();
    this.ends += RECENT_ENDS + 1;
  }

  say<TReply>(message: QueueMessage, timeoutMs = ACCEPT_TIMEOUT_MS): Promise<TReply> {
    return this.queue.ask<TReply>(message, { timeoutMs });
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isHeld || this.#underWay >= BATCHES_UNDER_WAY) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      while (this.#messages.length > 0 && !this.#isHeld && this.#underWay < BATCHES_UNDER_WAY) this.#flush();
    });
  }

  /** Sends the first batch of what has collected. */
  #flush(): void {
    const count = this.#batch();
    const messages = this.#messages.splice(0, count);
    const offerings = this.#offerings.splice(0, count);
    this.#underWay += 1;
    this.say<readonly Verdict[]>({ type: 'BATCH', batch: packBatch(messages) }).then(
      (verdicts) => {
        this.#answered();
        for (const [at, verdict] of verdicts.entries()) {
          const offering = offerings[at] as Offering;
          if (verdict === 0) offering.refused(this.#full());
          else offering.accepted(this, typeof verdict === 'string' ? verdict : undefined);
        }
      },
      (error: unknown) => {
        this.#answered();
        for (const offering of offerings) offering.refused(error);
      },
    );
  }

  #batch(): number {
    let bytes = 0;
    let count = 0;
    for (const message of this.#messages) {
      bytes += message[5].length;
      if (count > 0 && (count >= BATCH_MESSAGES || bytes > BATCH_BYTES)) break;
      count += 1;
    }
    return count;
  }

  #answered(): void {
    this.#underWay -= 1;
    if (this.#messages.length > 0) this.#schedule();
  }

  #full(): QueueFullError {
    return new QueueFullError(
      `subscription "${this.name}" has as many messages waiting as it may: let it be handled faster, or raise its waitingLimit`,
      { details: { subscription: this.name } },
    );
  }

  async #ask(): Promise<void> {
    const questions = this.#questions;
    this.#questions = [];
    for (let from = 0; from < questions.length; from += BATCH_MESSAGES) {
      const asked = questions.slice(from, from + BATCH_MESSAGES);
      try {
        const ids = asked.map(({ id }) => id);
        const answers = await this.say<readonly (WireStatus | null)[]>({ type: 'STATE', ids });
        for (const [at, { answer }] of asked.entries()) answer(deliveryStatusOf(answers[at] ?? null));
      } catch (error) {
        for (const { fail } of asked) fail(error);
      }
    }
  }
}

export function isEnd({ status }: DeliveryStatus): boolean {
  return status === 'handled' || status === 'dead';
}

function deliveryStatusOf(wire: WireStatus | null): DeliveryStatus | undefined {
  if (wire === null) return undefined;
  const { status, atMs, attempt, reply, error } = wire;
  switch (status) {
    case 'accepted':
      return { status, atMs };
    case 'delivered':
      return { status, atMs, attempt };
    case 'handled':
      return { status, atMs, attempt, ...(reply === undefined ? {} : { reply: decodeValue(reply) }) };
    case 'dead':
      return { status, atMs, attempt, error: error ?? { name: 'Error', code: 'UNKNOWN', message: 'unknown' } };
  }
}
