/** Operations of runs through the engine: promises, heartbeats, updates, forks, deletion, and one verb for many. */
import { expect, test } from 'vitest';
import { defineSaga } from '../../../actors/saga/define-saga.ts';
import { workflowActors } from '../../../actors/saga/saga-actors.ts';
import {
  WorkflowCoordinationEngine,
  type WorkflowEngineOptions,
} from '../../../actors/saga/workflow-coordination-engine.ts';
import type { WorkflowDefinition } from '../../../actors/saga/workflow-definition.ts';
import { ActorSystem } from '../../../runtime/index.ts';
import {
  ContractViolationError,
  InvalidOptionsError,
  MessageTooLargeError,
  RunConflictError,
  TokenUsedError,
  UnknownRunError,
  UnknownTokenError,
} from '../../../runtime/kernel/errors.ts';
import { createTestSystem } from '../../../runtime/testing/test-system.ts';
import { desk } from '../../support/actors/desk.ts';
import { digger } from '../../support/actors/digger.ts';
import { tmpDir } from '../../support/tmp-dir.ts';

const actors = [workflowActors, desk.module, digger.module];

async function world(definitions: readonly WorkflowDefinition[], options: WorkflowEngineOptions = {}) {
  const bench = await createTestSystem({ actors });
  const engine = new WorkflowCoordinationEngine(bench.system, { clock: bench.clock, ...options });
  for (const definition of definitions) engine.defineWorkflow(definition);
  const asked = async (id = 'd') =>
    (await bench.system.ref(desk, id).ask<{ asked: string[] }>({ type: 'STATE' })).asked.map(
      (line) => line.split(' undefined')[0],
    );
  return { ...bench, engine, asked, [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose]() };
}

const at = { actor: { definition: 'desk', id: 'd' } };
const book = (what: string, more: object = {}) => ({ ...at, action: 'BOOK', parameters: { what, ...more } });
const unbook = (what: string) => ({ ...at, action: 'UNBOOK', parameters: { what } });
const refusedWith = (reason: string) => ({ code: 'RUN_REFUSED', details: { reason } });

const approval = defineSaga('approval')
  .step('approve', { promise: true, result: { type: 'object' } })
  .step('ask', book('${steps.approve.token}'))
  .step('pay', { ...book('pay ${steps.approve.result.by}'), dependencies: ['approve'] });

test('a token goes out with a command and settles its promise, in another process, once', async () => {
  await using folder = await tmpDir('promise');
  const dataDir = folder.at('data');
  const first = await ActorSystem.start({ dataDir, threads: 1, actors });
  const one = new WorkflowCoordinationEngine(first).defineWorkflow(approval);
  await one.start('approval', null, { runId: 'r' });
  await one.start('approval', null, { runId: 'q' });
  const tokenOf = async (runId: string) => (await one.query(runId)).steps['approve']?.token ?? '';
  const [token, other] = [await tokenOf('r'), await tokenOf('q')];
  expect(token).toMatch(/^[\w-]+$/);
  expect(token).not.toBe(other);
  await first.stop();
  await using second = await ActorSystem.start({ dataDir, threads: 1, actors });
  // It knows no definitions.
  const engine = new WorkflowCoordinationEngine(second);
  await expect(engine.resolvePromise(token, 'yes')).rejects.toThrow(ContractViolationError);
  await engine.resolvePromise(token, { by: 'Ada' });
  await engine.resolvePromise(token, { by: 'Ada' });
  expect(await engine.result('r', { timeoutMs: 20_000 })).toMatchObject({ approve: { by: 'Ada' } });
  await engine.resolvePromise(token, { by: 'Ada' });
  await expect(engine.resolvePromise(token, { by: 'Bob' })).rejects.toThrow(TokenUsedError);
  await expect(engine.rejectPromise(token, new Error('no'))).rejects.toThrow(TokenUsedError);
  const { booked } = await second.ref(desk, 'd').ask<{ booked: string[] }>({ type: 'STATE' });
  expect(booked.sort()).toEqual([token, other, 'pay Ada'].sort());
  await engine.rejectPromise(other, { code: 'TOO_DEAR', message: 'too dear' });
  // The same as an `Error`: nothing changes.
  await engine.rejectPromise(other, Object.assign(new Error('too dear'), { code: 'TOO_DEAR' }));
  await expect(engine.result('q')).rejects.toMatchObject({
    details: { step: 'approve', error: { code: 'TOO_DEAR', message: 'too dear' } },
  });
});

