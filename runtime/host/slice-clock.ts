/**
 * When a host looks at the clock within a slice: a look costs as much as a quick turn, and slow turns must not add up, or the host
 * answers nobody meanwhile and is taken for hung.
 */

/** Turns between two looks at the clock. */
export const CLOCK_EVERY_TURNS = 16;

/** Whether to look after so many turns of one cell: after 2, 4, 8, 16, 32, 48, … */
export function isTimeToLook(turns: number): boolean {
  return turns > 1 && ((turns & (turns - 1)) === 0 || turns % CLOCK_EVERY_TURNS === 0);
}
