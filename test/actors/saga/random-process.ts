/**
 * A process that runs random workflows until it is killed, or until all are over: `node random-process.ts <folder> <seed> <count>`.
 *
 * Runs that are stuck are tried again. Prints `up`, and one line of JSON at the end.
 */
import { WorkflowCoordinationEngine, workflowActors } from '../../../actors/index.ts';
import { ActorSystem, AskTimeoutError } from '../../../runtime/index.ts';
import { diceDesk } from '../../support/actors/dice-desk.ts';
import { type NumberedCase, randomCases } from './random-cases.ts';

/** How long a run may take before it is looked at. */
const LOOK_AFTER_MS = 100;

const [dataDir = '', seed = '0', count = '0'] = process.argv.slice(2);
const cases = randomCases(Number(seed), Number(count));
const system = await ActorSystem.start({
  dataDir,
  threads: 1,
  retention: 'keep',
  actors: [workflowActors, diceDesk.module],
});
const engine = new WorkflowCoordinationEngine(system);
for (const { definition } of cases) engine.defineWorkflow(definition);
process.stdout.write('up\n');

async function live({ runId, input, isCancelled }: NumberedCase): Promise<void> {
  await engine.start(runId, input, { runId });
  // It may be over already, or past its pivot.
  if (isCancelled) await engine.cancel(runId).catch(() => {});
  for (;;) {
    try {
      await engine.result(runId, { timeoutMs: LOOK_AFTER_MS });
      return;
    } catch (error) {
      if (!(error instanceof AskTimeoutError)) return;
      if (error.details['status'] === 'stuck') await engine.retry(runId).catch(() => {});
    }
  }
}

await Promise.all(cases.map(live));
process.stdout.write(`${JSON.stringify({ isOver: true })}\n`);
await system.stop();