test('misspelt options are refused, and nothing is done', async () => {
  await using w = await world([approval]);
  await w.engine.start('approval', null, { runId: 'r' });
  const misspelt = { idempotencykey: 'k', timeout: 5 } as never;
  for (const refused of [
    w.engine.signal('r', 'x', null, misspelt),
    w.engine.update('r', 'x', null, misspelt),
    w.engine.result('r', misspelt),
  ]) {
    await expect(refused).rejects.toThrow(/idempotencykey: no such option/);
  }
});

test('what is no token, or one that somebody made up, settles nothing', async () => {
  await using w = await world([approval]);
  await w.engine.start('approval', null, { runId: 'r' });
  const forged = (...parts: unknown[]) => Buffer.from(JSON.stringify(parts)).toString('base64url');
  for (const token of ['', 'x', undefined, 7, forged('r'), forged('r', 'approve', 'guess'), forged('r', 'pay', '')]) {
    await expect(w.engine.resolvePromise(token as string, {}), String(token)).rejects.toThrow(UnknownTokenError);
  }
  await expect(w.engine.resolvePromise(forged('nobody', 'approve', 'x'), {})).rejects.toThrow(UnknownRunError);
  await expect(w.engine.resolvePromise(forged('r', 'approve', 'x'), 'x'.repeat(2 << 20))).rejects.toThrow(
    MessageTooLargeError,
  );
  expect((await w.engine.query('r')).steps['approve']).toMatchObject({ status: 'active' });
});

test('a promise of a child workflow has a token of its own', async () => {
  const parent = defineSaga('parent').step('all', { workflow: 'approval', forEach: { items: [1, 2] } });
  await using w = await world([approval, parent]);
  const run = w.engine.executeWorkflow('parent', null, { runId: 'p' });
  await w.settle();
  const reports = await Promise.all(['p/all#0/1', 'p/all#1/1'].map((id) => w.engine.query(id)));
  const tokens = reports.map(({ steps }) => steps['approve']?.token ?? '');
  expect(new Set(tokens).size).toBe(2);
  for (const token of tokens) await w.engine.resolvePromise(token, { by: 'x' });
  expect(await run).toMatchObject({ all: [{ approve: { by: 'x' } }, { approve: { by: 'x' } }] });
});

const dig = defineSaga('dig').step('a', {
  actor: { definition: 'digger', id: 'g' },
  action: 'DIG',
  heartbeatTimeoutMs: 1_000,
  attemptTimeoutMs: 60_000,
  retryPolicy: { maxAttempts: 2, initialMs: 0 },
});

test('a handler that is heard of may take long; one that falls silent is followed by another, which knows how far it was', async () => {
  await using w = await world([dig]);
  const run = w.engine.executeWorkflow('dig', null, { runId: 'r' });
  const g = w.system.ref(digger, 'g');
  await w.settle();
  for (let metres = 1; metres <= 5; metres++) {
    await g.ask({ type: 'BEAT', metres });
    await w.advance(900);
  }
  expect((await w.engine.query('r')).steps['a']).toMatchObject({ attempts: 1, heartbeat: { details: { metres: 5 } } });
  await w.advance(200);
  expect((await w.engine.query('r')).steps['a']).toMatchObject({ attempts: 2 });
  const { tries } = await g.ask<{ tries: object[] }>({ type: 'STATE' });
  expect(tries).toMatchObject([{ attempt: 1 }, { attempt: 2, heartbeat: { metres: 5 } }]);
  const [before, now] = tries as [Parameters<typeof w.engine.heartbeat>[0], Parameters<typeof w.engine.heartbeat>[0]];
  await expect(w.engine.heartbeat(before, 1)).rejects.toMatchObject(refusedWith('TRY_OVER'));
  expect(await w.engine.heartbeat(now, 'engine')).toEqual({ cancelled: false });
  await w.engine.cancelStep('r', 'a', 'deep enough');
  expect(await w.engine.heartbeat(now)).toEqual({ cancelled: true });
  await g.ask({ type: 'FOUND', what: 'gold' });
  expect(await run).toEqual({ a: 'gold' });
  await expect(w.engine.heartbeat(now)).rejects.toMatchObject(refusedWith('RUN_ENDED'));
  await expect(w.engine.heartbeat({ ...now, run: 'nobody' })).rejects.toThrow(UnknownRunError);
});

