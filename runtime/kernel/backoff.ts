/**
 * Backoff: how long to wait before try n. Pure; randomness is handed in.
 *
 * Invariants:
 * B1. `delayMs` is never negative and never above `maxMs`.
 * B2. With `jitter: 'none'` the delays never fall.
 */

/** A policy of waiting between tries. Every field has a default. */
export interface Backoff {
  /** Wait before the second try. Default 100. */
  readonly initialMs?: number;
  /** Longest wait. Default 30,000. */
  readonly maxMs?: number;
  /** What each wait is multiplied by. Default 2. */
  readonly factor?: number;
  /** `full`: a random part of the wait (AWS "full jitter"); `none`: the wait itself. Default `full`. */
  readonly jitter?: 'full' | 'none';
}

/** The wait before the try after failed try `attempt` (1, 2, …), given a random number in [0, 1). */
export function delayMs(policy: Backoff, attempt: number, random: number): number {
  const initialMs = policy.initialMs ?? 100;
  const maxMs = policy.maxMs ?? 30_000;
  const factor = policy.factor ?? 2;
  const full = Math.min(maxMs, initialMs * factor ** Math.max(0, attempt - 1));
  return policy.jitter === 'none' ? full : full * random;
}
