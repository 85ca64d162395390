/** What a chart's step calls, and with what: the same guards and actions, as often and in the same order, as XState's `transition`. */
import {
  and,
  assign,
  createMachine,
  enqueueActions,
  type EventObject,
  raise,
  setup,
  stateIn,
  type AnyMachineSnapshot,
  type AnyStateMachine,
} from 'xstate';
import { describe, expect, test } from 'vitest';
import { ChartStep } from '../../actors/machine/chart-step.ts';
import type { HostedScope } from '../../actors/machine/xstate-internals.ts';

type Call = readonly unknown[];

let calls: Call[] = [];

/** A guard that says when it is called. */
const when = (name: string, verdict: (n: number) => boolean): never =>
  (({ context, event }: { context: { n: number }; event: EventObject }, params: unknown) => {
    calls.push(['guard', name, context.n, event, params]);
    return verdict(context.n);
  }) as never;

const act = (name: string): never =>
  function named(info: object, params: unknown) {
    const { context, event } = info as { context: { n: number }; event: EventObject };
    calls.push(['action', name, Object.keys(info), context.n, event, params]);
  } as never;

const add = (by: number): never =>
  assign({
    n: (info: { context: { n: number }; event: EventObject }, params: unknown) => {
      calls.push(['assign', by, Object.keys(info), info.context.n, info.event, params]);
      return info.context.n + by;
    },
  } as never) as never;

function newScope(): { scope: HostedScope; microsteps: () => number } {
  let microsteps = 0;
  const scope = {
    self: { id: 'self' },
    id: 'self',
    sessionId: 'self',
    system: {
      _sendInspectionEvent: ({ type }: { type: string }) => {
        if (type === '@xstate.microstep') microsteps += 1;
      },
    },
    logger: () => {},
    defer: () => {},
    emit: () => {},
    stopChild: () => {},
    actionExecutor: ({ type, info, params, exec }: { type: string; info: unknown; params: unknown; exec: unknown }) => {
      calls.push(['executor', type, typeof exec]);
      if (!type.startsWith('xstate.')) (exec as (info: unknown, params: unknown) => void)(info, params);
      else calls.push([params]);
    },
  };
  return { scope: scope as unknown as HostedScope, microsteps: () => microsteps };
}

const shown = (snapshot: AnyMachineSnapshot): object => ({
  ...(JSON.parse(JSON.stringify(snapshot)) as object),
  nodes: snapshot._nodes.map(({ id }: { id: string }) => id),
  keys: Object.keys(snapshot),
});

interface Outcome {
  readonly calls: Call[];
  readonly threw?: string;
  readonly snapshot?: object;
}

/** Both ways through the events; what both have called and come to after each. */
function both(machine: AnyStateMachine, events: readonly EventObject[]): [ours: Outcome[], theirs: Outcome[]] {
  const run = (take: (snapshot: AnyMachineSnapshot, event: EventObject) => AnyMachineSnapshot): Outcome[] => {
    const outcomes: Outcome[] = [];
    calls = [];
    let snapshot = machine.getInitialSnapshot(newScope().scope as never, undefined) as AnyMachineSnapshot;
    for (const event of events) {
      calls = [];
      try {
        const next = take(snapshot, event);
        outcomes.push({ calls, snapshot: { ...shown(next), same: next === snapshot } });
        snapshot = next;
      } catch (error) {
        outcomes.push({ calls, threw: (error as Error).message });
      }
    }
    return outcomes;
  };
  const { scope } = newScope();
  let counted = 0;
  const chart = ChartStep.of(machine, scope, () => (counted += 1)) as ChartStep;
  const ours = run((snapshot, event) => {
    counted = 0;
    const next = chart.take(snapshot, event) as AnyMachineSnapshot;
    calls.push(['microsteps', counted]);
    return next;
  });
  const theirs = run((snapshot, event) => {
    const { scope: own, microsteps } = newScope();
    const next = machine.transition(snapshot, event, own as never) as AnyMachineSnapshot;
    calls.push(['microsteps', microsteps()]);
    return next;
  });
  return [ours, theirs];
}

const e = (type: string, more: object = {}): EventObject => ({ type, ...more });