test('an update is validated, answered once per key, and in the trace', async () => {
  const order = defineSaga('order', {
    context: { quantity: 1 },
    updates: {
      quantity: {
        payload: { type: 'object', properties: { by: { type: 'integer' } }, required: ['by'] },
        condition: 'quantity + payload.by > 0',
        set: { quantity: '${quantity + payload.by}' },
      },
    },
  })
    .step('go', { signal: 'go' })
    .step('ship', { ...book('${quantity}'), dependencies: ['go'] });
  await using w = await world([order]);
  const run = w.engine.executeWorkflow('order', null, { runId: 'r' });
  await w.settle();
  const more = () => w.engine.update('r', 'quantity', { by: 2 }, { idempotencyKey: 'k' });
  expect(await more()).toEqual({ quantity: 3 });
  expect(await more()).toEqual({ quantity: 3 });
  await expect(w.engine.update('r', 'quantity', { by: -9 })).rejects.toMatchObject(refusedWith('UPDATE_REFUSED'));
  await expect(w.engine.update('r', 'quantity', {})).rejects.toThrow(ContractViolationError);
  await expect(w.engine.update('r', 'price', {})).rejects.toMatchObject(refusedWith('UNKNOWN_UPDATE'));
  await w.engine.signal('r', 'go');
  expect(await run).toMatchObject({ ship: { what: 3 } });
  expect((await w.engine.trace('r')).filter(({ what }) => what === 'updated')).toMatchObject([
    { of: 'quantity', set: { quantity: 3 } },
  ]);
  expect((await w.engine.query('r')).context).toEqual({ quantity: 3 });
  await expect(w.engine.update('r', 'quantity', { by: 1 })).rejects.toMatchObject(refusedWith('RUN_ENDED'));
});

test('cancelling one step of a run', async () => {
  const w2 = defineSaga('w')
    .step('a', { signal: 'go' })
    .step('b', { ...book('b'), dependencies: ['a'] });
  await using w = await world([w2]);
  const run = w.engine.executeWorkflow('w', null, { runId: 'r' });
  await w.settle();
  await w.engine.cancelStep('r', 'a', 'nobody comes');
  expect(await run).toMatchObject({ a: null, b: { what: 'b' } });
  expect((await w.engine.trace('r')).find(({ of, what }) => of === 'a' && what === 'step over')).toMatchObject({
    status: 'cancelled',
    error: { message: 'nobody comes' },
  });
  await expect(w.engine.cancelStep('r', 'a')).rejects.toMatchObject(refusedWith('RUN_ENDED'));
});

test('detached children run on their own, whatever becomes of their parent', async () => {
  const child = defineSaga('child').step('a', { signal: 'go' });
  const parent = defineSaga('parent')
    .step('start', { workflow: 'child', detached: true, forEach: { items: [1, 2] } })
    .step('b', { signal: 'never', dependencies: ['start'] });
  await using w = await world([child, parent]);
  const run = w.engine.executeWorkflow('parent', null, { runId: 'p' }).catch((error: unknown) => error);
  await w.settle();
  expect((await w.engine.query('p')).steps['start']?.result).toEqual([
    { runId: 'p/start#0/1' },
    { runId: 'p/start#1/1' },
  ]);
  await w.engine.cancel('p');
  await run;
  await w.engine.delete('p');
  for (const runId of ['p/start#0/1', 'p/start#1/1']) {
    await w.engine.signal(runId, 'go', 1);
    expect(await w.engine.result(runId)).toEqual({ a: 1 });
    await w.engine.delete(runId);
  }
});

const shop = defineSaga('shop', { context: { n: 1 }, updates: { n: { set: { n: '${payload}' } } } })
  .step('reserve', { ...book('reserve'), compensation: unbook('reserve') })
  .step('charge', { ...book('charge ${n}'), dependencies: ['reserve'], compensation: unbook('charge') })
  .step('side', { ...book('side'), dependencies: ['reserve'] })
  .step('ship', {
    ...book('ship', { failures: '${input.failures}' }),
    dependencies: ['charge'],
    retryPolicy: { maxAttempts: 1 },
  });

