/** Operations of a run under the planner alone: promises, heartbeats, updates, cancelling one step, detached children. */
import { describe, expect, test } from 'vitest';
import type { RunEvent } from '../../../actors/saga/run-state.ts';
import { WorkflowDefinition } from '../../../actors/saga/workflow-definition.ts';
import type { WorkflowStepOptions } from '../../../actors/saga/workflow-step.ts';
import { InvalidWorkflowError } from '../../../runtime/kernel/errors.ts';
import { PlanRig } from './plan-rig.ts';

const call = { systemTarget: 's', action: 'a' };
const once = { retryPolicy: { maxAttempts: 1 } };
const step = (
  stepId: string,
  dependencies: string[] = [],
  more: Partial<WorkflowStepOptions> = {},
): WorkflowStepOptions => ({ stepId, ...call, dependencies, ...more });
const resolve = (id: string, value: unknown, token = `token of ${id}`): RunEvent => ({
  type: 'promise',
  step: id,
  token,
  outcome: { kind: 'resolved', value },
});
const reject = (id: string, code: string): RunEvent => ({
  type: 'promise',
  step: id,
  token: `token of ${id}`,
  outcome: { kind: 'rejected', error: { name: 'Error', code, message: code } },
});
const faultsOf = (steps: readonly WorkflowStepOptions[], options: object = {}): readonly string[] => {
  try {
    const definition = new WorkflowDefinition('w', 'w', options);
    for (const one of steps) definition.addStep(one);
    definition.compile();
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidWorkflowError);
    return (error as InvalidWorkflowError).details['faults'] as string[];
  }
};

describe('promises', () => {
  const approval = [
    step('ask', [], { parameters: { link: 'https://x/?t=${steps.approve.token}' } }),
    { stepId: 'approve', promise: true },
    step('pay', ['approve'], { parameters: '${steps.approve.result}' }),
  ];

  test('the token is there for every step from the start, and settles the promise once', () => {
    const rig = new PlanRig(approval);
    expect(rig.calls.get('ask/1')).toMatchObject({ parameters: { link: 'https://x/?t=token of approve' } });
    expect(rig.on(resolve('approve', { ok: true })).under).toEqual(['ask/1', 'pay/1']);
    expect(rig.calls.get('pay/1')).toMatchObject({ parameters: { ok: true } });
    expect(rig.on(resolve('approve', { ok: true })).refused).toBeUndefined();
    expect(rig.on(resolve('approve', { ok: false })).refused?.code).toBe('TOKEN_USED');
    expect(rig.on(reject('approve', 'NO')).refused?.code).toBe('TOKEN_USED');
    rig.done('ask/1').done('pay/1');
    expect(rig.phase).toBe('completed');
    expect(rig.on(resolve('approve', { ok: true })).refused).toBeUndefined();
    expect(rig.on(resolve('approve', 7)).refused?.code).toBe('TOKEN_USED');
  });

  test('a token of another step, or none, is refused', () => {
    const rig = new PlanRig(approval);
    expect(rig.on(resolve('approve', 1, 'token of pay')).refused?.code).toBe('UNKNOWN_TOKEN');
    expect(rig.on(resolve('ask', 1)).refused?.code).toBe('UNKNOWN_TOKEN');
    expect(rig.on(resolve('nope', 1)).refused?.code).toBe('UNKNOWN_TOKEN');
    expect(rig.statuses()).toMatchObject({ approve: 'active' });
  });

  test('one that is settled before its step begins is kept for it, also a rejection', () => {
    const later = [step('a'), { stepId: 'p', promise: true, dependencies: ['a'] }, step('b', ['p'])];
    const rig = new PlanRig(later).on(resolve('p', 5));
    expect(rig.on(resolve('p', 5)).refused).toBeUndefined();
    expect(rig.on(resolve('p', 6)).refused?.code).toBe('TOKEN_USED');
    expect(rig.done('a/1').under).toEqual(['b/1']);
    const other = new PlanRig(later).on(reject('p', 'NO')).done('a/1');
    expect(other.phase).toBe('failed');
    expect(other.state.failure).toMatchObject({ step: 'p', error: { code: 'NO' } });
  });

  test('a rejection fails the step and undoes the run; after that nothing settles', () => {
    const rig = new PlanRig([
      step('a', [], { compensation: call }),
      { stepId: 'p', promise: true, dependencies: ['a'] },
    ]);
    expect(rig.done('a/1').on(reject('p', 'NO')).under).toEqual(['a/undo/1']);
    expect(rig.on(reject('p', 'NO')).refused).toBeUndefined();
    expect(rig.on(resolve('p', 1)).refused?.code).toBe('TOKEN_USED');
    expect(rig.done('a/undo/1').phase).toBe('failed');
  });

  test('a promise that takes too long fails; tried again it waits under the same token', () => {
    const rig = new PlanRig([{ stepId: 'p', promise: true, timeoutMs: 50 }], {}, { onFailure: 'park' });
    expect(rig.fire('step:p').phase).toBe('stuck step');
    expect(rig.on(resolve('p', 1)).refused?.code).toBe('TOKEN_USED');
    expect(rig.on({ type: 'retry' }).on(resolve('p', 1)).phase).toBe('completed');
    expect(rig.timers.size).toBe(0);
  });

  test('a value that the step does not take changes nothing', () => {
    const result = { type: 'object' as const, properties: { n: { type: 'integer' as const } }, required: ['n'] };
    const rig = new PlanRig([{ stepId: 'p', promise: true, result }]);
    expect(rig.on(resolve('p', { n: 'x' })).refused).toMatchObject({ code: 'INVALID_VALUE' });
    expect(rig.on(resolve('p', { n: 3 })).phase).toBe('completed');
  });

  test('a cancelled run takes none', () => {
    const rig = new PlanRig([{ stepId: 'p', promise: true }]).on({ type: 'cancel', reason: undefined });
    expect(rig.phase).toBe('cancelled');
    expect(rig.on(resolve('p', 1)).refused?.code).toBe('TOKEN_USED');
  });

  test('what a promise cannot be is said when it is defined', () => {
    expect(faultsOf([{ stepId: 'p', promise: false }])).toEqual(['step "p", promise: false is not true']);
    expect(faultsOf([{ stepId: 'p', promise: true, compensation: call }])).toHaveLength(1);
    expect(faultsOf([step('a'), step('b', [], { parameters: '${steps.a.token}' })])[0]).toMatch(/has no token/);
  });
});

