/** What a machine may not contain: each refused with its place and the remedy, when it is defined where it can be seen there. */
import {
  assign,
  createMachine,
  enqueueActions,
  fromPromise,
  sendTo,
  setup,
  spawnChild,
  type AnyActorRef,
} from 'xstate';
import { expect, test } from 'vitest';
import { machineBehavior } from '../../actors/machine/machine-behavior.ts';
import { type BlocksError, UnsupportedLogicError } from '../../runtime/kernel/errors.ts';
import { TurnHarness } from '../support/turn-harness.ts';
import { typed } from '../support/typed.ts';

const kid = createMachine({ id: 'kid', on: { X: {} } });
const work = fromPromise(async () => 1);
const async = async (): Promise<boolean> => true;

const atDefinition: Record<
  string,
  readonly [config: object, implementations: object, code: string, ...words: readonly (string | RegExp)[]]
> = {
  'spawnChild of a machine in place': [
    { id: 'm', initial: 'a', states: { a: { entry: spawnChild(kid, { id: 'k' }) } } },
    {},
    'UNSUPPORTED_LOGIC',
    'machine "m", state "m.a"',
    'spawnChild "k"',
    'setup({ actors })',
  ],
  'a named action that spawns in place': [
    { id: 'm', on: { GO: { actions: 'start' } } },
    { actions: { start: spawnChild(work) } },
    'UNSUPPORTED_LOGIC',
    'state "m"',
    'spawnChild',
  ],
  'an invoked actor that is not there': [
    { id: 'm', invoke: { src: 'ghost' } },
    {},
    'UNSUPPORTED_LOGIC',
    'invoke "0.m"',
    '"ghost"',
    'setup({ actors })',
  ],
  'a spawned actor that is not there': [
    { id: 'm', exit: spawnChild('ghost' as never) },
    {},
    'UNSUPPORTED_LOGIC',
    '"ghost"',
  ],
  'an actor that is no logic': [
    { id: 'm' },
    { actors: { bad: async } },
    'UNSUPPORTED_LOGIC',
    'actor "bad"',
    'a function (async)',
    'fromPromise',
  ],
  'an async action in place': [
    { id: 'm', entry: async },
    {},
    'UNSUPPORTED_LOGIC',
    'state "m": action "async"',
    'is async',
    'invoke it',
  ],
  'an async action by name': [
    { id: 'm', on: { GO: { actions: { type: 'save' } } } },
    { actions: { save: async } },
    'UNSUPPORTED_LOGIC',
    'action "save"',
  ],
  'an async action that nothing uses': [
    { id: 'm' },
    { actions: { save: async } },
    'UNSUPPORTED_LOGIC',
    'action "save"',
  ],
  'an async guard': [{ id: 'm', on: { GO: { guard: async } } }, {}, 'UNSUPPORTED_LOGIC', 'guard of "GO"'],
  'an async guard by name': [{ id: 'm' }, { guards: { may: async } }, 'UNSUPPORTED_LOGIC', 'guard "may"'],
  'an async guard of always': [{ id: 'm', always: { guard: async } }, {}, 'UNSUPPORTED_LOGIC', 'guard of "'],
  'an async assign': [{ id: 'm', context: {}, entry: assign(async as never) }, {}, 'UNSUPPORTED_LOGIC', 'assign'],
  'an async assign of one property': [
    { id: 'm', context: {}, entry: assign({ n: async }) },
    {},
    'UNSUPPORTED_LOGIC',
    'assign of "n"',
  ],
  'an async delay': [{ id: 'm' }, { delays: { soon: async } }, 'UNSUPPORTED_LOGIC', 'delay "soon"'],
  'an async sender': [{ id: 'm', entry: sendTo('x', async as never) }, {}, 'UNSUPPORTED_LOGIC', 'sendTo is async'],
  'a function in context': [
    { id: 'm', context: { notify: () => {} } },
    {},
    'UNSUPPORTED_LOGIC',
    'context.notify',
    'keep data',
  ],
  'an invoke id that cannot be in an address': [
    { id: 'm', invoke: { id: 'a~b', src: work } },
    {},
    'INVALID_ADDRESS',
    '"a~b"',
  ],
  'logic in place below an id with a dot': [
    { id: 'm', initial: 'a', states: { a: { id: 'x.y', invoke: { src: work } } } },
    {},
    'UNSUPPORTED_LOGIC',
    'state "x.y"',
    'setup({ actors })',
  ],
  'any of it in a child machine': [
    { id: 'm', invoke: { src: 'child' } },
    { actors: { child: createMachine({ id: 'inner' }, { guards: { later: async as never } }) } },
    'UNSUPPORTED_LOGIC',
    'machine "inner"',
  ],
};

