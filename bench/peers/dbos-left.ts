/**
 * `dbos-left.ts leave|come-back DATABASE COUNT`: begins workflows whose second step never ends, and kills its own process; or launches on
 * what was left, and prints how long it took until all are over.
 */
import { setTimeout } from 'node:timers/promises';
import { inFlight } from '../pace.ts';
import { administer, type Dbos, launchDbos } from './dbos-server.ts';

const [mode = '', database = '', count = '0'] = process.argv.slice(2);
const STARTS_UNDER_WAY = 64;
const LOOK_EVERY_MS = 20;

let begun = 0;

const trip = (dbos: Dbos): ((order: number) => Promise<unknown>) =>
  dbos.registerWorkflow(
    async (_order: number) => {
      await dbos.runStep(async () => 1, { name: 'first' });
      await dbos.runStep(
        async () => {
          begun += 1;
          if (mode === 'leave') await new Promise(() => {});
          return 2;
        },
        { name: 'second' },
      );
      return dbos.runStep(async () => 3, { name: 'third' });
    },
    { name: 'trip' },
  );

const over = async (): Promise<number> => {
  const query = "select count(*) as over from dbos.workflow_status where status = 'SUCCESS'";
  const { rows } = await administer((client) => client.query(query), database);
  return Number(rows[0]?.['over']);
};

const startedMs = performance.now();
const { workflows, dbos } = await launchDbos(database, trip);
if (mode === 'leave') {
  await inFlight(Number(count), STARTS_UNDER_WAY, (i) => dbos.startWorkflow(workflows, { workflowID: `r${i}` })(i));
  while (begun < Number(count)) await setTimeout(LOOK_EVERY_MS);
  process.kill(process.pid, 'SIGKILL');
}
while ((await over()) < Number(count)) await setTimeout(LOOK_EVERY_MS);
process.stdout.write(JSON.stringify({ tookMs: performance.now() - startedMs }));
await dbos.shutdown();
process.exit(0);
