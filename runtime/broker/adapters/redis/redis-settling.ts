/**
 * Outcomes on their way to Redis: those of one turn of the event loop in one call.
 *
 * Owns: which outcomes go together, and how the settle script is told of them.
 *
 * Invariants:
 * RT1. What was simply handled in the consumer's present epoch is told in two values, and trusted; a call that is made again is not.
 */
import type { Outcome } from '../../broker-adapter.ts';
import type { RedisArgument } from './redis-link.ts';

/** A message in hands. */
export interface Hand {
  readonly entry: string;
  readonly deliveries: string;
  readonly key: string;
  /** Handed out for the first time, in that epoch of its consumer, and for this subscription alone; undefined for others. */
  readonly epoch: string | undefined;
  readonly lost: number;
  isSettled: boolean;
}

export interface Settled {
  readonly hand: Hand;
  readonly id: string;
  readonly attempt: number;
  readonly firstDeliveredMs: number;
  readonly outcome: Outcome;
}

const SETTLE_LIMIT = 1_024;

export class SettleBatch {
  /** Of what is settled, in the order of the calls. */
  readonly hands: Hand[] = [];
  readonly done: Promise<readonly string[]>;
  /** Whether anything is to be tried again. */
  hasRetry = false;
  resolve!: (letters: readonly string[]) => void;
  reject!: (error: unknown) => void;
  readonly epoch: string;
  readonly #keys: string[] = [];
  #keyCount = 0;
  readonly #plain: RedisArgument[] = [];
  readonly #others: RedisArgument[] = [];
  #letters = 0;

  constructor(epoch: string) {
    this.epoch = epoch;
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Whoever settles hears of it.
    this.done.catch(() => {});
  }

  get isFull(): boolean {
    return this.hands.length >= SETTLE_LIMIT;
  }

  /** Returns the place of its dead letter among those of the answer, -1 if it becomes none. */
  add({ hand, id, attempt, firstDeliveredMs, outcome }: Settled): number {
    this.hands.push(hand);
    if (outcome.kind === 'handled' && outcome.reply === undefined && hand.epoch === this.epoch) {
      this.#plain.push(hand.entry, id);
      if (this.#keys.at(-1) !== hand.key) {
        this.#countKey();
        this.#keys.push(hand.key);
      }
      this.#keyCount += 1;
      return -1;
    }
    const [kind, more] = encodeOutcome(outcome);
    this.hasRetry ||= kind === 'r';
    const { entry, deliveries, key } = hand;
    this.#others.push(entry, deliveries, kind, key, id, String(attempt), String(firstDeliveredMs), more);
    return kind === 'x' ? this.#letters++ : -1;
  }

  /** As the settle script has them, behind subscription, consumer, order and epoch. */
  arguments(): RedisArgument[] {
    this.#countKey();
    const counts = [String(this.#keys.length / 2), String(this.#plain.length / 2)];
    const range = rangeOf(this.hands.map(({ entry }) => entry));
    return [...range, ...counts, ...this.#keys, ...this.#plain, ...this.#others];
  }

  #countKey(): void {
    if (this.#keyCount > 0) this.#keys.push(String(this.#keyCount));
    this.#keyCount = 0;
  }
}

/** The first and the last of entry ids. */
function rangeOf(ids: readonly string[]): readonly [string, string] {
  let [low = '', high = ''] = [ids[0], ids[0]];
  for (const id of ids) {
    if (isBefore(high, id)) high = id;
    else if (isBefore(id, low)) low = id;
  }
  return [low, high];
}

/** Ids are two numbers, mostly of as many digits as the other's. */
function isBefore(a: string, b: string): boolean {
  if (a.length === b.length && a.indexOf('-') === b.indexOf('-')) return a < b;
  const [aMs = 0, aSeq = 0] = a.split('-').map(Number);
  const [bMs = 0, bSeq = 0] = b.split('-').map(Number);
  return aMs < bMs || (aMs === bMs && aSeq < bSeq);
}

type OutcomeKind = 'h' | 'r' | 'x' | 'b';

function encodeOutcome(outcome: Outcome): readonly [kind: OutcomeKind, more: RedisArgument] {
  switch (outcome.kind) {
    case 'handled':
      return ['h', outcome.reply === undefined ? '' : Buffer.concat([Buffer.from('='), outcome.reply])];
    case 'retry':
      return ['r', `${Math.max(0, Math.ceil(outcome.delayMs))} ${JSON.stringify(outcome.error)}`];
    case 'dead':
      return ['x', `${outcome.reason} ${JSON.stringify(outcome.error)}`];
    case 'released':
      return ['b', ''];
  }
}