describe('heartbeats', () => {
  const long = step('a', [], {
    heartbeatTimeoutMs: 100,
    retryPolicy: { maxAttempts: 2, initialMs: 0 },
    compensation: call,
  });
  const beat = (id: string, details: unknown): RunEvent => ({ type: 'heartbeat', id, details });

  test('each one gives the handler its time again; silence fails the try, and the next one is told what was said last', () => {
    const rig = new PlanRig([long]);
    expect(rig.timers.get('heartbeat:a')).toBe(100);
    rig.timers.delete('heartbeat:a');
    rig.on(beat('a/1', { row: 1 })).on(beat('a/1', { row: 2 }));
    expect(rig.timers.get('heartbeat:a')).toBe(100);
    expect(rig.answered).toEqual({ cancelled: false });
    rig.fire('heartbeat:a');
    expect(rig.state.steps['a']?.units[0]?.run.failures).toMatchObject([
      { error: { code: 'HEARTBEAT_TIMEOUT' }, unknown: true },
    ]);
    rig.fire('backoff:a');
    expect(rig.calls.get('a/2')).toMatchObject({ heartbeat: { row: 2 } });
    expect(rig.on(beat('a/1', 0)).refused?.code).toBe('TRY_OVER');
    expect(rig.done('a/2').timers.size).toBe(0);
    expect(rig.phase).toBe('completed');
    expect(rig.on(beat('a/2', 0)).refused?.code).toBe('RUN_ENDED');
  });

  test('silence to the end is undone, since nobody knows; an answer to a silent try comes too late', () => {
    const rig = new PlanRig([long]).fire('heartbeat:a').fire('backoff:a').fire('heartbeat:a');
    expect(rig.done('a/1').done('a/2').under).toEqual(['a/undo/1']);
    expect(rig.done('a/undo/1').phase).toBe('failed');
  });

  test('whoever speaks for what is not needed any more is told so', () => {
    const rig = new PlanRig([long, step('b', [], once)]).fail('b/1');
    expect(rig.phase).toBe('draining');
    expect(rig.on(beat('a/1', 1)).answered).toEqual({ cancelled: true });
  });

  test('a call without the option may speak, and need not', () => {
    const rig = new PlanRig([step('a')]).on(beat('a/1', 'x'));
    expect(rig.refused).toBeUndefined();
    expect(rig.timers.size).toBe(0);
  });
});

