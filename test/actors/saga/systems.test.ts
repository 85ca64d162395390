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

test('two engines of one system: one publishes, the other stands by and takes over when the first closes', async () => {
  let open = false;
  const held: ((value: unknown) => void)[] = [];
  const broker = new ScriptedBroker({
    stock: () => (open ? null : new Promise((resolve) => held.push(resolve))),
    payments: () => ({ receipt: 'r' }),
  });
  await using system = await start();
  const engines = [1, 2, 3].map(() => new WorkflowCoordinationEngine(system, { broker }).defineWorkflow(order));
  const [first, second, third] = engines as [
    WorkflowCoordinationEngine,
    WorkflowCoordinationEngine,
    WorkflowCoordinationEngine,
  ];
  const runs = Array.from({ length: 30 }, (_, i) => `r${i}`);
  for (const [i, runId] of runs.entries()) await engines[i % 3]?.start('order', { sku: 'x' }, { runId });
  await until('all are published', () => held.length === runs.length);
  const once = (): number => new Set(broker.published.map(({ id }) => id)).size;
  expect(broker.published).toHaveLength(once());
  await first.close();
  await until('the next one has published what was not answered', () => broker.published.length === 2 * runs.length);
  open = true;
  for (const resolve of held) resolve({ ok: true });
  for (const runId of runs) expect(await third.result(runId, { timeoutMs: 20_000 })).toBe('r');
  // Each was handled once, and what came after the change of hands was published once.
  expect(broker.handled.size).toBe(2 * runs.length);
  expect(broker.published).toHaveLength(3 * runs.length);
  await second.close();
  expect(await third.executeWorkflow('order', { sku: 'x' }, { runId: 'last', timeoutMs: 20_000 })).toBe('r');
  await third.close();
});

test('a result that no message holds fails its step, which is undone, and the others go on', async () => {
  const broker = new ScriptedBroker({
    stock: ({ type }) => (type === 'reserve' ? { big: 'x'.repeat(2 << 20) } : null),
    payments: () => ({ receipt: 'r' }),
  });
  await using system = await start();
  await using engine = new WorkflowCoordinationEngine(system, { broker });
  engine.defineWorkflow(order).defineWorkflow(defineSaga('small').step('a', { systemTarget: 'payments', action: 'a' }));
  const run = engine.executeWorkflow('order', { sku: 'x1' }, { runId: 'o', timeoutMs: 20_000 });
  await expect(run).rejects.toMatchObject({
    details: { step: 'reserve', error: { code: 'MESSAGE_TOO_LARGE' }, steps: { reserve: { compensation: 'undone' } } },
  });
  expect(broker.published.map(({ id }) => id)).toEqual(['o/reserve/1', 'o/reserve/undo/1']);
  expect(await engine.executeWorkflow('small', null, { timeoutMs: 20_000 })).toEqual({ a: { receipt: 'r' } });
});
