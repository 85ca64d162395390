/**
 * Restart intensity: how many restarts a supervisor allows in how long, before it gives up. Pure.
 *
 * Owns: the sliding window. Knows nothing of children or of what giving up means.
 *
 * OTP's rule (`supervisor:add_restart/3`): the restart at hand is in the count, and the bound of the window is inclusive: a
 * restart exactly `periodMs` ago still counts. With `intensity: 1` the second restart within the period is one too many; with
 * `intensity: 0` the first is.
 *
 * Invariants:
 * RI1. A restart is allowed exactly when at most `intensity` restarts, itself included, lie within `[nowMs - periodMs, nowMs]`.
 * RI2. The window holds at most `intensity + 1` instants, oldest first, and never one later than the last `nowMs`.
 * RI3. Turn time may jump back (it is the wall clock as recorded). An instant that lies ahead then counts as now: such a restart
 *      is remembered for one period at most, not until the clock has caught up.
 */

export interface RestartLimit {
  /** Restarts allowed within a period; 0 or more. OTP's default: 1. */
  readonly intensity: number;
  /** Length of the window in ms. OTP's default: 5 s. */
  readonly periodMs: number;
}

export interface CountedRestart {
  /** Whether the supervisor may restart; otherwise it has to end. */
  readonly allowed: boolean;
  /** The window with this restart in it. */
  readonly restarts: readonly number[];
}

/** Counts a restart at `nowMs`. Call it before the restart is tried (S2). */
export function addRestart(restarts: readonly number[], nowMs: number, limit: RestartLimit): CountedRestart {
  const threshold = nowMs - limit.periodMs;
  const window: number[] = [];
  for (const instant of restarts) {
    const at = Math.min(instant, nowMs);
    if (at >= threshold) window.push(at);
  }
  window.push(nowMs);
  return {
    allowed: window.length <= limit.intensity,
    restarts: window.slice(-(limit.intensity + 1)),
  };
}
