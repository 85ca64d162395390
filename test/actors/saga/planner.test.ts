/** The planner by example: parameters, retries, timeouts, signals, sleeps, loops, children, pivots, pause, resolving by hand. */
import { expect, test } from 'vitest';
import { PlanRig } from './plan-rig.ts';

const call = { systemTarget: 'shop', action: 'do' };
const undo = { systemTarget: 'shop', action: 'undo' };
const once = { retryPolicy: { maxAttempts: 1 } };

test('parameters are made of input, results and context, and the output of everything', () => {
  const rig = new PlanRig(
    [
      { stepId: 'a', ...call, parameters: { sku: '${input.sku}', tries: '${tries}' } },
      {
        stepId: 'b',
        actor: { definition: 'account', id: 'acc-${input.sku}' },
        action: 'CHARGE',
        parameters: { amount: '${steps.a.result.price * 2}' },
        dependencies: ['a'],
      },
    ],
    { sku: 'x1' },
    { context: { tries: 3 }, output: { paid: '${steps.b.result}' } },
  );
  expect(rig.calls.get('a/1')).toMatchObject({
    parameters: { sku: 'x1', tries: 3 },
    target: { kind: 'system', system: 'shop' },
    action: 'do',
    timeoutMs: 30_000,
  });
  rig.done('a/1', { price: 9.5 });
  expect(rig.calls.get('b/1')).toMatchObject({
    target: { kind: 'actor', definition: 'account', id: 'acc-x1' },
    parameters: { amount: 19 },
  });
  rig.done('b/1', 'receipt');
  expect(rig.phase).toBe('completed');
  expect(rig.state.result).toEqual({ paid: 'receipt' });
});

test('without an output the result is the results by step', () => {
  const rig = new PlanRig([
    { stepId: 'a', ...call },
    { stepId: 'b', value: '${steps.a.result + 1}', dependencies: ['a'] },
    { stepId: 'c', ...call, condition: 'false' },
  ]);
  rig.done('a/1', 1);
  expect(rig.state.result).toEqual({ a: 1, b: 2, c: null });
});

test('retries wait longer each time, up to the maximum, and give up', () => {
  const retryPolicy = { maxAttempts: 4, initialMs: 100, factor: 10, maxMs: 2_000, jitter: 'none' as const };
  const rig = new PlanRig([{ stepId: 'a', ...call, retryPolicy }]);
  for (const [attempt, delay] of [100, 1_000, 2_000].entries()) {
    rig.fail(`a/${attempt + 1}`);
    expect(rig.timers.get('backoff:a')).toBe(delay);
    rig.fire('backoff:a');
  }
  rig.fail('a/4');
  expect(rig.phase).toBe('failed');
  expect(rig.state.failure).toMatchObject({ step: 'a', error: { code: 'SOME' } });
  expect(rig.state.steps['a']?.units[0]?.run.failures.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4]);
});

test('full jitter takes a random part of the wait', () => {
  const rig = new PlanRig([{ stepId: 'a', ...call, retryPolicy: { initialMs: 100 } }]);
  rig.fail('a/1');
  expect(rig.timers.get('backoff:a')).toBe(50);
});

test('an error that no other try would change is not tried again', () => {
  for (const code of ['DECLINED', 'EXPRESSION_FAILED', 'CONTRACT_VIOLATION']) {
    const rig = new PlanRig([{ stepId: 'a', ...call, retryPolicy: { maxAttempts: 9, nonRetryable: ['DECLINED'] } }]);
    rig.fail('a/1', code);
    expect(rig.phase).toBe('failed');
  }
});

test('an answer to an earlier try, or of nobody, changes nothing', () => {
  const rig = new PlanRig([{ stepId: 'a', ...call, retryPolicy: { jitter: 'none' } }]);
  rig.fail('a/1');
  const before = rig.state;
  for (const id of ['a/1', 'a/2', 'a', 'b/1', 'a#0/1', 'a/undo/1', '', '/', 'a/x', '__proto__/1'])
    rig.on({ type: 'done', id, result: 1 });
  expect(rig.state).toEqual(before);
  rig.fire('backoff:a').done('a/1', 'late');
  expect(rig.under).toEqual(['a/2']);
});

