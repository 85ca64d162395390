/**
 * Medians, percentiles and ratios.
 *
 * Owns: the arithmetic. A figure is always given with its smallest and largest run: on a shared machine the spread is half the
 * message.
 */
import type { Metric } from './contract.ts';

/** A figure of several runs. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The middle one; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('the median of nothing');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

export function summarize(values: readonly number[]): Summary {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** The value that `share` (0 to 1) of all values do not exceed: nearest rank. */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('a percentile of nothing');
  const sorted = Float64Array.from(values).sort();
  const rank = Math.max(1, Math.ceil(share * sorted.length));
  return sorted[rank - 1] as number;
}

/** p50 and p99 of latencies, in µs, of latencies in ns. */
export function latencies(nanoseconds: readonly number[]): { p50: number; p99: number } {
  return { p50: percentile(nanoseconds, 0.5) / 1_000, p99: percentile(nanoseconds, 0.99) / 1_000 };
}

/**
 * How many times as good `ours` is as `theirs`, round by round: above 1, ours is better, whether more or less is better. Rounds are
 * paired because they ran next to each other in time.
 */
export function ratios(ours: readonly number[], theirs: readonly number[], better: Metric['better']): number[] {
  const rounds = Math.min(ours.length, theirs.length);
  return Array.from({ length: rounds }, (_, round) => {
    const [a, b] = [ours[round] as number, theirs[round] as number];
    return better === 'higher' ? a / b : b / a;
  });
}

/**
 * The narrowest pair of values, as far from the smallest as from the largest, between which the true median lies at least 19 times of 20,
 * whatever the distribution: each value is above it or below it by the toss of a coin. Undefined with fewer than six values.
 */
export function medianInterval(values: readonly number[]): [low: number, high: number] | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const count = sorted.length;
  // Chance that at most `rank` of the values are below the true median.
  let chance = 0.5 ** count;
  let term = chance;
  let rank = -1;
  while (chance <= 0.025) {
    rank += 1;
    term *= (count - rank) / (rank + 1);
    chance += term;
  }
  return rank < 0 ? undefined : [sorted[rank] as number, sorted[count - 1 - rank] as number];
}
