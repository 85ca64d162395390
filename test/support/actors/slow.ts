/** Actors with little room: for back-pressure. */
import { defineActor } from '../../../runtime/index.ts';

export interface NarrowState {
  readonly last: number;
  readonly gaps: number;
  readonly doubles: number;
}

export type NarrowMessage = { readonly type: 'ADD'; readonly n: number } | { readonly type: 'GET' };

const reducer = {
  init: (): NarrowState => ({ last: 0, gaps: 0, doubles: 0 }),
  receive(state: NarrowState, message: NarrowMessage, turn: { reply(value: unknown): void }): NarrowState {
    if (message.type === 'GET') {
      turn.reply(state);
      return state;
    }
    const { n } = message;
    return {
      last: Math.max(n, state.last),
      gaps: state.gaps + (n > state.last + 1 ? 1 : 0),
      doubles: state.doubles + (n <= state.last ? 1 : 0),
    };
  },
};

/** Room for eight. */
export const narrow = defineActor(import.meta.url, 'narrow', { mailboxLimit: 8, reducer });

/** Room for eight, in memory only. */
export const narrowInMemory = defineActor(import.meta.url, 'narrow-in-memory', {
  mailboxLimit: 8,
  durability: 'none',
  reducer,
});

/** Thirty milliseconds of work in a turn. */
export const sluggish = defineActor(import.meta.url, 'sluggish', {
  reducer: {
    init: () => 0,
    receive(count: number, message: { readonly spinMs: number }): number {
      // Inside a turn clocks stand still; the real time of this thread does not.
      const end = process.hrtime.bigint() + BigInt(message.spinMs) * 1_000_000n;
      while (process.hrtime.bigint() < end);
      return count + 1;
    },
  },
});