test('a parameter without a value fails the step, and what is done is undone', () => {
  const rig = new PlanRig([
    { stepId: 'a', ...call, compensation: undo },
    { stepId: 'b', ...call, parameters: '${steps.a.result.missing}', dependencies: ['a'] },
  ]);
  rig.done('a/1', {});
  expect(rig.state.failure).toMatchObject({ step: 'b', error: { code: 'EXPRESSION_FAILED' } });
  expect(rig.under).toEqual(['a/undo/1']);
  rig.done('a/undo/1');
  expect(rig.phase).toBe('failed');
});

test('a compensation knows the result and the error', () => {
  const compensation = { ...undo, parameters: { id: '${steps.a.result.id}', why: '${error.code}' } };
  const rig = new PlanRig([
    { stepId: 'a', ...call, compensation },
    { stepId: 'b', ...call, ...once, dependencies: ['a'] },
  ]);
  rig.done('a/1', { id: 7 }).fail('b/1', 'NO_SEATS');
  expect(rig.calls.get('a/undo/1')).toMatchObject({
    undo: true,
    action: 'undo',
    parameters: { id: 7, why: 'NO_SEATS' },
  });
});

test('a try whose answer never came is undone: it was registered before it began', () => {
  const rig = new PlanRig([{ stepId: 'a', ...call, ...once, compensation: undo }]);
  expect(rig.state.steps['a']?.units[0]?.undo?.status).toBe('registered');
  rig.fail('a/1', 'ASK_TIMEOUT', true);
  expect(rig.under).toEqual(['a/undo/1']);
});

test('a step over its time is given up, its try is unknown, a late answer is dropped', () => {
  const rig = new PlanRig([
    { stepId: 'a', ...call, timeoutMs: 500, compensation: undo },
    { stepId: 'w', workflow: 'child', timeoutMs: 900 },
  ]);
  expect(rig.timers).toEqual(
    new Map([
      ['step:a', 500],
      ['step:w', 900],
    ]),
  );
  rig.fire('step:a');
  expect(rig.state.steps['a']).toMatchObject({ status: 'failed', error: { code: 'STEP_TIMEOUT' } });
  expect(rig.cancelled).toEqual(['w/1']);
  rig.done('a/1', 'late').done('w/1');
  expect(rig.under).toEqual(['a/undo/1']);
});

test('a run over its time fails and is undone; compensations have all the time they need', () => {
  const rig = new PlanRig(
    [
      { stepId: 'a', ...call, compensation: undo },
      { stepId: 'b', signal: 'go', dependencies: ['a'] },
    ],
    {},
    { timeoutMs: 1_000 },
  );
  rig.done('a/1').fire('run');
  expect(rig.statuses()).toEqual({ a: 'completed', b: 'cancelled' });
  expect(rig.timers.size).toBe(0);
  rig.done('a/undo/1');
  expect(rig.phase).toBe('failed');
  expect(rig.state.failure?.error.code).toBe('RUN_TIMEOUT');
});

test('signals are received in order, kept for whoever will wait, and refused when nobody ever will', () => {
  const rig = new PlanRig([
    { stepId: 'a', signal: 'go' },
    { stepId: 'b', signal: ['go', 'stop'], dependencies: ['a'] },
  ]);
  rig.on({ type: 'signal', name: 'stop', payload: 1 });
  expect(rig.statuses()).toEqual({ a: 'active', b: 'pending' });
  rig.on({ type: 'signal', name: 'go', payload: { by: 'Ada' } });
  expect(rig.phase).toBe('completed');
  expect(rig.state.result).toEqual({ a: { by: 'Ada' }, b: { signal: 'stop', payload: 1 } });
  const other = new PlanRig([
    { stepId: 'a', signal: 'go' },
    { stepId: 'b', signal: 'later' },
  ]);
  expect(other.on({ type: 'signal', name: 'og', payload: 1 }).refused).toMatchObject({
    code: 'UNKNOWN_SIGNAL',
    message: expect.stringContaining('go, later'),
  });
  other.on({ type: 'signal', name: 'go', payload: 1 });
  expect(other.on({ type: 'signal', name: 'go', payload: 1 }).refused?.code).toBe('UNKNOWN_SIGNAL');
});

