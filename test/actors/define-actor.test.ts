/** `defineActor`: the four ways to behave, the faults of a specification, and the types that refs take from it. */
import { createMachine, fromCallback, fromObservable, fromPromise, fromTransition, setup } from 'xstate';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { defineActor, type InputOf, type MessageOf, type ViewOf } from '../../actors/define-actor.ts';
import { reducerBehavior } from '../../actors/reducer.ts';
import { isDefinition } from '../../runtime/kernel/definition.ts';
import { InvalidAddressError, InvalidDefinitionError } from '../../runtime/kernel/errors.ts';
import { TurnHarness } from '../support/turn-harness.ts';
import { typed } from '../support/typed.ts';

const url = import.meta.url;
const machine = setup({
  types: typed<{
    context: { n: number };
    events: { type: 'ADD'; by: number } | { type: 'CLEAR' };
    input: { start: number };
    tags: 'full';
  }>(),
}).createMachine({
  context: ({ input }) => ({ n: input.start }),
  initial: 'open',
  states: { open: { tags: ['full'] }, shut: {} },
});
const logic = fromTransition(
  (state: { n: number }, event: { type: 'INC'; by: number }) => ({ n: state.n + event.by }),
  { n: 0 },
);
const reducer = {
  init: (input: { start: number }) => ({ n: input.start }),
  receive: (state: { n: number }, message: { add: number }) => ({ n: state.n + message.add }),
  view: (state: { n: number }) => state.n,
};

describe('the ways', () => {
  test('a machine', () => {
    const definition = defineActor(url, 'counter', { machine, version: 3, durability: 'snapshot' });
    expect(isDefinition(definition)).toBe(true);
    expect(definition).toMatchObject({
      module: url,
      name: 'counter',
      version: 3,
      durability: 'snapshot',
      virtual: false,
    });
    expectTypeOf<MessageOf<typeof definition>>().toEqualTypeOf<{ type: 'ADD'; by: number } | { type: 'CLEAR' }>();
    expectTypeOf<InputOf<typeof definition>>().toEqualTypeOf<{ start: number }>();
    expectTypeOf<ViewOf<typeof definition>['context']>().toEqualTypeOf<{ n: number }>();
    expectTypeOf<ViewOf<typeof definition>['value']>().toEqualTypeOf<'open' | 'shut'>();
    expectTypeOf<ViewOf<typeof definition>['tags']>().toEqualTypeOf<readonly 'full'[]>();
  });

  test('transition logic', () => {
    const definition = defineActor(url, 'inc', { logic });
    expectTypeOf<MessageOf<typeof definition>>().toEqualTypeOf<{ type: 'INC'; by: number }>();
    const harness = new TurnHarness();
    const key = harness.spawn(definition.behavior);
    harness.tell(key, { type: 'INC', by: 4 });
    expect(harness.view(key)).toEqual({ status: 'active', context: { n: 4 }, output: undefined, error: undefined });
  });

  test('a machine is logic too', () => {
    expect(isDefinition(defineActor(url, 'inc', { logic: machine }))).toBe(true);
  });

  test('a reducer', () => {
    const definition = defineActor(url, 'adder', { reducer });
    expectTypeOf<MessageOf<typeof definition>>().toEqualTypeOf<{ add: number }>();
    expectTypeOf<InputOf<typeof definition>>().toEqualTypeOf<{ start: number }>();
    expectTypeOf<ViewOf<typeof definition>>().toEqualTypeOf<number>();
    const harness = new TurnHarness();
    const key = harness.spawn(definition.behavior, { input: { start: 1 } });
    harness.tell(key, { add: 2 });
    expect(harness.view(key)).toBe(3);
  });

  test('a behavior', () => {
    expect(isDefinition(defineActor(url, 'any', { behavior: reducerBehavior(reducer) }))).toBe(true);
  });
});

const bad: Record<string, readonly [spec: unknown, ...words: readonly string[]]> = {
  nothing: [undefined, 'got undefined'],
  'a function': [function order() {}, 'a function (order)', 'cannot cross threads', '{ machine }'],
  'no way': [{ version: 2 }, 'none of machine, logic, reducer and behavior'],
  'the machine itself': [machine, 'none of', 'the machine itself goes inside'],
  'two ways': [{ machine, reducer }, 'machine and reducer', 'one of them'],
  'a function for a machine': [{ machine: () => machine }, 'machine is a function', 'setup().createMachine'],
  'something else for a machine': [{ machine: { initial: 'a' } }, 'no actor logic'],
  'transition logic for a machine': [{ machine: logic }, 'give it as { logic }'],
  'promise logic as a root': [{ logic: fromPromise(async () => 1) }, 'promise logic', "machine's invoke"],
  'callback logic as a root': [{ logic: fromCallback(() => {}) }, 'callback or observable logic', "machine's invoke"],
  'observable logic as a root': [{ machine: fromObservable(() => ({}) as never) }, 'callback or observable logic'],
  'a reducer without receive': [{ reducer: { init: () => 0 } }, 'receive is undefined'],
  'an async reducer': [{ reducer: { init: () => 0, receive: async () => 1 } }, 'receive is async'],
  'save without load': [
    { reducer: { init: () => 0, receive: () => 0, save: () => 0 } },
    'save and load belong together',
  ],
  'half a behavior': [{ behavior: { init: () => 0, receive: () => 0 } }, 'no save, no load, no view'],
  'a bad option': [{ reducer, version: 0 }, 'version is 0'],
};

test.each(Object.entries(bad))('a bad specification: %s', (_what, [spec, ...words]) => {
  try {
    defineActor(url, 'order', spec as never);
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidDefinitionError);
    expect((error as Error).message).toContain('order');
    for (const word of words) expect((error as Error).message).toContain(word);
  }
});

test('a bad name and a bad module', () => {
  expect(() => defineActor(url, 'a b', { reducer })).toThrow(InvalidAddressError);
  expect(() => defineActor('./here.ts', 'order', { machine: createMachine({}) })).toThrow(/import\.meta\.url/);
});
