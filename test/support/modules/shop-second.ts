/** The definition `shop` in version 2, whose `migrate` fails while `globalThis.shopMigrates` says so. */
import { defineActor } from '../../../runtime/index.ts';

interface SecondState {
  readonly sold: number;
  readonly currency: string;
}

export const shop = defineActor(import.meta.url, 'shop', {
  version: 2,
  migrate(saved, fromVersion): SecondState {
    if ((globalThis as { shopMigrates?: boolean }).shopMigrates === false)
      throw new Error('no rate for the currency, on purpose');
    return { sold: (saved as { sold: number }).sold, currency: `EUR since version ${fromVersion}` };
  },
  reducer: {
    init: (): SecondState => ({ sold: 0, currency: 'EUR' }),
    receive(state: SecondState, _message: unknown, turn): SecondState {
      const next = { ...state, sold: state.sold + 1 };
      turn.reply(next);
      return next;
    },
  },
});
