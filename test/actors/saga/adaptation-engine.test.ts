/** Adaptation rules in a system: metrics of real calls, runs under way and new ones, restarts and replays. */
import { expect, test } from 'vitest';
import type { AdaptationRuleOptions } from '../../../actors/saga/adaptation-rule.ts';
import { defineSaga } from '../../../actors/saga/define-saga.ts';
import { sagaBoard, workflowActors } from '../../../actors/saga/saga-actors.ts';
import {
  WorkflowCoordinationEngine,
  type WorkflowEngineOptions,
} from '../../../actors/saga/workflow-coordination-engine.ts';
import { ActorSystem } from '../../../runtime/index.ts';
import { InvalidOptionsError, InvalidWorkflowError } from '../../../runtime/kernel/errors.ts';
import { createTestSystem } from '../../../runtime/testing/test-system.ts';
import { desk } from '../../support/actors/desk.ts';
import { tmpDir } from '../../support/tmp-dir.ts';
import { ScriptedBroker } from './scripted-broker.ts';

const actors = [workflowActors, desk.module];
const at = (id: string) => ({ actor: { definition: 'desk', id } });

const once = { maxAttempts: 1 };
const book = { ...at('a'), action: 'BOOK', retryPolicy: once } as const;
const trip = defineSaga('trip')
  .step('book', {
    ...book,
    parameters: { what: '${input.what}', failures: '${input.failures}' },
    compensation: { ...at('a'), action: 'UNBOOK', parameters: { what: '${input.what}' } },
  })
  .step('go', { signal: 'go', dependencies: ['book'] })
  .step('pay', { ...book, parameters: { what: '${input.what} paid' }, dependencies: ['go'] })
  .adapt('elsewhere', {
    when: 'actors.desk.errorRate > 0.4',
    minimumCalls: 4,
    releaseForMs: 5_000,
    actor: 'desk',
    change: { route: { actor: { definition: 'desk', id: 'b' } } },
  });

async function world(options: WorkflowEngineOptions = {}, dataDir?: string) {
  const bench = await createTestSystem({ actors, ...(dataDir === undefined ? {} : { dataDir }) });
  const engine = new WorkflowCoordinationEngine(bench.system, { clock: bench.clock, ...options });
  const bookedAt = async (id: string) =>
    (await bench.system.ref(desk, id).ask<{ booked: string[] }>({ type: 'STATE' })).booked;
  /** States of a run after each of its turns, as a replay makes them. */
  const statesOf = async (runId: string) => {
    const history = bench.system.history(bench.system.refOf(`saga-run/${runId}`));
    const turns = await history.turns();
    return Promise.all(turns.map(async ({ sequence }) => JSON.stringify((await history.at(sequence)).view)));
  };
  return { ...bench, engine, bookedAt, statesOf, [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose]() };
}

test('a desk that fails is gone round: by new runs, by those under way, and no longer than it is bad', async () => {
  await using w = await world();
  w.engine.defineWorkflow(trip);
  const start = (runId: string, failures = 0) => w.engine.start('trip', { what: runId, failures }, { runId });
  await start('early');
  await w.settle();
  for (let i = 0; i < 4; i++) await start(`bad${i}`, 9);
  await w.settle();
  expect(await w.bookedAt('b')).toEqual([]);
  await start('late');
  await w.settle();
  expect(await w.bookedAt('b')).toEqual(['late']);
  // A second later the run that was there before asks anew.
  await w.advance(1_000);
  await w.engine.signal('early', 'go');
  await w.settle();
  expect([await w.bookedAt('a'), await w.bookedAt('b')]).toEqual([['early'], ['late', 'early paid']]);
  const { adaptations } = await w.engine.query('early');
  expect(adaptations).toEqual([
    {
      atMs: expect.any(Number),
      what: 'applied',
      rule: 'elsewhere',
      from: 'workflow',
      of: 'pay',
      change: 'route',
      value: 'desk/b',
      sinceMs: expect.any(Number),
      figures: { 'actors.desk.errorRate': expect.closeTo(4 / 6), 'actors.desk.calls': 6 },
    },
  ]);
  // The failures leave the window; the rule is let go after the time that it is held for.
  await w.advance(61_000);
  await start('meanwhile');
  await w.advance(6_000);
  await start('after');
  await w.settle();
  expect([await w.bookedAt('a'), await w.bookedAt('b')]).toEqual([
    ['early', 'after'],
    ['late', 'early paid', 'meanwhile'],
  ]);
  // And what was booked elsewhere is undone there.
  await w.engine.cancel('meanwhile');
  await w.settle();
  expect(await w.bookedAt('b')).toEqual(['late', 'early paid']);
  expect(await w.engine.status('meanwhile')).toBe('cancelled');
});

