/** Machines with delays and effects: XState `after`, raised delays, invoked promises of each class, retries, and a plain timer. */
import { assign, fromPromise, raise, setup } from 'xstate';
import { defineActor, effect } from '../../../actors/index.ts';
import { simulatedOutside } from '../../../runtime/testing/simulated-outside.ts';

const call =
  (name: string) =>
  async (argument: {
    readonly input: unknown;
    readonly signal: AbortSignal;
    readonly idempotencyKey: string;
    readonly attempt: number;
    readonly self: { readonly key: string };
  }) =>
    simulatedOutside().call(name, { ...argument, self: argument.self.key });

/** A child of the machine below, with a delay and a call of its own. */
const helperMachine = setup({
  types: { context: {} as { readonly done: boolean } },
  actors: { fetch: effect(call('fetch')) },
}).createMachine({
  context: { done: false },
  initial: 'resting',
  states: {
    resting: { after: { 60: 'fetching' } },
    fetching: {
      invoke: {
        src: 'fetch',
        onDone: { target: 'done', actions: assign({ done: true }) },
        onError: 'done',
      },
    },
    done: { type: 'final' },
  },
  output: ({ context }: { readonly context: { readonly done: boolean } }) => context.done,
});

/** Goes round: waits, calls, waits, calls, until it has done so often enough. */
export const workerMachine = setup({
  types: {
    context: {} as { readonly rounds: number; readonly log: readonly string[]; readonly at: number },
    events: {} as { type: 'START' } | { type: 'NUDGE' } | { type: 'TICK' },
    input: {} as { readonly rounds: number },
  },
  actors: {
    helper: helperMachine,
    charge: effect(call('charge')),
    once: effect(call('once'), { class: 'at_most_once' }),
    look: effect(call('look'), { class: 'query', retry: { maxAttempts: 3, initialMs: 50 } }),
    plain: fromPromise(async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return 'plain';
    }),
  },
}).createMachine({
  context: ({ input }) => ({ rounds: input.rounds, log: [], at: Date.now() }),
  initial: 'idle',
  on: { NUDGE: { actions: assign({ log: ({ context }) => [...context.log, 'nudged'] }) } },
  states: {
    idle: { on: { START: 'waiting' } },
    waiting: {
      entry: [assign({ at: () => Date.now() }), raise({ type: 'TICK' }, { delay: 300, id: 'tick' })],
      on: { TICK: { actions: assign({ log: ({ context }) => [...context.log, 'ticked'] }) } },
      after: { 700: 'charging' },
    },
    charging: {
      invoke: {
        src: 'charge',
        input: ({ context }) => `charge ${context.rounds}`,
        onDone: { target: 'once', actions: assign({ log: ({ context }) => [...context.log, 'charged'] }) },
        onError: { target: 'once', actions: assign({ log: ({ context }) => [...context.log, 'not charged'] }) },
      },
    },
    once: {
      invoke: {
        src: 'once',
        input: ({ context }) => `once ${context.rounds}`,
        onDone: { target: 'looking', actions: assign({ log: ({ context }) => [...context.log, 'once'] }) },
        onError: { target: 'looking', actions: assign({ log: ({ context }) => [...context.log, 'perhaps once'] }) },
      },
    },
    looking: {
      invoke: {
        src: 'look',
        onDone: 'plain',
        onError: 'plain',
      },
    },
    plain: {
      invoke: { src: 'plain', onDone: 'helping' },
    },
    helping: {
      invoke: {
        src: 'helper',
        onDone: { target: 'deciding', actions: assign({ log: ({ context }) => [...context.log, 'helped'] }) },
      },
    },
    deciding: {
      entry: assign({ rounds: ({ context }) => context.rounds - 1 }),
      always: [{ guard: ({ context }) => context.rounds > 0, target: 'waiting' }, { target: 'done' }],
    },
    done: {},
  },
});

export const worker = defineActor(import.meta.url, 'worker', {
  machine: workerMachine,
  snapshotEveryTurns: 12,
  passivateAfterMs: 400,
});

export interface AlarmState {
  readonly set: number;
  readonly rung: readonly { readonly number: number; readonly early: boolean }[];
}

/** Sets a timer per message, some for long, and counts what rings. */
export const alarm = defineActor(import.meta.url, 'alarm', {
  reducer: {
    init: (): AlarmState => ({ set: 0, rung: [] }),
    receive(state: AlarmState, message: { readonly type: 'SET'; readonly delayMs: number }, turn): AlarmState {
      const { set } = state;
      turn.setTimer({
        id: `t${set}`,
        delayMs: message.delayMs,
        payload: { number: set, dueMs: turn.nowMs + message.delayMs },
      });
      return { ...state, set: set + 1 };
    },
    signal(state, signal, turn) {
      if (signal.kind !== 'timer') return state;
      const { number, dueMs } = signal.payload as { number: number; dueMs: number };
      return { ...state, rung: [...state.rung, { number, early: turn.nowMs < dueMs }] };
    },
  },
  virtual: true,
  passivateAfterMs: 200,
});
