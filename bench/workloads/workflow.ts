/** Workflows of three steps, one after another, each a command to an actor on the other host: completed ones, and ones that are undone. */
import type { ActorSystem } from '../../runtime/index.ts';
import { type Contender, P50, P99, RUNS, type Sample, type Setting, type Workload } from '../contract.ts';
import { asksOf, declinedRuns, type DoOne, HOSTS, runsOf, threeSteps, WORKFLOW_ACTORS } from '../desk-workflows.ts';
import { rateOf, tripOf } from '../numbered-work.ts';
import { startSystem } from '../own-system.ts';

/** Runs under way. */
const UNDER_WAY = 256;

type Who = Pick<Contender, 'name' | 'kind' | 'label'> & { readonly make: (system: ActorSystem) => DoOne };
type Measure = (one: DoOne, setting: Setting) => Promise<() => Promise<Sample>>;

const rate: Measure = (one, { sampleMs }) => rateOf(one, { sampleMs, underWay: UNDER_WAY });
const trip: Measure = (one, { sampleMs }) => tripOf(one, { sampleMs });

const contender = ({ make, ...who }: Who, measure: Measure): Contender => ({
  ...who,
  async open(setting) {
    const system = await startSystem({ threads: HOSTS, dataDir: setting.dir }, WORKFLOW_ACTORS);
    return { sample: await measure(make(system), setting), close: () => system.stop() };
  },
});

const OURS = { name: 'engine', kind: 'ours', label: 'executeWorkflow from the application' } as const;
const BARE = { name: 'asks', kind: 'baseline', label: 'the application asks the actors itself' } as const;

const engine: Who = { ...OURS, make: (system) => runsOf(system, threeSteps) };
const asks: Who = { ...BARE, make: (system) => asksOf(system, ['DO', 'DO', 'DO']) };
const declined: Who = { ...OURS, make: declinedRuns };
const declinedAsks: Who = { ...BARE, make: (system) => asksOf(system, ['DO', 'DO', 'DECLINE', 'UNDO', 'UNDO']) };

export const engineRate: Contender = contender(engine, rate);
export const engineTrip: Contender = contender(engine, trip);
export const engineSaga: Contender = contender(declined, rate);

const what =
  'The application executes a workflow; its three steps are commands to a journaled actor on the other host, one after another.';
const conditions = { durability: 'journal, fsync', messageBytes: 20, hosts: HOSTS };

export const workflowRate: Workload = {
  name: 'workflow-rate',
  title: 'Workflows of three steps',
  what,
  conditions: { ...conditions, concurrency: `${UNDER_WAY} runs under way` },
  metrics: [RUNS],
  contenders: [engineRate, contender(asks, rate)],
};

export const workflowTrip: Workload = {
  name: 'workflow-trip',
  title: 'A workflow of three steps, start to result',
  what: `${what} The next one follows the result.`,
  conditions: { ...conditions, concurrency: '1 run under way' },
  metrics: [P50, P99],
  contenders: [engineTrip, contender(asks, trip)],
};

export const workflowSaga: Workload = {
  name: 'workflow-saga',
  title: 'Sagas whose third step fails',
  what: `${what} The third fails, and the first two are undone, in reverse order.`,
  conditions: { ...conditions, concurrency: `${UNDER_WAY} runs under way` },
  metrics: [RUNS],
  contenders: [engineSaga, contender(declinedAsks, rate)],
};
