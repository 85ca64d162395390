/**
 * `runs-reader.ts DIR RUNS`: starts a system on what a killed process has left, and prints how long it took until runs were over.
 *
 * Owns: the stopwatch. Its figures are from a process that has just begun, as a real restart's are.
 */
import { SystemConnector, WorkflowCoordinationEngine } from '../actors/index.ts';
import { MessageBroker } from '../runtime/index.ts';
import { startSystem } from './own-system.ts';
import { DUE, HOSTS, idsOf, nap, RUN_ACTORS, type RunsLeft, SYSTEM, trip } from './runs-left.ts';

const [dataDir = '', json = '{}'] = process.argv.slice(2);
const left = JSON.parse(json) as RunsLeft;
const ids = idsOf(left);

async function firstAwake(): Promise<number> {
  const startedMs = performance.now();
  const system = await startSystem({ dataDir, threads: HOSTS }, RUN_ACTORS);
  const engine = new WorkflowCoordinationEngine(system).defineWorkflow(nap);
  await engine.result(DUE);
  const tookMs = performance.now() - startedMs;
  const status = await engine.status(ids.at(-1) as string);
  if (status !== 'running') throw new Error(`a run that should be asleep is ${status}`);
  await system.stop();
  return tookMs;
}

async function allOver(): Promise<number> {
  const startedMs = performance.now();
  const system = await startSystem({ dataDir, threads: HOSTS }, RUN_ACTORS);
  const broker = await MessageBroker.start({ system });
  const desk = new SystemConnector(SYSTEM, broker, { commands: { concurrency: ids.length } });
  for (const action of ['first', 'second', 'third']) await desk.onCommand(action, () => ({ ok: true }));
  const engine = new WorkflowCoordinationEngine(system, { broker }).defineWorkflow(trip);
  const end = (runId: string, order: number): Promise<unknown> =>
    left.kind === 'none' ? engine.executeWorkflow(trip.id, { order }, { runId }) : engine.result(runId);
  await Promise.all(ids.map(end));
  const tookMs = performance.now() - startedMs;
  await engine.close();
  await desk[Symbol.asyncDispose]();
  await broker.close();
  await system.stop();
  return tookMs;
}

const tookMs = await (left.kind === 'under-way' || left.kind === 'none' ? allOver() : firstAwake());
process.stdout.write(JSON.stringify({ tookMs }));
