/** What engaged rules do to a run, under the planner alone: asked for before anything starts, applied, recorded. */
import { expect, test } from 'vitest';
import type { RuleSight } from '../../../actors/saga/adaptation-data.ts';
import { type AdaptationChange, type AdaptationRuleOptions, ruleData } from '../../../actors/saga/adaptation-rule.ts';
import type { RunEvent } from '../../../actors/saga/run-state.ts';
import type { WorkflowStepOptions } from '../../../actors/saga/workflow-step.ts';
import { type CallCommand, PlanRig } from './plan-rig.ts';

const FIGURES = { 'systems.pay.p99Ms': 900, 'systems.pay.calls': 20 };
const when = 'systems.pay.p99Ms > 800';

const pay: WorkflowStepOptions = {
  stepId: 'charge',
  systemTarget: 'pay',
  action: 'charge',
  parameters: { cents: '${input.cents}' },
  compensation: { systemTarget: 'pay', action: 'refund', parameters: { back: '${input.cents}' } },
  retryPolicy: { maxAttempts: 2, jitter: 'none' },
};

const rule = (ruleId: string, change: AdaptationChange, more: object = {}): AdaptationRuleOptions => ({
  ruleId,
  when,
  steps: ['charge'],
  change,
  ...more,
});
const engaged = (...ids: string[]): RunEvent => ({ type: 'adapted', rules: ids.map((id) => sight(id)) });
const sight = (id: string, sinceMs: number | undefined = 1): RuleSight => ({
  id,
  from: 'workflow',
  sinceMs,
  figures: FIGURES,
  rule: undefined,
});

const rig = (
  steps: readonly WorkflowStepOptions[],
  adaptations: readonly AdaptationRuleOptions[],
  input: object = {},
) => new PlanRig(steps, { cents: 5, ...input }, { adaptations });
const callsOf = (run: PlanRig) => [...run.calls.values()] as CallCommand[];
const systems = (run: PlanRig) => callsOf(run).map(({ target }) => (target.kind === 'system' ? target.system : ''));
const decisions = (run: PlanRig) => run.state.adaptation?.decisions ?? [];

test('AD4: what no rule can touch asks nobody', () => {
  const free = new PlanRig([pay], { cents: 5 });
  expect(free.under).toEqual(['charge/1']);
  expect(free.consults).toBe(0);
  expect('adaptation' in free.state).toBe(false);
  const other = rig(
    [
      { ...pay, stepId: 'other' },
      { ...pay, dependencies: ['other'] },
    ],
    [rule('r', { skip: true })],
  );
  expect(other.under).toEqual(['other/1']);
  expect(other.consults).toBe(0);
  other.done('other/1');
  expect([other.under, other.consults]).toEqual([[], 1]);
});

test('nothing starts before the answer is there; one answer is good for a second', () => {
  const run = rig(
    [pay, { ...pay, stepId: 'more', dependencies: ['charge'] }],
    [rule('r', { attemptTimeoutMs: 7 }, { steps: ['charge', 'more'] })],
  );
  expect([run.under, run.consults]).toEqual([[], 1]);
  run.on({ type: 'pause' }).on({ type: 'resume' });
  expect([run.under, run.consults]).toEqual([[], 1]);
  run.on(engaged());
  expect(callsOf(run)).toMatchObject([{ id: 'charge/1', timeoutMs: 30_000 }]);
  run.nowMs = 999;
  run.done('charge/1');
  expect([run.under, run.consults]).toEqual([['more/1'], 1]);
  run.nowMs = 1_000;
  run.fail('more/1').fire('backoff:more');
  expect([run.under, run.consults]).toEqual([[], 2]);
  run.on(engaged('r'));
  expect(callsOf(run)).toMatchObject([{ id: 'more/2', timeoutMs: 7 }]);
  run.done('more/2');
  expect(run.phase).toBe('completed');
});