test('no more signals are kept than may be', () => {
  const rig = new PlanRig([
    { stepId: 'a', ...call },
    { stepId: 'b', signal: 'go', dependencies: ['a'] },
  ]);
  for (let i = 0; i < 1_000; i++) rig.on({ type: 'signal', name: 'go', payload: i });
  expect(rig.refused).toBeUndefined();
  expect(rig.on({ type: 'signal', name: 'go', payload: 1 }).refused?.code).toBe('SIGNALS_FULL');
});

test.each([
  [{ sleep: 5_000 }, 5_000],
  [{ sleep: '${input.ms}' }, 250],
  [{ sleep: "${duration('90s')}" }, 90_000],
  [{ until: '1970-01-01T00:00:10Z' }, 9_000],
  [{ until: '${input.at}' }, 4_000],
  [{ until: 500 }, 0],
])('%j sleeps %i ms', (step, delay) => {
  const rig = new PlanRig(
    [
      { stepId: 'first', signal: 'go' },
      { stepId: 's', ...step, dependencies: ['first'] },
    ],
    { ms: 250, at: new Date(5_000) },
  );
  rig.nowMs = 1_000;
  rig.on({ type: 'signal', name: 'go', payload: 1 });
  expect(rig.timers.get('sleep:s')).toBe(delay);
  expect(rig.fire('sleep:s').phase).toBe('completed');
});

test.each([[{ sleep: '${input.x}' }], [{ until: '${input.x}' }]])('%j of nonsense fails the step', (step) => {
  const rig = new PlanRig([{ stepId: 's', ...step }], { x: 'soon' });
  expect(rig.phase).toBe('failed');
  expect(rig.state.failure?.error.code).toBe('EXPRESSION_FAILED');
});

test('a loop keeps its bound and the order of its results; an empty one is done at once', () => {
  const rig = new PlanRig(
    [
      {
        stepId: 'a',
        ...call,
        forEach: { items: '${input.l}', concurrency: 2 },
        parameters: { n: '${item.n}', at: '${index}' },
      },
    ],
    { l: [{ n: 5 }, { n: 6 }, { n: 7 }] },
  );
  expect(rig.under).toEqual(['a#0/1', 'a#1/1']);
  rig.done('a#1/1', 'second');
  expect(rig.calls.get('a#2/1')).toMatchObject({ parameters: { n: 7, at: 2 } });
  rig.done('a#2/1', 'third').done('a#0/1', 'first');
  expect(rig.state.result).toEqual({ a: ['first', 'second', 'third'] });
  expect(new PlanRig([{ stepId: 'a', ...call, forEach: '${input.l}' }], { l: [] }).state.result).toEqual({ a: [] });
  expect(new PlanRig([{ stepId: 'a', ...call, forEach: '${input.l}' }], { l: 5 }).state.failure?.error.message).toMatch(
    /no list/,
  );
});

test('of a loop that fails, what was done is undone item by item', () => {
  const compensation = { ...undo, parameters: { item: '${item}' } };
  const rig = new PlanRig(
    [{ stepId: 'a', ...call, ...once, forEach: { items: '${input.l}', concurrency: 3 }, compensation }],
    { l: ['x', 'y', 'z', 'never'] },
  );
  rig.fail('a#1/1').done('a#0/1').done('a#2/1');
  expect(rig.under).toEqual(['a#0/undo/1', 'a#2/undo/1']);
  expect(rig.calls.get('a#2/undo/1')).toMatchObject({ parameters: { item: 'z' } });
  rig.done('a#0/undo/1').done('a#2/undo/1');
  expect(rig.phase).toBe('failed');
});

