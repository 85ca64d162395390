/**
 * `runs-writer.ts DIR RUNS`: begins runs, and kills its own process when all are asleep, or at their second step.
 *
 * Owns: leaving them. Nothing here is measured.
 */
import { SystemConnector, WorkflowCoordinationEngine } from '../actors/index.ts';
import { MessageBroker } from '../runtime/index.ts';
import { startSystem } from './own-system.ts';
import { inFlight } from './pace.ts';
import { DUE, DUE_MS, HOSTS, idsOf, LONG_MS, nap, RUN_ACTORS, type RunsLeft, SYSTEM, trip } from './runs-left.ts';

const STARTS_UNDER_WAY = 1_000;

const [dataDir = '', json = '{}'] = process.argv.slice(2);
const left = JSON.parse(json) as RunsLeft;
const ids = idsOf(left);

async function fallAsleep(): Promise<void> {
  const system = await startSystem({ dataDir, threads: HOSTS }, RUN_ACTORS);
  const engine = new WorkflowCoordinationEngine(system).defineWorkflow(nap);
  await inFlight(ids.length, STARTS_UNDER_WAY, (i) =>
    engine.start(nap.id, { ms: LONG_MS }, { runId: ids[i] as string }),
  );
  if (left.kind === 'asleep') await system.checkpoint();
  await engine.start(nap.id, { ms: DUE_MS }, { runId: DUE });
}

async function getUnderWay(): Promise<void> {
  const system = await startSystem({ dataDir, threads: HOSTS }, RUN_ACTORS);
  const broker = await MessageBroker.start({ system });
  const desk = new SystemConnector(SYSTEM, broker, { commands: { concurrency: ids.length } });
  let waiting = 0;
  await new Promise<void>((resolve) => {
    void begin(resolve);
  });

  async function begin(all: () => void): Promise<void> {
    await desk.onCommand('first', () => ({ ok: true }));
    await desk.onCommand('second', () => {
      waiting += 1;
      if (waiting === ids.length) all();
      return new Promise(() => {});
    });
    await desk.onCommand('third', () => ({ ok: true }));
    const engine = new WorkflowCoordinationEngine(system, { broker }).defineWorkflow(trip);
    await inFlight(ids.length, STARTS_UNDER_WAY, (i) =>
      engine.start(trip.id, { order: i }, { runId: ids[i] as string }),
    );
  }
}

if (left.kind === 'under-way') await getUnderWay();
else if (left.kind !== 'none') await fallAsleep();
else await startSystem({ dataDir, threads: HOSTS }, RUN_ACTORS);
process.kill(process.pid, 'SIGKILL');