test('route: the call goes elsewhere, with the figures in the record, and is undone there', () => {
  const run = rig(
    [
      pay,
      {
        stepId: 'ship',
        systemTarget: 'ship',
        action: 'book',
        dependencies: ['charge'],
        retryPolicy: { maxAttempts: 1 },
      },
    ],
    [rule('b', { route: { systemTarget: 'pay-b', action: 'take', parameters: { amount: '${input.cents}' } } })],
  );
  run.nowMs = 40;
  run.on(engaged('b'));
  expect(callsOf(run)).toMatchObject([{ target: { system: 'pay-b' }, action: 'take', parameters: { amount: 5 } }]);
  expect(decisions(run)).toEqual([
    {
      atMs: 40,
      what: 'applied',
      rule: 'b',
      from: 'workflow',
      of: 'charge',
      change: 'route',
      value: 'pay-b take',
      figures: FIGURES,
      sinceMs: 1,
    },
  ]);
  run.done('charge/1', 'r-1');
  run.nowMs = 5_000;
  run.fail('ship/1');
  expect(run.phase).toBe('compensating');
  expect(callsOf(run)).toMatchObject([{ target: { system: 'pay-b' }, action: 'refund', parameters: { back: 5 } }]);
  run.done('charge/undo/1');
  expect(run.phase).toBe('failed');
});

test('AD2: a try that nobody knows of is not done again elsewhere; one that was refused is', () => {
  const adaptations = [rule('b', { route: { systemTarget: 'pay-b' } })];
  const refused = rig([pay], adaptations).on(engaged());
  refused.nowMs = 2_000;
  refused.fail('charge/1', 'BUSY').fire('backoff:charge').on(engaged('b'));
  expect(systems(refused)).toEqual(['pay-b']);
  const unknown = rig([pay], adaptations).on(engaged());
  unknown.nowMs = 2_000;
  unknown.fail('charge/1', 'ASK_TIMEOUT', true).fire('backoff:charge').on(engaged('b'));
  expect(systems(unknown)).toEqual(['pay']);
  // And the other way round: what may be done at b is tried, and undone, at b.
  const there = rig([pay], adaptations).on(engaged('b'));
  there.nowMs = 2_000;
  there.fail('charge/1', 'ASK_TIMEOUT', true).fire('backoff:charge').on(engaged());
  expect(systems(there)).toEqual(['pay-b']);
  there.fail('charge/2', 'ASK_TIMEOUT', true);
  expect(callsOf(there)).toMatchObject([{ undo: true, target: { system: 'pay-b' } }]);
});

test('AD3: a refused try elsewhere and a done one at home are undone at home', () => {
  const steps = [pay, { stepId: 'late', signal: 'x', dependencies: ['charge'] }];
  const run = rig(steps, [rule('b', { route: { systemTarget: 'pay-b' } })]).on(engaged('b'));
  expect(systems(run)).toEqual(['pay-b']);
  run.nowMs = 3_000;
  run.fail('charge/1', 'BUSY').fire('backoff:charge').on(engaged());
  expect(systems(run)).toEqual(['pay']);
  run.done('charge/2').on({ type: 'cancel', reason: undefined });
  expect(callsOf(run)).toMatchObject([{ undo: true, target: { system: 'pay' } }]);
});

test('retry policy and time for a try', () => {
  const run = rig([pay], [rule('r', { retryPolicy: { maxAttempts: 3, initialMs: 1 }, attemptTimeoutMs: 50 })]);
  run.on(engaged('r'));
  expect(callsOf(run)).toMatchObject([{ timeoutMs: 50 }]);
  run.fail('charge/1');
  expect(run.timers.get('backoff:charge')).toBe(1);
  run.fire('backoff:charge').fail('charge/2').fire('backoff:charge').fail('charge/3');
  expect(run.phase).toBe('failed');
  expect(decisions(run).map(({ change }) => change)).toEqual(['attemptTimeoutMs', 'retry']);
});

test('time for a step: from a rule alone, and it ends with the step', () => {
  const steps: WorkflowStepOptions[] = [{ ...pay, stepId: 'charge' }];
  const run = rig(steps, [rule('r', { timeoutMs: 70 })]).on(engaged('r'));
  expect(run.timers.get('step:charge')).toBe(70);
  run.done('charge/1');
  expect([...run.timers.keys()]).toEqual([]);
  const late = rig([{ ...pay, timeoutMs: 10 }], [rule('r', { timeoutMs: 70 })])
    .on(engaged('r'))
    .fire('step:charge');
  expect(late.state.steps['charge']?.error?.message).toContain('within 70 ms');
});

