/** What a machine asks of the runtime: answers, stash, timers, ends, failures, and what of it is kept. */
import {
  type AnyActorRef,
  assign,
  createMachine,
  fromPromise,
  log,
  raise,
  sendParent,
  sendTo,
  setup,
  stopChild,
} from 'xstate';
import { expect, test, vi } from 'vitest';
import { effect } from '../../actors/machine/effect-logic.ts';
import { machineBehavior } from '../../actors/machine/machine-behavior.ts';
import { MachineRef, refTo } from '../../actors/machine/machine-ref.ts';
import type { MachineState, MachineView } from '../../actors/machine/machine-state.ts';
import { reply, replyError, replyTo, stash, takeReplyTo, unstash } from '../../actors/machine/turn-actions.ts';
import { UnsupportedLogicError } from '../../runtime/kernel/errors.ts';
import type { ReplyTo } from '../../runtime/kernel/message.ts';
import { Reference } from '../../runtime/kernel/reference.ts';
import { carried } from '../support/side-by-side.ts';
import { TurnHarness } from '../support/turn-harness.ts';
import { typed } from '../support/typed.ts';

type Loose = { context: Record<string, unknown>; events: { type: string; [more: string]: unknown } };
/** For XState's inference: any context, any event. */
const types = typed<Loose>();

const start = (
  machine: Parameters<typeof machineBehavior>[0],
  options: { input?: unknown; carry?: boolean; parent?: string } = {},
) => {
  const harness = new TurnHarness(options.carry === false ? {} : { carry: carried });
  const key = harness.spawn(machineBehavior(machine) as never, {
    input: options.input,
    ...(options.parent === undefined ? {} : { parent: options.parent }),
  });
  return { harness, key, view: () => harness.view<MachineView>(key) };
};

test('reply answers an ask, with a value or of context and event; a tell has no answer', () => {
  const { harness, key } = start(
    setup({ types }).createMachine({
      context: { n: 7 },
      on: {
        PLAIN: { actions: reply('yes') },
        EXPR: { actions: reply(({ context, event }) => [context['n'], event['by']]) },
        FAIL: { actions: replyError(new RangeError('too far')) },
        NOTHING: {},
      },
    }),
  );
  const asked = [{ type: 'PLAIN' }, { type: 'EXPR', by: 2 }, { type: 'FAIL' }].map((event) => harness.ask(key, event));
  harness.tell(key, { type: 'PLAIN' });
  harness.ask(key, { type: 'NOTHING' });
  expect(harness.replies.map(({ call }) => call)).toEqual(asked);
  expect(harness.replies[0]?.value).toBe('yes');
  expect(harness.replies[1]?.value).toEqual([7, 2]);
  expect(harness.replies[2]?.error).toMatchObject({ name: 'RangeError', message: 'too far' });
});

test('takeReplyTo keeps the right to answer until a later state', () => {
  const { harness, key } = start(
    setup({ types, actors: { pay: fromPromise(() => new Promise(() => {})) } }).createMachine({
      context: { waiting: undefined },
      initial: 'idle',
      states: {
        idle: { on: { PAY: { target: 'paying', actions: assign({ waiting: () => takeReplyTo() }) } } },
        paying: {
          invoke: {
            id: 'pay',
            src: 'pay',
            onDone: {
              target: 'idle',
              actions: replyTo(
                ({ context }) => context['waiting'] as ReplyTo,
                ({ event }) => (event as { output?: unknown }).output,
              ),
            },
          },
        },
      },
    }),
  );
  const call = harness.ask(key, { type: 'PAY' });
  expect(harness.replies).toEqual([]);
  harness.settle(key, 'pay', { paid: 12 });
  expect(harness.replies).toEqual([{ call, value: { paid: 12 } }]);
  harness.tell(key, { type: 'PAY' });
  harness.settle(key, 'pay', 1);
  expect(harness.replies).toHaveLength(1);
});

test('stash keeps messages for a later state, in their order', () => {
  const { harness, key, view } = start(
    setup({ types, actions: { later: stash(), again: unstash() } }).createMachine({
      context: { seen: [] },
      initial: 'busy',
      states: {
        busy: { on: { FREE: 'free', '*': { actions: 'later' } } },
        free: {
          entry: 'again',
          on: {
            '*': { actions: assign({ seen: ({ context, event }) => [...(context['seen'] as string[]), event.type] }) },
          },
        },
      },
    }),
  );
  for (const type of ['A', 'B', 'FREE', 'C']) harness.tell(key, { type });
  expect((view().context as { seen: string[] }).seen).toEqual(['A', 'B', 'C']);
});