describe('updates', () => {
  const options = {
    context: { quantity: 1, note: '' },
    updates: {
      quantity: {
        payload: { type: 'object' as const, properties: { n: { type: 'integer' as const } }, required: ['n'] },
        condition: "payload.n > 0 && steps.ship.status == 'pending'",
        set: { quantity: '${payload.n}', note: 'was ${context.quantity}' },
      },
      half: { set: { quantity: '${quantity / payload.by}' }, reply: 'now ${quantity}' },
    },
  };
  const steps = [
    { stepId: 'wait', signal: 'go' },
    step('ship', ['wait'], { parameters: '${quantity}' }),
    step('last', ['ship'], { parameters: '${quantity}' }),
  ];
  const update = (name: string, payload: unknown): RunEvent => ({ type: 'update', name, payload });

  test('one that is accepted changes the context for what begins later, and is answered and kept', () => {
    const rig = new PlanRig(steps, {}, options).on(update('quantity', { n: 5 }));
    expect(rig.answered).toEqual({ quantity: 5, note: 'was 1' });
    rig.on({ type: 'signal', name: 'go', payload: null });
    expect(rig.calls.get('ship/1')).toMatchObject({ parameters: 5 });
    expect(rig.on(update('quantity', { n: 9 })).refused?.code).toBe('UPDATE_REFUSED');
    expect(rig.on(update('half', { by: 5 })).answered).toBe('now 1');
    expect(rig.done('ship/1').calls.get('last/1')).toMatchObject({ parameters: 1 });
    expect(rig.state.updates.map(({ name }) => name)).toEqual(['quantity', 'half']);
    expect(rig.done('last/1').on(update('half', { by: 1 })).refused?.code).toBe('RUN_ENDED');
  });

  test('what cannot be is refused, and changes nothing', () => {
    const rig = new PlanRig(steps, {}, options);
    for (const [name, payload, code] of [
      ['quantiy', {}, 'UNKNOWN_UPDATE'],
      ['quantity', { n: 'x' }, 'INVALID_VALUE'],
      ['quantity', { n: 0 }, 'UPDATE_REFUSED'],
      ['half', { by: 0 }, 'UPDATE_REFUSED'],
      ['half', {}, 'UPDATE_REFUSED'],
    ] as const) {
      const before = rig.state;
      expect(rig.on(update(name, payload)).refused?.code, `${name} ${JSON.stringify(payload)}`).toBe(code);
      expect(rig.state).toEqual(before);
    }
    expect(rig.on(update('quantiy', {})).refused?.message).toMatch(/did you mean "quantity"/);
  });

  test('what is wrong with one is said when it is defined', () => {
    const faults = faultsOf(steps, {
      context: { quantity: 1 },
      updates: {
        a: { set: { quantty: 1 } },
        b: { set: {} },
        c: { set: { quantity: '${paylod.n}' }, conditon: 'true' },
        d: { set: { quantity: 1 }, condition: 'payload.n +' },
      },
    });
    expect(faults).toEqual([
      'update "a", set: "quantty" is no variable of the context (did you mean "quantity"?)',
      expect.stringContaining('update "b", set: {} sets nothing'),
      'update "c", conditon: no such option: did you mean "condition"?',
      expect.stringContaining('update "d", condition:'),
    ]);
  });

  test('elsewhere "payload" may be a member of the input', () => {
    const rig = new PlanRig([step('a', [], { parameters: '${payload}' })], { payload: 7 });
    expect(rig.calls.get('a/1')).toMatchObject({ parameters: 7 });
  });
});

