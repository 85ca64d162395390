/** Actors of a machine side by side with XState: invoked and spawned, of every kind of logic, and what is sent between them. */
import {
  type AnyActorRef,
  type AnyStateMachine,
  assign,
  cancel,
  createMachine,
  emit,
  enqueueActions,
  forwardTo,
  fromCallback,
  fromEventObservable,
  fromObservable,
  fromPromise,
  fromTransition,
  log,
  sendParent,
  sendTo,
  setup,
  spawnChild,
  stopChild,
} from 'xstate';
import { beforeEach, describe, expect, test } from 'vitest';
import { firstDifference, type Step } from '../support/side-by-side.ts';
import { typed } from '../support/typed.ts';

interface Chart {
  readonly machine: AnyStateMachine;
  readonly steps: readonly Step[];
  readonly input?: unknown;
}

type Loose = {
  context: Record<string, unknown>;
  events: { type: string; [more: string]: unknown };
  emitted: { type: string };
};
/** For XState's inference: any context, any event. */
const types = typed<Loose>();

const e = (type: string, more: object = {}): Step => ({ type, ...more });
const wait = (advance: number): Step => ({ advance });
const done = (settle: string | readonly string[], result: unknown): Step => ({ settle, result });
const note = (word: string): never =>
  assign({
    trail: ({ context, event }: { context: { trail: unknown[] }; event: { type: string } }) => [
      ...context.trail,
      word || event,
    ],
  }) as never;
const heard: never = assign({
  trail: ({ context, event }: { context: { trail: unknown[] }; event: { type: string } }) => [...context.trail, event],
}) as never;
const never = fromPromise<unknown, unknown>(() => new Promise(() => {}));

interface Observer {
  next?: (value: never) => void;
  error?: (error: unknown) => void;
  complete?: () => void;
}