const charts: Record<string, { machine: AnyStateMachine; events: readonly EventObject[] }> = {
  'guards in order, inner before outer, exact before wildcard': {
    machine: createMachine({
      context: { n: 0 },
      initial: 'a',
      on: {
        '*': { guard: when('root *', () => false) },
        'x.*': { guard: when('root x.*', (n) => n > 1), actions: act('root x') },
      },
      states: {
        a: {
          initial: 'in',
          on: { 'x.y': [{ guard: when('a x.y', () => false), target: 'b' }, { actions: add(1) }] },
          states: { in: { on: { 'x.y': { guard: when('in x.y', (n) => n > 0), target: '#out' } } } },
        },
        b: { id: 'out', on: { BACK: 'a', 'x.z': undefined } },
      },
    } as never) as unknown as AnyStateMachine,
    events: [e('x.z'), e('x.y'), e('x.y'), e('x.z'), e('q'), e('BACK'), e('x.y.z'), e('x.y'), e('x.q')],
  },
  'exit, transition, entry; reentry and descent; params': {
    machine: setup({
      types: {} as never,
      actions: { say: act('say'), more: add(10) as never },
      guards: { over: when('over', (n) => n >= 0) },
    }).createMachine({
      context: { n: 0 },
      entry: act('+root'),
      exit: act('-root'),
      initial: 'a',
      on: { ROOT: { target: '.b', reenter: true, actions: act('root') }, IN: '.b.deep' },
      states: {
        a: {
          entry: [{ type: 'say', params: ({ context }: { context: { n: number } }) => ({ at: context.n }) }, add(1)],
          exit: [act('-a'), { type: 'more', params: 7 }],
          on: { GO: { guard: { type: 'over', params: { limit: 3 } }, target: 'b', actions: ['say', add(2)] } },
        },
        b: {
          entry: act('+b'),
          exit: act('-b'),
          initial: { target: 'one', actions: act('initial') },
          on: { SELF: { target: 'b' }, AGAIN: { target: 'b', reenter: true }, NEXT: '.deep', A: 'a' },
          states: {
            one: { entry: add(1), exit: act('-one') },
            deep: { initial: 'x', entry: act('+deep'), states: { x: { tags: 'far', on: { UP: '#up' } } } },
          },
        },
        up: { id: 'up', always: { guard: stateIn('#up') as never, target: 'a' } },
      },
    } as never) as unknown as AnyStateMachine,
    events: ['GO', 'SELF', 'AGAIN', 'NEXT', 'ROOT', 'IN', 'UP', 'GO', 'A', 'nothing'].map((type) => e(type)),
  },
  'always, raised events, enqueued actions': {
    machine: createMachine({
      context: { n: 0 },
      initial: 'a',
      states: {
        a: {
          on: {
            GO: { actions: [raise({ type: 'R1' }), raise({ type: 'R2' }), add(1)] },
            R1: { actions: add(1) },
            R2: { guard: and([when('r2', (n) => n >= 2), stateIn('a')]) as never, target: 'b' },
            MANY: {
              actions: enqueueActions(({ enqueue, check, context }) => {
                calls.push(['enqueue', context.n]);
                enqueue(add(5));
                if (check(when('checked', (n) => n > 2))) enqueue.raise({ type: 'GO' } as never);
                enqueue(act('enqueued'));
              }) as never,
            },
          },
          always: { guard: when('a always', (n) => n > 20), target: 'c' },
        },
        b: {
          always: [
            { guard: when('b always', () => false), target: 'c' },
            { target: 'a', actions: add(1) },
          ],
        },
        c: { initial: 'x', states: { x: { always: { target: 'y', actions: add(-30) } }, y: { on: { GO: '#top' } } } },
        top: { id: 'top', on: { GO: 'a' } },
      },
    } as never) as unknown as AnyStateMachine,
    events: ['GO', 'MANY', 'GO', 'MANY', 'MANY', 'MANY', 'GO', 'GO', 'GO'].map((type) => e(type)),
  },
  'final states and outputs': {
    machine: createMachine({
      context: { n: 3 },
      initial: 'work',
      exit: act('-root'),
      output: ({ context, event }: { context: { n: number }; event: EventObject }) => ({ n: context.n, event }),
      states: {
        work: {
          initial: 'on',
          exit: act('-work'),
          onDone: { target: 'end', actions: ({ event }: { event: EventObject }) => calls.push(['done', event]) },
          states: {
            on: { on: { GO: 'over' } },
            over: { type: 'final', entry: add(1), output: ({ context }: { context: { n: number } }) => context.n },
          },
        },
        end: {
          type: 'final',
          exit: act('-end'),
          tags: ['t'],
          output: ({ context }: { context: { n: number } }) => context.n * 2,
        },
      },
    } as never) as unknown as AnyStateMachine,
    events: ['nothing', 'GO'].map((type) => e(type)),
  },
  'parallel regions: conflicts, common transitions, completion': {
    machine: createMachine({
      id: 'p',
      context: { n: 0 },
      initial: 'both',
      output: ({ context }: { context: { n: number } }) => context.n,
      states: {
        both: {
          type: 'parallel',
          entry: act('+both'),
          exit: act('-both'),
          on: { OUT: { target: 'after', actions: act('out') }, ALL: { actions: add(100) } },
          onDone: { target: 'end', actions: act('all done') },
          states: {
            l: {
              initial: 'a',
              exit: act('-l'),
              always: { guard: when('l always', (n) => n > 500), target: '#p.after' },
              states: {
                a: {
                  exit: act('-l.a'),
                  on: { GO: { guard: when('l go', () => true), target: 'b' }, CROSS: '#p.both.r.y' },
                },
                b: { entry: add(1), on: { GO: 'z', BACK: { target: 'a', reenter: true }, OUT: '#p.after' } },
                z: {
                  type: 'final',
                  entry: act('+l.z'),
                  output: ({ context }: { context: { n: number } }) => context.n,
                },
              },
            },
            r: {
              initial: 'x',
              entry: act('+r'),
              onDone: { actions: act('r done') },
              states: {
                x: {
                  on: {
                    GO: { guard: when('r go', (n) => n > 0), target: 'y' },
                    OUT: { target: '#p.after', actions: act('r out') },
                  },
                },
                y: { tags: ['y'], on: { GO: { target: 'z', actions: add(10) }, CROSS: '#p.both.l.b' } },
                z: { type: 'final', on: { NEVER: 'x' } },
              },
            },
            still: {},
          },
        },
        after: { on: { BOTH: 'both', DEEP: ['#p.both.r.y'] } },
        end: { type: 'final' },
      },
    } as never) as unknown as AnyStateMachine,
    events: [
      'GO',
      'CROSS',
      'GO',
      'ALL',
      'BACK',
      'OUT',
      'DEEP',
      'GO',
      'ALL',
      'ALL',
      'ALL',
      'ALL',
      'ALL',
      'BOTH',
      'GO',
      'GO',
      'GO',
    ].map((type) => e(type)),
  },
  'parallel regions that all come to their end': {
    machine: createMachine({
      context: { n: 0 },
      type: 'parallel',
      exit: act('-root'),
      output: ({ context, event }: { context: { n: number }; event: EventObject }) => [context.n, event],
      states: {
        l: { initial: 'a', states: { a: { on: { L: 'z', BOTH: 'z' } }, z: { type: 'final', exit: act('-l.z') } } },
        r: {
          initial: 'a',
          onDone: { actions: add(7) },
          states: { a: { on: { R: 'z', BOTH: 'z' } }, z: { type: 'final', entry: add(1), output: 'r' } },
        },
      },
    } as never) as unknown as AnyStateMachine,
    events: ['L', 'R'].map((type) => e(type)),
  },
  'what throws': {
    machine: setup({
      types: {} as never,
      guards: {
        no: () => {
          throw new Error('no');
        },
      } as never,
    }).createMachine({
      context: { n: 0 },
      on: {
        NAMED: { guard: 'no' as never, actions: act('never') },
        INLINE: {
          guard: () => {
            throw new Error('in place');
          },
        },
        MISSING: { guard: 'missing' as never },
        ACTION: {
          actions: [
            add(1),
            () => {
              throw new Error('an action');
            },
          ],
        },
      },
    } as never) as unknown as AnyStateMachine,
    events: ['NAMED', 'INLINE', 'MISSING', 'ACTION', 'NAMED'].map((type) => e(type)),
  },
};

