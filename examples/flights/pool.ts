/**
 * What an airport has to give, of one kind: its gates, its crews, the landings that it expects.
 *
 * Owns: who has one, who waits for one, and the books: how many were taken, used and given back, and by which flights.
 *
 * Invariants:
 * PO1. Never more are held than there are.
 * PO2. They are given in the order in which they were asked for.
 * PO3. A flight that asks again has what it has, and one that gives back what it has not changes nothing: a saga may ask twice.
 */
import type { takeReplyTo } from '../../actors/index.ts';
import { addFingerprint } from './fingerprint.ts';

/** The right to answer a request later. */
export type Answer = ReturnType<typeof takeReplyTo>;

/** So many flights, and which: see `fingerprint.ts`. */
export interface Tally {
  readonly flights: number;
  readonly fingerprint: number;
}

export interface Pool {
  readonly size: number;
  /** Numbers of flights. */
  readonly held: readonly number[];
  /** The first to come first. */
  readonly waiting: readonly { readonly number: number; readonly answer: Answer }[];
  readonly taken: Tally;
  /** Left by a flight that went through with it. */
  readonly used: Tally;
  /** Left by the compensation of one that did not. */
  readonly returned: Tally;
}

/** A pool after an event, and whom to tell that it has one now. */
export interface Moved {
  readonly pool: Pool;
  readonly given: readonly Answer[];
}

const NONE: Tally = { flights: 0, fingerprint: 0 };

export function emptyPool(size: number): Pool {
  return { size, held: [], waiting: [], taken: NONE, used: NONE, returned: NONE };
}

export function countFlight({ flights, fingerprint }: Tally, number: number): Tally {
  return { flights: flights + 1, fingerprint: addFingerprint(fingerprint, number) };
}

export function isFull({ held, size }: Pool): boolean {
  return held.length >= size;
}

export function holds({ held }: Pool, number: number): boolean {
  return held.includes(number);
}

/** A flight asks for one. */
export function take(pool: Pool, number: number, answer: Answer): Moved {
  if (holds(pool, number)) return { pool, given: [answer] };
  if (isFull(pool)) {
    // Asked again: the first question has no one to answer to any more.
    const others = pool.waiting.filter((one) => one.number !== number);
    return { pool: { ...pool, waiting: [...others, { number, answer }] }, given: [] };
  }
  return { pool: give(pool, number), given: [answer] };
}

/** A flight leaves what it has, `used` or `returned`; who waits longest has it then. */
export function leave(pool: Pool, number: number, as: 'used' | 'returned'): Moved {
  const waiting = pool.waiting.filter((one) => one.number !== number);
  if (!holds(pool, number)) return { pool: { ...pool, waiting }, given: [] };
  const held = pool.held.filter((one) => one !== number);
  const left: Pool = { ...pool, held, waiting, [as]: countFlight(pool[as], number) };
  const [next, ...rest] = waiting;
  if (next === undefined) return { pool: left, given: [] };
  return { pool: give({ ...left, waiting: rest }, next.number), given: [next.answer] };
}

function give(pool: Pool, number: number): Pool {
  return { ...pool, held: [...pool.held, number], taken: countFlight(pool.taken, number) };
}
