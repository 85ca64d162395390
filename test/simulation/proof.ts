/**
 * The proof by simulation: the whole runtime in one thread on virtual time, where a seed decides what runs next and what goes wrong.
 *
 * Owns: the sizes, the processes that a run gets, and the controls: every planted bug.
 */
import { availableParallelism } from 'node:os';
import type { Control, Proof, ProofOutcome, ProofRun } from '../proof/proof.ts';
import { PLANTED_BUGS } from './planted/all-bugs.ts';
import { huntFor, type PlantedBug } from './planted/planted-bug.ts';
import { runStripe, type Stripe, type Tally } from './stripe.ts';
import { runStripes } from './stripes.ts';

/** Up to so many seeds, starting processes takes longer than it saves. */
const SEEDS_IN_THIS_PROCESS = 200;
/** Within so many seeds a planted bug must show. */
const SEEDS_FOR_A_BUG = 10_000;

export const simulationProof: Proof = {
  name: 'simulation',
  title: 'Simulation',
  what:
    'the whole runtime (hosts, links, journal, supervisors, effects, timers, asks) in one thread on virtual time; a seed picks ' +
    'every next step and every fault: crashes, dead hosts, lost, late, doubled and overtaking frames, slow, full and failing ' +
    'disks, power failures with torn files, wrong clocks, failing effects, new versions. A model checks every message, answer, state, timer, ' +
    'effect, start and end',
  unit: 'seeds',
  sizes: { quick: 60, ci: 2_000, full: 1_000_000 },
  run: simulated,
  controls: PLANTED_BUGS.map(controlOf) as [Control, ...Control[]],
};

async function simulated({ amount, seed, only, say }: ProofRun): Promise<ProofOutcome> {
  const stripe: Stripe = only === undefined ? { first: seed, count: amount } : { first: seed + only, count: 1 };
  const processes = stripe.count <= SEEDS_IN_THIS_PROCESS ? 1 : processesFor();
  const startMs = performance.now();
  const tally =
    stripe.count <= SEEDS_IN_THIS_PROCESS ? await runStripe(stripe) : await runStripes(stripe, processes, say);
  const seconds = (performance.now() - startMs) / 1_000;
  return { cases: tally.seeds, faults: tally.finds, figures: figuresOf(tally, seconds, processes) };
}

function processesFor(): number {
  const wanted = Number(process.env['CB_SIMULATION_PROCESSES'] ?? availableParallelism());
  return Math.max(1, Math.floor(wanted));
}

function figuresOf(tally: Tally, seconds: number, processes: number): ProofOutcome['figures'] {
  return {
    processes,
    'seeds a second': Math.round((tally.seeds / seconds) * 10) / 10,
    'memory of a process, at most, MB': tally.memoryMb,
    'virtual hours': Math.round(tally.virtualMs / 3_600_000),
    'turns journaled': tally.turns,
    'tasks run': tally.steps,
    ...prefixed('faults: ', tally.faults),
    ...prefixed('workload: ', tally.workloads),
  };
}

function prefixed(prefix: string, counts: Readonly<Record<string, number>>): Record<string, number> {
  const names = Object.keys(counts).sort();
  return Object.fromEntries(names.map((name) => [prefix + name, counts[name] as number]));
}

function controlOf(bug: PlantedBug): Control {
  return {
    name: bug.name,
    what: bug.what,
    amount: SEEDS_FOR_A_BUG,
    run: async ({ size, amount, seed, say }) => {
      // A quick run looks where the bug shows soonest; the others look at what the seeds draw, as the proof itself does.
      const { seeds, found } = await huntFor(bug, size === 'quick' ? 'near' : seed, amount);
      say(`${bug.name}: ${found === undefined ? `not found in ${seeds} seeds` : `${seeds} seeds, ${found}`}`);
      return { cases: seeds, faults: found === undefined ? [] : [found], figures: {} };
    },
  };
}
