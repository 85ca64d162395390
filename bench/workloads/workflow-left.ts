/** Runs that wait, and runs that a killed process left: what they take of memory, and how soon they go on. */
import { sagaRun } from '../../actors/saga/saga-actors.ts';
import { workflowActors, WorkflowCoordinationEngine } from '../../actors/index.ts';
import { lmdbScan } from '../baselines/lmdb-put.ts';
import { bareTimers } from '../baselines/bare-timers.ts';
import type { Contender, Metric, Workload } from '../contract.ts';
import { heapBytes } from '../heap.ts';
import { IdleActors } from '../idle-actors.ts';
import { comeBack, leaveBehind } from '../left-behind.ts';
import { HOSTS, LONG_MS, nap, type RunsLeft } from '../runs-left.ts';

const QUICK_RUNS = 5_000;
const ASLEEP = 100_000;
const UNDER_WAY = 1_000;

/** On the calling thread, whose heap can be read; the journal is on disk. */
const asleep = (name: string, label: string, passive: boolean): Contender => ({
  name,
  kind: 'ours',
  label,
  execArgv: ['--expose-gc'],
  async open({ dir, quick }) {
    const runs = await IdleActors.start({
      dir,
      definition: sagaRun,
      modules: [workflowActors],
      passive,
      starter: (system) => {
        const engine = new WorkflowCoordinationEngine(system).defineWorkflow(nap);
        return (runId) => engine.start(nap.id, { ms: LONG_MS }, { runId });
      },
    });
    const count = quick ? QUICK_RUNS : 20_000;
    let before = heapBytes();
    return {
      async sample() {
        await runs.add(count);
        const after = heapBytes();
        const heap = Math.max(1, (after - before) / count);
        before = after;
        return { heap };
      },
      close: () => runs.stop(),
    };
  },
});

export const workflowAsleep: Workload = {
  name: 'workflow-asleep',
  title: 'Heap of a run that sleeps',
  what: 'Growth of the heap and of buffers by another 20,000 runs that sleep for an hour (quick: 5,000), after garbage collection.',
  conditions: { durability: 'journal, fsync', messageBytes: 0, concurrency: 'idle', hosts: 1 },
  metrics: [{ name: 'heap', unit: 'B', better: 'lower' }],
  contenders: [
    asleep('in-memory', 'in memory, as for the first minute', false),
    asleep('unloaded', 'unloaded, as after it', true),
    bareTimers,
  ],
};

const backFrom = (name: string, label: string, kind: RunsLeft['kind'], runs: number): Contender => ({
  name,
  kind: 'ours',
  label,
  async open({ dir, quick }) {
    const left: RunsLeft = { kind, runs: quick ? Math.min(runs, QUICK_RUNS) : runs };
    await leaveBehind('runs-writer', dir, left);
    return {
      async sample() {
        const { tookMs } = await comeBack<{ tookMs: number }>('runs-reader', dir, left);
        return runs === UNDER_WAY ? { all: tookMs } : { first: tookMs };
      },
      close: async () => {},
    };
  },
});

const FIRST: Metric = { name: 'first', unit: 'ms', better: 'lower' };
const ALL: Metric = { name: 'all', unit: 'ms', better: 'lower' };

export const workflowWake: Workload = {
  name: 'workflow-wake',
  title: 'Restart with 100,000 runs asleep, to the first that goes on',
  what:
    'A killed process left 100,000 runs asleep for an hour (quick: 5,000), and one whose sleep is over meanwhile. From ActorSystem.start ' +
    'to the result of that one, in a fresh process; loading Node and the modules is not measured.',
  conditions: { durability: 'journal, fsync', messageBytes: 0, concurrency: '100,000 runs', hosts: HOSTS },
  metrics: [FIRST],
  inOtherProcesses: true,
  limitMs: 300_000,
  contenders: [
    backFrom('asleep', 'stored by a checkpoint', 'asleep', ASLEEP),
    backFrom('fallen-asleep', 'begun since the last checkpoint: each is repeated', 'fallen-asleep', ASLEEP),
    lmdbScan(({ quick }) => (quick ? QUICK_RUNS : ASLEEP)),
  ],
};

export const underWay: Contender = backFrom(
  'engine',
  'runs whose steps are commands to a system',
  'under-way',
  UNDER_WAY,
);

export const workflowRestart: Workload = {
  name: 'workflow-restart',
  title: 'Restart with 1,000 runs at their second step, until all are over',
  what:
    "A process was killed when the handlers of 1,000 runs' second steps had begun and none had answered. From start to the last result, in a " +
    'fresh process; loading Node and the modules is not measured.',
  conditions: { durability: 'synced to disk', messageBytes: 20, concurrency: '1,000 runs', hosts: HOSTS },
  metrics: [ALL],
  inOtherProcesses: true,
  limitMs: 120_000,
  contenders: [
    underWay,
    {
      ...backFrom('none', 'the same 1,000 runs begun anew, and nothing to come back to', 'none', UNDER_WAY),
      kind: 'baseline',
    },
  ],
};
