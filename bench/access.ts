/**
 * Which actor is next: all alike, or a few much more often than the others.
 *
 * Owns: the two distributions, from a fixed seed, so that every contender meets the same sequence.
 */

/** Index of the next one. */
export type Access = () => number;

const SEED = 0x2545_f491;

export function uniformAccess(count: number, random = chance(SEED)): Access {
  return () => Math.trunc(random() * count);
}

/** Zipf's law: the one of rank r is chosen in proportion to 1/r. Ranks are scattered over the indices. */
export function skewedAccess(count: number, random = chance(SEED)): Access {
  const upTo = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank++) {
    sum += 1 / (rank + 1);
    upTo[rank] = sum;
  }
  const stride = scatter(count);
  return () => {
    const wanted = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((upTo[middle] as number) > wanted) high = middle;
      else low = middle + 1;
    }
    return (low * stride) % count;
  };
}

/** A step that visits every index of `count` once: the first one above 0.6 of them without a common factor. */
function scatter(count: number): number {
  const common = (a: number, b: number): number => (b === 0 ? a : common(b, a % b));
  let stride = Math.max(1, Math.trunc(count * 0.618));
  while (common(stride, count) !== 1) stride += 1;
  return stride;
}

/** Numbers from 0 to 1, the same ones for the same seed (mulberry32). */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
