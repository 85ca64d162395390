/** Runs moved to another version: what may be moved, what may not and why, and what the run is afterwards. */
import { describe, expect, test } from 'vitest';
import { defineSaga } from '../../../actors/saga/define-saga.ts';
import { bundleOf } from '../../../actors/saga/run-bundle.ts';
import { type MigrationMap, migrateRun } from '../../../actors/saga/run-migration.ts';
import { moveRun, withMoves } from '../../../actors/saga/run-move.ts';
import { reportOf } from '../../../actors/saga/run-view.ts';
import { workflowActors } from '../../../actors/saga/saga-actors.ts';
import { WorkflowCoordinationEngine } from '../../../actors/saga/workflow-coordination-engine.ts';
import { WorkflowDefinition, type WorkflowOptions } from '../../../actors/saga/workflow-definition.ts';
import type { WorkflowStepOptions } from '../../../actors/saga/workflow-step.ts';
import { ActorSystem } from '../../../runtime/index.ts';
import { desk } from '../../support/actors/desk.ts';
import { tmpDir } from '../../support/tmp-dir.ts';
import { until } from '../../support/until.ts';
import { PlanRig } from './plan-rig.ts';

const call = (stepId: string, dependencies: readonly string[] = [], more: Partial<WorkflowStepOptions> = {}) => ({
  stepId,
  systemTarget: 's',
  action: stepId,
  dependencies,
  ...more,
});
const undo = { compensation: { systemTarget: 's', action: 'undo' } };

const compiled = (steps: readonly WorkflowStepOptions[], options: WorkflowOptions = {}) => {
  const definition = new WorkflowDefinition('w', 'w', options);
  for (const step of steps) definition.addStep(step);
  return definition.compile();
};

const BEFORE = [call('a', [], undo), call('b', ['a']), call('c', ['b'])];
const turn = { nowMs: 500, random: () => 0.5 };

/** A run of `BEFORE` (or others), driven by `drive`, moved to other steps. */
const move = (
  drive: (rig: PlanRig) => unknown,
  after: readonly WorkflowStepOptions[],
  more: {
    map?: MigrationMap;
    options?: WorkflowOptions;
    before?: readonly WorkflowStepOptions[];
    left?: string[];
  } = {},
) => {
  const { map = {}, options = {}, before = BEFORE, left = [] } = more;
  const rig = new PlanRig(before);
  drive(rig);
  const to = compiled(after, { version: 2, ...options });
  return migrateRun(rig.state, { from: compiled(before), to, map, left }, turn);
};
const faultsOf = (...args: Parameters<typeof move>): readonly string[] => {
  const outcome = move(...args);
  return outcome.kind === 'refused' ? outcome.faults : [];
};
const statusesOf = (...args: Parameters<typeof move>): Record<string, string> => {
  const outcome = move(...args);
  if (outcome.kind === 'refused') throw new Error(outcome.faults.join('; '));
  return Object.fromEntries(Object.entries(outcome.run.steps).map(([id, { status }]) => [id, status]));
};
const untilB = (rig: PlanRig): unknown => rig.done('a/1', 'A');

