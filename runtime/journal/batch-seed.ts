/**
 * What the sum of a turn begins with: the batch that it is in, and its place there.
 *
 * Owns: these two numbers. A turn names its cells by numbers that mean something in its own batch only; so a sum over its bytes alone
 * would fit in any other batch too.
 *
 * Invariants:
 * Z1. Made once a batch: a turn costs an addition.
 * Z2. Known from the prelude alone, so that a flipped bit of a turn is found with its sums, whichever bit it is.
 */
import { crc32Of, viewOf } from './crc32.ts';

const WORDS = Buffer.alloc(16);
const VIEW = viewOf(WORDS);

/** Of the batch with this origin and number. */
export function batchSeed(slot: number, epoch: number, run: number, number: number): number {
  VIEW.setUint32(0, slot, true);
  VIEW.setUint32(4, epoch, true);
  VIEW.setUint32(8, run, true);
  VIEW.setUint32(12, number, true);
  return crc32Of(WORDS, VIEW, 0, WORDS.length);
}

/** Of the turn whose header is `offset` bytes behind the first one's, in the batch with this seed. */
export function turnSeed(seed: number, offset: number): number {
  return (seed + offset) >>> 0;
}
