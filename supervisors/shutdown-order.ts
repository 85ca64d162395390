/**
 * Shutdown: in which order children are stopped, and how each is asked. Pure.
 *
 * Owns: the order and OTP's meaning of a shutdown value. Knows nothing of turns; the waits are timers of the supervisor.
 *
 * Invariants:
 * SO1. The order is the reverse of the start order. The supervisor asks one child at a time and goes on when it has ended.
 * SO2. A child is asked once, with `shutdown`, and after its deadline told once, with `killed`; `brutal_kill` tells at once.
 */
import type { ExitReason } from '../runtime/kernel/exit.ts';

/**
 * How long a child may take to stop: milliseconds, after which it is killed; `infinity`: as long as it likes (right for
 * supervisors, which stop children of their own); `brutal_kill`: it is killed without being asked.
 */
export type Shutdown = number | 'brutal_kill' | 'infinity';

/** How to begin the stop of one child. */
export interface StopOrder {
  readonly reason: ExitReason;
  /** When to kill it; undefined: never, or it has been killed already. */
  readonly killAfterMs: number | undefined;
}

export const KILLED: ExitReason = { kind: 'killed' };
export const SHUTDOWN: ExitReason = { kind: 'shutdown' };

/** `ids` (in start order) as they have to be stopped. */
export function shutdownOrder(ids: readonly string[]): readonly string[] {
  return ids.toReversed();
}

export function stopOrder(shutdown: Shutdown): StopOrder {
  if (shutdown === 'brutal_kill') return { reason: KILLED, killAfterMs: undefined };
  return { reason: SHUTDOWN, killAfterMs: shutdown === 'infinity' ? undefined : shutdown };
}
