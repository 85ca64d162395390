/**
 * A process that operates runs until it is killed, or until all is done: `node operating-process.ts <folder> <runs>`.
 *
 * It does everything again on each start, under the same ids and keys: updates, promises, forks, deletions. One line of JSON when all is done.
 */
import { defineSaga } from '../../../actors/saga/define-saga.ts';
import { workflowActors } from '../../../actors/saga/saga-actors.ts';
import { WorkflowCoordinationEngine } from '../../../actors/saga/workflow-coordination-engine.ts';
import { ActorSystem, RunConflictError, UnknownRunError } from '../../../runtime/index.ts';
import { desk } from '../../support/actors/desk.ts';

const [dataDir = '', count = '1'] = process.argv.slice(2);

const saga = defineSaga('w', {
  context: { n: 1 },
  updates: { more: { set: { n: '${n + payload}' } } },
  output: { n: '${n}', approved: '${steps.approve.result}' },
})
  .step('approve', { promise: true })
  .step('skip', { signal: 'never' })
  .step('book', {
    actor: { definition: 'desk', id: 'shared' },
    action: 'BOOK',
    parameters: { what: '${input.run} ${n}' },
    dependencies: ['approve', 'skip'],
  });

const system = await ActorSystem.start({ dataDir, threads: 0, actors: [workflowActors, desk.module] });
const engine = new WorkflowCoordinationEngine(system).defineWorkflow(saga);
process.stdout.write('up\n');
const timeoutMs = 60_000;

/** What it comes to: of the run and its fork; `gone` for one that was deleted. */
async function operate(i: number): Promise<unknown[]> {
  const run = `r${i}`;
  try {
    await engine.start('w', { run }, { runId: run });
    // Once it is over there is nothing more to be said to it.
    if ((await engine.status(run)) === 'running') {
      await engine.update(run, 'more', i, { idempotencyKey: 'more' }).catch(overAlready);
      const token = (await engine.query(run)).steps['approve']?.token ?? '';
      await engine.resolvePromise(token, { by: i });
      await engine.cancelStep(run, 'skip').catch(overAlready);
    }
    const result = await engine.result(run, { timeoutMs });
    const fork = await engine.fork(run, { from: 'book', runId: `f${i}` });
    await engine.result(fork, { timeoutMs });
    if (i % 2 === 0) {
      await engine.delete(run);
      return ['gone', await engine.result(`f${i}`, { timeoutMs })];
    }
    return [result, await engine.result(fork, { timeoutMs })];
  } catch (error) {
    // Deleted before a kill, and so forked before that.
    if (!(error instanceof RunConflictError || error instanceof UnknownRunError)) throw error;
    return ['gone', await engine.result(`f${i}`, { timeoutMs })];
  }
}

function overAlready(error: unknown): void {
  const { reason } = (error as { details?: { reason?: string } }).details ?? {};
  if (reason !== 'RUN_ENDED' && reason !== 'STEP_OVER') throw error;
}

const outcomes = await Promise.all(Array.from({ length: Number(count) }, (_, i) => operate(i)));
const { asked } = await system.ref(desk, 'shared').ask<{ asked: string[] }>({ type: 'STATE' });
const listed = (await engine.list()).map(({ runId }) => runId);
process.stdout.write(`${JSON.stringify({ outcomes, asked, listed })}\n`);
await system.stop();
