/** Plain reducers and transition logic as behaviors. */
import { fromTransition } from 'xstate';
import { expect, test } from 'vitest';
import { reducerBehavior } from '../../actors/reducer.ts';
import { transitionBehavior } from '../../actors/machine/transition-behavior.ts';
import { Reference } from '../../runtime/kernel/reference.ts';
import { carried } from '../support/side-by-side.ts';
import { TurnHarness } from '../support/turn-harness.ts';

test('a reducer receives, is signalled, and has effects and children', () => {
  const kid = reducerBehavior({ init: (input: number) => input, receive: (state: number, by: number) => state * by });
  const parent = reducerBehavior({
    init: (_input: unknown, turn) => {
      turn.spawn({ childId: 'k', logic: 'kid', input: 2 });
      turn.startEffect({ id: 'e', source: 'work', input: 1 });
      turn.setTimer({ id: 't', delayMs: 5, payload: 'tick' });
      return [] as unknown[];
    },
    receive: (state, message: { exit?: boolean }, turn) => {
      if (message.exit === true) turn.exit({ kind: 'normal', output: state.length });
      return [...state, message];
    },
    signal: (state, signal) => [...state, signal.kind],
    effects: { work: { kind: 'call', run: () => 1 } },
    children: { kid },
  });
  const harness = new TurnHarness({ carry: carried });
  const key = harness.spawn(parent as never);
  harness.tell(`${key}~k`, 21);
  expect(harness.view(`${key}~k`)).toBe(42);
  harness.settle(key, 'e', 1);
  harness.advance(5);
  harness.stop(`${key}~k`);
  harness.tell(key, { exit: true });
  expect(harness.view(key)).toEqual(['effect.done', 'timer', 'terminated', { exit: true }]);
  expect(harness.exitOf(key)).toEqual({ kind: 'normal', output: 3 });
});

test('a reducer without signal leaves timers to the runtime, and has no effects or children', () => {
  const behavior = reducerBehavior({ init: () => 0, receive: (state: number) => state + 1 });
  expect(behavior.signal).toBeUndefined();
  expect(behavior.effect?.('x')).toBeUndefined();
  expect(behavior.child?.('x')).toBeUndefined();
});

test('save and load of its own, and methods that use this', () => {
  const behavior = reducerBehavior({
    step: 2,
    init: () => new Set<number>(),
    receive(state: ReadonlySet<number>, n: number) {
      return new Set([...state, n * this.step]);
    },
    save: (state: ReadonlySet<number>) => [...state],
    load: (saved: unknown) => new Set(saved as number[]),
    view: (state: ReadonlySet<number>) => state.size,
  } as Parameters<typeof reducerBehavior<ReadonlySet<number>, number, unknown, number>>[0] & { step: number });
  const harness = new TurnHarness({ carry: carried });
  const key = harness.spawn(behavior as never);
  harness.tell(key, 1);
  harness.tell(key, 1);
  harness.tell(key, 5);
  expect(harness.view(key)).toBe(2);
  expect(harness.saved(key)).toEqual([2, 10]);
});

test('transition logic: input, self, emit, log, and the reference of its parent', () => {
  const logic = fromTransition(
    (state: unknown[], event: { type: string }, scope) => {
      scope.emit({ type: 'seen' });
      (scope as unknown as { logger(...values: unknown[]): void }).logger('log', event.type);
      return [...state, scope.self, scope.self._parent, scope.system.get('nobody')];
    },
    ({ input }: { input: unknown }) => [input],
  );
  const harness = new TurnHarness({ carry: carried });
  const key = harness.spawn(transitionBehavior(logic) as never, { input: 'in', parent: 'def/p' });
  harness.tell(key, { type: 'GO' });
  expect(harness.view(key)).toMatchObject({ context: ['in', new Reference(key), new Reference('def/p'), undefined] });
  expect(harness.emitted).toEqual([{ key, event: { type: 'seen' } }]);
  expect(harness.logged).toEqual([{ key, values: ['log', 'GO'] }]);
});

test('computing logic of another making ends when its snapshot does', () => {
  const logic = {
    getInitialSnapshot: () => ({ status: 'active' as const, output: undefined, error: undefined }),
    getPersistedSnapshot: (snapshot: unknown) => snapshot,
    transition: (snapshot: object, event: { type: string }) =>
      event.type === 'END'
        ? { ...snapshot, status: 'done', output: 1 }
        : { ...snapshot, status: 'error', error: new Error('x') },
  };
  const behavior = transitionBehavior(logic as never);
  const exits = ['END', 'OTHER'].map((type) => {
    const harness = new TurnHarness();
    const key = harness.spawn(behavior as never);
    harness.tell(key, { type });
    return harness.exitOf(key);
  });
  expect(exits).toMatchObject([
    { kind: 'normal', output: 1 },
    { kind: 'error', error: { message: 'x' } },
  ]);
});