describe('what has begun stays, what has not is as in the new definition', () => {
  test('steps that have not begun come, go, and change', () => {
    expect(statusesOf(untilB, [call('a', [], undo), call('b', ['a']), call('d', ['b'])])).toEqual({
      a: 'completed',
      b: 'active',
      d: 'pending',
    });
    const other = call('c', ['b'], { action: 'other', systemTarget: 't' });
    expect(statusesOf(untilB, [...BEFORE.slice(0, 2), other])).toMatchObject({ c: 'pending' });
    // Beside what is under way, and with nothing to wait for: it may start at once.
    expect(statusesOf(untilB, [...BEFORE, call('d', ['a']), call('e')])).toMatchObject({ d: 'ready', e: 'ready' });
  });

  test('a moved run goes on under the new definition to the end', () => {
    const rig = new PlanRig(BEFORE);
    rig.done('a/1', 'A');
    rig.moveTo(compiled([call('a', [], undo), call('b', ['a']), call('d', ['a'])], { version: 2 }), {}, []);
    expect(rig.under).toEqual(['b/1', 'd/1']);
    rig.done('d/1').done('b/1', 'B');
    expect(rig.phase).toBe('completed');
    expect(rig.state.result).toEqual({ a: 'A', b: 'B', d: null });
  });

  test('steps that are over may be called otherwise; their results come along', () => {
    const renamed = [call('first', [], { ...undo, action: 'a' }), call('b', ['first']), call('c', ['b'])];
    const outcome = move(untilB, renamed, { map: { steps: { a: 'first' } } });
    expect(outcome).toMatchObject({ kind: 'moved', left: ['a'], run: { steps: { first: { result: 'A' } } } });
    expect(faultsOf(untilB, [...BEFORE.slice(1).map((step) => ({ ...step, dependencies: [] }))])).toEqual([
      'step "a" is completed, and is not in version 2',
    ]);
  });

  test('a failed compensation is tried again with the new definition’s', () => {
    const rig = new PlanRig([call('a', [], undo), call('b', ['a'], { retryPolicy: { maxAttempts: 1 } })]);
    rig.done('a/1').fail('b/1');
    for (const n of [1, 2, 3]) {
      rig.fail(`a/undo/${n}`);
      if (n < 3) rig.fire('backoff:a/undo');
    }
    expect(rig.phase).toBe('stuck compensation');
    const right = { compensation: { systemTarget: 's', action: 'undo-it' } };
    rig.moveTo(compiled([call('a', [], right), call('b', ['a'])], { version: 2 }), {}, []);
    expect(rig.phase).toBe('stuck compensation');
    rig.on({ type: 'retry' });
    expect(rig.calls.get('a/undo/4')).toMatchObject({ action: 'undo-it' });
    expect(rig.done('a/undo/4').phase).toBe('failed');
  });

  test('what could not be undone before can be, when the new definition says how', () => {
    const rig = new PlanRig([call('a'), call('b', ['a'], { retryPolicy: { maxAttempts: 1 } })]);
    rig.done('a/1').moveTo(compiled([call('a', [], undo), call('b', ['a'])], { version: 2 }), {}, []);
    rig.on({ type: 'cancel', reason: undefined }).done('b/1');
    expect(rig.under).toEqual(['a/undo/1']);
  });

  test('what has failed for good, and did nothing, may go elsewhere; what may have been done may not', () => {
    const parked = { before: [call('a', [], { retryPolicy: { maxAttempts: 1 } })] };
    const elsewhere = [call('a', [], { systemTarget: 't' })];
    const fail = (unknown: boolean) => (rig: PlanRig) => rig.fail('a/1', 'X', unknown);
    const park = { ...parked, options: { onFailure: 'park' } as const };
    // A run that fails is undone at once: only a parked one has a failed step.
    const drive = (unknown: boolean) => {
      const rig = new PlanRig(park.before, {}, park.options);
      fail(unknown)(rig);
      const [from, to] = [compiled(park.before, park.options), compiled(elsewhere, { version: 2, ...park.options })];
      return migrateRun(rig.state, { from, to, map: {}, left: [] }, turn);
    };
    expect(drive(false).kind).toBe('moved');
    expect(drive(true)).toMatchObject({
      faults: ['step "a" is failed, and was "a" of the system "s", not "a" of the system "t"'],
    });
  });

  test('variables: those of the run stay, new ones have their values, those that are given are set', () => {
    const outcome = move(untilB, BEFORE, {
      options: { context: { tax: 19, region: 'eu' } },
      map: { context: { region: 'us' } },
    });
    expect(outcome).toMatchObject({ run: { context: { tax: 19, region: 'us' } } });
  });

  test('deadlines are those of the new definition, from when it began', () => {
    const slow = [call('a', [], undo), call('b', ['a'], { timeoutMs: 10_000 }), call('c', ['b'])];
    expect(move(untilB, slow, { options: { timeoutMs: 200 } })).toMatchObject({
      commands: [
        { type: 'timer', id: 'run', delayMs: 0 },
        { type: 'timer', id: 'step:b', delayMs: 9_500 },
      ],
    });
    expect(move(untilB, BEFORE, { before: slow })).toMatchObject({
      commands: [{ type: 'timer.cancel', id: 'step:b' }],
    });
  });

  test('a new step before something that has begun: too late, unless it is to be skipped', () => {
    const late = [call('a', [], undo), call('check', ['a']), call('b', ['a', 'check']), call('c', ['b'])];
    expect(faultsOf(untilB, late)).toEqual([
      'step "b" is active, and now depends on "check", too late: skip it, or leave it out',
    ]);
    expect(statusesOf(untilB, late, { map: { skip: ['check'] } })).toMatchObject({ check: 'skipped', b: 'active' });
    expect(statusesOf(() => {}, late, { map: { skip: ['check'] } })).toMatchObject({ check: 'skipped', b: 'pending' });
  });
});

