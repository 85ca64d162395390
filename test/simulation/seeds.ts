/** Which workloads and fault plans there are, what a seed draws of them, and running one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LINK_CREDIT_BYTES, RESIDENT_CELLS_LIMIT } from '../../runtime/kernel/limits.ts';
import { seededRandom } from '../../runtime/kernel/random.ts';
import type { FaultPlan } from '../../runtime/testing/fault-plan.ts';
import { simulate } from '../../runtime/testing/simulate.ts';
import type { SimulateOptions, SimulationReport } from '../../runtime/testing/simulation-options.ts';
import { asks } from './workloads/asks.ts';
import { bank } from './workloads/bank.ts';
import { chain } from './workloads/chain.ts';
import { clockwork } from './workloads/clockwork.ts';
import { crowd } from './workloads/crowd.ts';
import { family } from './workloads/family.ts';
import { ring } from './workloads/ring.ts';
import { tree } from './workloads/tree.ts';
import { upgrade } from './workloads/upgrade.ts';
import type { Workload } from './workloads/workload.ts';

export const WORKLOADS: readonly Workload[] = [bank, chain, asks, clockwork, crowd, family, tree, upgrade, ring];

/** Several of each kind, so that what strikes seldom is struck by itself too. */
export const PLANS: Readonly<Record<string, FaultPlan>> = {
  calm: {},
  slow: { lateFrame: 0.1, slowDisk: 0.1, stall: 0.002 },
  late: { lateFrame: 0.05, lateMs: 30, crashAfterCommit: 0.02, crashAnytime: 0.0005, hostDeath: 0.001 },
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
  calendar: { wrongDate: 0.05, crashAnytime: 0.0005, hostDeath: 0.001 },
  failures: { failedDisk: 0.01, effectFailure: 0.3, crashAfterCommit: 0.005 },
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
    wrongDate: 0.003,
    failedDisk: 0.002,
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
const STEPS_LIMIT = 200_000;

/** What a seed is a run of: everything in it follows from the seed. */
export interface SeedCase {
  readonly seed: number;
  readonly workload: Workload;
  readonly plan: string;
  readonly hosts: number;
  readonly linkCreditBytes: number;
  readonly system: NonNullable<Workload['system']>;
}

export interface RunOptions extends Pick<SimulateOptions, 'stacks' | 'onTrace' | 'seams'> {
  readonly workload?: Workload | undefined;
  readonly plan?: string | undefined;
  readonly linkCreditBytes?: number | undefined;
}

/** Draws a case: workload, plan, hosts, and limits so small that the runtime meets them. What is given is taken as it is. */
export function caseOf(seed: number, given: Pick<RunOptions, 'workload' | 'plan' | 'linkCreditBytes'> = {}): SeedCase {
  const random = seededRandom(seed | 0, 0x5eed ^ Math.floor(seed / 4_294_967_296));
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random.next() * values.length)] as T;
  const creditOf = (drawnBytes: number): number => given.linkCreditBytes ?? drawnBytes;
  const drawn = { workload: pick(WORKLOADS), plan: pick(NAMES) };
  const { workload = drawn.workload, plan = drawn.plan } = given;
  const sync = RELAXED.has(plan) || random.next() < 0.2 ? 'relaxed' : 'group';
  return {
    seed,
    workload,
    plan,
    hosts: workload.hosts ?? pick([1, 2, 3, 3, 4]),
    linkCreditBytes: creditOf(pick([400, 4_000, 64 << 10, LINK_CREDIT_BYTES])),
    system: {
      sync,
      retention: pick(['keep', 'trim']),
      checkpointEveryTurns: pick([12, 40, 100, Number.POSITIVE_INFINITY]),
      residentCellsLimit: pick([1, 4, 12, RESIDENT_CELLS_LIMIT]),
      ...workload.system,
    },
  };
}

/** Runs a seed, and judges it by the general rules and by the workload's own. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<SimulationReport> {
  const { workload: givenWorkload, plan: givenPlan, linkCreditBytes: givenCredit, ...rest } = options;
  const { workload, plan, hosts, linkCreditBytes, system } = caseOf(seed, {
    workload: givenWorkload,
    plan: givenPlan,
    linkCreditBytes: givenCredit,
  });
  const folder = system.sync === 'relaxed' ? mkdtempSync(join(tmpdir(), 'simulation-')) : undefined;
  try {
    const report = await simulate({
      seed,
      actors: workload.actors,
      upgrades: workload.upgrades,
      hosts,
      linkCreditBytes,
      system,
      faults: PLANS[plan],
      folder,
      stepsLimit: STEPS_LIMIT,
      run: (sim) => workload.run(sim),
      ...rest,
    });
    const own = workload.judge?.(report.history) ?? [];
    // What the plan's faults struck down each time that it was handled is set aside, and missing where the workload counts.
    const isShort = report.history.deadLetters.some(({ isStruckDown }) => isStruckDown);
    const violations = [...report.violations, ...own].filter(({ rule }) => !isShort || rule !== workload.name);
    return { ...report, violations };
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true });
  }
}

/** What runs a seed again. */
export function againOf(seed: number): string {
  return `node test/simulation/replay.ts --seed ${seed}`;
}
