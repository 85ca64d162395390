/** Workflows on the embedded broker: commands to systems, their answers, their failures, and nobody there. */
import { expect, test } from 'vitest';
import { SystemConnector } from '../../../actors/connector/system-connector.ts';
import { defineSaga } from '../../../actors/saga/define-saga.ts';
import { workflowActors } from '../../../actors/saga/saga-actors.ts';
import { WorkflowCoordinationEngine } from '../../../actors/saga/workflow-coordination-engine.ts';
import { WorkflowDefinition } from '../../../actors/saga/workflow-definition.ts';
import { WorkflowStep } from '../../../actors/saga/workflow-step.ts';
import { MessageBroker } from '../../../runtime/broker/message-broker.ts';
import { ContractViolationError } from '../../../runtime/kernel/errors.ts';
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

test('a try that failed is the run’s to try again, and no dead letter', async () => {
  await using system = await ActorSystem.start({ threads: 1, actors: [workflowActors] });
  await using broker = await MessageBroker.start({ system });
  await broker.subscribe(
    '$command.stock.*',
    ({ type }) => {
      throw type === 'reserve'
        ? new ContractViolationError('no such sku', { details: { sku: 'x' } })
        : new Error('busy');
    },
    { name: 'stock' },
  );
  await using engine = new WorkflowCoordinationEngine(system, { broker });
  engine.defineWorkflow(
    defineSaga('two')
      .step('a', { systemTarget: 'stock', action: 'count', retryPolicy: { initialMs: 1 }, onFailure: 'continue' })
      .step('b', { systemTarget: 'stock', action: 'reserve', dependencies: ['a'] }),
  );
  await expect(engine.executeWorkflow('two', null, { runId: 'r', timeoutMs: 20_000 })).rejects.toMatchObject({
    details: {
      step: 'b',
      error: { code: 'CONTRACT_VIOLATION', name: 'ContractViolationError', details: { sku: 'x' } },
    },
  });
  expect((await engine.query('r')).steps).toMatchObject({
    a: { attempts: 3, error: { message: 'busy' } },
    b: { attempts: 1 },
  });
  expect((await broker.deadLetters.list()).letters).toEqual([]);
  // Whoever publishes by himself has his dead letter, unless he says otherwise.
  const send = async (retry: { maxAttempts: number; whenExhausted?: 'answer' }) =>
    (await (await broker.publish({ type: 'count', target: 'stock', delivery: 'EXACTLY_ONCE', retry })).settled())
      .status;
  expect(await send({ maxAttempts: 1, whenExhausted: 'answer' })).toBe('handled');
  expect(await send({ maxAttempts: 1 })).toBe('dead');
  expect((await broker.deadLetters.list()).letters).toHaveLength(1);
  await expect(send({ maxAttempts: 1, whenExhausted: 'never' as 'answer' })).rejects.toThrow(/whenExhausted/);
});

test('the handler of a connector is heard of, and the next try knows what it said', async () => {
  await using system = await ActorSystem.start({ threads: 1, actors: [workflowActors] });
  await using broker = await MessageBroker.start({ system });
  await using mill = await SystemConnector.start('mill', { broker });
  const seen: unknown[] = [];
  await mill.onCommand('grind', async (_payload, { attempt, heartbeat, lastHeartbeat, signal }) => {
    seen.push({ attempt, lastHeartbeat });
    if (lastHeartbeat !== undefined) return 'flour';
    await heartbeat({ sacks: 1 });
    await heartbeat({ sacks: 2 });
    // Silent from here on.
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    return null;
  });
  await using engine = new WorkflowCoordinationEngine(system, { broker });
  engine.defineWorkflow(
    defineSaga('bread').step('grind', {
      systemTarget: 'mill',
      action: 'grind',
      heartbeatTimeoutMs: 500,
      retryPolicy: { initialMs: 1 },
    }),
  );
  expect(await engine.executeWorkflow('bread', null, { runId: 'r', timeoutMs: 25_000 })).toEqual({ grind: 'flour' });
  expect(seen).toEqual([
    { attempt: 1, lastHeartbeat: undefined },
    { attempt: 1, lastHeartbeat: { sacks: 2 } },
  ]);
  expect((await engine.trace('r')).find(({ what }) => what === 'try failed')).toMatchObject({
    error: { code: 'HEARTBEAT_TIMEOUT' },
  });
});

test('the snippet of the specification, in camel case, as written', async () => {
  await using system = await ActorSystem.start({ threads: 1, actors: [workflowActors] });
  await using broker = await MessageBroker.start({ system });
  await using inventory = new SystemConnector('inventory', broker);
  await using payments = new SystemConnector('payments', broker);
  await using mail = new SystemConnector('mail', broker);
  await inventory.onCommand('reserve', async ({ sku }: { sku: string }) => ({ reservation: `${sku}-1` }));
  await payments.onCommand('charge', async ({ reservation }: { reservation: string }) => ({ paid: reservation }));
  await mail.onCommand('thank', async () => null);

  const workflow = new WorkflowDefinition('order', 'Order');
  workflow.addStep(
    new WorkflowStep({
      stepId: 'reserve',
      systemTarget: 'inventory',
      action: 'reserve',
      parameters: { sku: '${sku}' },
      retryPolicy: { maxAttempts: 3 },
      compensation: { systemTarget: 'inventory', action: 'release', parameters: { sku: '${sku}' } },
      timeoutMs: 20_000,
    }),
  );
  workflow.addStep(
    new WorkflowStep({
      stepId: 'charge',
      systemTarget: 'payments',
      action: 'charge',
      parameters: { reservation: '${steps.reserve.result.reservation}' },
      dependencies: ['reserve'],
    }),
  );
  workflow.addStep(
    new WorkflowStep({
      stepId: 'thank',
      systemTarget: 'mail',
      action: 'thank',
      dependencies: ['charge'],
      condition: "${customer} == 'regular'",
    }),
  );

  await using engine = new WorkflowCoordinationEngine(system, { broker });
  engine.defineWorkflow(workflow);
  const result = await engine.executeWorkflow('order', { sku: 's-1', customer: 'new' }, { runId: 'order-1' });

  expect(result).toEqual({ reserve: { reservation: 's-1-1' }, charge: { paid: 's-1-1' }, thank: null });
  expect(await engine.query('order-1')).toMatchObject({ status: 'completed', steps: { thank: { status: 'skipped' } } });
});