test.each<[string, Parameters<typeof move>[1], string, Parameters<typeof move>[2]?]>([
  ['gone', [call('a', [], undo), call('c', ['a'])], 'step "b" is active, and is not in version 2'],
  [
    'another target',
    [BEFORE[0], call('b', ['a'], { systemTarget: 't' })] as WorkflowStepOptions[],
    'step "b" is active, and was "b" of the system "s", not "b" of the system "t"',
  ],
  [
    'another kind',
    [BEFORE[0], { stepId: 'b', sleep: 5, dependencies: ['a'] }] as WorkflowStepOptions[],
    'step "b" is active, and was "b" of the system "s", not a sleep',
  ],
  [
    'a loop',
    [BEFORE[0] as WorkflowStepOptions, call('b', ['a'], { forEach: { items: [1] } })],
    'step "b" is active, and is a loop now',
  ],
  ['nothing undoes it', [call('a'), call('b', ['a'])], 'step "a" is completed, and what would undo it is gone'],
  [
    'a result that does not fit',
    [call('a', [], { ...undo, result: { type: 'integer' } }), call('b', ['a'])],
    'step "a" is completed, and its result does not fit: result: integer, not "A"',
  ],
  [
    'an input that does not fit',
    BEFORE,
    'its input does not fit: input.sku: a value',
    { options: { input: { type: 'object', required: ['sku'] } } },
  ],
  [
    'renamed while it is under way',
    [call('a', [], undo), call('x', ['a'], { action: 'b' })],
    'step "b" is active, and cannot be called "x" meanwhile',
    { map: { steps: { b: 'x' } } },
  ],
  [
    'a name of before',
    BEFORE,
    'steps: "a" cannot be "c": another step was called so before',
    { map: { steps: { a: 'c' } } },
  ],
  ['an unknown old name', BEFORE, 'steps: version 1 has no step "z"', { map: { steps: { z: 'q' } } }],
  ['an unknown new name', BEFORE, 'steps: version 2 has no step "q"', { map: { steps: { c: 'q' } } }],
  ['skipping what has begun', BEFORE, 'skip: step "a" has begun', { map: { skip: ['a'] } }],
  [
    'a name that an earlier migration left',
    BEFORE,
    'step "c": another step of this run was called so before an earlier migration',
    { left: ['c'] },
  ],
])('refused: %s', (_what, after, fault, more) => {
  expect(faultsOf(untilB, after, more)).toContain(fault);
});

test('only what is running or stuck is moved', () => {
  const cancelled = (rig: PlanRig): unknown => rig.done('a/1').on({ type: 'cancel', reason: undefined });
  expect(faultsOf(cancelled, BEFORE)).toEqual(['it is draining: only a run that is running or stuck can be moved']);
  const over = (rig: PlanRig): unknown => rig.done('a/1').done('b/1').done('c/1');
  expect(faultsOf(over, BEFORE)[0]).toMatch(/^it is completed/);
});

test('a move is in the trace, and the same definition again changes nothing', () => {
  const rig = new PlanRig(BEFORE);
  const [from, to] = [compiled(BEFORE), compiled(BEFORE, { version: 2 })];
  const bundle = (data: typeof from.data) => bundleOf(data, () => undefined);
  const start = { runId: 'r', workflow: 'w', bundle: bundle(from.data) };
  const message = { type: 'migrate', bundle: bundle(to.data), map: {}, isTrial: false } as const;
  const { answer, next } = moveRun({ start, run: rig.state }, message, turn);
  expect(answer).toEqual({ outcome: 'moved', version: 1, faults: [] });
  if (next === undefined) throw new Error('it did not move');
  expect(withMoves(reportOf('r', to, next.run), next.moves).trace).toContainEqual({
    atMs: 500,
    what: 'migrated',
    detail: 'version 1 to 2',
  });
  expect(moveRun({ start, run: rig.state }, { ...message, isTrial: true }, turn).next).toBeUndefined();
  const again = moveRun({ start: { ...start, ...next.start }, run: next.run, moves: next.moves }, message, turn);
  expect(again).toEqual({ answer: { outcome: 'unchanged', version: 2, faults: [] } });
});