test('AD1: a replay of a run uses the decisions that were made, whatever the metrics are by then', async () => {
  await using folder = await tmpDir('adapted');
  const before: Record<string, unknown> = {};
  const runs = ['bad0', 'bad1', 'bad2', 'bad3', 'late'];
  {
    await using w = await world({}, folder.at('data'));
    w.engine.defineWorkflow(trip);
    for (const runId of runs) {
      await w.engine.start('trip', { what: runId, failures: runId === 'late' ? 0 : 9 }, { runId });
      await w.settle();
    }
    for (const runId of runs) before[runId] = await w.statesOf(runId);
    expect(String(before['late'])).toContain('"value":"desk/b"');
  }
  await using w = await world({}, folder.at('data'));
  w.engine.defineWorkflow(trip);
  for (const runId of runs) expect(await w.statesOf(runId), runId).toEqual(before[runId]);
  await w.engine.signal('late', 'go');
  await w.settle();
  expect(await w.engine.status('late')).toBe('completed');
  // A fork from before the decision makes it again from the same record.
  const history = w.system.history(w.system.refOf('saga-run/late'));
  const fork = await history.fork(2, { id: 'fork' });
  expect((await fork.snapshot()).view).toMatchObject({ adaptations: [{ rule: 'elsewhere', value: 'desk/b' }] });
});

const parkedRule: AdaptationRuleOptions = {
  ruleId: 'park',
  when: "systems.pay.breaker == 'open'",
  systemTarget: 'pay',
  change: { route: { systemTarget: 'pay-b' } },
};

const plain = defineSaga('plain')
  .step('go', { signal: 'go' })
  .step('charge', {
    systemTarget: 'pay',
    action: 'charge',
    dependencies: ['go'],
    compensation: { systemTarget: 'pay', action: 'refund' },
  })
  .step('end', { signal: 'end', dependencies: ['charge'] });

test('a rule of the engine concerns runs that were there before it, reads a breaker, and goes again', async () => {
  const broker = new ScriptedBroker({ pay: () => 'a', 'pay-b': () => 'b' });
  const breaker = { state: 'closed' };
  await using w = await world({ broker, metrics: { breakers: { pay: breaker } } });
  w.engine.defineWorkflow(plain);
  await Promise.all(['r1', 'r2', 'r3', 'r4'].map((runId) => w.engine.start('plain', null, { runId })));
  await w.settle();
  await w.engine.adapt(parkedRule);
  const resultsOf = async (runId: string) => {
    await w.engine.signal(runId, 'go');
    await w.settle();
    return (await w.engine.query(runId)).steps['charge']?.result;
  };
  await w.advance(1_000);
  expect(await resultsOf('r1')).toBe('a');
  breaker.state = 'open';
  await w.advance(1_000);
  expect(await resultsOf('r2')).toBe('b');
  expect(await w.engine.adaptations()).toMatchObject([
    { ruleId: 'park', when: parkedRule.when, engagedSinceMs: expect.any(Number) },
  ]);
  expect((await w.engine.query('r2')).adaptations).toMatchObject([
    { rule: 'park', from: 'engine', of: 'charge', figures: { 'systems.pay.breaker': 'open' } },
  ]);
  await w.engine.start('plain', null, { runId: 'new' });
  expect(await resultsOf('new')).toBe('b');
  expect(await w.engine.forgetAdaptation('park')).toBe(true);
  expect(await w.engine.forgetAdaptation('park')).toBe(false);
  await w.advance(1_000);
  expect(await resultsOf('r3')).toBe('a');
  // What was charged by the rule is refunded by it, though it is gone.
  await w.engine.cancel('r2');
  await w.settle();
  expect(broker.published.at(-1)).toMatchObject({ target: 'pay-b', type: 'refund' });
  await w.engine.close();
});

