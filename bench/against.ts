/**
 * Which of two versions of the library is faster: `npm run bench -- --against DIR --only WORKLOAD`.
 *
 * Owns: the order of the samples, and what is said about the difference. A shared machine changes its speed from second to second, and
 * a process that has been compiled unluckily stays slow for its whole life. So samples are short, taken in pairs (A B, B A), and both
 * sides are started anew after that.
 *
 * Invariants:
 * AG1. A ratio is of two samples that ran next to each other; above 1, this checkout is the better one.
 * AG2. A start is one observation, the median of its pairs: what its processes were compiled to, all of its samples share.
 * AG3. "Better" and "worse" are said only when an interval that holds the true median 19 times of 20 is clear of 1.
 */
import { type ClientOptions, ContenderClient, type Measured } from './contender-client.ts';
import type { Checkout } from './checkout.ts';
import type { Contender, Metric, Workload } from './contract.ts';
import { median, medianInterval, ratios, type Summary, summarize } from './statistics.ts';

/** Pairs of samples of a start: A B, B A. */
const PAIRS_A_START = 2;

/** CPU time of all threads, a unit of work: hardly disturbed by what else runs on the machine. */
const CPU: Metric = { name: 'cpu', unit: 'µs', better: 'lower' };

export interface AgainstOptions extends Omit<ClientOptions, 'entry'> {
  /** How often both sides are started. */
  readonly starts: number;
  readonly ours: Checkout;
  readonly theirs: Checkout;
  readonly say: (line: string) => void;
}

/** One contender's one metric, on both sides. */
export interface Difference {
  readonly workload: string;
  readonly contender: string;
  readonly metric: Metric;
  readonly ours: Summary;
  readonly theirs: Summary;
  /** Of the starts; above 1 this checkout is better. */
  readonly ratio: Summary;
  /** Holds the true median of the ratio 19 times of 20; undefined with too few starts. */
  readonly interval: readonly [low: number, high: number] | undefined;
}

/** What the interval says. */
export function verdictOf({ interval }: Pick<Difference, 'interval'>): 'better' | 'worse' | 'no difference seen' {
  if (interval === undefined) return 'no difference seen';
  if (interval[0] > 1) return 'better';
  return interval[1] < 1 ? 'worse' : 'no difference seen';
}

/** Ours in `workload`, in both checkouts. What fails on either side is said and left out. */
export async function compareCheckouts(workload: Workload, options: AgainstOptions): Promise<Difference[]> {
  const found: Difference[] = [];
  for (const contender of workload.contenders) {
    if (contender.kind !== 'ours' || (await contender.missing?.(options.setting.quick)) !== undefined) continue;
    try {
      const pairs = await pairsOf(workload, contender, options);
      found.push(...differencesOf(workload, contender, pairs));
    } catch (error) {
      options.say(`  ${contender.name}: FAILED: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return found;
}

export interface Pair {
  /** Which start of the processes it is of. */
  readonly start: number;
  readonly ours: Measured;
  readonly theirs: Measured;
}

async function pairsOf(workload: Workload, contender: Contender, options: AgainstOptions): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (let start = 0; start < options.starts; start++) {
    const [ours, theirs] = await openBoth(workload, contender, options);
    try {
      for (let i = 0; i < PAIRS_A_START; i++) {
        const first = await (i % 2 === 0 ? ours : theirs).sample();
        const second = await (i % 2 === 0 ? theirs : ours).sample();
        pairs.push(i % 2 === 0 ? { start, ours: first, theirs: second } : { start, ours: second, theirs: first });
      }
    } finally {
      await Promise.allSettled([ours.close(), theirs.close()]);
    }
  }
  options.say(`  ${contender.name}: ${options.starts} starts`);
  return pairs;
}

async function openBoth(
  workload: Workload,
  contender: Contender,
  options: AgainstOptions,
): Promise<[ContenderClient, ContenderClient]> {
  const open = (checkout: Checkout, side: string): Promise<ContenderClient> =>
    ContenderClient.open(workload, contender, { ...options, entry: checkout.entry, side });
  const ours = await open(options.ours, 'ours');
  try {
    return [ours, await open(options.theirs, 'theirs')];
  } catch (error) {
    await ours.kill();
    throw error;
  }
}

/** What the pairs say, metric by metric, and the CPU time a unit where there is a rate. */
export function differencesOf(workload: Workload, contender: Contender, pairs: readonly Pair[]): Difference[] {
  const metrics = workload.metrics.map((metric) => ({ metric, of: ({ sample }: Measured) => sample[metric.name] }));
  if (workload.inOtherProcesses !== true) metrics.push({ metric: CPU, of: cpuOf });
  return metrics.flatMap(({ metric, of }) => {
    const given = pairs.flatMap(({ start, ours, theirs }) => {
      const [a, b] = [of(ours), of(theirs)];
      return a === undefined || b === undefined ? [] : [{ start, a, b }];
    });
    if (given.length === 0) return [];
    const ratioOf = (some: typeof given): number[] =>
      ratios(
        some.map(({ a }) => a),
        some.map(({ b }) => b),
        metric.better,
      );
    const starts = Map.groupBy(given, ({ start }) => start);
    const observed = [...starts.values()].map((some) => median(ratioOf(some)));
    return [
      {
        workload: workload.name,
        contender: contender.name,
        metric,
        ours: summarize(given.map(({ a }) => a)),
        theirs: summarize(given.map(({ b }) => b)),
        ratio: summarize(observed),
        interval: medianInterval(observed),
      },
    ];
  });
}

/** CPU microseconds a unit, when the sample has a rate. */
function cpuOf({ sample, cpuMs, tookMs }: Measured): number | undefined {
  const { rate } = sample;
  return rate === undefined ? undefined : (cpuMs * 1_000) / ((rate * tookMs) / 1_000);
}