describe('an engine', () => {
  const booking = (what: string) => ({ actor: { definition: 'desk', id: 'd' }, action: 'BOOK', parameters: { what } });
  const v1 = defineSaga('trip', { version: 1 })
    .step('one', booking('one'))
    .step('go', { signal: 'go', dependencies: ['one'] })
    .step('old', { ...booking('old'), dependencies: ['go'] });
  const v2 = defineSaga('trip', { version: 2, output: '${steps.fresh.result}' })
    .step('one', booking('one'))
    .step('go', { signal: 'go', dependencies: ['one'] })
    .step('fresh', { value: 'by version 2', dependencies: ['go'] });
  const v3 = defineSaga('trip', { version: 3 }).step('go', { signal: 'go' });
  const open = (dataDir: string) => ActorSystem.start({ dataDir, threads: 0, actors: [workflowActors, desk.module] });

  test('checks, moves, tells what cannot follow; and a restart finds it so', { timeout: 60_000 }, async () => {
    await using folder = await tmpDir('migration');
    {
      await using system = await open(folder.at('data'));
      await using engine = new WorkflowCoordinationEngine(system).defineWorkflow(v1).defineWorkflow(v2);
      for (const runId of ['r1', 'r2']) await engine.start('trip', null, { runId, version: 1 });
      await until('r2 waits', async () => (await engine.query('r2')).steps['go']?.status === 'active');
      expect(await engine.check(v2)).toEqual({ compatible: ['r1', 'r2'], breaking: [] });
      const faults = ['step "one" is completed, and is not in version 3'];
      const breaking = ['r1', 'r2'].map((runId) => ({ runId, version: 1, faults }));
      expect(await engine.check(v3)).toEqual({ compatible: [], breaking });
      expect((await engine.query('r1')).version).toBe(1);
      engine.defineWorkflow(v3);
      expect(await engine.migrate('r1', { to: 3 })).toEqual({ migrated: [], unchanged: [], refused: [breaking[0]] });
      expect(await engine.migrate('r1', { to: 2 })).toEqual({ migrated: ['r1'], unchanged: [], refused: [] });
      expect(await engine.migrate({ workflow: 'trip' }, { to: 2 })).toEqual({
        migrated: ['r2'],
        unchanged: ['r1'],
        refused: [],
      });
    }
    await using system = await open(folder.at('data'));
    await using engine = new WorkflowCoordinationEngine(system);
    expect(await engine.list({ workflow: 'trip' })).toMatchObject([
      { runId: 'r1', version: 2 },
      { runId: 'r2', version: 2 },
    ]);
    for (const runId of ['r1', 'r2']) {
      await engine.signal(runId, 'go');
      expect(await engine.result(runId)).toBe('by version 2');
      expect((await engine.trace(runId)).filter(({ what }) => what === 'migrated')).toHaveLength(1);
    }
    const { asked } = await system.ref(desk, 'd').ask<{ asked: string[] }>({ type: 'STATE' });
    expect(asked).toHaveLength(2);
  });

  test('a promise that is new has a token, and can be settled', async () => {
    await using system = await ActorSystem.start({ threads: 0, actors: [workflowActors, desk.module] });
    const asking = defineSaga('trip', { version: 2, output: '${steps.yes.result}' })
      .step('one', booking('one'))
      .step('go', { signal: 'go', dependencies: ['one'] })
      .step('yes', { promise: true, dependencies: ['go'] })
      .step('told', { value: '${steps.yes.token}', dependencies: ['go'] });
    await using engine = new WorkflowCoordinationEngine(system).defineWorkflow(v1).defineWorkflow(asking);
    await engine.start('trip', null, { runId: 'r', version: 1 });
    expect(await engine.migrate('r', { to: 2 })).toMatchObject({ migrated: ['r'] });
    await engine.signal('r', 'go');
    const token = (await engine.query('r')).steps['told']?.result;
    await engine.resolvePromise(token as string, 'yes');
    expect(await engine.result('r')).toBe('yes');
  });

  test('refuses what it is not meant to be given', async () => {
    await using system = await ActorSystem.start({ threads: 0, actors: [workflowActors, desk.module] });
    await using engine = new WorkflowCoordinationEngine(system).defineWorkflow(v1);
    await expect(engine.migrate({}, { to: 2 })).rejects.toThrow(/the filter names no workflow/);
    await expect(engine.migrate({ workflow: 'trip' }, { to: 2 })).rejects.toThrow(/has no version 2/);
    await expect(engine.migrate('nobody', { to: 1 })).rejects.toMatchObject({ code: 'UNKNOWN_RUN' });
    const wrong = { to: '2', step: {}, skip: 'x' } as never;
    await expect(engine.migrate('nobody', wrong)).rejects.toThrow(/step: no such option.*to: 2 is no.*skip: give/);
  });
});
