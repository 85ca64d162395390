/**
 * Ids of messages: UUIDs of version 7 (RFC 9562, 5.7), which sort by the time they were made.
 *
 * Owns: making them of a clock and a source of randomness. Those of one maker grow: within a millisecond it counts (RFC 9562, 6.2, method
 * 1), and draws its 62 random bits once. To draw them for each id cost a twentieth of what publishing costs.
 */
import type { Random } from '../kernel/random.ts';

/** Ids of one millisecond: 12 bits. */
const A_MILLISECOND = 4_096;
const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0');
/** The group of an id that has version and count. */
const COUNTS = Array.from({ length: A_MILLISECOND }, (_, count) => `-7${hex(count, 3)}-`);

/** A function that gives a new id at each call. */
export function messageIds(nowMs: () => number, random: Random): () => string {
  let lastMs = 0;
  let count = 0;
  let before = '';
  let after = '';
  const word = (): number => (random.next() * 65_536) | 0;
  const begin = (ms: number): void => {
    lastMs = ms;
    const time = hex(ms, 12);
    before = `${time.slice(0, 8)}-${time.slice(8)}`;
    after = `${hex(0x8000 | (word() & 0x3fff), 4)}-${hex(word(), 4)}${hex(word(), 4)}${hex(word(), 4)}`;
  };
  return () => {
    const now = nowMs();
    if (now > lastMs) {
      begin(now);
      // Begins low, so that there is room to count.
      count = (random.next() * (A_MILLISECOND / 4)) | 0;
    } else if (++count === A_MILLISECOND) {
      begin(lastMs + 1);
      count = 0;
    }
    return before + (COUNTS[count] as string) + after;
  };
}
