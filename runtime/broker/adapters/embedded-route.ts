/**
 * The way to one durable subscription: its queue, spoken to in batches.
 *
 * Owns: collecting what is published at the same time into one turn of the queue, questions about receipts, and those who wait for a
 * message's end.
 *
 * Invariants:
 * ER1. Messages reach the queue in the order of `offer`.
 * ER2. A lone message leaves in the same turn of the event loop; while batches are under way the next ones collect.
 * ER3. Ends are told by the number that the queue gave to a message, and, since a redriven one gets another, by its id to those who asked
 *      for it so.
 */
import type { ActorHandle } from '../../kernel/actor-host.ts';
import { QueueFullError } from '../../kernel/errors.ts';
import { decodeValue } from '../../wire/value-codec.ts';
import type { CarriedMessage } from '../broker-adapter.ts';
import type { DeliveryStatus } from '../contract/receipt.ts';
import { BatchBuilder, eachVerdict, packBatch, type PackedVerdicts } from './embedded-batch.ts';
import { EndRecorder } from './embedded-end-recorder.ts';
import type { MessagePacker } from './embedded-frame.ts';
import { KeptMessages } from './embedded-kept.ts';
import { BATCH_MESSAGES, type QueueMessage, type WireMessage, type WireStatus } from './embedded-protocol.ts';

/** Whoever offered a message. */
export interface Offering {
  /** The queue has it, by this number; or by the id of the message that it had before. */
  accepted(route: Route, number: number, duplicateOf: string | undefined): void;
  refused(error: unknown): void;
}

/** Whoever waits for the end of a message. */
export interface EndWaiter {
  ended(route: Route, status: DeliveryStatus): void;
  /** The subscription was deleted, and the message there with it. */
  forgotten(route: Route): void;
}