describe('cancelling one step', () => {
  const cancel = (id: string): RunEvent => ({ type: 'cancelStep', step: id, reason: 'not needed' });

  test('one that waits is cancelled at once, and the run goes on without it', () => {
    const waits: readonly WorkflowStepOptions[] = [
      { stepId: 'sleep', sleep: 1_000, timeoutMs: 5_000 },
      { stepId: 'signal', signal: 'go' },
      { stepId: 'promise', promise: true },
      step('later', ['sleep']),
    ];
    for (const { stepId } of waits) {
      const rig = new PlanRig([...waits, step('next', [stepId])]).on(cancel(stepId));
      expect(rig.statuses()[stepId]).toBe('cancelled');
      expect(rig.under).toContain('next/1');
      expect(rig.on(cancel(stepId)).refused).toBeUndefined();
    }
    const rig = new PlanRig(waits).on(cancel('sleep'));
    expect(rig.timers.size).toBe(0);
    expect(rig.on({ type: 'signal', name: 'go', payload: 1 }).statuses()['signal']).toBe('completed');
    expect(rig.on(cancel('promise')).done('later/1').phase).toBe('completed');
  });

  test('of a call under way the answer is waited for, and is the last', () => {
    const steps = [step('a', [], { compensation: call }), step('b', ['a'])];
    const done = new PlanRig(steps).on(cancel('a'));
    expect(done.under).toEqual(['a/1']);
    expect(done.done('a/1').statuses()).toMatchObject({ a: 'completed', b: 'active' });
    const failed = new PlanRig(steps).on(cancel('a')).fail('a/1');
    expect(failed.statuses()).toMatchObject({ a: 'cancelled', b: 'active' });
    expect(failed.done('b/1').phase).toBe('completed');
    const unknown = new PlanRig([...steps, step('c', ['b'], once)]).on(cancel('a')).fail('a/1', 'LOST', true);
    expect(unknown.done('b/1').fail('c/1').under, 'nobody knows whether it was done').toEqual(['a/undo/1']);
  });

  test('a call that waits for its next try, and a loop half way', () => {
    const waiting = new PlanRig([step('a')]).fail('a/1').on(cancel('a'));
    expect(waiting.phase).toBe('completed');
    expect(waiting.timers.size).toBe(0);
    const loop = new PlanRig([step('a', [], { forEach: { items: [1, 2, 3, 4], concurrency: 2 } }), step('b', ['a'])]);
    loop.done('a#0/1').on(cancel('a'));
    expect(loop.under).toEqual(['a#1/1', 'a#2/1']);
    expect(loop.done('a#1/1').done('a#2/1').under).toEqual(['b/1']);
    expect(loop.statuses()['a']).toBe('cancelled');
  });

  test('a child workflow is cancelled; with skipDependents what depends on it is skipped', () => {
    const rig = new PlanRig([
      { stepId: 'a', workflow: 'w', skipDependents: true, condition: 'true' },
      step('b', ['a']),
      step('c', ['b']),
    ]).on(cancel('a'));
    expect(rig.cancelled).toEqual(['a/1']);
    expect(rig.fail('a/1', 'WORKFLOW_CANCELLED').statuses()).toEqual({ a: 'cancelled', b: 'skipped', c: 'skipped' });
    expect(rig.phase).toBe('completed');
  });

  test('what is over, unknown, or no longer running is refused', () => {
    const rig = new PlanRig([step('a'), step('b', ['a'], once), step('c', [], { compensation: call })]);
    expect(rig.on(cancel('d')).refused?.code).toBe('UNKNOWN_STEP');
    expect(rig.done('a/1').on(cancel('a')).refused?.code).toBe('STEP_OVER');
    expect(rig.fail('b/1').on(cancel('c')).refused?.code).toBe('NOT_RUNNING');
  });
});

test('a detached child is started, and not waited for', () => {
  const rig = new PlanRig([
    { stepId: 'a', workflow: 'w', detached: true, forEach: { items: [1, 2] }, condition: 'true' },
  ]);
  expect([...rig.calls.values()]).toMatchObject([
    { id: 'a#0/1', detached: true },
    { id: 'a#1/1', detached: true },
  ]);
  expect(faultsOf([step('a', [], { detached: true })])).toHaveLength(1);
});
