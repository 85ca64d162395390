/** A journaled actor that takes orders as a broker hands them over. */
import { defineActor } from '../../actors/index.ts';
import type { Message } from '../../runtime/index.ts';
import type { Order } from './messages.ts';
import { NOTHING, type Tally, tally } from './tally.ts';

export const orderTaker = defineActor(import.meta.url, 'order-taker', {
  reducer: {
    init: (): Tally => NOTHING,
    receive(state: Tally, message: Message<Order>, turn): Tally {
      turn.reply(true);
      return tally(state, message.payload);
    },
  },
  mailboxLimit: 100_000,
});