test('once an item of a loop has failed for good, the others are not tried again', () => {
  const retryPolicy = { maxAttempts: 5, nonRetryable: ['FINAL'] };
  const loop = { stepId: 'a', ...call, retryPolicy, forEach: '${input.l}', onFailure: 'continue' as const };
  const rig = new PlanRig([loop, { stepId: 'b', value: '${steps.a.error.code}', dependencies: ['a'] }], {
    l: [1, 2, 3],
  });
  rig.fail('a#2/1').fail('a#1/1', 'FINAL');
  expect(rig.timers.size).toBe(0);
  rig.fail('a#0/1');
  expect(rig.timers.size).toBe(0);
  expect(rig.state.result).toEqual({ a: null, b: 'FINAL' });
});

test('a child workflow is started, cancelled with the run, and waited for', () => {
  const rig = new PlanRig([{ stepId: 'a', workflow: 'child', parameters: { x: '${input.x}' } }], { x: 1 });
  expect(rig.calls.get('a/1')).toMatchObject({ type: 'child', workflow: 'child', input: { x: 1 } });
  rig.on({ type: 'cancel', reason: 'enough' });
  expect(rig.cancelled).toEqual(['a/1']);
  expect(rig.phase).toBe('draining');
  rig.fail('a/1', 'RUN_CANCELLED');
  expect(rig.phase).toBe('cancelled');
  expect(rig.state.failure?.error.message).toBe('enough');
});

test('past the pivot a run is not undone: it waits to be tried again, or for somebody to say that it is done', () => {
  const steps = [
    { stepId: 'a', ...call, compensation: undo },
    { stepId: 'p', ...call, pivot: true, dependencies: ['a'] },
    { stepId: 'c', ...call, ...once, dependencies: ['p'] },
    { stepId: 'd', ...call, ...once, dependencies: ['p'] },
  ];
  const rig = new PlanRig(steps).done('a/1').done('p/1').fail('c/1').fail('d/1');
  expect(rig.phase).toBe('stuck step');
  expect(rig.on({ type: 'cancel', reason: undefined }).refused?.code).toBe('PAST_PIVOT');
  rig.on({ type: 'resolve', unit: 'c', result: 'by hand' });
  expect(rig.phase).toBe('stuck step');
  rig.on({ type: 'retry' });
  expect(rig.under).toEqual(['d/2']);
  rig.done('d/2', 'at last');
  expect(rig.state.result).toMatchObject({ c: 'by hand', d: 'at last' });
});

test('a failure beside a pivot under way waits for it', () => {
  const steps = [
    { stepId: 'p', ...call, ...once, pivot: true, compensation: undo },
    { stepId: 'b', ...call, ...once },
    { stepId: 'a', ...call, compensation: undo },
  ];
  const lost = new PlanRig(steps).done('a/1').fail('b/1');
  expect(lost.phase).toBe('draining');
  lost.fail('p/1');
  expect(lost.under).toEqual(['a/undo/1']);
  const won = new PlanRig(steps).done('a/1').fail('b/1').done('p/1');
  expect(won.phase).toBe('stuck step');
  const late = new PlanRig(steps).done('a/1').on({ type: 'cancel', reason: undefined }).done('p/1');
  expect(late.phase).toBe('running');
  expect(late.done('b/1').phase).toBe('completed');
  const both = new PlanRig(steps).done('a/1').on({ type: 'cancel', reason: undefined }).fail('b/1').done('p/1');
  expect(both.phase).toBe('stuck step');
  expect(both.on({ type: 'retry' }).done('b/2').phase).toBe('completed');
});

test('a failed compensation parks the run; the others are done; it is tried again or resolved by hand', () => {
  const compensation = { ...undo, ...once };
  const steps = [
    { stepId: 'a', ...call, compensation },
    { stepId: 'b', ...call, compensation, dependencies: ['a'] },
    { stepId: 'c', ...call, compensation },
    { stepId: 'x', ...call, ...once, dependencies: ['a', 'b', 'c'] },
  ];
  const parked = (): PlanRig =>
    new PlanRig(steps).done('a/1').done('c/1').done('b/1').fail('x/1').fail('b/undo/1').done('c/undo/1');
  const again = parked();
  expect(again.phase).toBe('stuck compensation');
  expect(again.on({ type: 'resolve', unit: 'a/undo', result: 1 }).refused).toMatchObject({
    code: 'NOT_FAILED',
    message: expect.stringContaining('b/undo'),
  });
  again.on({ type: 'retry' }).done('b/undo/2').done('a/undo/1');
  expect(again.phase).toBe('failed');
  const before = parked();
  const { state } = before;
  expect(before.on({ type: 'cancel', reason: 'enough' }).refused?.code).toBe('BEING_UNDONE');
  expect(before.state).toBe(state);
  const byHand = parked().on({ type: 'resolve', unit: 'b/undo', result: 'refunded by phone' });
  expect(byHand.under).toEqual(['a/undo/1']);
  expect(byHand.done('a/undo/1').phase).toBe('failed');
});

