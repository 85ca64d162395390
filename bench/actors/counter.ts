/**
 * Reducer actors that count: in memory, journaled, and journaled without stored states in between.
 *
 * Owns: the receiving end of most workloads. `REPORT`, asked, answers how many messages were handled.
 */
import { defineActor } from '../../runtime/index.ts';
import type { Turn } from '../../runtime/kernel/behavior.ts';
import type { Add, Order } from './messages.ts';
import { NOTHING, type Tally, tally } from './tally.ts';

type Message = Add | Order | { readonly type: 'REPORT' };

const reducer = {
  init: () => NOTHING,
  receive(state: Tally, message: Message, turn: Turn): Tally {
    if (message.type === 'REPORT') {
      turn.reply(state.handled);
      return state;
    }
    return tally(state, message);
  },
};

export const counter = defineActor(import.meta.url, 'counter', { reducer, durability: 'none' });
export const journaledCounter = defineActor(import.meta.url, 'journaled-counter', { reducer });
/** All of its past is in its turns: what a recovery without a stored state costs. */
export const replayedCounter = defineActor(import.meta.url, 'replayed-counter', {
  reducer,
  snapshotEveryTurns: Number.POSITIVE_INFINITY,
});
