/** Workflows under faults: every run is over in the end, what failed is undone, and no actor is sent a command twice. */
import { defineSaga } from '../../../actors/saga/define-saga.ts';
import type { RunReport } from '../../../actors/saga/run-view.ts';
import { workflowActors } from '../../../actors/saga/saga-actors.ts';
import { WorkflowCoordinationEngine } from '../../../actors/saga/workflow-coordination-engine.ts';
import type { ActorSystem } from '../../../runtime/system/actor-system.ts';
import { desk } from '../../support/actors/desk.ts';
import { fault, insist, pick, type Workload } from './workload.ts';

const RUNS = 10;
/** Longer than any fault lasts, wrong dates too: a try that is given up might be handled twice, rightly. */
const PATIENCE = { attemptTimeoutMs: 100_000_000_000 };

const at = (id: string) => ({ actor: { definition: 'desk', id } });
const book = (what: string, more: object = {}) => ({
  ...at('d${input.desk}'),
  action: 'BOOK',
  parameters: { what, ...more },
  ...PATIENCE,
});
const unbook = (what: string) => ({ ...at('d${input.desk}'), action: 'UNBOOK', parameters: { what }, ...PATIENCE });

const child = defineSaga('child').step('own', {
  ...book('${input.run} child'),
  compensation: unbook('${input.run} child'),
});

const trip = defineSaga('trip')
  .step('a', {
    ...book('${input.run} a', { failures: 1 }),
    retryPolicy: { initialMs: 50 },
    compensation: unbook('${input.run} a'),
  })
  .step('nap', { sleep: 400, dependencies: ['a'] })
  .step('b', { ...book('${input.run} b'), dependencies: ['a'], compensation: unbook('${input.run} b') })
  .step('go', { signal: 'go', dependencies: ['nap'] })
  .step('child', {
    workflow: 'child',
    parameters: { run: '${input.run}', desk: '${input.desk}' },
    dependencies: ['b', 'go'],
    compensation: unbook('${input.run} child'),
  })
  .step('last', {
    ...book('${input.run} last', { failures: '${input.fails ? 99 : 0}' }),
    retryPolicy: { maxAttempts: 2, initialMs: 50 },
    dependencies: ['child'],
  })
  // Engaged when the desks have been busy: runs ask the board, are adapted, and repeat it after every fault.
  .adapt('busy', {
    when: 'actors.desk.calls >= 8 || actors.desk.errorRate > 0.5',
    minimumCalls: 2,
    releaseForMs: 100,
    actor: 'desk',
    action: 'BOOK',
    change: { retryPolicy: { initialMs: 80 } },
  });

const engines = new WeakMap<ActorSystem, WorkflowCoordinationEngine>();

function engineOf(system: ActorSystem): WorkflowCoordinationEngine {
  const known = engines.get(system);
  if (known !== undefined) return known;
  const engine = new WorkflowCoordinationEngine(system).defineWorkflow(child).defineWorkflow(trip);
  engines.set(system, engine);
  return engine;
}

export const sagas: Workload = {
  name: 'sagas',
  actors: [workflowActors, desk.module],
  async run(sim) {
    const inputs = Array.from({ length: RUNS }, (_, i) => ({
      run: `r${i}`,
      desk: pick(sim, 3),
      fails: sim.random.next() < 0.4,
    }));
    const refused: string[] = [];
    for (const input of inputs) {
      const runId = input.run;
      sim.client(async () => {
        await sim.advance(pick(sim, 2_000));
        const started = await insist(sim, (system) => engineOf(system).start('trip', input, { runId }));
        if (started.kind === 'failed') return fault(sim, 'sagas', `${runId} was not started: ${started.code}`);
        await sim.advance(pick(sim, 2_000));
        const signalled = await insist(sim, (system) =>
          engineOf(system).signal(runId, 'go', null, { idempotencyKey: 'go' }),
        );
        if (signalled.kind === 'failed') refused.push(`${runId} refused its signal: ${signalled.code}`);
        if (sim.random.next() < 0.3) await insist(sim, (system) => engineOf(system).start('trip', input, { runId }));
      });
    }
    sim.atEnd(async (system) => {
      if (sim.lostCommits > 0) return;
      // What kills its host again and again is set aside, and whoever waits for it waits.
      const letters = await system.deadLetters.list({ limit: 1_000 });
      if (letters.length > 0) return;
      for (const what of refused) fault(sim, 'sagas', what);
      const left: string[] = [];
      for (const { run, fails } of inputs) {
        const { view } = await system.refOf(`saga-run/${run}`).snapshot();
        const { status, steps } = view as RunReport;
        if (status !== (fails ? 'failed' : 'completed'))
          fault(sim, 'sagas', `${run} is ${status}: ${JSON.stringify(steps)}`);
        if (!fails) left.push(...['a', 'b', 'child', 'last'].map((what) => `${run} ${what}`));
      }
      const booked: string[] = [];
      for (let i = 0; i < 3; i++) {
        const state = (await system.refOf(`desk/d${i}`).snapshot()).view as
          | { booked: string[]; asked: string[] }
          | undefined;
        if (state === undefined) continue;
        booked.push(...state.booked);
        if (new Set(state.asked).size !== state.asked.length)
          fault(sim, 'sagas', `desk d${i} was sent a command twice: ${state.asked.join(', ')}`);
      }
      const [is, expected] = [booked, left].map((list) => list.sort((a, b) => (a < b ? -1 : 1)).join(', '));
      if (is !== expected) fault(sim, 'sagas', `booked is ${is}, not ${expected}`);
      if (booked.length === 0 && inputs.some(({ fails }) => !fails)) fault(sim, 'sagas', 'nothing was booked');
    });
  },
};
