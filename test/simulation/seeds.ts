/** Which workloads and fault plans there are, and running one seed of them. */
import type { FaultPlan } from '../../runtime/testing/fault-plan.ts';
import { simulate } from '../../runtime/testing/simulate.ts';
import type { SimulateOptions, SimulationReport } from '../../runtime/testing/simulation-options.ts';
import { asks } from './workloads/asks.ts';
import { bank } from './workloads/bank.ts';
import { chain } from './workloads/chain.ts';
import { clockwork } from './workloads/clockwork.ts';
import { crowd } from './workloads/crowd.ts';
import { family } from './workloads/family.ts';
import type { Workload } from './workloads/workload.ts';

export const WORKLOADS: readonly Workload[] = [bank, chain, asks, clockwork, crowd, family];

/** Several of each kind, so that what strikes seldom is struck by itself too. */
export const PLANS: Readonly<Record<string, FaultPlan>> = {
  calm: {},
  slow: { lateFrame: 0.1, slowDisk: 0.1, stall: 0.002 },
  crashes: {
    crashBeforeCommit: 0.02,
    crashAfterCommit: 0.02,
    crashDuringRelease: 0.01,
    crashDuringCheckpoint: 0.05,
    crashAnytime: 0.001,
  },
  deaths: { hostDeath: 0.002, hostDeathDuringStep: 0.01, hostDeathDuringRelease: 0.01 },
  frames: { lostFrame: 0.02, doubledFrame: 0.02, overtakenFrame: 0.02, lateFrame: 0.05 },
  disk: { fullDisk: 0.02, slowDisk: 0.05, crashAfterCommit: 0.01 },
  clock: { clockJump: 0.05, crashAfterCommit: 0.01, hostDeath: 0.001 },
  power: {
    crashAfterCommit: 0.02,
    crashAnytime: 0.001,
    crashDuringRelease: 0.005,
    powerFailure: 0.7,
    hostDeath: 0.0005,
  },
  everything: {
    crashBeforeCommit: 0.005,
    crashAfterCommit: 0.005,
    crashDuringRelease: 0.003,
    crashDuringCheckpoint: 0.02,
    crashAnytime: 0.0003,
    hostDeath: 0.0005,
    hostDeathDuringStep: 0.003,
    hostDeathDuringRelease: 0.003,
    lostFrame: 0.003,
    doubledFrame: 0.003,
    overtakenFrame: 0.003,
    lateFrame: 0.03,
    slowDisk: 0.02,
    fullDisk: 0.003,
    clockJump: 0.01,
    stall: 0.001,
    effectFailure: 0.1,
  },
};

const NAMES = Object.keys(PLANS);

/** The plan of a seed, when none is named: all of them in turn. */
export function planOf(seed: number): string {
  return NAMES[seed % NAMES.length] as string;
}

/** Plans under which the system runs with `sync: 'relaxed'`: what was acknowledged may be lost, but nothing may be torn. */
const RELAXED = new Set(['power']);

/** Far beyond what any seed needs: one that gets here goes round in circles. */
const STEPS_LIMIT = 100_000;

export interface RunOptions extends Pick<SimulateOptions, 'stacks' | 'onTrace' | 'seams'> {
  readonly plan?: string | undefined;
}

export function runSeed(workload: Workload, seed: number, options: RunOptions = {}): Promise<SimulationReport> {
  const { plan = planOf(seed), ...rest } = options;
  const { actors, hosts, run } = workload;
  const system = RELAXED.has(plan) ? { ...workload.system, sync: 'relaxed' as const } : workload.system;
  return simulate({
    seed,
    actors,
    hosts,
    system,
    faults: PLANS[plan],
    stepsLimit: STEPS_LIMIT,
    run: (sim) => run(sim),
    ...rest,
  });
}
