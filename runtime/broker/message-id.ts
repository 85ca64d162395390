/**
 * Ids of messages: UUIDs of version 7 (RFC 9562, 5.7), which sort by the time they were made.
 *
 * Owns: making them of a clock and a source of randomness. Those of one maker grow: within a millisecond it counts.
 */
import type { Random } from '../kernel/random.ts';

const HEX = Array.from({ length: 65_536 }, (_, n) => n.toString(16).padStart(4, '0'));
const hex = (n: number): string => HEX[n & 0xffff] as string;
/** Ids of one millisecond: 12 bits. */
const A_MILLISECOND = 4_096;

/** A function that gives a new id at each call. */
export function messageIds(nowMs: () => number, random: Random): () => string {
  let lastMs = 0;
  let count = 0;
  const word = (): number => (random.next() * 65_536) | 0;
  return () => {
    const now = nowMs();
    if (now > lastMs) {
      lastMs = now;
      // Begins low, so that there is room to count.
      count = (random.next() * (A_MILLISECOND / 4)) | 0;
    } else if (++count === A_MILLISECOND) {
      lastMs += 1;
      count = 0;
    }
    const high = Math.floor(lastMs / 65_536);
    return `${hex(high >>> 16)}${hex(high)}-${hex(lastMs % 65_536)}-${hex(0x7000 | count)}-${hex(0x8000 | (word() & 0x3fff))}-${hex(word())}${hex(word())}${hex(word())}`;
  };
}