test('a fork keeps what was done before, and runs the rest anew', async () => {
  await using w = await world([shop]);
  await w.engine.executeWorkflow('shop', { failures: 0 }, { runId: 'r' });
  const before = (await w.asked()).length;
  expect(await w.engine.fork('r', { from: 'charge', runId: 'f' })).toBe('f');
  expect(await w.engine.result('f')).toMatchObject({ reserve: { number: 1 }, charge: { what: 'charge 1' } });
  expect((await w.asked()).slice(before)).toEqual(['BOOK charge 1 f/charge/1', 'BOOK ship f/ship/1']);
  // The same fork again is the same run; another one under its id, or a start, is not.
  expect(await w.engine.fork('r', { from: 'charge', runId: 'f' })).toBe('f');
  await expect(w.engine.fork('r', { from: 'ship', runId: 'f' })).rejects.toThrow(RunConflictError);
  await expect(w.engine.start('shop', { failures: 0 }, { runId: 'f' })).rejects.toThrow(RunConflictError);
  await expect(w.engine.fork('r', { from: 'shp' })).rejects.toMatchObject(refusedWith('UNKNOWN_STEP'));
  await expect(w.engine.fork('nobody', { from: 'ship' })).rejects.toThrow(UnknownRunError);
  await expect(w.engine.fork('r', { from: { turn: 0 } })).rejects.toThrow(InvalidOptionsError);
});

test('a fork undoes what it did itself; what was undone before runs anew', async () => {
  await using w = await world([shop]);
  await w.engine.executeWorkflow('shop', { failures: 2 }, { runId: 'r' }).catch(() => {});
  const before = (await w.asked()).length;
  const fork = await w.engine.fork('r', { from: 'ship', runId: 'f' });
  await expect(w.engine.result(fork)).rejects.toMatchObject({ code: 'WORKFLOW_FAILED' });
  expect((await w.asked()).slice(before)).toEqual([
    'BOOK reserve f/reserve/1',
    'BOOK charge 1 f/charge/1',
    'BOOK side f/side/1',
    'BOOK ship f/ship/1',
    'UNBOOK charge f/charge/undo/1',
    'UNBOOK reserve f/reserve/undo/1',
  ]);
  await w.engine.fork('r', { from: 'ship', runId: 'g' });
  await w.engine.result('g');
  const done = (await w.asked()).length;
  const again = await w.engine.fork('g', { from: 'ship', runId: 'h' });
  await w.engine.result(again);
  expect((await w.asked()).slice(done)).toEqual(['BOOK ship h/ship/1']);
  expect((await w.engine.query('h')).steps['charge']).toMatchObject({ status: 'completed', compensation: 'none' });
});

test('a fork from a turn shares what was done by then, and the context of then', async () => {
  await using w = await world([shop]);
  const ref = w.system.refOf('saga-run/r');
  await w.engine.start('shop', { failures: 0 }, { runId: 'r' });
  await w.engine.result('r');
  const turns = await w.system.history(ref).turns();
  const reports = await Promise.all(turns.map(({ sequence }) => w.system.history(ref).at(sequence)));
  const turn =
    reports.findIndex(
      ({ view }) => (view as { steps: Record<string, { status: string }> }).steps['charge']?.status === 'completed',
    ) + 1;
  expect(turn).toBeGreaterThan(1);
  const before = (await w.asked()).length;
  await w.engine.fork('r', { from: { turn }, runId: 'f' });
  await w.engine.result('f');
  expect((await w.asked()).slice(before)).toContain('BOOK ship f/ship/1');
  expect((await w.asked()).slice(before).some((line) => line?.includes('charge'))).toBe(false);
  await expect(w.engine.fork('r', { from: { turn: 10_000 } })).rejects.toMatchObject({ code: 'ACTOR_NOT_FOUND' });
});

test('a deleted run is gone with its children, and its id is of no other run', async () => {
  const child = defineSaga('child').step('a', { ...book('child'), compensation: unbook('child') });
  const parent = defineSaga('parent')
    .step('c', { workflow: 'child' })
    .step('go', { signal: 'go', dependencies: ['c'] });
  await using w = await world([child, parent]);
  const run = w.engine.executeWorkflow('parent', null, { runId: 'p' });
  await w.settle();
  await expect(w.engine.delete('p')).rejects.toMatchObject(refusedWith('NOT_OVER'));
  await expect(w.engine.delete('p/c/1')).rejects.toMatchObject(refusedWith('IS_CHILD'));
  await w.engine.signal('p', 'go');
  await run;
  expect((await w.engine.list()).map(({ runId, parent: of }) => [runId, of])).toEqual([
    ['p', undefined],
    ['p/c/1', 'p'],
  ]);
  await w.engine.delete('p');
  await w.settle();
  expect(await w.engine.list()).toEqual([]);
  for (const call of [
    w.engine.query('p'),
    w.engine.query('p/c/1'),
    w.engine.result('p'),
    w.engine.signal('p', 'go'),
    w.engine.delete('p'),
    w.engine.fork('p', { from: 'c' }),
  ]) {
    await expect(call).rejects.toThrow(UnknownRunError);
  }
  await expect(w.engine.start('parent', null, { runId: 'p' })).rejects.toThrow(/deleted, and its id is not used again/);
  await expect(w.engine.start('parent', null, { runId: 'p' })).rejects.toThrow(RunConflictError);
});