test('the actions for turns do nothing in an XState actor without a runtime', async () => {
  const { createActor } = await import('xstate');
  const actor = createActor(
    createMachine({
      context: { handle: undefined as unknown },
      on: {
        GO: {
          actions: [
            reply(1),
            replyError('x'),
            stash(),
            unstash(),
            assign({ handle: () => takeReplyTo() }),
            replyTo(undefined, 1),
          ],
        },
      },
    }),
  ).start();
  actor.send({ type: 'GO' });
  expect(actor.getSnapshot()).toMatchObject({ status: 'active', context: { handle: undefined } });
});

test('a final state ends the actor with its output; messages after that change nothing', () => {
  const { harness, key, view } = start(
    createMachine({ initial: 'a', output: { sum: 3 }, states: { a: { on: { END: 'b' } }, b: { type: 'final' } } }),
  );
  harness.tell(key, { type: 'END' });
  expect(harness.exitOf(key)).toEqual({ kind: 'normal', output: { sum: 3 } });
  expect(view()).toMatchObject({ status: 'done', value: 'b', output: { sum: 3 } });
  const behavior = machineBehavior(createMachine({ initial: 'a', states: { a: { type: 'final' } } }));
  const ended = new TurnHarness();
  const other = ended.spawn(behavior as never);
  const state = ended.state<MachineState>(other);
  expect(behavior.receive(state, { type: 'X' }, {} as never)).toBe(state);
});

test('a rejected invoke without onError ends the actor with that error, and nothing is uncaught', async () => {
  const { harness, key } = start(
    createMachine({
      invoke: { id: 'w', src: fromPromise(() => Promise.reject(new RangeError('no card'))) },
      on: { X: {} },
    }),
  );
  await harness.call(key, 'w');
  expect(harness.exitOf(key)).toMatchObject({ kind: 'error', error: { name: 'RangeError', message: 'no card' } });
});

test('a throwing action, guard or first entry fails the turn with the error as thrown, and changes nothing', () => {
  const thrown = new Error('bad action');
  const machine = setup({ types }).createMachine({
    context: { n: 0 },
    on: {
      ACT: {
        actions: [
          assign({ n: 1 }),
          sendTo(({ self }) => self, { type: 'NEVER' }),
          () => {
            throw thrown;
          },
        ],
      },
      GUARD: {
        guard: () => {
          throw new Error('bad guard');
        },
        actions: [],
      },
    },
  });
  const { harness, key, view } = start(machine);
  const before = view();
  expect(() => harness.tell(key, { type: 'ACT' })).toThrow(thrown);
  expect(() => harness.tell(key, { type: 'GUARD' })).toThrow('bad guard');
  expect(view()).toEqual(before);
  expect(harness.take(key)).toEqual([]);
  harness.tell(key, { type: 'OTHER' });
  expect(harness.exitOf(key)).toBeUndefined();
  const failing = createMachine({
    entry: () => {
      throw thrown;
    },
  });
  expect(() => start(failing)).toThrow(thrown);
});

test('after a failed step the next one starts clean', () => {
  let broken = true;
  const machine = setup({ types, actors: { kid: createMachine({ on: { X: {} } }) } }).createMachine({
    initial: 'a',
    states: {
      a: { on: { GO: 'b' } },
      b: {
        invoke: { id: 'kid', src: 'kid' },
        entry: [
          raise({ type: 'T' }, { delay: 10, id: 't' }),
          sendTo('kid', { type: 'X' }),
          () => {
            if (broken) throw new Error('once');
          },
        ],
      },
    },
  });
  const { harness, key } = start(machine);
  expect(() => harness.tell(key, { type: 'GO' })).toThrow('once');
  broken = false;
  harness.tell(key, { type: 'GO' });
  expect(harness.take(key).map(([kind]) => kind)).toEqual(['timer.set', 'spawn', 'send']);
  expect(harness.keys()).toEqual([key, `${key}~kid`]);
});

test('what is no event is refused, and so are XState events from outside', () => {
  const { harness, key } = start(createMachine({ invoke: { id: 'x', src: fromPromise(() => new Promise(() => {})) } }));
  for (const message of ['TEXT', 7, null, {}, { type: 3 }]) expect(() => harness.tell(key, message)).toThrow(TypeError);
  expect(() => harness.tell(key, { type: 'xstate.done.actor.x', output: 1 })).toThrow(/only actors may send/);
  expect(() => harness.tell(key, { type: 'xstate.stop' })).toThrow(TypeError);
  expect(() => harness.tell(key, { type: 'xstate.stop' }, 'def/other')).toThrow(TypeError);
  harness.tell(key, { type: 'xstate.error.actor.x', error: new Error('up') }, 'def/other');
  expect(harness.exitOf(key)).toMatchObject({ kind: 'error', error: { message: 'up' } });
});

