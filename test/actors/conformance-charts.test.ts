/** Statecharts side by side with XState: states, transitions, guards, history, timers. Each also saved and loaded between all turns. */
import {
  and,
  assign,
  cancel,
  createMachine,
  emit,
  enqueueActions,
  log,
  not,
  or,
  raise,
  setup,
  stateIn,
  type AnyStateMachine,
} from 'xstate';
import { describe, expect, test } from 'vitest';
import { firstDifference, type Step } from '../support/side-by-side.ts';
import { typed } from '../support/typed.ts';

interface Chart {
  readonly machine: AnyStateMachine;
  readonly steps: readonly Step[];
  readonly input?: unknown;
}

const e = (type: string, more: object = {}): Step => ({ type, ...more });
const wait = (advance: number): Step => ({ advance });
// `never` fits into a machine of any context and events.
const bump = assign({ n: ({ context }: { context: { n: number } }) => context.n + 1 }) as never;
const note = (word: string): never =>
  assign({ trail: ({ context }: { context: { trail: string[] } }) => [...context.trail, word] }) as never;

const charts: Record<string, Chart> = {
  'hierarchy, internal and external transitions': {
    machine: createMachine({
      id: 'h',
      context: { trail: [] as string[] },
      initial: 'a',
      states: {
        a: {
          entry: note('+a'),
          exit: note('-a'),
          initial: 'one',
          on: {
            OUT: 'b',
            INNER: '.two',
            SELF: { target: 'a' },
            AGAIN: { target: 'a', reenter: true },
            DEEP: '#deepest',
          },
          states: {
            one: { entry: note('+one'), exit: note('-one'), on: { NEXT: 'two' } },
            two: {
              initial: 'x',
              entry: note('+two'),
              exit: note('-two'),
              states: { x: {}, deep: { id: 'deepest', tags: ['deep', 'blue'], entry: note('+deep') } },
            },
          },
        },
        b: { on: { BACK: { target: 'a', actions: note('back') } } },
      },
    }),
    steps: ['NEXT', 'SELF', 'INNER', 'AGAIN', 'DEEP', 'OUT', 'NOPE', 'BACK', 'NEXT'].map((type) => e(type)),
  },
  'parallel regions, multiple targets, onDone': {
    machine: createMachine({
      id: 'p',
      type: 'parallel',
      context: { trail: [] as string[] },
      states: {
        left: {
          initial: 'l1',
          onDone: { actions: note('left done') },
          states: { l1: { on: { L: 'l2', BOTH: 'l2' } }, l2: { on: { L: 'end' } }, end: { type: 'final' } },
        },
        right: {
          initial: 'r1',
          states: {
            r1: { on: { R: 'r2', BOTH: 'r2' }, tags: 'waiting' },
            r2: { on: { R: 'end', RESET: ['#p.left.l1', '#p.right.r1'] } },
            end: { type: 'final' },
          },
        },
      },
      on: { RESET: { target: ['.left.l1', '.right.r1'], actions: note('reset') } },
    }),
    steps: ['BOTH', 'RESET', 'L', 'R', 'RESET', 'BOTH', 'L', 'R'].map((type) => e(type)),
  },
  'eventless transitions between parallel regions keep their order': {
    machine: createMachine({
      id: 'q',
      context: { trail: [] as string[], on: false },
      type: 'parallel',
      on: { GO: { actions: assign({ on: true }) }, NO: { actions: assign({ on: false }) } },
      states: Object.fromEntries(
        ['a', 'b', 'c'].map((name) => [
          name,
          {
            initial: 'idle',
            on: { [`HOP_${name}`]: { target: '.hop', reenter: true } },
            states: {
              idle: {
                always: {
                  guard: ({ context }: { context: { on: boolean } }) => context.on,
                  target: 'busy',
                  actions: note(name),
                },
              },
              busy: {
                always: {
                  guard: ({ context }: { context: { on: boolean } }) => !context.on,
                  target: 'idle',
                  actions: note(`/${name}`),
                },
              },
              hop: { always: 'idle', exit: note(`hop ${name}`) },
            },
          },
        ]),
      ),
    }),
    steps: ['GO', 'NO', 'HOP_b', 'GO', 'HOP_a', 'NO', 'HOP_c', 'GO', 'HOP_a', 'HOP_b', 'NO'].map((type) => e(type)),
  },
  'history, shallow and deep, with a default': {
    machine: createMachine({
      id: 'hist.ory',
      initial: 'off',
      states: {
        off: { on: { SHALLOW: 'on.shallow', DEEP: 'on.deep', FRESH: 'on' } },
        on: {
          initial: 'a',
          on: { OFF: 'off' },
          states: {
            shallow: { type: 'history', target: 'b' },
            deep: { type: 'history', history: 'deep' },
            a: { id: 'first', on: { NEXT: 'b' } },
            b: { initial: 'b1', states: { b1: { on: { NEXT: 'b2' } }, b2: { on: { NEXT: '#first' } } } },
          },
        },
      },
    }),
    steps: [
      'SHALLOW',
      'OFF',
      'FRESH',
      'NEXT',
      'NEXT',
      'OFF',
      'SHALLOW',
      'NEXT',
      'OFF',
      'DEEP',
      'OFF',
      'SHALLOW',
      'OFF',
      'DEEP',
    ].map((type) => e(type)),
  },
  'history of a parallel state': {
    machine: createMachine({
      id: 'hp',
      initial: 'work',
      states: {
        work: {
          type: 'parallel',
          on: { PAUSE: 'paused' },
          states: {
            x: { initial: 'x1', states: { x1: { on: { X: 'x2' } }, x2: { on: { X: 'x1' } } } },
            y: { initial: 'y1', states: { y1: { on: { Y: 'y2' } }, y2: {} } },
            back: { type: 'history', history: 'deep' },
          },
        },
        paused: { on: { RESUME: 'work.back' } },
      },
    }),
    steps: ['X', 'PAUSE', 'RESUME', 'Y', 'PAUSE', 'RESUME', 'X', 'PAUSE', 'RESUME'].map((type) => e(type)),
  },
  'final states, output from state to parent to machine': {
    machine: createMachine({
      id: 'f',
      context: ({ input }: { input: unknown }) => ({
        n: (input as { start: number }).start,
        got: undefined as unknown,
      }),
      initial: 'work',
      output: ({ context, event }) => ({ n: context.n, last: (event as { output?: unknown }).output }),
      states: {
        work: {
          initial: 'a',
          onDone: { target: 'end', actions: assign({ got: ({ event }) => event.output as unknown }) },
          states: {
            a: { on: { NEXT: { target: 'b', actions: bump } } },
            b: { type: 'final', output: ({ context }) => ({ at: context.n }) },
          },
        },
        end: { on: { FIN: 'fin' } },
        fin: { type: 'final', output: { bye: true }, entry: emit({ type: 'bye' }) },
      },
    }),
    input: { start: 41 },
    steps: [e('NEXT'), e('FIN'), e('AFTER')],
  },
  'done at once': {
    machine: createMachine({ id: 'd', initial: 'end', output: 7, states: { end: { type: 'final' } } }),
    steps: [e('ANY')],
  },
  'guards: and, or, not, stateIn, params, named': {
    machine: setup({
      types: typed<{ context: { n: number }; events: { type: string; by?: number } }>(),
      guards: {
        atLeast: ({ context }, params: { min: number }) => context.n >= params.min,
        isEven: ({ context }) => context.n % 2 === 0,
      },
      actions: { add: assign({ n: ({ context }, params: { by: number }) => context.n + params.by }) },
    }).createMachine({
      id: 'g',
      type: 'parallel',
      context: { n: 0 },
      states: {
        count: {
          on: {
            ADD: { actions: { type: 'add', params: ({ event }) => ({ by: event.by ?? 1 }) } },
            ODD: { guard: not('isEven'), actions: { type: 'add', params: { by: 10 } } },
            BOTH: {
              guard: and(['isEven', { type: 'atLeast', params: { min: 2 } }]),
              actions: { type: 'add', params: { by: 100 } },
            },
            EITHER: [
              { guard: or([not('isEven'), stateIn('#hot')]), actions: { type: 'add', params: { by: 1000 } } },
              { actions: { type: 'add', params: { by: -1 } } },
            ],
          },
        },
        heat: {
          initial: 'cold',
          states: {
            cold: { always: { guard: { type: 'atLeast', params: { min: 5 } }, target: 'hot' } },
            hot: { id: 'hot', on: { COOL: { target: 'cold', guard: stateIn({ heat: 'hot' }) } } },
          },
        },
      },
    }),
    steps: [
      e('ODD'),
      e('ADD'),
      e('ODD'),
      e('BOTH'),
      e('ADD', { by: 3 }),
      e('BOTH'),
      e('EITHER'),
      e('COOL'),
      e('EITHER'),
    ],
  },
  'wildcards: all, partial, forbidden': {
    machine: createMachine({
      id: 'w',
      context: { trail: [] as string[] },
      initial: 'a',
      on: {
        '*': { actions: note('any') },
        'order.*': { actions: note('order') },
        'order.paid': { actions: note('paid') },
      },
      states: { a: { on: { 'order.lost': {}, GO: 'b' } }, b: { on: { '*': { actions: note('b-any') } } } },
    }),
    steps: ['order.paid', 'order.x.y', 'order.lost', 'other', 'GO', 'order.paid', 'GO'].map((type) => e(type)),
  },
  'after: static, named, dynamic; cancelled by leaving, again by reentering': {
    machine: setup({
      types: typed<{ context: { n: number; ms: number; trail: string[] } }>(),
      delays: { slow: 500, dynamic: ({ context }) => context.ms },
    }).createMachine({
      id: 'after',
      context: { n: 0, ms: 30, trail: [] },
      initial: 'a',
      states: {
        a: {
          after: { 100: 'b', slow: { actions: note('never') } },
          on: { AGAIN: { target: 'a', reenter: true }, OFF: 'off', TICK: { actions: bump } },
        },
        b: {
          after: { dynamic: [{ guard: ({ context }) => context.n > 0, target: 'c' }, { target: 'a' }] },
          on: { N: { actions: bump } },
        },
        c: { entry: assign({ ms: ({ context }) => context.ms * 2 }), after: { slow: 'a' } },
        off: { on: { ON: 'a' } },
      },
    }),
    steps: [
      wait(99),
      e('AGAIN'),
      wait(99),
      wait(1),
      wait(29),
      wait(1),
      wait(50),
      e('OFF'),
      wait(1000),
      e('ON'),
      wait(100),
      e('N'),
      wait(30),
      wait(499),
      wait(1),
      wait(100),
      wait(30),
      wait(30),
    ],
  },
  'after at the same time, and one that leads to the next': {
    machine: createMachine({
      id: 'chain',
      context: { trail: [] as string[] },
      type: 'parallel',
      states: {
        x: {
          initial: 'a',
          states: {
            a: { after: { 10: { target: 'b', actions: note('x1') } } },
            b: { after: { 10: { target: 'c', actions: note('x2') } } },
            c: {},
          },
        },
        y: {
          initial: 'a',
          states: { a: { after: { 10: { target: 'b', actions: note('y1') }, 20: { actions: note('never') } } }, b: {} },
        },
      },
    }),
    steps: [wait(5), wait(5), wait(10), wait(100)],
  },
  'raise: now, delayed, cancelled, twice under one id': {
    machine: createMachine({
      id: 'r',
      context: { trail: [] as string[] },
      on: {
        NOW: { actions: [raise({ type: 'HEARD' }), note('now')] },
        LATER: { actions: raise(({ event }) => ({ type: 'HEARD', of: event.type }), { delay: 50, id: 'later' }) },
        UNNAMED: { actions: raise({ type: 'HEARD' }, { delay: 10 }) },
        CANCEL: { actions: cancel('later') },
        HEARD: { actions: [note('heard')] },
        LOOP: { actions: [raise({ type: 'A' }), raise({ type: 'B' })] },
        A: { actions: [note('a'), raise({ type: 'C' })] },
        B: { actions: note('b') },
        C: { actions: note('c') },
      },
    }),
    steps: [
      e('NOW'),
      e('LOOP'),
      e('LATER'),
      wait(49),
      e('CANCEL'),
      wait(10),
      e('LATER'),
      wait(20),
      e('LATER'),
      wait(30),
      e('CANCEL'),
      wait(20),
      wait(50),
      e('LATER'),
      e('LATER'),
      e('CANCEL'),
      wait(60),
      e('UNNAMED'),
      e('UNNAMED'),
      wait(10),
      e('CANCEL'),
    ],
  },
  'emit, log and enqueueActions': {
    machine: setup({
      types: typed<{ context: { n: number }; events: { type: string }; emitted: { type: string; n?: number } }>(),
      actions: { shout: emit(({ context }) => ({ type: 'shout', n: context.n })) },
      guards: { big: ({ context }) => context.n > 1 },
    }).createMachine({
      id: 'eq',
      context: { n: 0 },
      entry: [emit({ type: 'hello' }), log('started')],
      on: {
        GO: {
          actions: enqueueActions(({ enqueue, check, context, event }) => {
            enqueue.assign({ n: context.n + 1 });
            if (check('big')) enqueue('shout');
            enqueue.emit({ type: `was ${event.type}` });
            enqueue.raise({ type: 'RAISED' });
            if (check(not('big'))) enqueue.raise({ type: 'LATE' }, { delay: 10, id: 'x' });
            else enqueue.cancel('x');
          }),
        },
        RAISED: { actions: log(({ context }) => context.n, 'raised') },
        LATE: { actions: 'shout' },
      },
    }),
    steps: [e('GO'), wait(10), e('GO'), wait(10), e('GO'), wait(20)],
  },
  'always in a chain, entry and exit actions, initial actions': {
    machine: createMachine({
      id: 'al',
      context: { n: 0, trail: [] as string[] },
      initial: 'idle',
      states: {
        idle: { on: { GO: 'work' }, exit: note('-idle') },
        work: {
          entry: note('+work'),
          initial: { target: 'a', actions: [note('initial')] } as never,
          always: { guard: ({ context }) => context.n >= 3, target: 'idle', actions: assign({ n: 0 }) },
          states: {
            a: { entry: bump, always: 'b' },
            b: { entry: bump, always: { target: 'a', guard: ({ context }) => context.n < 3, actions: note('loop') } },
          },
        },
      },
    }),
    steps: [e('GO'), e('GO')],
  },
  'routes and meta': {
    machine: createMachine({
      id: 'route',
      initial: 'a',
      states: {
        a: { id: 'sa', route: {}, meta: { title: 'A' } } as never,
        b: { id: 'sb', route: { guard: () => true } } as never,
        c: {},
      },
    }),
    steps: [{ type: 'xstate.route', to: '#sb' } as Step, { type: 'xstate.route', to: '#sa' } as Step, e('x')],
  },
  'undefined, dates, maps and sets in context': {
    machine: createMachine({
      id: 'data',
      context: {
        at: new Date(7),
        gone: undefined as unknown,
        tags: new Set(['a']),
        map: new Map([['k', { n: 1 }]]),
        big: 12n,
      } as Record<string, unknown>,
      on: { PUT: { actions: assign({ gone: ({ event }) => (event as unknown as { value: unknown }).value }) } },
    }),
    steps: [e('PUT', { value: null }), e('PUT', { value: [1, { a: undefined }] }), e('PUT', { value: undefined })],
  },
};

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
