/** A workflow of three steps, one after another, each a command to an actor on the other host. */
import { defineSaga, workflowActors, WorkflowCoordinationEngine } from '../../actors/index.ts';
import type { ActorSystem } from '../../runtime/index.ts';
import { keyOf, placementOf } from '../../runtime/kernel/address.ts';
import { echoDesk } from '../actors/echo-desk.ts';
import { type Contender, P50, P99, RUNS, type Workload } from '../contract.ts';
import { idsOn, startSystem } from '../own-system.ts';
import { inFlight, Pace, roundTrips } from '../pace.ts';
import { latencies } from '../statistics.ts';

const HOSTS = 2;
/** Desks a host. */
const DESKS = 16;
/** Runs under way. */
const UNDER_WAY = 256;

const ACTORS = [workflowActors, new URL('../actors/echo-desk.ts', import.meta.url)];

const command = {
  actor: { definition: echoDesk.name, id: '${input.desk}' },
  action: 'DO',
  parameters: { order: '${input.order}' },
};

const threeSteps = defineSaga('three-steps')
  .step('a', command)
  .step('b', { ...command, dependencies: ['a'] })
  .step('c', { ...command, dependencies: ['b'] });

/** Does the work of one run, the number of which it is given. */
type DoOne = (n: number) => Promise<unknown>;

function runs(system: ActorSystem): DoOne {
  const engine = new WorkflowCoordinationEngine(system).defineWorkflow(threeSteps);
  const desks = [0, 1].map((slot) => idsOn(slot, HOSTS, echoDesk.name, DESKS));
  return (n) => {
    const runId = `r${n}`;
    const slot = placementOf(keyOf('saga-run', runId), HOSTS);
    return engine.executeWorkflow('three-steps', { desk: desks[1 - slot]?.[n % DESKS], order: n }, { runId });
  };
}

/** What a run asks for, asked by the application: nothing is kept of how far it is. */
function asks(system: ActorSystem): DoOne {
  const refs = [0, 1].flatMap((slot) => idsOn(slot, HOSTS, echoDesk.name, DESKS)).map((id) => system.ref(echoDesk, id));
  return async (n) => {
    const ref = refs[n % refs.length];
    for (let step = 0; step < 3; step++) await ref?.ask({ type: 'DO', order: n });
  };
}

const rateOf = (
  name: string,
  kind: Contender['kind'],
  label: string,
  make: (system: ActorSystem) => DoOne,
): Contender => ({
  name,
  kind,
  label,
  async open({ dir, sampleMs }) {
    const system = await startSystem({ threads: HOSTS, dataDir: dir }, ACTORS);
    const one = make(system);
    let begun = 0;
    const pace = new Pace(
      sampleMs,
      async (size) => {
        const first = begun;
        begun += size;
        await inFlight(size, UNDER_WAY, (i) => one(first + i));
        return size;
      },
      { first: UNDER_WAY, most: 50_000 },
    );
    await pace.warmUp();
    return { sample: async () => ({ rate: await pace.rate() }), close: () => system.stop() };
  },
});

const tripOf = (
  name: string,
  kind: Contender['kind'],
  label: string,
  make: (system: ActorSystem) => DoOne,
): Contender => ({
  name,
  kind,
  label,
  async open({ dir, sampleMs }) {
    const system = await startSystem({ threads: HOSTS, dataDir: dir }, ACTORS);
    const one = make(system);
    let n = 0;
    const trip = (): Promise<unknown> => one(n++);
    await roundTrips(sampleMs, 100, trip);
    return { sample: async () => latencies(await roundTrips(sampleMs, 100, trip)), close: () => system.stop() };
  },
});

const OURS = 'executeWorkflow from the application';
const BARE = 'the application asks the three actors itself';
const what =
  'The application executes a workflow; its three steps are commands to a journaled actor on the other host, one after another.';
const conditions = { durability: 'journal, fsync', messageBytes: 20, hosts: HOSTS };

export const workflowRate: Workload = {
  name: 'workflow-rate',
  title: 'Workflows of three steps',
  what,
  conditions: { ...conditions, concurrency: `${UNDER_WAY} runs under way` },
  metrics: [RUNS],
  contenders: [rateOf('engine', 'ours', OURS, runs), rateOf('asks', 'baseline', BARE, asks)],
};

export const workflowTrip: Workload = {
  name: 'workflow-trip',
  title: 'A workflow of three steps, start to result',
  what: `${what} The next one follows the result.`,
  conditions: { ...conditions, concurrency: '1 run under way' },
  metrics: [P50, P99],
  contenders: [tripOf('engine', 'ours', OURS, runs), tripOf('asks', 'baseline', BARE, asks)],
};