test('references in events and context are targets, also after saving', () => {
  const { harness, key, view } = start(
    setup({ types }).createMachine({
      context: { friend: undefined },
      on: {
        MEET: { actions: assign({ friend: ({ event }) => event['who'] }) },
        CALL: {
          actions: [
            sendTo(
              ({ context }) => context['friend'] as AnyActorRef,
              ({ self }) => ({ type: 'HI', from: self }),
            ),
          ],
        },
        FAR: { actions: sendTo(refTo('def', 'far'), { type: 'HI' }) },
        BACK: { actions: sendTo(({ event }) => event['from'] as AnyActorRef, { type: 'BYE' }) },
      },
    }),
  );
  harness.tell(key, { type: 'MEET', who: new Reference('def/2') });
  expect((view().context as { friend: unknown }).friend).toBeInstanceOf(Reference);
  for (const event of [{ type: 'CALL' }, { type: 'FAR' }, { type: 'BACK', from: new Reference('def/3') }])
    harness.tell(key, event);
  const sends = harness.take(key);
  expect(sends.map(([kind, to, event]) => [kind, to, (event as { type: string }).type])).toEqual([
    ['send', 'def/2', 'HI'],
    ['send', 'def/far', 'HI'],
    ['send', 'def/3', 'BYE'],
  ]);
  expect(sends[0]?.[2]).toMatchObject({ from: { key: 'def/1', id: '1' } });
  expect(() => harness.tell(key, { type: 'BACK', from: { not: 'a ref' } })).toThrow(UnsupportedLogicError);
});

test('sendParent reaches the parent of a root that was spawned by another actor; without one it fails the turn', () => {
  const machine = createMachine({ on: { GO: { actions: sendParent({ type: 'UP' }) } } });
  const { harness, key } = start(machine, { parent: 'def/boss' });
  harness.tell(key, { type: 'GO' });
  expect(harness.take(key)).toEqual([['send', 'def/boss', { type: 'UP' }]]);
  const orphan = start(machine);
  expect(() => orphan.harness.tell(orphan.key, { type: 'GO' })).toThrow(/Unable to send event to actor '#_parent'/);
});

test('a child may be stopped by the reference that it sent of itself', () => {
  const kid = setup({ types }).createMachine({
    entry: sendParent(({ self }) => ({ type: 'BORN', kid: self })),
  });
  const { harness, key } = start(
    setup({ types, actors: { kid } }).createMachine({
      invoke: { id: 'kid', src: 'kid' },
      context: { kid: undefined },
      on: {
        BORN: { actions: assign({ kid: ({ event }) => event['kid'] }) },
        STOP: { actions: stopChild(({ context }) => context['kid'] as AnyActorRef) },
      },
    }),
  );
  harness.tell(key, { type: 'STOP' });
  expect(harness.keys()).toEqual([key]);
  expect(Object.keys(harness.state<MachineState>(key).snapshot.children as object)).toEqual([]);
  expect(harness.state<MachineState>(key)).toMatchObject({ children: new Map(), stopping: new Set() });
});

test('a child that is still ending keeps its key; the next one has another, and the name is free again later', () => {
  const kid = createMachine({ on: { X: {} } });
  const { harness, key } = start(
    setup({ actors: { kid } }).createMachine({
      id: 'm',
      initial: 'on',
      states: { on: { invoke: { id: 'kid', src: 'kid' }, on: { AGAIN: { target: 'on', reenter: true } } } },
    }),
  );
  const kids = (): string[] => harness.keys().filter((each) => each !== key);
  expect(kids()).toEqual([`${key}~kid`]);
  harness.tell(key, { type: 'AGAIN' });
  expect(kids()).toEqual([`${key}~kid:2`]);
  harness.tell(key, { type: 'AGAIN' });
  expect(kids()).toEqual([`${key}~kid`]);
});

test('a child ended from outside is an error of the child', () => {
  const { harness, key, view } = start(
    setup({ actors: { kid: createMachine({ on: { X: {} } }) } }).createMachine({
      id: 'm',
      initial: 'on',
      context: { why: '' },
      states: {
        on: {
          invoke: {
            id: 'kid',
            src: 'kid',
            onError: { target: 'off', actions: assign({ why: ({ event }) => (event.error as Error).message }) },
          },
        },
        off: {},
      },
    }),
  );
  harness.stop(`${key}~kid`, { kind: 'killed' });
  expect(view()).toMatchObject({ value: 'off', context: { why: `child ${key}~kid was ended from outside: killed` } });
});