test('while it is paused nothing starts, answers are taken, and it goes on where it was', () => {
  const rig = new PlanRig([
    { stepId: 'a', ...call, retryPolicy: { jitter: 'none' } },
    { stepId: 'b', ...call, dependencies: ['a'] },
  ]);
  rig.on({ type: 'pause' }).fail('a/1').fire('backoff:a');
  expect(rig.under).toEqual([]);
  rig.on({ type: 'resume' });
  expect(rig.under).toEqual(['a/2']);
  rig.on({ type: 'pause' }).done('a/2');
  expect(rig.under).toEqual([]);
  expect(rig.on({ type: 'resume' }).under).toEqual(['b/1']);
});

test('a parked run may be tried again or undone', () => {
  const steps = [
    { stepId: 'a', ...call, compensation: undo },
    { stepId: 'b', ...call, ...once, dependencies: ['a'] },
  ];
  const again = new PlanRig(steps, {}, { onFailure: 'park' }).done('a/1').fail('b/1');
  expect(again.phase).toBe('stuck step');
  expect(again.on({ type: 'retry' }).done('b/2').phase).toBe('completed');
  const undone = new PlanRig(steps, {}, { onFailure: 'park' })
    .done('a/1')
    .fail('b/1')
    .on({ type: 'cancel', reason: undefined });
  expect(undone.under).toEqual(['a/undo/1']);
  expect(undone.done('a/undo/1').phase).toBe('cancelled');
});

test('what cannot be done is refused and changes nothing', () => {
  const rig = new PlanRig([{ stepId: 'a', ...call }]);
  const before = rig.state;
  for (const event of [{ type: 'retry' }, { type: 'resolve', unit: 'a', result: 1 }] as const) {
    expect(rig.on(event).refused?.code).toBe('NOT_STUCK');
    expect(rig.state).toBe(before);
  }
  rig.done('a/1');
  for (const event of [
    { type: 'cancel', reason: undefined },
    { type: 'pause' },
    { type: 'signal', name: 'x', payload: 1 },
  ] as const) {
    expect(rig.on(event).refused?.code).toBe('RUN_ENDED');
  }
});

test('a step that failed before it had begun can be resolved', () => {
  const rig = new PlanRig(
    [
      { stepId: 'a', ...call, condition: 'input.x' },
      { stepId: 'b', value: '${steps.a.result}', dependencies: ['a'] },
    ],
    {},
    { onFailure: 'park' },
  );
  expect(rig.phase).toBe('stuck step');
  rig.on({ type: 'resolve', unit: 'a', result: 5 });
  expect(rig.state.result).toEqual({ a: 5, b: 5 });
});

test('two thousand items, and a thousand steps one after another', () => {
  const loop = new PlanRig(
    [{ stepId: 'a', ...call, forEach: { items: '${input.l}', concurrency: 100 } }],
    { l: Array.from({ length: 2_000 }, (_, i) => i) },
    { parallelism: 100 },
  );
  while (loop.under.length > 0) loop.done(loop.under[0] as string, 1);
  expect(loop.phase).toBe('completed');
  expect(loop.started).toHaveLength(2_000);
  const chain = new PlanRig(
    Array.from({ length: 1_000 }, (_, i) => ({
      stepId: `s${i}`,
      value: i,
      dependencies: i === 0 ? [] : [`s${i - 1}`],
    })),
  );
  expect(chain.phase).toBe('completed');
});
