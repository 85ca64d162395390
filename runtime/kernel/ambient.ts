/**
 * The turn being run, for code that cannot be handed one: reply() in an XState action, `Date.now()` in an assign.
 *
 * Owns: one slot per thread. A step is synchronous, so there is at most one turn at a time.
 *
 * Invariants:
 * T1. The slot is set exactly while a step runs, and restored when it throws.
 */
import type { Turn } from './behavior.ts';

let current: Turn | undefined;

/** The turn of the step that is running on this thread, if one is. */
export function currentTurn(): Turn | undefined {
  return current;
}

/** Marks `turn` as the running one and returns the one before it. Callers restore it in a `finally`. */
export function enterTurn(turn: Turn | undefined): Turn | undefined {
  const previous = current;
  current = turn;
  return previous;
}
