/**
 * Restart backoff: how long a child waits before it is started again. Pure; the wait itself is a durable timer of the supervisor.
 *
 * Owns: the count of a child's failures in a row and the rule that ends the row. Not the shape of the waits
 * (`runtime/kernel/backoff.ts`), not the limit on restarts (`restart-intensity.ts`).
 *
 * OTP restarts at once and has no backoff. Mind how the two work together: a restart is counted when the child fails, so waits
 * that are longer than `periodMs / intensity` keep the count below the limit, and the supervisor never gives up. For a child that
 * waits for the outside world that is what one wants; where giving up must come first, say `backoff: 'none'` or choose a longer
 * period.
 *
 * Invariants:
 * BO1. The wait is a whole number of milliseconds, 0 or more, and at most `maxMs`.
 * BO2. A child that ran for `stableAfterMs` or longer starts a new row: its next wait is the first one.
 */
import { type Backoff, delayMs } from '../runtime/kernel/backoff.ts';

/** `none` is OTP's way: at once. Otherwise the policy of the kernel (100 ms, doubling, 30 s at most, full jitter). */
export type RestartBackoff =
  | 'none'
  | (Backoff & {
      /** A child that ran this long is taken for healthy: the waits begin anew. Default: `maxMs`. */
      readonly stableAfterMs?: number;
    });

/** What is remembered of a child. */
export interface FailureRow {
  /** Failures in a row before this one. */
  readonly attempt: number;
  /** When it was last started, in turn time. */
  readonly sinceMs: number;
}

export interface RestartWait {
  /** 1 for the first failure of a row. */
  readonly attempt: number;
  readonly waitMs: number;
}

const MAX_MS_DEFAULT = 30_000;

/** The wait of a child that failed at `nowMs`. `random` is drawn only when the policy has jitter. */
export function nextRestart(policy: RestartBackoff, row: FailureRow, nowMs: number, random: () => number): RestartWait {
  if (policy === 'none') return { attempt: row.attempt + 1, waitMs: 0 };
  const stableAfterMs = policy.stableAfterMs ?? policy.maxMs ?? MAX_MS_DEFAULT;
  const attempt = nowMs - row.sinceMs >= stableAfterMs ? 1 : row.attempt + 1;
  // Zero times a factor grown to Infinity would be NaN.
  if (policy.initialMs === 0) return { attempt, waitMs: 0 };
  const drawn = policy.jitter === 'none' ? 0 : random();
  return { attempt, waitMs: Math.round(delayMs(policy, attempt, drawn)) };
}

export function copyOfBackoff(policy: RestartBackoff): RestartBackoff {
  return policy === 'none' ? policy : { ...policy };
}
