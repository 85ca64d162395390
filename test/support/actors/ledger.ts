/**
 * Ledgers: actors that notice every lost, doubled and disordered message.
 *
 * A writer counts 1, 2, 3 … towards each ledger. The ledger passes every number on to its neighbour, mostly on another host, and the
 * neighbour expects them in order and each once.
 */
import { defineActor } from '../../../runtime/index.ts';
import { pass } from '../../crash/points.ts';

export interface LedgerState {
  /** Last number from the writer. */
  readonly n: number;
  /** Last number from the neighbour. */
  readonly peer: number;
  readonly gaps: number;
  readonly doubles: number;
}

export type LedgerMessage =
  | { readonly type: 'ADD'; readonly n: number; readonly to?: string }
  | { readonly type: 'PEER'; readonly n: number }
  | { readonly type: 'GET' };

const next = (state: LedgerState, field: 'n' | 'peer', n: number): LedgerState => {
  if (n === state[field] + 1) return { ...state, [field]: n };
  return n <= state[field] ? { ...state, doubles: state.doubles + 1 } : { ...state, gaps: state.gaps + 1, [field]: n };
};

export const ledger = defineActor(import.meta.url, 'ledger', {
  snapshotEveryTurns: 50,
  reducer: {
    init: (): LedgerState => ({ n: 0, peer: 0, gaps: 0, doubles: 0 }),
    receive(state: LedgerState, message: LedgerMessage, turn): LedgerState {
      switch (message.type) {
        case 'GET':
          turn.reply(state);
          return state;
        case 'ADD':
          pass('turn.within');
          if (message.to !== undefined) turn.send(message.to, { type: 'PEER', n: message.n });
          turn.reply(message.n);
          return next(state, 'n', message.n);
        case 'PEER':
          return next(state, 'peer', message.n);
      }
    },
  },
});
