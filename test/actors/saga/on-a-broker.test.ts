/** Workflows on the embedded broker: commands to systems, their answers, their failures, and nobody there. */
import { expect, test } from 'vitest';
import { defineSaga } from '../../../actors/saga/define-saga.ts';
import { workflowActors } from '../../../actors/saga/saga-actors.ts';
import { WorkflowCoordinationEngine } from '../../../actors/saga/workflow-coordination-engine.ts';
import { MessageBroker } from '../../../runtime/broker/message-broker.ts';
import { ActorSystem } from '../../../runtime/system/actor-system.ts';

const order = defineSaga('order')
  .step('reserve', {
    systemTarget: 'stock',
    action: 'reserve',
    parameters: { sku: '${input.sku}' },
    compensation: { systemTarget: 'stock', action: 'release', parameters: { sku: '${input.sku}' } },
  })
  .step('charge', {
    systemTarget: 'payments',
    action: 'charge',
    parameters: { declined: '${input.declined}' },
    dependencies: ['reserve'],
    retryPolicy: { initialMs: 5, maxAttempts: 2 },
  });

test('a saga over two systems: done, tried again, undone, and a system that is not there', async () => {
  await using system = await ActorSystem.start({ threads: 1, actors: [workflowActors] });
  await using broker = await MessageBroker.start({ system });
  const seen: string[] = [];
  await broker.subscribe(
    '$command.stock.*',
    (message) => {
      seen.push(message.id);
      return { ok: message.payload };
    },
    { name: 'stock' },
  );
  let busy = true;
  await broker.subscribe<{ declined: boolean }>(
    '$command.payments.*',
    ({ id, payload }) => {
      seen.push(id);
      if (payload.declined || busy) {
        busy = false;
        throw new Error(payload.declined ? 'declined' : 'busy');
      }
      return { receipt: 'r' };
    },
    { name: 'payments' },
  );
  await using engine = new WorkflowCoordinationEngine(system, { broker });
  engine.defineWorkflow(order);
  expect(
    await engine.executeWorkflow('order', { sku: 'x', declined: false }, { runId: 'o-1', timeoutMs: 20_000 }),
  ).toEqual({
    reserve: { ok: { sku: 'x' } },
    charge: { receipt: 'r' },
  });
  const failed = engine.executeWorkflow('order', { sku: 'x', declined: true }, { runId: 'o-2', timeoutMs: 20_000 });
  await expect(failed).rejects.toMatchObject({
    details: { step: 'charge', steps: { reserve: { compensation: 'undone' } } },
  });
  expect(seen).toEqual([
    'o-1/reserve/1',
    'o-1/charge/1',
    'o-1/charge/2',
    'o-2/reserve/1',
    'o-2/charge/1',
    'o-2/charge/2',
    'o-2/reserve/undo/1',
  ]);
  engine.defineWorkflow(
    defineSaga('nobody').step('a', { systemTarget: 'nobody', action: 'x', retryPolicy: { maxAttempts: 1 } }),
  );
  const alone = engine.executeWorkflow('nobody', null, { timeoutMs: 20_000 });
  await expect(alone).rejects.toMatchObject({ details: { error: { code: 'NO_SUBSCRIBER' } } });
});
