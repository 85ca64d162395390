/**
 * Why a cell ended. Erlang's exit reasons, as data.
 */
import type { EncodedError } from './errors.ts';

export type ExitReason =
  /** It had finished: a machine in its final state, or `turn.exit()`. */
  | { readonly kind: 'normal'; readonly output?: unknown }
  /** It was told to stop, by its supervisor or from outside. */
  | { readonly kind: 'shutdown' }
  /** It was told to stop at once. */
  | { readonly kind: 'killed' }
  /** It failed. */
  | { readonly kind: 'error'; readonly error: EncodedError }
  /** It was in memory only, and its host died. */
  | { readonly kind: 'host_lost' };

/** OTP: a transient child is restarted only when it ended abnormally. */
export function isAbnormal(reason: ExitReason): boolean {
  return reason.kind !== 'normal' && reason.kind !== 'shutdown';
}
