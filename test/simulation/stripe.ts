/**
 * A stripe: seeds one after the other, in this process, and what came of them.
 *
 * Owns: the tally and how a find is told. Keeps nothing of a seed that held, so that a stripe may be as long as one likes.
 */
import { againOf, caseOf, runSeed } from './seeds.ts';

/** `count` seeds from `first` on. */
export interface Stripe {
  readonly first: number;
  readonly count: number;
}

export interface Tally {
  seeds: number;
  steps: number;
  turns: number;
  virtualMs: number;
  /** How often each fault has struck. */
  readonly faults: Record<string, number>;
  /** How often each workload was run. */
  readonly workloads: Record<string, number>;
  /** What was found, each with what repeats it. */
  readonly finds: string[];
  /** Of this process, after its last seed. */
  memoryMb: number;
}

export function newTally(): Tally {
  return { seeds: 0, steps: 0, turns: 0, virtualMs: 0, faults: {}, workloads: {}, finds: [], memoryMb: 0 };
}

/** Adds `more` to `tally`. */
export function addTally(tally: Tally, more: Tally): void {
  tally.seeds += more.seeds;
  tally.steps += more.steps;
  tally.turns += more.turns;
  tally.virtualMs += more.virtualMs;
  for (const [name, count] of Object.entries(more.faults)) tally.faults[name] = (tally.faults[name] ?? 0) + count;
  for (const [name, count] of Object.entries(more.workloads))
    tally.workloads[name] = (tally.workloads[name] ?? 0) + count;
  tally.finds.push(...more.finds);
  tally.memoryMb = Math.max(tally.memoryMb, more.memoryMb);
}

/** Runs a stripe; `begun` is told of every seed before it runs. */
export async function runStripe({ first, count }: Stripe, begun: (seed: number) => void = () => {}): Promise<Tally> {
  const tally = newTally();
  for (let seed = first; seed < first + count; seed++) {
    begun(seed);
    addTally(tally, await tallyOf(seed));
  }
  tally.memoryMb = Math.round(process.memoryUsage.rss() / 2 ** 20);
  return tally;
}

async function tallyOf(seed: number): Promise<Tally> {
  const { workload } = caseOf(seed);
  const tally = newTally();
  tally.seeds = 1;
  tally.workloads[workload.name] = 1;
  try {
    const { steps, turns, virtualMs, faults, violations } = await runSeed(seed);
    Object.assign(tally, { steps, turns, virtualMs, faults });
    const [violation] = violations;
    if (violation !== undefined) tally.finds.push(findOf(seed, `${violation.rule}: ${violation.what}`));
  } catch (error) {
    tally.finds.push(findOf(seed, `the simulation cannot be run: ${(error as Error).stack}`));
  }
  return tally;
}

/** A find, in a line or a few. */
export function findOf(seed: number, what: string): string {
  const { workload, plan } = caseOf(seed);
  return `seed ${seed} (${workload.name}, ${plan}): ${what.slice(0, 600)}; ${againOf(seed)}`;
}