test('with keepFinishedMs a run is deleted so long after its end', async () => {
  const parent = defineSaga('parent').step('c', { workflow: 'child' });
  const child = defineSaga('child').step('a', book('child'));
  await using w = await world([child, parent], { keepFinishedMs: 5_000 });
  await w.engine.executeWorkflow('parent', null, { runId: 'p' });
  await w.advance(4_900);
  expect(await w.engine.status('p')).toBe('completed');
  await w.advance(200);
  await expect(w.engine.query('p')).rejects.toThrow(UnknownRunError);
  await expect(w.engine.query('p/c/1')).rejects.toThrow(UnknownRunError);
  expect(await w.engine.list()).toEqual([]);
  expect(() => new WorkflowCoordinationEngine(w.system, { keepFinishedMs: -1 })).toThrow(InvalidOptionsError);
});

test('one verb for many runs, a page at a time, with a report of each', async () => {
  const wait = defineSaga('wait').step('a', { signal: 'go' });
  const parent = defineSaga('parent').step('c', { workflow: 'wait' });
  await using w = await world([wait, parent]);
  const ids = Array.from({ length: 25 }, (_, i) => `w${String(i).padStart(2, '0')}`);
  for (const runId of ids) await w.engine.start('wait', null, { runId });
  await w.engine.start('parent', null, { runId: 'p' });
  await w.settle();
  const running = { workflow: 'wait', status: 'running' } as const;
  const first = await w.engine.bulk({ type: 'signal', name: 'go', idempotencyKey: 'k' }, running, {
    limit: 10,
    concurrency: 3,
  });
  expect(first.failed).toEqual([]);
  // The child of `p` is its parent's.
  expect(first).toMatchObject({ done: ids.slice(0, 9), after: 'w08' });
  await w.settle();
  const { after } = first as { after: string };
  const second = await w.engine.bulk({ type: 'cancel', reason: 'enough' }, running, { limit: 10, after });
  expect(second).toEqual({ done: ids.slice(9, 19), failed: [], after: 'w18' });
  const last = await w.engine.bulk({ type: 'pause' }, running, { after: 'w18' });
  expect(last).toEqual({ done: ids.slice(19), failed: [], after: undefined });
  await w.settle();
  // Those that are not over cannot be deleted: the report says so, and the others are.
  const deleted = await w.engine.bulk({ type: 'delete' }, { workflow: 'wait' });
  expect(deleted.done).toEqual(ids.slice(0, 19));
  expect(deleted.failed).toHaveLength(6);
  expect(deleted.failed[0]).toMatchObject({ runId: 'w19', error: { details: { reason: 'NOT_OVER' } } });
  await w.settle();
  expect((await w.engine.list({ workflow: 'wait' })).map(({ runId }) => runId)).toEqual(['p/c/1', ...ids.slice(19)]);
  const retried = await w.engine.bulk({ type: 'retry' }, { workflow: 'wait' });
  expect(retried.failed).toHaveLength(6);
  expect((await w.engine.bulk({ type: 'resume' }, { workflow: 'wait' })).done).toHaveLength(6);
  for (const bad of [{ type: 'explode' }, { type: 'signal' }, undefined]) {
    await expect(w.engine.bulk(bad as never, {})).rejects.toThrow(InvalidOptionsError);
  }
  await expect(w.engine.bulk({ type: 'cancel' }, {}, { concurrency: 0, limt: 1 } as never)).rejects.toThrow(/limit/);
  await expect(w.engine.bulk({ type: 'cancel' }, { stauts: 'x' } as never)).rejects.toThrow(InvalidOptionsError);
});
