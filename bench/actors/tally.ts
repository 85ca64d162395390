/**
 * The state of a counter and what a message does to it: one small object a message.
 *
 * Owns: the fold that our counters and the baselines share.
 */

export interface Tally {
  readonly handled: number;
  readonly sum: number;
}

export const NOTHING: Tally = { handled: 0, sum: 0 };

export function tally(state: Tally, message: { readonly by: number }): Tally {
  return { handled: state.handled + 1, sum: state.sum + message.by };
}
