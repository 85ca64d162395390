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
      message: Message<{ n: number; fail?: boolean; failBefore?: number; tell?: boolean; replyBytes?: number }>,
      turn,
    ): BookkeeperState {
      const { payload } = message;
      const { seen } = state;
      if (payload.fail === true || seen.length < (payload.failBefore ?? 0)) throw new Error(`cannot book ${payload.n}`);
      if (payload.tell === true)
        turn.send(exchangeOf().key, { type: 'booked', payload: payload.n, delivery: 'EXACTLY_ONCE' });
      const { replyBytes } = payload;
      turn.reply({ booked: replyBytes === undefined ? payload.n : 'x'.repeat(replyBytes) });
      return { seen: [...seen, payload.n] };
    },
  },
  virtual: true,
  failure: { maxAttempts: 2, backoff: { initialMs: 1 } },
});
