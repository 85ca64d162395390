/**
 * Toilers: children of a supervisor that count, and that a message may end. Each end is a dead letter, and a restart in the state
 * after the last good turn.
 */
import { defineActor } from '../../../runtime/index.ts';
import { defineSupervisor } from '../../../supervisors/index.ts';

export interface ToilerState {
  readonly n: number;
  readonly gaps: number;
  readonly doubles: number;
  /** How often it lives again. */
  readonly resumed: number;
}

export type ToilerMessage =
  | { readonly type: 'COUNT'; readonly n: number }
  | { readonly type: 'BREAK'; readonly n: number }
  | { readonly type: 'GET' };

export const toiler = defineActor(import.meta.url, 'toiler', {
  failure: { maxAttempts: 1 },
  snapshotEveryTurns: 20,
  reducer: {
    init: (): ToilerState => ({ n: 0, gaps: 0, doubles: 0, resumed: 0 }),
    receive(state: ToilerState, message: ToilerMessage, turn): ToilerState {
      switch (message.type) {
        case 'GET':
          turn.reply(state);
          return state;
        case 'BREAK':
          throw new Error(`broken by ${message.n}, on purpose`);
        case 'COUNT': {
          turn.reply(message.n);
          const { n, gaps, doubles } = state;
          if (message.n === n + 1) return { ...state, n: message.n };
          return message.n <= n ? { ...state, doubles: doubles + 1 } : { ...state, gaps: gaps + 1, n: message.n };
        }
      }
    },
    signal: (state: ToilerState, signal): ToilerState =>
      signal.kind === 'resumed' ? { ...state, resumed: state.resumed + 1 } : state,
  },
});

export const foreman = defineSupervisor(import.meta.url, 'foreman', (input) => ({
  strategy: 'one_for_one',
  intensity: 100_000,
  periodMs: 1_000,
  backoff: 'none',
  children: Array.from({ length: (input as { toilers: number }).toilers }, (_, i) => ({
    id: `t${i}`,
    actor: { definition: toiler, id: `t${i}` },
  })),
}));
