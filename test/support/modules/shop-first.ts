/** The definition `shop`, as first deployed. */
import { defineActor } from '../../../runtime/index.ts';

export const shop = defineActor(import.meta.url, 'shop', {
  version: 1,
  reducer: {
    init: () => ({ sold: 0 }),
    receive(state: { readonly sold: number }, message: { readonly type: string }, turn): { readonly sold: number } {
      turn.reply(state.sold + 1);
      if (message.type === 'SELL') turn.emit({ type: 'SOLD', n: state.sold + 1 });
      return { sold: state.sold + 1 };
    },
  },
});
