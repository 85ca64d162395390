/**
 * A process that moves runs to another version until it is killed, or until all are over: `node migrating-process.ts <folder> <runs>`.
 *
 * On each start it starts all runs with version 1, moves all that are in flight to version 2, and only then lets them go on: in the end
 * all have gone by version 2, whenever it was killed. It prints one line of JSON when all are over.
 */
import { defineSaga } from '../../../actors/saga/define-saga.ts';
import { workflowActors } from '../../../actors/saga/saga-actors.ts';
import { WorkflowCoordinationEngine } from '../../../actors/saga/workflow-coordination-engine.ts';
import { ActorSystem } from '../../../runtime/index.ts';
import { desk } from '../../support/actors/desk.ts';
import { until } from '../../support/until.ts';

const [dataDir = '', count = '1'] = process.argv.slice(2);

const booking = (what: string) => ({
  actor: { definition: 'desk', id: 'shared' },
  action: 'BOOK',
  parameters: { what: `\${input.run} ${what}` },
});
const v1 = defineSaga('trip', { version: 1 })
  .step('one', booking('one'))
  .step('go', { signal: 'go', dependencies: ['one'] })
  .step('old', { ...booking('old'), dependencies: ['go'] });
const v2 = defineSaga('trip', { version: 2 })
  .step('one', booking('one'))
  .step('beside', { ...booking('beside'), dependencies: ['one'] })
  .step('go', { signal: 'go', dependencies: ['one'] })
  .step('fresh', { ...booking('fresh'), dependencies: ['go', 'beside'] });

const system = await ActorSystem.start({ dataDir, threads: 2, actors: [workflowActors, desk.module] });
const engine = new WorkflowCoordinationEngine(system).defineWorkflow(v1).defineWorkflow(v2);
const runs = Array.from({ length: Number(count) }, (_, i) => `r${i}`);
process.stdout.write('up\n');
await Promise.all(runs.map((run) => engine.start('trip', { run }, { runId: run, version: 1 })));
// A filter finds what the index has heard of.
await until('the index knows all runs', async () => (await engine.list({ workflow: 'trip' })).length === runs.length);
const { migrated, refused } = await engine.migrate({ workflow: 'trip' }, { to: 2 });
await Promise.all(
  runs.map((run) =>
    engine.signal(run, 'go', null, { idempotencyKey: `go ${run}` }).catch((error: { code?: string }) => {
      // It came before the last kill.
      if (error.code !== 'RUN_REFUSED') throw error;
    }),
  ),
);
await Promise.all(runs.map((run) => engine.result(run)));
const reports = await Promise.all(runs.map((run) => engine.query(run)));
const { asked } = await system.ref(desk, 'shared').ask<{ asked: string[] }>({ type: 'STATE' });
process.stdout.write(
  `${JSON.stringify({
    migrated: migrated.length,
    refused,
    asked,
    runs: reports.map(({ version, trace }) => ({
      version,
      moves: trace.filter(({ what }) => what === 'migrated').length,
    })),
  })}\n`,
);
await system.stop();
