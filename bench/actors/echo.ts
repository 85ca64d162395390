/**
 * Actors that answer with what they were asked: in memory and journaled.
 *
 * Owns: the answering end of the round trips.
 */
import { defineActor } from '../../runtime/index.ts';
import type { Turn } from '../../runtime/kernel/behavior.ts';

interface Echo {
  readonly answered: number;
}

const reducer = {
  init: (): Echo => ({ answered: 0 }),
  receive(state: Echo, message: unknown, turn: Turn): Echo {
    turn.reply(message);
    return { answered: state.answered + 1 };
  },
};

export const echo = defineActor(import.meta.url, 'echo', { reducer, durability: 'none' });
export const journaledEcho = defineActor(import.meta.url, 'journaled-echo', { reducer });
