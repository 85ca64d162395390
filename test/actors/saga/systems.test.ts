/** Commands to systems: through the outbox, under one key however often, answered into the run. */
import { expect, test } from 'vitest';
import { defineSaga } from '../../../actors/saga/define-saga.ts';
import { sagaOutbox, workflowActors } from '../../../actors/saga/saga-actors.ts';
import { WorkflowCoordinationEngine } from '../../../actors/saga/workflow-coordination-engine.ts';
import { ActorSystem } from '../../../runtime/index.ts';
import { tmpDir } from '../../support/tmp-dir.ts';
import { until } from '../../support/until.ts';
import { ScriptedBroker } from './scripted-broker.ts';

const order = defineSaga('order', { output: '${steps.charge.result.receipt}' })
  .step('reserve', {
    systemTarget: 'stock',
    action: 'reserve',
    parameters: { sku: '${input.sku}' },
    compensation: { systemTarget: 'stock', action: 'release', parameters: { sku: '${input.sku}' } },
  })
  .step('charge', {
    systemTarget: 'payments',
    action: 'charge',
    dependencies: ['reserve'],
    retryPolicy: { maxAttempts: 2, initialMs: 1 },
  });

const start = (dataDir?: string) =>
  ActorSystem.start({ threads: 0, actors: [workflowActors], ...(dataDir === undefined ? {} : { dataDir }) });

test('each command is published with target, type, key and what it belongs to', async () => {
  const broker = new ScriptedBroker({ stock: () => ({ ok: true }), payments: () => ({ receipt: 'r-1' }) });
  await using system = await start();
  await using engine = new WorkflowCoordinationEngine(system, { broker });
  engine.defineWorkflow(order);
  expect(await engine.executeWorkflow('order', { sku: 'x1' }, { runId: 'o-1' })).toBe('r-1');
  expect(broker.published).toHaveLength(2);
  expect(broker.published[0]).toMatchObject({
    id: 'o-1/reserve/1',
    idempotencyKey: 'o-1/reserve/1',
    kind: 'COMMAND',
    type: 'reserve',
    target: 'stock',
    payload: { sku: 'x1' },
    correlationId: 'o-1',
    delivery: 'EXACTLY_ONCE',
    ttlMs: 30_000,
    retry: { maxAttempts: 1 },
    extensions: { workflowrun: 'o-1', workflowstep: 'reserve', workflowattempt: 1 },
  });
});

test('what a system throws fails the try; another try has another key; then it is undone', async () => {
  const broker = new ScriptedBroker({
    stock: () => null,
    payments: () => {
      throw new Error('declined');
    },
  });
  await using system = await start();
  await using engine = new WorkflowCoordinationEngine(system, { broker });
  engine.defineWorkflow(order);
  await expect(engine.executeWorkflow('order', { sku: 'x1' }, { runId: 'o' })).rejects.toMatchObject({
    details: { step: 'charge', error: { message: 'declined' } },
  });
  expect(broker.published.map(({ id }) => id)).toEqual(['o/reserve/1', 'o/charge/1', 'o/charge/2', 'o/reserve/undo/1']);
});

test('nobody there is a failed try, and tried again', async () => {
  const broker = new ScriptedBroker({ stock: () => null, payments: () => ({ receipt: 'late' }) });
  await using system = await start();
  await using engine = new WorkflowCoordinationEngine(system, { broker });
  engine.defineWorkflow(order);
  broker.refusals = 1;
  const patient = defineSaga('patient').step('a', {
    systemTarget: 'stock',
    action: 'a',
    retryPolicy: { initialMs: 1 },
  });
  engine.defineWorkflow(patient);
  expect(await engine.executeWorkflow('patient', null, { runId: 'p' })).toEqual({ a: null });
  expect(broker.published.map(({ id }) => id)).toEqual(['p/a/1', 'p/a/2']);
});

test('a command that was not answered before a restart is published again under its key, and handled once', async () => {
  await using folder = await tmpDir('saga-systems');
  const counts: Record<string, number> = {};
  let release: ((value: unknown) => void) | undefined;
  const broker = new ScriptedBroker({
    stock: ({ id = '' }) => {
      counts[id] = (counts[id] ?? 0) + 1;
      return new Promise((resolve) => {
        release = resolve;
      });
    },
    payments: () => ({ receipt: 'r' }),
  });
  const first = await start(folder.at('data'));
  const engine = new WorkflowCoordinationEngine(first, { broker });
  await engine.defineWorkflow(order).start('order', { sku: 'x' }, { runId: 'o' });
  await until('the command is published', () => release !== undefined);
  await engine.close();
  await first.stop();
  release?.({ ok: true });
  await using second = await start(folder.at('data'));
  await using next = new WorkflowCoordinationEngine(second, { broker });
  expect(await next.result('o', { timeoutMs: 20_000 })).toBe('r');
  expect(broker.published.filter(({ id }) => id === 'o/reserve/1')).toHaveLength(2);
  expect(counts).toEqual({ 'o/reserve/1': 1 });
  await until('the outbox is empty', async () => {
    const { view } = await second.ref(sagaOutbox, 'commands').snapshot();
    return (view as { waiting: number }).waiting === 0;
  });
});