/** A source that both sides subscribe to. */
class Channel {
  readonly #observers = new Set<Observer>();
  subscribe(observer: Observer): { unsubscribe(): void } {
    this.#observers.add(observer);
    return { unsubscribe: () => void this.#observers.delete(observer) };
  }
  next(value: unknown): Step {
    return { act: () => this.#observers.forEach((observer) => observer.next?.(value as never)) };
  }
  error(message: string): Step {
    return { act: () => this.clear().forEach((observer) => observer.error?.(new Error(message))) };
  }
  complete(): Step {
    return { act: () => this.clear().forEach((observer) => observer.complete?.()) };
  }
  /** Who ends an observable forgets its observers. */
  clear(): Observer[] {
    const observers = [...this.#observers];
    this.#observers.clear();
    return observers;
  }
  count(expected: number): Step {
    return { act: () => expect(this.#observers.size).toBe(expected) };
  }
}

const values = new Channel();
const events = new Channel();
const failing = new Channel();

const echo = fromCallback<{ type: string }, { greeting: string }>(({ sendBack, receive, input }) => {
  sendBack({ type: 'HELLO', greeting: input?.greeting });
  receive((event) => sendBack({ type: 'ECHO', of: event.type }));
  return () => {};
});

const counter = fromTransition(
  (state: { n: number }, event: { type: string; by?: number }) => ({ n: state.n + (event.by ?? 1) }),
  { n: 0 },
);

const child = setup({ types }).createMachine({
  id: 'child',
  context: ({ input }) => ({ trail: [], name: (input as { name?: string } | undefined)?.name ?? 'nobody' }),
  initial: 'idle',
  entry: sendParent(({ context }) => ({ type: 'UP', name: context['name'] })),
  output: ({ context }) => ({ name: context['name'], heard: (context['trail'] as unknown[]).length }),
  states: {
    idle: {
      on: {
        PING: { actions: [heard, sendParent({ type: 'PONG' })] },
        SLEEP: 'asleep',
        END: 'end',
        '*': { actions: heard },
      },
    },
    asleep: { after: { 100: { target: 'idle', actions: sendParent({ type: 'WOKE' }) } } },
    end: { type: 'final' },
  },
});

const trail = { trail: [] as unknown[] };

const charts: Record<string, Chart> = {
  'promise: done, failed, left before its end, invoked again': {
    machine: setup({ types, actors: { work: never } }).createMachine({
      id: 'pr',
      context: { ...trail },
      initial: 'idle',
      states: {
        idle: { on: { GO: 'busy' } },
        busy: {
          invoke: {
            id: 'work',
            src: 'work',
            input: ({ event }: { event: unknown }) => event,
            onDone: { target: 'idle', actions: heard },
            onError: { target: 'failed', actions: note('failed') },
          },
          on: { LEAVE: 'idle', AGAIN: { target: 'busy', reenter: true } },
        },
        failed: { on: { GO: 'busy' } },
      },
    }),
    steps: [
      e('GO'),
      done('work', { ok: 1 }),
      e('GO'),
      done('work', new Error('no')),
      e('GO'),
      e('LEAVE'),
      e('GO'),
      e('AGAIN'),
      e('AGAIN'),
      done('work', 'third'),
      e('GO'),
    ],
  },
  'promise: rejected without onError ends the actor': {
    machine: setup({ actors: { work: never } }).createMachine({
      id: 'pe',
      invoke: { src: 'work' },
      initial: 'a',
      states: { a: { on: { X: 'b' } }, b: {} },
    }),
    steps: [e('X'), done('0.pe', new Error('broken')), e('X')],
  },
  'promise: given in place, without an id, two of them': {
    machine: createMachine({
      id: 'inline',
      context: { ...trail },
      initial: 'a',
      states: {
        a: {
          invoke: [
            { src: never, onDone: { actions: note('first') } },
            { src: never, id: 'second', onDone: { target: 'b', actions: note('second') } },
          ],
        },
        b: {},
      },
    }),
    steps: [done('0.inline.a', 1), done('second', 2), e('X')],
  },
  'promise: of a state that is left at once is never there': {
    machine: setup({ types, actors: { work: never } }).createMachine({
      id: 'brief',
      context: { ...trail },
      initial: 'a',
      states: {
        a: { on: { GO: 'b' } },
        b: { invoke: { id: 'work', src: 'work', onDone: { actions: heard } }, always: 'c' },
        c: { on: { BACK: 'a', GO: 'd' } },
        d: { invoke: { id: 'work', src: 'work', onDone: { actions: heard } } },
      },
    }),
    steps: [e('GO'), e('BACK'), e('GO'), e('GO'), done('work', 1)],
  },
  'callback: says hello, echoes, ends with its state': {
    machine: setup({ types, actors: { echo } }).createMachine({
      id: 'cb',
      context: { ...trail },
      initial: 'on',
      on: { HELLO: { actions: heard }, ECHO: { actions: heard } },
      states: {
        on: {
          invoke: { id: 'echo', src: 'echo', input: { greeting: 'hi' } },
          entry: sendTo('echo', { type: 'EARLY' }),
          on: { ASK: { actions: [sendTo('echo', { type: 'A' }), forwardTo('echo')] }, OFF: 'off' },
        },
        off: { on: { ON: 'on' } },
      },
    }),
    steps: [e('ASK'), e('OFF'), e('ON'), e('ASK')],
  },
  'callback: throwing is an error of the child': {
    machine: setup({
      types,
      actors: {
        bad: fromCallback(() => {
          throw new Error('at start');
        }),
      },
    }).createMachine({
      id: 'cbe',
      context: { ...trail },
      initial: 'a',
      states: {
        a: { on: { GO: 'b' } },
        b: { invoke: { id: 'bad', src: 'bad', onError: { target: 'a', actions: note('bad') } } },
      },
    }),
    steps: [e('GO'), e('GO')],
  },
  'observable: values by onSnapshot, completion, error': {
    machine: setup({
      types,
      actors: { values: fromObservable(() => values as never), failing: fromObservable(() => failing as never) },
    }).createMachine({
      id: 'ob',
      context: { ...trail, last: undefined },
      initial: 'a',
      states: {
        a: {
          invoke: {
            id: 'values',
            src: 'values',
            onSnapshot: { actions: assign({ last: ({ event }) => (event.snapshot as { context: unknown }).context }) },
            onDone: { target: 'b', actions: note('complete') },
          },
          on: { SKIP: 'b' },
        },
        b: {
          invoke: { id: 'failing', src: 'failing', onError: { target: 'c', actions: note('error') } },
          on: { BACK: 'a' },
        },
        c: {},
      },
    }),
    steps: [
      values.count(2),
      values.next(1),
      values.next({ deep: [2] }),
      e('SKIP'),
      values.count(0),
      values.next(3),
      e('BACK'),
      values.next(4),
      values.complete(),
      failing.next('unseen'),
      failing.error('broken'),
    ],
  },
  'event observable: events for the machine': {
    machine: setup({
      types,
      actors: { events: fromEventObservable(() => events as never) },
    }).createMachine({
      id: 'eo',
      context: { ...trail },
      invoke: { id: 'events', src: 'events', onDone: { actions: note('complete') } },
      on: { CLICK: { actions: heard } },
    }),
    steps: [
      events.next({ type: 'CLICK', x: 1 }),
      events.next({ type: 'OTHER' }),
      events.complete(),
      events.next({ type: 'CLICK' }),
    ],
  },
  'transition logic: reports its snapshots': {
    machine: setup({ types, actors: { counter } }).createMachine({
      id: 'tr',
      context: { ...trail },
      invoke: {
        id: 'counter',
        src: 'counter',
        onSnapshot: {
          actions: assign({
            trail: ({ context, event }) => [
              ...(context['trail'] as unknown[]),
              (event.snapshot as { context: unknown }).context,
            ],
          }),
        },
      },
      on: { ADD: { actions: sendTo('counter', ({ event }) => ({ type: 'ADD', by: event['by'] as number })) } },
    }),
    steps: [e('ADD', { by: 2 }), e('ADD', { by: 5 })],
  },
  'machine: input, messages both ways, its timers, output, end': {
    machine: setup({ types, actors: { child } }).createMachine({
      id: 'par',
      context: { ...trail },
      initial: 'a',
      on: { UP: { actions: heard }, PONG: { actions: heard }, WOKE: { actions: heard } },
      states: {
        a: {
          invoke: { id: 'kid', src: 'child', input: { name: 'Ada' }, onDone: { target: 'b', actions: heard } },
          on: { TELL: { actions: sendTo('kid', ({ event }) => ({ type: event['what'] as string })) }, OUT: 'b' },
        },
        b: { on: { AGAIN: 'a' } },
      },
    }),
    steps: [
      e('TELL', { what: 'PING' }),
      e('TELL', { what: 'SLEEP' }),
      wait(99),
      wait(1),
      e('TELL', { what: 'END' }),
      e('AGAIN'),
      e('TELL', { what: 'SLEEP' }),
      e('OUT'),
      wait(200),
      e('AGAIN'),
      e('TELL', { what: 'PING' }),
      e('OUT'),
      e('AGAIN'),
      e('TELL', { what: 'END' }),
    ],
  },
  'machine: left and entered again in one step has a new child': {
    machine: setup({ types, actors: { child } }).createMachine({
      id: 're',
      context: { ...trail },
      initial: 'a',
      on: { UP: { actions: heard }, PONG: { actions: heard } },
      states: {
        a: {
          invoke: { id: 'kid', src: 'child', onDone: { actions: heard } },
          on: {
            AGAIN: { target: 'a', reenter: true },
            PING: { actions: sendTo('kid', { type: 'PING' }) },
            END: { actions: sendTo('kid', { type: 'END' }) },
            BOTH: { target: 'a', reenter: true, actions: sendTo('kid', { type: 'PING' }) },
          },
        },
      },
    }),
    steps: [e('PING'), e('AGAIN'), e('PING'), e('AGAIN'), e('AGAIN'), e('PING'), e('END'), e('AGAIN'), e('PING')],
  },
  'machine: what is sent on the way out is handled before the end': {
    machine: setup({ types, actors: { child, counter } }).createMachine({
      id: 'last',
      context: { ...trail },
      initial: 'a',
      on: { UP: { actions: heard }, PONG: { actions: heard } },
      states: {
        a: {
          exit: [sendTo('kid', { type: 'PING' }), sendTo('counter', { type: 'ADD' })],
          invoke: [
            { id: 'kid', src: 'child' },
            { id: 'counter', src: 'counter' },
          ],
          on: { OUT: 'b' },
        },
        b: { on: { IN: 'a' } },
      },
    }),
    steps: [e('OUT'), e('IN'), e('OUT')],
  },
  'machine: onSnapshot, done at once, and a child of a child': {
    machine: setup({
      types,
      actors: {
        quick: createMachine({ id: 'quick', initial: 'end', output: 'at once', states: { end: { type: 'final' } } }),
        middle: setup({ types, actors: { leaf: never } }).createMachine({
          id: 'middle',
          initial: 'wait',
          context: { got: undefined },
          output: ({ context }) => context['got'],
          states: {
            wait: {
              invoke: {
                id: 'leaf',
                src: 'leaf',
                onDone: { target: 'next', actions: assign({ got: ({ event }) => event.output }) },
              },
            },
            next: { invoke: { id: 'leaf', src: 'leaf', onDone: 'end', onError: 'wait' } },
            end: { type: 'final' },
          },
        }),
      },
    }).createMachine({
      id: 'deep',
      context: { ...trail },
      initial: 'a',
      states: {
        a: { invoke: { id: 'quick', src: 'quick', onDone: { target: 'b', actions: heard } } },
        b: {
          invoke: {
            id: 'middle',
            src: 'middle',
            onSnapshot: {
              actions: assign({ at: ({ event }) => (event.snapshot as unknown as { value: unknown }).value }),
            },
            onDone: { target: 'c', actions: heard },
          },
        },
        c: {},
      },
    }),
    steps: [
      done(['middle', 'leaf'], 1),
      done(['middle', 'leaf'], new Error('again')),
      done(['middle', 'leaf'], 2),
      done(['middle', 'leaf'], 3),
      e('X'),
    ],
  },
  'machine: an error in a grandchild goes up': {
    machine: setup({
      types,
      actors: {
        middle: setup({ actors: { leaf: never } }).createMachine({ id: 'mid', invoke: { id: 'leaf', src: 'leaf' } }),
      },
    }).createMachine({
      id: 'top',
      context: { ...trail },
      initial: 'a',
      states: {
        a: { invoke: { id: 'middle', src: 'middle', onError: { target: 'b', actions: note('caught') } } },
        b: {},
      },
    }),
    steps: [done(['middle', 'leaf'], new Error('deep down'))],
  },
  'spawnChild and spawn in assign, refs in context, stopChild by id and ref': {
    machine: setup({ types, actors: { child, work: never, echo } }).createMachine({
      id: 'sp',
      context: { ...trail, kids: [], ref: undefined },
      on: {
        UP: { actions: heard },
        PONG: { actions: heard },
        HELLO: { actions: heard },
        ECHO: { actions: heard },
        SPAWN: { actions: spawnChild('child', { id: 'named', input: ({ event }) => event }) },
        ADD: {
          actions: assign({
            kids: ({ context, spawn, event }) => [
              ...(context['kids'] as AnyActorRef[]),
              spawn('child', { id: `kid-${String(event['n'])}`, input: { name: `kid ${String(event['n'])}` } }),
            ],
          }),
        },
        UNNAMED: { actions: assign({ ref: ({ spawn }) => spawn('child', { input: { name: 'unnamed' } }) }) },
        ECHOING: { actions: assign({ ref: ({ spawn }) => spawn('echo', { id: 'echo', input: { greeting: 'yo' } }) }) },
        PINGALL: {
          actions: enqueueActions(({ enqueue, context }) => {
            for (const kid of context['kids'] as AnyActorRef[]) enqueue.sendTo(kid, { type: 'PING' });
          }),
        },
        PINGREF: { actions: sendTo(({ context }) => context['ref'] as AnyActorRef, { type: 'PING' }) },
        STOP: { actions: [stopChild('named'), stopChild(({ context }) => context['ref'] as AnyActorRef)] },
        POP: {
          actions: [
            stopChild(({ context }) => (context['kids'] as AnyActorRef[])[0] as AnyActorRef),
            assign({ kids: ({ context }) => (context['kids'] as unknown[]).slice(1) }),
          ],
        },
        'xstate.done.actor.*': { actions: heard },
        ENDALL: {
          actions: enqueueActions(({ enqueue, context }) =>
            (context['kids'] as AnyActorRef[]).forEach((kid) => enqueue.sendTo(kid, { type: 'END' })),
          ),
        },
      },
    }),
    steps: [
      e('SPAWN', { name: 'Bob' }),
      e('ADD', { n: 1 }),
      e('ADD', { n: 2 }),
      e('UNNAMED'),
      e('PINGALL'),
      e('PINGREF'),
      e('STOP'),
      e('SPAWN', { name: 'Eve' }),
      e('POP'),
      e('PINGALL'),
      e('ENDALL'),
      e('ADD', { n: 1 }),
      e('ECHOING'),
      e('PINGALL'),
      e('PINGREF'),
      e('STOP'),
      e('ECHOING'),
      e('PINGREF'),
    ],
  },
  'spawned in the first context, before anything has happened': {
    machine: setup({ types, actors: { child, work: never } }).createMachine({
      id: 'early',
      context: ({ spawn, input }) => ({
        ...trail,
        kid: spawn('child', { id: 'kid', input }),
        job: spawn('work', { id: 'job' }),
      }),
      on: {
        UP: { actions: heard },
        PONG: { actions: heard },
        PING: { actions: sendTo(({ context }) => context['kid'] as AnyActorRef, { type: 'PING' }) },
        'xstate.done.actor.job': { actions: heard },
      },
    }),
    input: { name: 'first' },
    steps: [e('PING'), done('job', 9), e('PING')],
  },
  'self in events: a child answers to who asked': {
    machine: setup({
      types,
      actors: {
        answering: setup({ types }).createMachine({
          id: 'answering',
          on: {
            ASK: {
              actions: [
                sendTo(
                  ({ event }) => event['from'] as AnyActorRef,
                  ({ event, self }) => ({ type: 'ANSWER', to: event['n'], by: self }),
                ),
                sendTo(({ event }) => event['from'] as AnyActorRef, { type: 'LATE' }, { delay: 20, id: 'late' }),
              ],
            },
            HUSH: { actions: cancel('late') },
          },
        }),
      },
    }).createMachine({
      id: 'asking',
      context: { ...trail, friend: undefined },
      invoke: { id: 'friend', src: 'answering' },
      on: {
        ASK: { actions: sendTo('friend', ({ self, event }) => ({ type: 'ASK', from: self, n: event['n'] })) },
        ANSWER: { actions: [note('answer'), assign({ friend: ({ event }) => event['by'] })] },
        LATE: { actions: note('late') },
        HUSH: { actions: sendTo(({ context }) => context['friend'] as AnyActorRef, { type: 'HUSH' }) },
        ME: { actions: sendTo(({ self }) => self, { type: 'MYSELF' }) },
        MYSELF: { actions: note('myself') },
      },
    }),
    steps: [
      e('ASK', { n: 1 }),
      wait(19),
      e('ASK', { n: 2 }),
      wait(1),
      wait(30),
      e('ASK', { n: 3 }),
      e('HUSH'),
      wait(40),
      e('ME'),
    ],
  },
  'delayed sendTo to a child, which may be gone by then': {
    machine: setup({ types, actors: { child } }).createMachine({
      id: 'dl',
      context: { ...trail },
      initial: 'a',
      on: { UP: { actions: heard }, PONG: { actions: heard } },
      states: {
        a: {
          entry: sendTo('kid', { type: 'PING' }, { delay: 10 }),
          invoke: { id: 'kid', src: 'child' },
          on: {
            SOON: { actions: sendTo('kid', { type: 'PING' }, { delay: 50, id: 'soon' }) },
            NOT: { actions: cancel('soon') },
            OUT: 'b',
          },
        },
        b: {},
      },
    }),
    steps: [wait(10), e('SOON'), wait(50), e('SOON'), e('NOT'), wait(60), e('SOON'), wait(49)],
  },
  'system ids: found by siblings and by children, until they end': {
    machine: setup({
      types,
      actors: {
        child,
        talker: setup({ types }).createMachine({
          id: 'talker',
          on: { TALK: { actions: sendTo(({ system }) => system.get('logger') as AnyActorRef, { type: 'PING' }) } },
        }),
      },
    }).createMachine({
      id: 'sys',
      context: { ...trail, known: undefined },
      invoke: [
        { id: 'kid', src: 'child', systemId: 'logger', onDone: { actions: note('logger done') } },
        { id: 'talker', src: 'talker' },
      ],
      on: {
        UP: { actions: heard },
        PONG: { actions: heard },
        TALK: { actions: sendTo('talker', { type: 'TALK' }) },
        DIRECT: {
          actions: sendTo(
            ({ system }) => system.get('logger') as AnyActorRef,
            ({ event }) => ({ type: event['what'] as string }),
          ),
        },
        SPAWN: {
          actions: assign({
            ref: ({ spawn }) => spawn('child', { id: 'two', systemId: 'second', input: { name: 'two' } }),
          }),
        },
        SECOND: { actions: sendTo(({ system }) => system.get('second') as AnyActorRef, { type: 'PING' }) },
        STOP: { actions: stopChild('two') },
        KNOWN: { actions: assign({ known: ({ system }) => Object.keys(system.getAll()).sort() }) },
      },
    }),
    steps: [
      e('TALK'),
      e('DIRECT', { what: 'PING' }),
      e('KNOWN'),
      e('SPAWN'),
      e('SECOND'),
      e('KNOWN'),
      e('STOP'),
      e('KNOWN'),
      e('SPAWN'),
      e('SECOND'),
      e('DIRECT', { what: 'END' }),
      e('KNOWN'),
    ],
  },
  'what a child emits and logs is its own': {
    machine: setup({
      types,
      actors: {
        loud: setup({ types }).createMachine({
          id: 'loud',
          entry: [emit({ type: 'boo' })],
          on: { END: {} },
        }),
      },
    }).createMachine({
      id: 'q',
      context: { ...trail },
      entry: [emit({ type: 'mine' }), log('mine')],
      invoke: { id: 'loud', src: 'loud' },
    }),
    steps: [e('X')],
  },
  'done with living children: they end too': {
    machine: setup({ types, actors: { child, work: never, echo } }).createMachine({
      id: 'fin',
      context: { ...trail },
      initial: 'a',
      invoke: [
        { id: 'kid', src: 'child' },
        { id: 'work', src: 'work' },
        { id: 'echo', src: 'echo', input: { greeting: 'x' } },
      ],
      on: { UP: { actions: heard } },
      states: { a: { on: { END: 'b' } }, b: { type: 'final' } },
    }),
    steps: [e('END')],
  },
};

beforeEach(() => [values, events, failing].forEach((channel) => channel.clear()));

describe.each([
  ['live', false],
  ['saved and loaded between all turns', true],
])('%s', (_how, carry) => {
  test.each(Object.entries(charts))('%s', (_name, { machine, steps, input }) => {
    const difference = firstDifference(machine, steps, { input, carry });
    expect(difference?.ours).toEqual(difference?.theirs);
    expect(difference).toBeUndefined();
  });
});
