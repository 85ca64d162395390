/**
 * One consumer of a queue: asks for messages, and says what came of them.
 *
 * Owns: how many more it wants, and the requests to the queue under way. Outcomes of the same moment, and the wish for more, are one turn.
 *
 * Invariants:
 * EC1. No more is asked for than `request` said. What a question did not bring is asked for again.
 * EC2. While messages are wanted and none are there, a question waits at the queue: a message needs no second one.
 * EC3. Messages are delivered in the order in which the queue handed them out, also when it has to be asked for the bytes of some; and
 *      before whoever waits for an outcome hears of it, if they were handed out before that. The queue has taken back what it handed out of the
 *      key of a failed message: it must come while that one's outcome is waited for, or it would be begun.
 */
import type { Clock, Wait } from '../../kernel/clock.ts';
import { BrokerClosedError, SystemStoppedError } from '../../kernel/errors.ts';
import { decodeValue } from '../../wire/value-codec.ts';
import type { AdapterConsumer, HandOut, Outcome } from '../broker-adapter.ts';
import type { DeliveryStatus } from '../contract/receipt.ts';
import { addHandled, type PackedHandOuts, type PackedParts } from './embedded-batch.ts';
import { type EmbeddedHandOut, handOutsOf, type ReadHandOut, withBytes } from './embedded-hand-out.ts';
import { BATCH_BYTES, BATCH_MESSAGES, ERROR_BYTES, type WireOutcome } from './embedded-protocol.ts';
import type { Route } from './embedded-route.ts';

/** Outcomes that are said in one turn, and the promise of all of them. */
class Settlings {
  readonly handOuts: EmbeddedHandOut[] = [];
  readonly outcomes: Outcome[] = [];
  /** Of replies and errors. */
  bytes = 0;
  readonly done: Promise<void>;
  resolve!: () => void;
  reject!: (error: unknown) => void;

