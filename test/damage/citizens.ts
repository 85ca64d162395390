/** The actors whose folder is damaged: whatever an actor can keep, some of them keep. Their answers say all of it. */
import { assign, setup } from 'xstate';
import { defineActor } from '../../runtime/index.ts';
import type { Turn } from '../../runtime/kernel/behavior.ts';
import { typed } from '../support/typed.ts';

/** Longer than any proof runs. */
const LONG_MS = 30 * 86_400_000;

export type CitizenMessage =
  | { readonly type: 'ADD'; readonly by: number; readonly to?: string; readonly data?: string }
  | { readonly type: 'GET' }
  | { readonly type: 'SERVE'; readonly n: number }
  | { readonly type: 'TIMER'; readonly id: string }
  | { readonly type: 'KEEP'; readonly n: number }
  | { readonly type: 'BOOM'; readonly n: number };

export interface CitizenState {
  readonly n: number;
  readonly heard: number;
  readonly served: number;
  readonly timers: readonly string[];
  /** Makes the state as large as the actor was told to be: small ones share a page, large ones have pages of their own. */
  readonly ballast: string;
}

const receive = (state: CitizenState, message: CitizenMessage, turn: Turn): CitizenState => {
  switch (message.type) {
    case 'ADD':
      if (message.to !== undefined) turn.send(message.to, { type: 'ADD', by: message.by });
      turn.reply(state.n + message.by);
      return { ...state, n: state.n + message.by, heard: state.heard + 1 };
    case 'GET':
      turn.reply(state);
      return state;
    case 'SERVE':
      turn.reply({ n: message.n, serial: state.served + 1, at: Date.now(), nonce: Math.random() });
      return { ...state, served: state.served + 1 };
    case 'TIMER':
      turn.setTimer({ id: message.id, delayMs: LONG_MS, payload: undefined });
      turn.reply(message.id);
      return { ...state, timers: [...state.timers, message.id] };
    case 'KEEP':
      turn.stash();
      return state;
    case 'BOOM':
      throw new Error(`boom ${message.n}`);
  }
};

const reducer = {
  init: (input: { readonly ballast: number } | undefined): CitizenState => ({
    n: 0,
    heard: 0,
    served: 0,
    timers: [],
    ballast: 'b'.repeat(input?.ballast ?? 0),
  }),
  receive,
};

const failure = { maxAttempts: 1, backoff: { initialMs: 1, maxMs: 1 } };

export const citizen = defineActor(import.meta.url, 'citizen', { snapshotEveryTurns: 20, failure, reducer });
export const clerk = defineActor(import.meta.url, 'clerk', { durability: 'snapshot', failure, reducer });

const lampMachine = setup({
  types: { context: typed<{ n: number }>(), events: typed<{ type: 'ADD'; by: number }>() },
  delays: { month: LONG_MS },
}).createMachine({
  context: { n: 0 },
  initial: 'off',
  on: { ADD: { actions: assign({ n: ({ context, event }) => context.n + event.by }) } },
  states: {
    off: { on: { ADD: { target: 'on', actions: assign({ n: ({ context, event }) => context.n + event.by }) } } },
    on: { after: { month: 'off' } },
  },
});

export const lamp = defineActor(import.meta.url, 'lamp', { machine: lampMachine });
