/** Time and memory of a run by how many calls it makes: in rows that wait for each other, as a graph, and over a list. */
import { defineSaga, workflowActors, WorkflowCoordinationEngine, WorkflowDefinition } from '../../actors/index.ts';
import { echoDesk } from '../actors/echo-desk.ts';
import type { Contender, Workload } from '../contract.ts';
import { heapBytes } from '../heap.ts';
import { startSystem } from '../own-system.ts';

const STEPS = [10, 30, 100, 300, 1_000];
const ITEMS = [...STEPS, 3_000, 10_000];
const QUICK_MOST = 100;
/** Steps of the graph side by side, and calls of the list under way. */
const WIDTH = 10;
const UNDER_WAY = 100;

const call = { actor: { definition: echoDesk.name, id: 'd' }, action: 'DO', parameters: { order: '${input.order}' } };

/** One step behind the other. */
function chain(steps: number): WorkflowDefinition {
  const workflow = new WorkflowDefinition('chain', 'chain');
  for (let i = 0; i < steps; i++)
    workflow.addStep({ ...call, stepId: `s${i}`, dependencies: i === 0 ? [] : [`s${i - 1}`] });
  return workflow;
}

/** Layers of `WIDTH`; each step waits for two of the layer before. */
function graph(steps: number): WorkflowDefinition {
  const workflow = new WorkflowDefinition('graph', 'graph');
  for (let i = 0; i < steps; i++) {
    const layer = i - (i % WIDTH) - WIDTH;
    const dependencies = layer < 0 ? [] : [i % WIDTH, (i + 1) % WIDTH].map((place) => `s${layer + place}`);
    workflow.addStep({ ...call, stepId: `s${i}`, dependencies });
  }
  return workflow;
}

function list(): WorkflowDefinition {
  const forEach = { items: '${input.items}', concurrency: UNDER_WAY };
  return defineSaga('list').step('all', { ...call, forEach, parameters: { order: '${item}' } });
}

const KINDS = {
  chain: { series: 'steps one behind the other', counts: STEPS, definition: chain },
  graph: { series: `a graph of steps, ${WIDTH} wide`, counts: STEPS, definition: graph },
  list: { series: `a step over a list, ${UNDER_WAY} at a time`, counts: ITEMS, definition: list },
} as const;

const at = (kind: keyof typeof KINDS, count: number): Contender => {
  const { series, definition } = KINDS[kind];
  return {
    name: `${kind}-${count}`,
    point: { series, x: count },
    kind: 'ours',
    label: `${series}, ${count}`,
    execArgv: ['--expose-gc'],
    missing: (quick) => (quick && count > QUICK_MOST ? 'not in a quick run' : undefined),
    async open({ dir }) {
      const modules = [workflowActors, new URL('../actors/echo-desk.ts', import.meta.url)];
      // On the calling thread, whose heap can be read.
      const system = await startSystem({ threads: 0, dataDir: dir }, modules);
      const workflow = definition(count);
      const engine = new WorkflowCoordinationEngine(system).defineWorkflow(workflow);
      const items = kind === 'list' ? Array.from({ length: count }, (_, i) => i) : [];
      let runs = 0;
      const one = async (): Promise<void> => {
        runs += 1;
        await engine.executeWorkflow(workflow.id, { order: runs, items }, { runId: `r${runs}` });
      };
      await one();
      return {
        async sample() {
          const before = heapBytes();
          const begin = performance.now();
          await one();
          const time = performance.now() - begin;
          return { time, memory: Math.max(1_000, heapBytes() - before) / 1e6 };
        },
        close: () => system.stop(),
      };
    },
  };
};

const contenders = Object.entries(KINDS).flatMap(([kind, { counts }]) =>
  counts.map((count) => at(kind as keyof typeof KINDS, count)),
);
const shared = {
  conditions: { durability: 'journal, fsync', messageBytes: 30, concurrency: '1 run', hosts: 1 },
  axis: { label: 'calls', scale: 'log' },
  oneAtATime: true,
  contenders,
} as const;

export const runTime: Workload = {
  ...shared,
  name: 'growth-run-time',
  title: 'Time of a run by its calls',
  what: 'A run of so many calls to a journaled actor of its own host, alone, from start to result.',
  metrics: [{ name: 'time', unit: 'ms', better: 'lower' }],
};

export const runMemory: Workload = {
  ...shared,
  name: 'growth-run-memory',
  title: 'Memory of a run by its calls',
  what: 'What a run of so many calls leaves in heap and buffers when it is over, after garbage collection; it is in memory for another minute.',
  metrics: [{ name: 'memory', unit: 'MB', better: 'lower' }],
};