describe('the same calls as XState', () => {
  test.each(Object.keys(charts))('%s', (name) => {
    const { machine, events } = charts[name] as (typeof charts)[string];
    const [ours, theirs] = both(machine, events);
    expect(ours).toEqual(theirs);
    expect(ours.flatMap(({ calls: made }) => made).length).toBeGreaterThan(1);
  });
});

test('charts with history states are left to XState', () => {
  const { scope } = newScope();
  const history = createMachine({ initial: 'a', states: { a: {}, h: { type: 'history' } } });
  expect(ChartStep.of(history, scope, () => {})).toBeUndefined();
});

test('a machine whose transition was wrapped is asked by it', () => {
  const { scope } = newScope();
  const machine = createMachine({ initial: 'a', states: { a: {} } });
  expect(ChartStep.of(machine, scope, () => {})).toBeInstanceOf(ChartStep);
  const around = Object.assign({}, machine) as unknown as AnyStateMachine;
  expect(ChartStep.of(around, scope, () => {})).toBeUndefined();
  const { transition } = machine;
  machine.transition = (...args) => transition(...args);
  expect(ChartStep.of(machine, scope, () => {})).toBeUndefined();
});

test('stop and the errors of children are left to it too', () => {
  const machine = createMachine({ initial: 'a', states: { a: { on: { 'xstate.error.actor.kid': 'b' } }, b: {} } });
  const { scope } = newScope();
  const chart = ChartStep.of(machine, scope, () => {}) as ChartStep;
  const snapshot = machine.getInitialSnapshot(scope as never, undefined);
  for (const type of ['xstate.stop', 'xstate.error.actor.kid', 'xstate.init']) {
    expect(chart.take(snapshot, { type })).toBeUndefined();
  }
});