test('skip: what would start is skipped', () => {
  const steps: WorkflowStepOptions[] = [
    { ...pay, skipDependents: true },
    { stepId: 'after', value: 1, dependencies: ['charge'] },
    { stepId: 'free', value: 2 },
  ];
  const run = rig(steps, [rule('r', { skip: true })]).on(engaged('r'));
  expect(run.statuses()).toEqual({ charge: 'skipped', after: 'skipped', free: 'completed' });
  expect([run.phase, decisions(run).length]).toEqual(['completed', 1]);
});

test('parallelism of the run, lowered and raised while it is under way', () => {
  const steps = Array.from({ length: 6 }, (_, i): WorkflowStepOptions => ({ ...pay, stepId: `s${i}` }));
  const run = rig(steps, [{ ruleId: 'r', when, change: { parallelism: 2 } }]);
  run.on(engaged('r'));
  expect(run.under).toEqual(['s0/1', 's1/1']);
  run.done('s0/1');
  expect(run.under).toEqual(['s1/1', 's2/1']);
  run.nowMs = 2_000;
  run.done('s1/1').on(engaged());
  expect(run.under).toEqual(['s2/1', 's3/1', 's4/1', 's5/1']);
  expect(decisions(run).map(({ what, of }) => [what, of])).toEqual([
    ['applied', undefined],
    ['released', undefined],
  ]);
});

test('concurrency of a loop, lowered and raised while it is under way', () => {
  const loop: WorkflowStepOptions = { ...pay, forEach: { items: '${input.items}', concurrency: 4 } };
  const run = rig([loop], [rule('r', { concurrency: 1 })], { items: [0, 1, 2, 3, 4, 5, 6, 7] }).on(engaged());
  expect(run.under).toHaveLength(4);
  run.nowMs = 1_500;
  // The item that would be next asks first, and meanwhile none begins.
  run.done('charge#0/1').on(engaged('r'));
  expect(run.under).toEqual(['charge#1/1', 'charge#2/1', 'charge#3/1', 'charge#4/1']);
  run.done('charge#1/1').done('charge#2/1').done('charge#3/1');
  expect(run.under).toEqual(['charge#4/1']);
  run.done('charge#4/1');
  expect(run.under).toEqual(['charge#5/1']);
  run.nowMs = 3_000;
  run.done('charge#5/1').on(engaged()).done('charge#6/1');
  expect(run.under).toEqual(['charge#7/1']);
  run.done('charge#7/1');
  expect(run.phase).toBe('completed');
  expect(run.state.steps['charge']?.result).toHaveLength(8);
});

test('calls to one target at a time: others go on past those that wait', () => {
  const other: WorkflowStepOptions = { stepId: 'other', systemTarget: 'ship', action: 'book' };
  const steps = [...['a', 'b', 'c'].map((stepId): WorkflowStepOptions => ({ ...pay, stepId })), other];
  const limit: AdaptationRuleOptions = { ruleId: 'r', when, systemTarget: 'pay', change: { targetConcurrency: 1 } };
  const run = rig(steps, [limit]).on(engaged('r'));
  expect(run.under).toEqual(['a/1', 'other/1']);
  run.done('a/1').done('b/1').done('other/1').done('c/1');
  expect(run.phase).toBe('completed');
});

test('of several rules the highest has the say, for each change by itself', () => {
  const run = rig(
    [pay],
    [
      rule('low', { route: { systemTarget: 'low' }, attemptTimeoutMs: 1 }),
      rule('high', { route: { systemTarget: 'high' } }, { priority: 5 }),
      rule('same', { route: { systemTarget: 'same' } }, { priority: 5 }),
    ],
  ).on(engaged('low', 'high', 'same'));
  expect(callsOf(run)).toMatchObject([{ target: { system: 'high' }, timeoutMs: 1 }]);
  expect(decisions(run).map((one) => [one.rule, one.change])).toEqual([
    ['high', 'route'],
    ['low', 'attemptTimeoutMs'],
  ]);
});

test('without an answer nothing is adapted, and that is recorded, once', () => {
  const run = rig(
    [pay, { ...pay, stepId: 'b', dependencies: ['charge'] }],
    [rule('r', { skip: true }, { steps: ['charge', 'b'] })],
  );
  run.on({ type: 'adapted', rules: undefined });
  run.nowMs = 1_001;
  run.done('charge/1').on({ type: 'adapted', rules: undefined }).done('b/1');
  expect([run.phase, decisions(run).map(({ what }) => what)]).toEqual(['completed', ['unknown']]);
});