test('a rule of the engine stays over a restart; one of its options is there with its first run', async () => {
  await using folder = await tmpDir('engine-rules');
  const systems = { pay: () => 'a', 'pay-b': () => 'b' };
  {
    await using w = await world({ broker: new ScriptedBroker(systems) }, folder.at('data'));
    await w.engine.adapt(parkedRule);
    await w.engine.close();
  }
  const second = { ...parkedRule, ruleId: 'second', workflow: 'plain', priority: 1 };
  await using w = await world(
    {
      broker: new ScriptedBroker(systems),
      metrics: { breakers: { pay: { state: 'open' } } },
      adaptations: [second],
    },
    folder.at('data'),
  );
  w.engine.defineWorkflow(plain);
  expect((await w.engine.adaptations()).map(({ ruleId }) => ruleId)).toEqual(['park', 'second']);
  await w.advance(1_000);
  await w.engine.start('plain', null, { runId: 'r' });
  await w.engine.signal('r', 'go');
  await w.settle();
  expect((await w.engine.query('r')).adaptations).toMatchObject([{ rule: 'second', value: 'pay-b' }]);
  await w.engine.close();
});

test('commands to systems are measured where they are published, and queues and bulkheads are looked at', async () => {
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const broker = Object.assign(
    new ScriptedBroker({
      pay: async ({ payload }) => {
        if ((payload as { wait?: boolean }).wait === true) await held;
        throw new Error('no');
      },
    }),
    { subscriptions: async () => new Map([['pay', { pattern: '$command.pay.*', waiting: 7, dead: 0 }]]) },
  );
  const connector = { health: () => ({ dependencies: { pay: { running: 3, waiting: 2, breaker: 'half_open' } } }) };
  await using w = await world({ broker, metrics: { connectors: [connector] } });
  const metered = defineSaga('metered')
    .step('a', {
      systemTarget: 'pay',
      action: 'charge',
      parameters: { wait: '${input}' },
      retryPolicy: once,
      onFailure: 'continue',
    })
    .step('nap', { sleep: 2_000, dependencies: ['a'] })
    .step('b', { systemTarget: 'pay', action: 'charge', dependencies: ['nap'], retryPolicy: once })
    .adapt('all', {
      when: `systems.pay.waiting > 6 && systems.pay.bulkheadRunning == 3 && systems.pay.bulkheadWaiting == 2 &&
        systems.pay.breaker == 'half_open' && systems.pay.inFlight == 1 && systems.pay.actions.charge.errorRate == 1.0`,
      minimumCalls: 1,
      steps: ['b'],
      change: { skip: true },
    });
  w.engine.defineWorkflow(metered);
  await w.engine.start('metered', true, { runId: 'slow' });
  await w.engine.start('metered', false, { runId: 'r' });
  await w.advance(2_500);
  expect((await w.engine.query('r')).steps['b']?.status).toBe('skipped');
  const figures = (await w.engine.query('r')).adaptations[0]?.figures;
  expect(figures).toEqual({
    'systems.pay.waiting': 7,
    'systems.pay.bulkheadRunning': 3,
    'systems.pay.bulkheadWaiting': 2,
    'systems.pay.breaker': 'half_open',
    'systems.pay.inFlight': 1,
    'systems.pay.actions.charge.errorRate': 1,
    'systems.pay.actions.charge.calls': 1,
  });
  release();
  await w.engine.close();
});

test('a run that moves to another version has its rules; one whose way is gone there is not moved', async () => {
  const broker = new ScriptedBroker({ pay: () => 'a', 'pay-b': () => 'b' });
  await using w = await world({ broker, metrics: { breakers: { pay: { state: 'open' } } } });
  const version = (number: number, to?: string) => {
    const saga = defineSaga('moved', { version: number })
      .step('one', { systemTarget: 'pay', action: 'a', compensation: { systemTarget: 'pay', action: 'undo' } })
      .step('go', { signal: 'go', dependencies: ['one'] })
      .step('two', { systemTarget: 'pay', action: 'a', dependencies: ['go'] });
    return to === undefined ? saga : saga.addAdaptation({ ...parkedRule, change: { route: { systemTarget: to } } });
  };
  w.engine.defineWorkflow(version(1)).defineWorkflow(version(2, 'pay-b')).defineWorkflow(version(3, 'pay-c'));
  await w.advance(1_000);
  await w.engine.start('moved', null, { runId: 'r', version: 1 });
  await w.settle();
  expect(await w.engine.migrate('r', { to: 2 })).toMatchObject({ migrated: ['r'] });
  await w.engine.signal('r', 'go');
  await w.settle();
  expect((await w.engine.query('r')).steps).toMatchObject({ one: { result: 'a' }, two: { result: 'b' } });

  await w.engine.start('moved', null, { runId: 'elsewhere', version: 2 });
  await w.settle();
  const why = expect.stringContaining('its call went another way by the adaptation "park"');
  for (const to of [1, 3]) {
    expect(await w.engine.migrate('elsewhere', { to })).toMatchObject({ refused: [{ faults: [why] }] });
  }
  await w.engine.close();
});

