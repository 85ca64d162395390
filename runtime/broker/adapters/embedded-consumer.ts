/**
 * One consumer of a queue: asks for messages, and says what came of them.
 *
 * Owns: how many more it wants, and the requests to the queue under way. Outcomes of the same moment, and the wish for more, are one turn.
 *
 * Invariants:
 * EC1. No more is asked for than `request` said. What a question did not bring is asked for again.
 * EC2. While messages are wanted and none are there, a question waits at the queue: a message needs no second one.
 */
import type { Clock, Wait } from '../../kernel/clock.ts';
import { BrokerClosedError, SystemStoppedError } from '../../kernel/errors.ts';
import { decodeValue } from '../../wire/value-codec.ts';
import type { AdapterConsumer, CarriedMessage, HandOut, Outcome } from '../broker-adapter.ts';
import type { DeliveryStatus } from '../contract/receipt.ts';
import { type PackedHandOuts, unpackHandOuts } from './embedded-batch.ts';
import { BATCH_MESSAGES, type WireHandOut, type WireOutcome } from './embedded-protocol.ts';
import type { Route } from './embedded-route.ts';

/** Its number in the queue, and the number of this hand-out. */
type Token = readonly [seq: number, lease: number];

interface Settling {
  readonly handOut: HandOut;
  readonly outcome: Outcome;
}

/** Outcomes that are said in one turn, and the promise of all of them. */
class Settlings {
  readonly all: Settling[] = [];
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
  readonly unpack: (bytes: Uint8Array, redriven: boolean) => CarriedMessage;
  readonly clock: Clock;
  readonly failed: (error: Error) => void;
}

/** A full disk, mostly: after this, what could not be said is said again. */
const AGAIN_MS = 100;
/** Questions that may wait at the queue: while the answer to one is on its way, the next is there already. */
const PULLS = 4;
/** Outcomes in one turn: most are two numbers. */
const OUTCOMES = 2_048;

export class EmbeddedConsumer implements AdapterConsumer {
  readonly #ports: ConsumerPorts;
  /** Wanted, and not asked for at present. */
  #wanted = 0;
  #pulls = 0;
  /** Not on their way yet; the last one is being filled. */
  readonly #outcomes: Settlings[] = [];
  #isScheduled = false;
  #pause: Wait | undefined;
  #closed = false;

  constructor(ports: ConsumerPorts) {
    this.#ports = ports;
  }

  request(count: number): void {
    this.#wanted += count;
    this.#schedule();
  }

  settle(handOut: HandOut, outcome: Outcome): Promise<void> {
    let last = this.#outcomes.at(-1);
    if (last === undefined || last.all.length >= OUTCOMES) {
      last = new Settlings();
      this.#outcomes.push(last);
      this.#schedule();
    }
    last.all.push({ handOut, outcome });
    return last.done;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    while (this.#outcomes.length > 0) this.#settle();
    this.#closed = true;
    this.#pause?.cancel();
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
    else if (this.#wanted > 0 && this.#pulls < PULLS) this.#pull();
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
    const handled: number[] = [];
    const other: WireOutcome[] = [];
    for (const { handOut, outcome } of settlings.all) {
      const [seq, lease] = handOut.token as Token;
      switch (outcome.kind) {
        case 'handled':
          if (outcome.reply === undefined) handled.push(seq, lease);
          else other.push([seq, lease, 'handled', outcome.reply]);
          break;
        case 'retry':
          other.push([seq, lease, 'retry', outcome.delayMs, outcome.error]);
          break;
        case 'dead':
          other.push([seq, lease, 'dead', outcome.reason, outcome.error]);
          break;
        case 'released':
          other.push([seq, lease, 'released']);
          break;
      }
    }
    // A question that waits at the queue is not needed twice.
    const count = this.#pulls > 0 ? 0 : Math.min(this.#wanted, BATCH_MESSAGES);
    this.#wanted -= count;
    const { route, name } = this.#ports;
    route.queue
      .ask<PackedHandOuts>(
        { type: 'SETTLE', consumer: name, handled, other, count },
        { timeoutMs: Number.POSITIVE_INFINITY },
      )
      .then(
        (found) => {
          this.#found(found, count);
          const nowMs = this.#ports.clock.now();
          for (const { handOut, outcome } of settlings.all) {
            const end = endOf(handOut, outcome, nowMs);
            if (end !== undefined) route.ended(handOut.message.header.id, end);
          }
          settlings.resolve();
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

  #found(packed: PackedHandOuts, asked: number): void {
    const found = unpackHandOuts(packed);
    this.#wanted += asked - found.length;
    if (this.#wanted > 0 && !this.#closed) this.#schedule();
    if (found.length > 0) this.#ports.deliver(found.map((one) => handOutOf(one, this.#ports.unpack)));
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

function handOutOf(
  [seq, lease, attempt, firstDeliveredMs, redrives, lost, bytes]: WireHandOut,
  unpack: ConsumerPorts['unpack'],
): HandOut {
  const token: Token = [seq, lease];
  return { message: unpack(bytes, redrives > 0), attempt, lost, redrives, firstDeliveredMs, token };
}

function endOf({ attempt }: HandOut, outcome: Outcome, atMs: number): DeliveryStatus | undefined {
  if (outcome.kind === 'handled') {
    const { reply } = outcome;
    return { status: 'handled', atMs, attempt, ...(reply === undefined ? {} : { reply: decodeValue(reply) }) };
  }
  return outcome.kind === 'dead' ? { status: 'dead', atMs, attempt, error: outcome.error } : undefined;
}
