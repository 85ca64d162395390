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