test('rules of the engine: for a run from its start, or from when it is told; its children are told, too', () => {
  const engineRule: RuleSight = {
    ...sight('e'),
    from: 'engine',
    rule: ruleOf({ systemTarget: 'pay', change: { route: { systemTarget: 'pay-b' } } }),
  };
  const run = new PlanRig(
    [
      { stepId: 'child', workflow: 'c' },
      { ...pay, dependencies: ['child'] },
    ],
    { cents: 5 },
  );
  expect(run.under).toEqual(['child/1']);
  run.on({ type: 'govern' });
  expect(run.governed).toEqual(['child/1']);
  run.done('child/1');
  expect([run.under, run.consults]).toEqual([[], 1]);
  run.on({ type: 'adapted', rules: [engineRule] });
  expect(callsOf(run)).toMatchObject([{ target: { system: 'pay-b' }, action: 'charge', parameters: { cents: 5 } }]);
  run.done('charge/1');
  expect(run.phase).toBe('completed');
  expect(run.on({ type: 'govern' }).on({ type: 'adapted', rules: [] }).refused).toBeUndefined();
});

test('a rule of the engine that is gone is still how its calls are undone', () => {
  const engineRule: RuleSight = {
    ...sight('e'),
    from: 'engine',
    rule: ruleOf({ systemTarget: 'pay', change: { route: { systemTarget: 'pay-b' } } }),
  };
  const run = new PlanRig([pay, { stepId: 'wait', signal: 'x', dependencies: ['charge'] }], { cents: 5 });
  run.nowMs = 5;
  run.fail('charge/1', 'BUSY').on({ type: 'govern' }).fire('backoff:charge');
  run.on({ type: 'adapted', rules: [engineRule] }).done('charge/2', 'r');
  run.nowMs = 9_000;
  run.on({ type: 'cancel', reason: undefined });
  expect(callsOf(run)).toMatchObject([
    { undo: true, target: { system: 'pay-b' }, action: 'refund', parameters: { back: 5 } },
  ]);
});

test('decisions are bounded: the latest are kept', () => {
  const run = rig(
    [{ ...pay, retryPolicy: { maxAttempts: 1_000, initialMs: 0 } }],
    [rule('r', { attemptTimeoutMs: 9 })],
  );
  run.on(engaged());
  for (let i = 1; i <= 300; i++) {
    run.nowMs += 1_000;
    run.fail(`charge/${i}`).fire('backoff:charge');
    run.on({ type: 'adapted', rules: i % 2 === 0 ? [] : [sight('r', run.nowMs)] });
  }
  expect(decisions(run)).toHaveLength(200);
  expect(run.state.adaptation?.forgotten).toBe(100);
});

test('an actor that was called is a sample: how long, and how it went', () => {
  const desk: WorkflowStepOptions = {
    stepId: 'charge',
    actor: { definition: 'desk', id: 'd' },
    action: 'BOOK',
    retryPolicy: { maxAttempts: 3, jitter: 'none' },
  };
  const run = rig(
    [desk],
    [{ ruleId: 'r', when: 'actors.desk.p99Ms > 1', actor: 'desk', change: { attemptTimeoutMs: 5 } }],
  );
  run.on(engaged());
  run.nowMs = 30;
  run.fail('charge/1', 'ASK_TIMEOUT', true).fire('backoff:charge');
  run.nowMs = 50;
  run.fail('charge/2', 'BUSY').fire('backoff:charge').done('charge/3');
  expect(run.samples).toEqual([
    { type: 'sample', definition: 'desk', action: 'BOOK', ms: 30, outcome: 'unknown' },
    { type: 'sample', definition: 'desk', action: 'BOOK', ms: 20, outcome: 'failed' },
    { type: 'sample', definition: 'desk', action: 'BOOK', ms: 0, outcome: 'done' },
  ]);
});

function ruleOf(options: Partial<AdaptationRuleOptions>) {
  const faults: string[] = [];
  const data = ruleData({ ruleId: 'e', when, ...options }, 'engine', (fault) => void faults.push(fault));
  expect(faults).toEqual([]);
  return data;
}