test('a system without any rule is not measured, and its runs ask nobody', async () => {
  const broker = new ScriptedBroker({ pay: () => 'a' });
  await using w = await world({ broker });
  w.engine.defineWorkflow(plain);
  await w.engine.start('plain', null, { runId: 'r' });
  await w.engine.signal('r', 'go');
  await w.settle();
  await w.advance(10_000);
  const { sequence, view } = await w.system.ref(sagaBoard, 'metrics').snapshot();
  // Its start, and the question whether there are rules.
  expect([sequence, view]).toMatchObject([2, { targets: [], engineRules: [] }]);
  expect((await w.engine.query('r')).adaptations).toEqual([]);
  await w.engine.close();
});

test('refused: rules with faults, and options that are none', async () => {
  await using w = await world();
  const wrong = [
    [{ ...parkedRule, when: 'systems.pay.p98Ms > 1' }, '"systems.pay.p98Ms" is no metric'],
    [{ ...parkedRule, systemTarget: undefined, steps: ['a'] }, 'steps: of which workflow?'],
    [
      { ...parkedRule, change: { route: { systemTarget: 'b', parameters: { a: '${input}' } } } },
      'a rule of the engine has no ${…}',
    ],
    [
      { ...parkedRule, change: { route: { systemTarget: 'b', compensation: { systemTarget: 'c', action: 'd' } } } },
      "a rule of the engine has 'moves' or 'stays'",
    ],
  ] as const;
  for (const [rule, fault] of wrong) {
    const refused = w.engine.adapt(rule as AdaptationRuleOptions);
    await expect(refused).rejects.toThrow(InvalidWorkflowError);
    await expect(refused).rejects.toThrow(fault);
    expect(() => new WorkflowCoordinationEngine(w.system, { adaptations: [rule as AdaptationRuleOptions] })).toThrow(
      fault,
    );
  }
  const make = (options: object) => () => new WorkflowCoordinationEngine(w.system, options);
  expect(make({ adaptations: 5 })).toThrow(InvalidOptionsError);
  expect(make({ metrics: { breaker: {} } })).toThrow('metrics.breaker: no such option: did you mean "breakers"?');
  expect(make({ metrics: { breakers: { pay: 5 } } })).toThrow('metrics.breakers.pay: is no circuit breaker');
  expect(make({ metrics: { connectors: [5], everyMs: 0 } })).toThrow('metrics.connectors: give a list of connectors');
});

test('several threads: runs anywhere hear of one board', { timeout: 60_000 }, async () => {
  await using system = await ActorSystem.start({ threads: 2, actors });
  await using engine = new WorkflowCoordinationEngine(system).defineWorkflow(trip);
  for (let i = 0; i < 6; i++) {
    const bad = engine.executeWorkflow(
      'trip',
      { what: `bad${i}`, failures: 9 },
      { runId: `bad${i}`, timeoutMs: 20_000 },
    );
    await bad.catch(() => undefined);
  }
  const good = Array.from({ length: 8 }, (_, i) => `good${i}`);
  for (const runId of good) await engine.start('trip', { what: runId, failures: 0 }, { runId });
  await Promise.all(good.map((runId) => engine.signal(runId, 'go')));
  await Promise.all(good.map((runId) => engine.result(runId, { timeoutMs: 20_000 })));
  const { booked } = await system.ref(desk, 'b').ask<{ booked: string[] }>({ type: 'STATE' });
  expect(booked.filter((what) => what.endsWith('paid'))).toHaveLength(8);
});
