/**
 * A process that runs sagas until it is killed, or until all of them are over: `node killed-process.ts <folder> <runs> <seed>`.
 *
 * It starts every run on each start (the same run ids are the same runs), and prints one line of JSON when all are over.
 */
import { defineSaga } from '../../../actors/saga/define-saga.ts';
import { workflowActors } from '../../../actors/saga/saga-actors.ts';
import { WorkflowCoordinationEngine } from '../../../actors/saga/workflow-coordination-engine.ts';
import { ActorSystem } from '../../../runtime/index.ts';
import { desk } from '../../support/actors/desk.ts';

const [dataDir = '', count = '1'] = process.argv.slice(2);

const busy = {
  when: 'actors.desk.calls >= 30',
  actor: 'desk',
  action: 'BOOK',
  change: { retryPolicy: { initialMs: 8 } },
} as const;

/** Keeps the desks busy before any of the runs begins: the rule is on then, whatever comes after. */
const rush = defineSaga('rush')
  .step('calls', {
    actor: { definition: 'desk', id: 'rush' },
    action: 'BOOK',
    parameters: { what: '${string(index)}' },
    forEach: { items: Array.from({ length: 40 }, (_, i) => i), concurrency: 8 },
  })
  .adapt('busy', busy);

/** Every run has a desk of its own and one they share. `fails`: the last step fails for good. */
const saga = defineSaga('trip', { parallelism: 4 })
  .step('own', {
    actor: { definition: 'desk', id: '${input.run}' },
    action: 'BOOK',
    parameters: { what: 'own', failures: '${input.flaky}' },
    retryPolicy: { initialMs: 5 },
    compensation: { actor: { definition: 'desk', id: '${input.run}' }, action: 'UNBOOK', parameters: { what: 'own' } },
  })
  .step('left', {
    actor: { definition: 'desk', id: 'shared' },
    action: 'BOOK',
    parameters: { what: '${input.run} left' },
    dependencies: ['own'],
    compensation: {
      actor: { definition: 'desk', id: 'shared' },
      action: 'UNBOOK',
      parameters: { what: '${input.run} left' },
    },
  })
  .step('nap', { sleep: 20, dependencies: ['own'] })
  .step('right', {
    actor: { definition: 'desk', id: 'shared' },
    action: 'BOOK',
    parameters: { what: '${input.run} right' },
    dependencies: ['nap'],
    compensation: {
      actor: { definition: 'desk', id: 'shared' },
      action: 'UNBOOK',
      parameters: { what: '${input.run} right' },
    },
  })
  .step('last', {
    actor: { definition: 'desk', id: '${input.run}' },
    action: 'BOOK',
    parameters: { what: 'last', failures: '${input.fails ? 99 : 0}' },
    retryPolicy: { maxAttempts: 2, initialMs: 5 },
    dependencies: ['left', 'right'],
  })
  // Runs ask the board before they start something, and what it said is repeated after each kill.
  .adapt('busy', busy);

const system = await ActorSystem.start({ dataDir, threads: 2, actors: [workflowActors, desk.module] });
const engine = new WorkflowCoordinationEngine(system).defineWorkflow(rush).defineWorkflow(saga);
const runs = Array.from({ length: Number(count) }, (_, i) => i);
await engine.executeWorkflow('rush', {}, { runId: 'rush' });
process.stdout.write('up\n');
const outcomes = await Promise.all(
  runs.map(async (i) => {
    const run = `r${i}`;
    const input = { run, flaky: i % 3 === 0 ? 1 : 0, fails: i % 4 === 1 };
    try {
      await engine.executeWorkflow('trip', input, { runId: run, timeoutMs: 60_000 });
      return 'completed';
    } catch (error) {
      return (error as { code: string }).code;
    }
  }),
);
const stateOf = (id: string) => system.ref(desk, id).ask<{ booked: string[]; asked: string[] }>({ type: 'STATE' });
const own = await Promise.all(runs.map((i) => stateOf(`r${i}`)));
const adapted = (await Promise.all(runs.map((i) => engine.query(`r${i}`)))).flatMap(({ adaptations }) => adaptations);
process.stdout.write(`${JSON.stringify({ outcomes, own, shared: await stateOf('shared'), adapted })}\n`);
await system.stop();
