/** Values that are too large for a message: the step or the run says so, and nothing hangs. */
import { expect, test } from 'vitest';
import { defineSaga } from '../../../actors/saga/define-saga.ts';
import { workflowActors } from '../../../actors/saga/saga-actors.ts';
import { WorkflowCoordinationEngine } from '../../../actors/saga/workflow-coordination-engine.ts';
import { ActorSystem } from '../../../runtime/index.ts';
import { keyOf, placementOf } from '../../../runtime/kernel/address.ts';
import { desk } from '../../support/actors/desk.ts';

const RUN = 'r';
const host = placementOf(keyOf('saga-run', RUN), 2);
const elsewhere = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].find(
  (id) => placementOf(keyOf('desk', id), 2) !== host,
) as string;
const book = { actor: { definition: 'desk', id: elsewhere }, action: 'BOOK' };
const big = 'x'.repeat(600_000);

/** On two threads, the desk on the other one: between threads a message has its bound. */
async function outcomeOf(
  definition: Parameters<WorkflowCoordinationEngine['defineWorkflow']>[0],
  input: unknown,
): Promise<unknown> {
  await using system = await ActorSystem.start({ threads: 2, actors: [workflowActors, desk.module] });
  const engine = new WorkflowCoordinationEngine(system);
  try {
    return await engine
      .defineWorkflow(definition)
      .executeWorkflow(definition.id, input, { runId: RUN, timeoutMs: 20_000 });
  } catch (error) {
    return error;
  }
}

test('a command that is too large fails its step, and what is done is undone', async () => {
  const twice = defineSaga('twice')
    .step('a', {
      ...book,
      parameters: { what: 'a' },
      compensation: { ...book, action: 'UNBOOK', parameters: { what: 'a' } },
    })
    .step('b', { ...book, parameters: { what: '${input.big + input.big}' }, dependencies: ['a'] });
  expect(await outcomeOf(twice, { big })).toMatchObject({
    code: 'WORKFLOW_FAILED',
    details: { step: 'b', error: { code: 'MESSAGE_TOO_LARGE' }, steps: { a: { compensation: 'undone' } } },
  });
});

test('a result that is too large fails the run', async () => {
  const doubled = defineSaga('doubled', {
    output: '${[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20].map(i, input.big + input.big)}',
  }).step('a', {
    ...book,
    parameters: { what: 'a' },
    compensation: { ...book, action: 'UNBOOK', parameters: { what: 'a' } },
  });
  expect(await outcomeOf(doubled, { big })).toMatchObject({
    code: 'WORKFLOW_FAILED',
    details: { error: { code: 'MESSAGE_TOO_LARGE' }, steps: { a: { compensation: 'undone' } } },
  });
});

test('an input that is too large is refused', async () => {
  expect(await outcomeOf(defineSaga('w').step('a', { value: 1 }), { big: big + big })).toMatchObject({
    code: 'MESSAGE_TOO_LARGE',
  });
});

test('a definition that is too large to be carried by its runs is refused', async () => {
  const wide = defineSaga('wide');
  for (let i = 0; i < 4_000; i++) wide.step(`s${i}`, { ...book, parameters: { what: `${i}` } });
  expect(await outcomeOf(wide, null)).toMatchObject({
    code: 'INVALID_WORKFLOW',
    message: expect.stringContaining('bytes'),
  });
});