test.each(Object.entries(atDefinition))(
  'refused when defined: %s',
  (_what, [config, implementations, code, ...words]) => {
    const machine = createMachine(config as never, implementations as never);
    const error = errorOf(() => machineBehavior(machine as never));
    expect(error.code).toBe(code);
    for (const word of words) expect(error.message).toMatch(word instanceof RegExp ? word : literal(word));
  },
);

type Loose = { context: Record<string, unknown>; events: { type: string } };
/** For XState's inference: any context, any event. */
const types = typed<Loose>();
const loose = setup({ types, actors: { work } });

const inTheStep: Record<string, readonly [machine: unknown, ...words: readonly string[]]> = {
  'spawn of logic in place in an assign': [
    loose.createMachine({
      id: 'm',
      context: {},
      on: { GO: { actions: assign({ ref: ({ spawn }) => spawn(kid as never, { id: 'k' } as never) as unknown }) } },
    }),
    'machine "m"',
    'actor "k"',
    'setup({ actors })',
  ],
  'spawnChild of logic in place in enqueueActions': [
    loose.createMachine({
      id: 'm',
      context: {},
      on: { GO: { actions: enqueueActions(({ enqueue }) => enqueue.spawnChild(kid as never)) } },
    }),
    'actor "x:0"',
  ],
  'an action that returns a promise': [
    loose.createMachine({
      id: 'm',
      context: {},
      on: {
        GO: {
          actions: function fetchIt() {
            return Promise.reject(new Error('late'));
          } as never,
        },
      },
    }),
    'action fetchIt returned a promise',
    'invoke it',
  ],
  'sendTo something that is no reference': [
    loose.createMachine({
      id: 'm',
      context: {},
      on: { GO: { actions: sendTo({ send() {} } as unknown as AnyActorRef, { type: 'X' }) } },
    }),
    'no reference for "X"',
  ],
  'talking past the turn': [
    loose.createMachine({ id: 'm', context: {}, on: { GO: { actions: ({ self }) => self.send({ type: 'X' }) } } }),
    'send()',
    'use the action sendTo',
  ],
};

test.each(Object.entries(inTheStep))('refused in the step: %s', (_what, [machine, ...words]) => {
  const harness = new TurnHarness();
  const key = harness.spawn(machineBehavior(machine as never) as never);
  const error = errorOf(() => harness.tell(key, { type: 'GO' }));
  expect(error).toBeInstanceOf(UnsupportedLogicError);
  for (const word of words) expect(error.message).toMatch(literal(word));
});

test('logic that is also in setup may be given in place', () => {
  const harness = new TurnHarness();
  const machine = setup({ types, actors: { kid } }).createMachine({
    context: {},
    entry: [
      spawnChild(kid as never, { id: 'one' }),
      assign({ ref: ({ spawn }) => spawn(kid as never, { id: 'two' } as never) as unknown }),
    ],
  });
  const key = harness.spawn(machineBehavior(machine) as never);
  expect(harness.keys()).toEqual([key, `${key}~one`, `${key}~two`]);
});

test('a machine that invokes itself is checked once', () => {
  const actors: Record<string, unknown> = {};
  const machine = createMachine(
    {
      id: 'r',
      initial: 'a',
      states: { a: { on: { GO: 'b' } }, b: { invoke: { id: 'again', src: 'again' } } },
    } as never,
    {
      actors,
    } as never,
  );
  actors['again'] = machine;
  const harness = new TurnHarness();
  const key = harness.spawn(machineBehavior(machine as never) as never);
  harness.tell(key, { type: 'GO' });
  harness.tell(`${key}~again`, { type: 'GO' });
  expect(harness.keys()).toEqual([key, `${key}~again`, `${key}~again~again`]);
});

function errorOf(run: () => unknown): BlocksError {
  try {
    run();
  } catch (error) {
    return error as BlocksError;
  }
  throw new Error('nothing was refused');
}

const literal = (text: string): RegExp => new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
