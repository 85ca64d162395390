/**
 * Work that is numbered and can be begun at any time: so many pieces under way, or one after the other.
 *
 * Owns: both ways of measuring it, which products share in a workload.
 */
import type { Sample } from './contract.ts';
import { inFlight, Pace, roundTrips } from './pace.ts';
import { latencies } from './statistics.ts';

type Sampler = () => Promise<Sample>;

export interface RateOptions {
  readonly sampleMs: number;
  /** Pieces under way. */
  readonly underWay: number;
  /** Pieces of one batch, at most. Default 50,000. */
  readonly most?: number;
}

/** Warms up, and resolves with what takes samples of pieces a second. */
export async function rateOf(one: (n: number) => Promise<unknown>, options: RateOptions): Promise<Sampler> {
  const { sampleMs, underWay, most = 50_000 } = options;
  let begun = 0;
  const batch = async (size: number): Promise<number> => {
    const first = begun;
    begun += size;
    await inFlight(size, underWay, (i) => one(first + i));
    return size;
  };
  const pace = new Pace(sampleMs, batch, { first: underWay, most });
  await pace.warmUp();
  return async () => ({ rate: await pace.rate() });
}

/** Warms up, and resolves with what takes samples of how long one piece takes. `least`: pieces of a sample, at least. */
export async function tripOf(
  one: (n: number) => Promise<unknown>,
  { sampleMs, least = 100 }: { readonly sampleMs: number; readonly least?: number },
): Promise<Sampler> {
  let begun = 0;
  const next = (): Promise<unknown> => one(begun++);
  await roundTrips(sampleMs, least, next);
  return async () => latencies(await roundTrips(sampleMs, least, next));
}
