/** An actor that takes broker messages as its events, and publishes some of its own. */
import { defineActor } from '../../../actors/index.ts';
import { exchangeOf } from '../../../actors/machine/exchange-ref.ts';
import type { Message } from '../../../runtime/broker/contract/message.ts';

export interface BookkeeperState {
  readonly seen: readonly unknown[];
}

export const bookkeeper = defineActor(import.meta.url, 'bookkeeper', {
  reducer: {
    init: (): BookkeeperState => ({ seen: [] }),
    receive(
      state: BookkeeperState,
      message: Message<{ n: number; fail?: boolean; tell?: boolean }>,
      turn,
    ): BookkeeperState {
      const { payload } = message;
      if (payload.fail === true) throw new Error(`cannot book ${payload.n}`);
      if (payload.tell === true)
        turn.send(exchangeOf().key, { type: 'booked', payload: payload.n, delivery: 'EXACTLY_ONCE' });
      turn.reply({ booked: payload.n });
      return { seen: [...state.seen, payload.n] };
    },
  },
  virtual: true,
  failure: { maxAttempts: 2, backoff: { initialMs: 1 } },
});