interface Batch {
  readonly builder: BatchBuilder;
  readonly offerings: Offering[];
}

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
  /** What its consumers here need not be sent. */
  readonly kept = new KeptMessages();
  #consumers = 0;
  /** In order; the last one is being filled. */
  readonly #batches: Batch[] = [];
  #underWay = 0;
  #isScheduled = false;
  #isHeld = false;
  #isDeleted = false;
  #questions: { id: string; answer: (status: DeliveryStatus | undefined) => void; fail: (error: unknown) => void }[] =
    [];
  /** By the message's number: whoever has published it. */
  readonly #waiters = new Map<number, EndWaiter>();
  /** By the message's id. */
  readonly #askers = new Map<string, Set<EndWaiter>>();
  /** Ends that nobody waited for, by number. Two halves: the older one is dropped as a whole. */
  #recent = new Map<number, DeliveryStatus>();
  #older = new Map<number, DeliveryStatus>();
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
    if (this.#batches.length > 0) this.#schedule();
  }

  /** Somebody here takes messages of it. */
  join(): void {
    this.#consumers += 1;
  }

  leave(): void {
    this.#consumers -= 1;
    if (this.#consumers === 0) this.kept.clear();
  }

  /** Gives older messages to the queue, past what is held. Resolves with how many it had no room for. */
  async fill(messages: readonly WireMessage[]): Promise<number> {
    const { others } = await this.say<PackedVerdicts>({ type: 'BATCH', batch: packBatch(messages), isKept: false });
    return others.filter(([, verdict]) => verdict === 0).length;
  }

  /**
   * Packs a message into the next batch; `isBytes`: its payload is bytes already. Returns where it is, for `offerPacked`.
   *
   * @throws UnserializableValueError, MessageTooLargeError
   */
  offer(
    packer: MessagePacker,
    header: CarriedMessage['header'],
    payload: unknown,
    isBytes: boolean,
    offering: Offering,
  ): BatchBuilder {
    const batch = this.#filling();
    batch.builder.add(packer, header, payload, isBytes);
    return this.#offered(batch, offering);
  }

  /** Offers the last message of `builder`, which was packed for another. */
  offerPacked(builder: BatchBuilder, offering: Offering): void {
    const batch = this.#filling();
    batch.builder.addLastOf(builder);
    this.#offered(batch, offering);
  }

  /** How far a message has come; undefined for one that the queue does not remember. */
  status(id: string): Promise<DeliveryStatus | undefined> {
    return new Promise((answer, fail) => {
      this.#questions.push({ id, answer, fail });
      if (this.#questions.length === 1) queueMicrotask(() => void this.#ask());
    });
  }

  /** The end of a message, if it came lately. */
  recentEnd(number: number): DeliveryStatus | undefined {
    return this.#recent.get(number) ?? this.#older.get(number);
  }

  /** Whether an end since there were `ends` would be among the recent ones. */
  remembersSince(ends: number): boolean {
    return this.ends - ends <= RECENT_ENDS;
  }

  /** For whoever has published the message. False when somebody waits so already, or has, or nobody will say: ask by its id then. */
  waitFor(number: number, waiter: EndWaiter): boolean {
    if (this.#isDeleted || this.#waiters.has(number)) return false;
    this.#waiters.set(number, waiter);
    return true;
  }

  wait(id: string, waiter: EndWaiter): void {
    const askers = this.#askers.get(id);
    if (askers === undefined) this.#askers.set(id, new Set([waiter]));
    else askers.add(waiter);
  }

  unwait(number: number, id: string, waiter: EndWaiter): void {
    if (this.#waiters.get(number) === waiter) this.#waiters.delete(number);
    if (this.#askers.size === 0) return;
    const askers = this.#askers.get(id);
    if (askers?.delete(waiter) === true && askers.size === 0) this.#askers.delete(id);
  }

  /** A message has ended, durably. */
  ended(number: number, id: string, status: DeliveryStatus): void {
    this.ends += 1;
    const waiter = this.#waiters.get(number);
    if (waiter === undefined) {
      if (this.#recent.size >= RECENT_ENDS) {
        this.#older = this.#recent;
        this.#recent = new Map();
      }
      this.#recent.set(number, status);
    } else {
      this.#waiters.delete(number);
      waiter.ended(this, status);
    }
    this.endedById(id, status);
  }

  /** Tells those who have asked for it by its id. */
  endedById(id: string, status: DeliveryStatus): void {
    if (this.#askers.size === 0) return;
    const askers = this.#askers.get(id);
    if (askers === undefined) return;
    this.#askers.delete(id);
    for (const asker of askers) asker.ended(this, status);
  }

  /** The subscription is deleted: no end is told any more. */
  deleted(): void {
    this.#isDeleted = true;
    const waiters = [...this.#waiters.values(), ...[...this.#askers.values()].flatMap((askers) => [...askers])];
    for (const waiter of waiters) waiter.forgotten(this);
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

  #filling(): Batch {
    const last = this.#batches.at(-1);
    if (last !== undefined && !last.builder.isFull) return last;
    const batch: Batch = { builder: new BatchBuilder(), offerings: [] };
    this.#batches.push(batch);
    return batch;
  }

  #offered(batch: Batch, offering: Offering): BatchBuilder {
    this.#schedule();
    const split = batch.builder.splitLast();
    if (split === undefined) {
      batch.offerings.push(offering);
      return batch.builder;
    }
    this.#batches.push({ builder: split, offerings: [offering] });
    return split;
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isHeld || this.#underWay >= BATCHES_UNDER_WAY) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      while (!this.#isHeld && this.#underWay < BATCHES_UNDER_WAY) {
        const batch = this.#batches.shift();
        if (batch === undefined) break;
        if (batch.offerings.length > 0) this.#send(batch);
      }
    });
  }

  #send({ builder, offerings }: Batch): void {
    this.#underWay += 1;
    const isKept = this.#consumers > 0;
    this.say<PackedVerdicts>({ type: 'BATCH', batch: builder.packed(), isKept }).then(
      (verdicts) => {
        this.#answered();
        if (isKept) this.#keep(builder, verdicts);
        eachVerdict(verdicts, offerings.length, (at, verdict) => {
          const offering = offerings[at] as Offering;
          if (verdict === 0) offering.refused(this.#full());
          else if (typeof verdict === 'string') offering.accepted(this, 0, verdict);
          else offering.accepted(this, verdict, undefined);
        });
      },
      (error: unknown) => {
        this.#answered();
        for (const offering of offerings) offering.refused(error);
      },
    );
  }

  #keep(builder: BatchBuilder, { first, others }: PackedVerdicts): void {
    if (this.#consumers === 0) return;
    const unnumbered = others.length === 0 ? undefined : new Set(others.map(([at]) => at));
    this.kept.keep(builder, first, unnumbered);
  }

  #answered(): void {
    this.#underWay -= 1;
    if (this.#batches.length > 0) this.#schedule();
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
    for (let from = 0; from < questions.length; ) {
      const asked = questions.slice(from, from + BATCH_MESSAGES);
      try {
        const ids = asked.map(({ id }) => id);
        // As many as fit into one answer; never none.
        const answers = await this.say<readonly (WireStatus | null)[]>({ type: 'STATE', ids });
        for (const [at, status] of answers.entries()) asked[at]?.answer(deliveryStatusOf(status));
        from += answers.length;
      } catch (error) {
        for (const { fail } of asked) fail(error);
        from += asked.length;
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
