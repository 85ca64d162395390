/**
 * The delayed events of a machine that wait, by the runtime's timer id.
 *
 * Owns: which of them a `cancel(id)` means. XState lets a delayed event go on waiting when another one comes under its id, and forgets
 * an id when any event under it has fired: from then on the others can no longer be cancelled. Machines rely on what happens, not on
 * what was meant, so it is the same here. Changes nothing in place.
 *
 * Invariants:
 * PT1. Two events that wait never share a timer id.
 */

/** Timer id → the id under which it can be cancelled; null when it no longer can. */
export type PendingTimers = ReadonlyMap<string, string | null>;

export const NO_TIMERS: PendingTimers = new Map();

/** A timer id for a new event under `id`. `book` gives numbers that were never given before. */
export function timerIdFor(timers: PendingTimers, id: string, book: () => number): string {
  return timers.has(id) ? `${id}:${book()}` : id;
}

export function withTimer(timers: PendingTimers, timerId: string, id: string): PendingTimers {
  return new Map(forget(timers, id)).set(timerId, id);
}

/** The timer that `cancel(id)` means. */
export function timerOf(timers: PendingTimers, id: string): string | undefined {
  if (timers.get(id) === id) return id;
  for (const [timerId, cancelledBy] of timers) if (cancelledBy === id) return timerId;
  return undefined;
}

export function withoutTimer(timers: PendingTimers, timerId: string): PendingTimers {
  if (!timers.has(timerId)) return timers;
  if (timers.size === 1) return NO_TIMERS;
  const left = new Map(timers);
  left.delete(timerId);
  return left;
}

/** The timer `timerId`, set under `id`, has fired. */
export function fired(timers: PendingTimers, timerId: string, id: string): PendingTimers {
  return forget(withoutTimer(timers, timerId), id);
}

function forget(timers: PendingTimers, id: string): PendingTimers {
  const timerId = timerOf(timers, id);
  return timerId === undefined ? timers : new Map(timers).set(timerId, null);
}
