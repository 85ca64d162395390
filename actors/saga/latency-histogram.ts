/**
 * Durations counted by size, in the manner of an HDR histogram: every doubling is cut into eight, from a microsecond to 71 minutes.
 *
 * Owns: which bucket a duration falls into, and reading percentiles from counts. Plain data: counts are kept, sent and added up.
 *
 * Invariants:
 * LH1. A percentile is within a sixteenth of the true one (beyond 8 µs; below it is exact to the microsecond).
 * LH2. Integers only: the same durations give the same buckets in every thread and at every replay.
 */

/** Counts by bucket; at most 240 buckets. */
export type LatencyCounts = Readonly<Record<number, number>>;

const STEPS_BITS = 3;
const STEPS = 1 << STEPS_BITS;
const LONGEST_US = 0xffff_ffff;

export function bucketOf(ms: number): number {
  const us = Math.min(LONGEST_US, Math.max(0, Math.round(ms * 1_000)));
  if (us < STEPS) return us;
  const doubling = 31 - Math.clz32(us);
  return ((doubling - STEPS_BITS + 1) << STEPS_BITS) + (us >>> (doubling - STEPS_BITS)) - STEPS;
}

/** The middle of a bucket, ms. */
export function middleMs(bucket: number): number {
  if (bucket < STEPS) return bucket / 1_000;
  const width = 2 ** ((bucket >> STEPS_BITS) - 1);
  return ((STEPS + (bucket % STEPS)) * width + width / 2) / 1_000;
}

export function addCounts(a: LatencyCounts, b: LatencyCounts): LatencyCounts {
  const sum: Record<number, number> = { ...a };
  for (const [bucket, count] of Object.entries(b)) sum[Number(bucket)] = (sum[Number(bucket)] ?? 0) + count;
  return sum;
}

/** The durations below which these shares (0 to 1, ascending) of all lie, ms; zeros when nothing was counted. */
export function percentilesMs(counts: LatencyCounts, shares: readonly number[]): number[] {
  // Whole numbers are the members of an object in their order.
  const buckets = Object.entries(counts);
  const total = buckets.reduce((sum, [, count]) => sum + count, 0);
  let at = 0;
  let seen = buckets[0]?.[1] ?? 0;
  return shares.map((share) => {
    const rank = Math.max(1, Math.ceil(share * total));
    while (seen < rank && at < buckets.length - 1) {
      at++;
      seen += buckets[at]?.[1] ?? 0;
    }
    return total === 0 ? 0 : middleMs(Number(buckets[at]?.[0]));
  });
}