  constructor() {
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

export interface ConsumerPorts {
  readonly route: Route;
  readonly name: string;
  readonly deliver: (handOuts: readonly HandOut[]) => void;
  /** The message in what was packed. */
  readonly read: ReadHandOut;
  readonly clock: Clock;
  readonly failed: (error: Error) => void;
}

/** A full disk, mostly: after this, what could not be said is said again. */
const AGAIN_MS = 100;
/** Questions that may wait at the queue: while the answer to one is on its way, the next is there already. */
const PULLS = 4;
/** Outcomes in one turn: most are two numbers. */
const OUTCOMES = 2_048;
const RELEASED: Outcome = { kind: 'released' };

export class EmbeddedConsumer implements AdapterConsumer {
  readonly #ports: ConsumerPorts;
  /** Wanted, and not asked for at present. */
  #wanted = 0;
  #pulls = 0;
  /** The last answer was as much as was asked for: there is more, and what comes next need not wait until this is settled. */
  #isMore = false;
  /** Not on their way yet; the last one is being filled. */
  readonly #outcomes: Settlings[] = [];
  /** What came while the bytes of something before it are asked for waits here. */
  #asking: Promise<void> | undefined;
  #isScheduled = false;
  #pause: Wait | undefined;
  #closed = false;

  constructor(ports: ConsumerPorts) {
    this.#ports = ports;
    ports.route.join();
  }

  request(count: number): void {
    this.#wanted += count;
    this.#schedule();
  }

  settle(handOut: HandOut, outcome: Outcome): Promise<void> {
    let last = this.#outcomes.at(-1);
    const bytes = bytesOf(outcome);
    if (last === undefined || last.handOuts.length >= OUTCOMES || last.bytes + bytes > BATCH_BYTES) {
      last = new Settlings();
      this.#outcomes.push(last);
      this.#schedule();
    }
    last.handOuts.push(handOut as EmbeddedHandOut);
    last.outcomes.push(outcome);
    last.bytes += bytes;
    return last.done;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    while (this.#outcomes.length > 0) this.#settle();
    this.#closed = true;
    this.#pause?.cancel();
    this.#ports.route.leave();
    // With its system the queue is gone, which gives back at the next start what this one had.
    await this.#ports.route.say({ type: 'CLOSE', consumer: this.#ports.name }).catch((error: unknown) => {
      if (!(error instanceof SystemStoppedError)) throw error;
    });
  }

  #schedule(): void {
    if (this.#isScheduled || this.#pause !== undefined) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#work();
    });
  }

  #work(): void {
    if (this.#closed) {
      for (const { reject } of this.#outcomes.splice(0)) reject(new BrokerClosedError('the subscription is closed'));
      return;
    }
    if (this.#outcomes.length > 0) this.#settle();
    else if (this.#mayPull) this.#pull();
    if (this.#isMore && this.#mayPull) this.#schedule();
  }

  get #mayPull(): boolean {
    return this.#wanted > 0 && this.#pulls < PULLS;
  }

  #pull(): void {
    const count = Math.min(this.#wanted, BATCH_MESSAGES);
    this.#wanted -= count;
    this.#pulls += 1;
    const { route, name } = this.#ports;
    route.say<PackedHandOuts>({ type: 'PULL', consumer: name, count }, Number.POSITIVE_INFINITY).then(
      (found) => {
        this.#pulls -= 1;
        this.#found(found, count);
      },
      (error: unknown) => {
        this.#pulls -= 1;
        this.#wanted += count;
        this.#lost(error);
      },
    );
  }

  #settle(): void {
    const settlings = this.#outcomes.shift();
    if (settlings === undefined) return;
    const { handOuts, outcomes } = settlings;
    const handled: number[] = [];
    const other: WireOutcome[] = [];
    for (let at = 0; at < handOuts.length; at++) {
      const { seq, lease } = handOuts[at] as EmbeddedHandOut;
      const outcome = outcomes[at] as Outcome;
      if (outcome.kind === 'handled' && outcome.reply === undefined) addHandled(handled, seq, lease);
      else other.push(wireOf(seq, lease, outcome));
    }
    // A question that waits at the queue is not needed twice.
    const count = this.#pulls > 0 ? 0 : Math.min(this.#wanted, BATCH_MESSAGES);
    this.#wanted -= count;
    const { route, name } = this.#ports;
    route.say<PackedHandOuts>({ type: 'SETTLE', consumer: name, handled, other, count }, Number.POSITIVE_INFINITY).then(
      (found) => {
        const before = this.#asking;
        this.#found(found, count);
        if (before === undefined) this.#ended(settlings);
        else void before.then(() => this.#ended(settlings));
      },
      (error: unknown) => {
        this.#wanted += count;
        if (this.#mayComeBack(error)) this.#outcomes.unshift(settlings);
        else settlings.reject(error);
        this.#lost(error);
      },
    );
    if (this.#outcomes.length > 0) this.#schedule();
  }

  /** Outcomes are durable: those that are ends are told, and whoever waits for them. */
  #ended({ handOuts, outcomes, resolve }: Settlings): void {
    const { route, clock } = this.#ports;
    const atMs = clock.now();
    // The same for most: nobody changes it.
    let handled: DeliveryStatus = { status: 'handled', atMs, attempt: 1 };
    for (let at = 0; at < handOuts.length; at++) {
      const { seq, header, attempt } = handOuts[at] as EmbeddedHandOut;
      const outcome = outcomes[at] as Outcome;
      if (outcome.kind === 'handled') {
        const { reply } = outcome;
        if (handled.attempt !== attempt) handled = { status: 'handled', atMs, attempt };
        route.ended(seq, header.id, reply === undefined ? handled : { ...handled, reply: decodeValue(reply) });
      } else if (outcome.kind === 'dead') {
        route.ended(seq, header.id, { status: 'dead', atMs, attempt, error: outcome.error });
      }
    }
    resolve();
  }

  #found(packed: PackedHandOuts, asked: number): void {
    const { route, read } = this.#ports;
    const { handOuts, missing } = handOutsOf(packed, route.kept, read);
    this.#wanted += asked - handOuts.length;
    if (asked > 0) this.#isMore = handOuts.length === asked;
    if (this.#wanted > 0 && !this.#closed) this.#schedule();
    if (this.#asking === undefined && missing.length === 0) {
      if (handOuts.length > 0) this.#ports.deliver(handOuts);
      return;
    }
    const asking = this.#deliverBehind(this.#asking, this.#complete(handOuts, missing));
    this.#asking = asking;
    void asking.then(() => {
      if (this.#asking === asking) this.#asking = undefined;
    });
  }

  async #deliverBehind(before: Promise<void> | undefined, complete: Promise<readonly HandOut[]>): Promise<void> {
    await before;
    this.#ports.deliver(await complete);
  }

  /** Asks the queue for the bytes of some. Those that are handed out no more, or cannot be had, are left out. */
  async #complete(
    handOuts: readonly EmbeddedHandOut[],
    missing: readonly EmbeddedHandOut[],
  ): Promise<readonly EmbeddedHandOut[]> {
    const gone = new Set<EmbeddedHandOut>();
    if (missing.length > 0) {
      const { route, read } = this.#ports;
      const leases = missing.flatMap(({ seq, lease }) => [seq, lease]);
      try {
        const parts = await route.say<PackedParts>({ type: 'BYTES', leases }, Number.POSITIVE_INFINITY);
        for (const one of withBytes(missing, parts, read)) gone.add(one);
      } catch (error) {
        for (const one of missing) {
          gone.add(one);
          void this.settle(one, RELEASED).catch(() => {});
        }
        this.#lost(error);
      }
    }
    this.#wanted += gone.size;
    return gone.size === 0 ? handOuts : handOuts.filter((one) => !gone.has(one));
  }

  /** No hand-out is lost with a question that failed: it was refused before the queue had it. */
  #lost(error: unknown): void {
    if (this.#closed) return;
    this.#ports.failed(error instanceof Error ? error : new Error(String(error)));
    if (!this.#mayComeBack(error) || this.#pause !== undefined) return;
    this.#pause = this.#ports.clock.wait(AGAIN_MS, () => {
      this.#pause = undefined;
      this.#schedule();
    });
  }

  #mayComeBack(error: unknown): boolean {
    return !this.#closed && (error as { retryable?: unknown } | null)?.retryable === true;
  }
}

/** What an outcome has beside two numbers. */
function bytesOf(outcome: Outcome): number {
  if (outcome.kind === 'handled') return outcome.reply?.length ?? 0;
  return outcome.kind === 'retry' || outcome.kind === 'dead' ? ERROR_BYTES : 0;
}

function wireOf(seq: number, lease: number, outcome: Outcome): WireOutcome {
  switch (outcome.kind) {
    case 'handled':
      return [seq, lease, 'handled', outcome.reply as Uint8Array];
    case 'retry':
      return [seq, lease, 'retry', outcome.delayMs, outcome.error];
    case 'dead':
      return [seq, lease, 'dead', outcome.reason, outcome.error];
    case 'released':
      return [seq, lease, 'released'];
  }
}