test('stop ends children and effects, without exit actions', () => {
  const exit = vi.fn();
  const { harness, key, view } = start(
    setup({
      actors: { kid: createMachine({ on: { X: {} } }), work: fromPromise(() => new Promise(() => {})) },
    }).createMachine({
      exit,
      invoke: [
        { id: 'kid', src: 'kid' },
        { id: 'work', src: 'work' },
      ],
    }),
    { carry: false },
  );
  const { signal } = harness.effect(key, 'work').controller;
  harness.stop(key);
  expect(harness.exitOf(key)).toEqual({ kind: 'shutdown' });
  expect(view().status).toBe('stopped');
  expect(harness.keys()).toEqual([]);
  expect(signal.aborted).toBe(true);
  expect(exit).not.toHaveBeenCalled();
});

test('an eventless circle is a failed turn, not a hung thread', () => {
  const { harness, key } = start(
    createMachine({
      id: 'circle',
      initial: 'a',
      states: { a: { on: { GO: 'b' } }, b: { always: 'c' }, c: { always: 'b' } },
    }),
  );
  expect(() => harness.tell(key, { type: 'GO' })).toThrow(/circle.*microsteps/);
  expect(harness.view(key)).toMatchObject({ value: 'a' });
});

test('delays: negative is now, infinite is never, not a number is an error', () => {
  const { harness, key } = start(
    createMachine({
      on: {
        NEG: { actions: raise({ type: 'X' }, { delay: -5, id: 'neg' }) },
        INF: { actions: raise({ type: 'X' }, { delay: Infinity, id: 'inf' }) },
        NAN: { actions: raise({ type: 'X' }, { delay: NaN }) },
      },
    }),
  );
  harness.tell(key, { type: 'NEG' });
  harness.tell(key, { type: 'INF' });
  expect(harness.take(key)).toEqual([
    ['timer.set', { id: 'neg', delayMs: 0, payload: { id: 'neg', event: { type: 'X' } } }],
  ]);
  expect(() => harness.tell(key, { type: 'NAN' })).toThrow(UnsupportedLogicError);
});

test('log and emit leave with the turn; an unhandled event leaves the state itself', () => {
  const { harness, key } = start(
    createMachine({ on: { L: { actions: [log('a', 'label'), log(({ event }) => event.type)] } } }),
    { carry: false },
  );
  harness.tell(key, { type: 'L' });
  expect(harness.logged.map(({ values }) => values)).toEqual([['label', 'a'], ['L']]);
  const before = harness.state(key);
  harness.tell(key, { type: 'UNKNOWN' });
  expect(harness.state(key)).toBe(before);
});

test('two runs of the same messages ask for the same, down to the names of what has none', () => {
  const run = (): unknown => {
    const kid = createMachine({ on: { X: {} } });
    const machine = setup({
      types,
      actors: { kid, job: effect(async () => 1, { class: 'query' }) },
    }).createMachine({
      context: { kids: [] },
      invoke: { src: 'job', onDone: {} },
      on: {
        ADD: { actions: assign({ kids: ({ context, spawn }) => [...(context['kids'] as unknown[]), spawn('kid')] }) },
        LATER: { actions: raise({ type: 'ADD' }, { delay: 5 }) },
      },
    });
    const { harness, key } = start(machine);
    for (const type of ['ADD', 'LATER', 'ADD', 'LATER']) harness.tell(key, { type });
    harness.advance(10);
    return JSON.stringify([harness.saved(key), harness.asked]);
  };
  expect(run()).toBe(run());
});

test('loading starts nothing, and refuses a state that is no longer there', () => {
  const creator = vi.fn(() => new Promise(() => {}));
  const build = (name: string) =>
    setup({ actors: { work: fromPromise(creator), kid: createMachine({ on: { X: {} } }) } }).createMachine({
      id: 'm',
      initial: name,
      states: {
        [name]: {
          invoke: [
            { id: 'w', src: 'work' },
            { id: 'k', src: 'kid' },
          ],
          after: { 50: { actions: [] } },
        },
      },
    });
  const { harness, key } = start(build('old'));
  const saved = carried(harness.saved(key));
  harness.take(key);
  const loaded = machineBehavior(build('old')).load(saved, { self: key, parent: undefined });
  expect(machineBehavior(build('old')).save(loaded)).toEqual(saved);
  expect(creator).not.toHaveBeenCalled();
  expect(() => machineBehavior(build('new')).load(saved, { self: key, parent: undefined })).toThrow(
    /State 'old' does not exist/,
  );
});

test('a reference does nothing by itself, and says what to use', () => {
  const ref = new MachineRef('def/1~kid');
  expect(ref).toMatchObject({ id: 'kid', sessionId: 'def/1~kid' });
  expect(JSON.parse(JSON.stringify(ref))).toEqual({ actor$: 'def/1~kid' });
  expect(carried(ref)).toEqual(new Reference('def/1~kid'));
  for (const name of ['send', 'getSnapshot', 'getPersistedSnapshot', 'subscribe', 'on', 'start', 'stop'] as const) {
    expect(() => ref[name]()).toThrow(UnsupportedLogicError);
  }
});
