/** The definition `shop` in version 3, without a `migrate`. */
import { defineActor } from '../../../runtime/index.ts';

export const shop = defineActor(import.meta.url, 'shop', {
  version: 3,
  reducer: {
    init: () => ({ sold: 0 }),
    receive: (state: { readonly sold: number }): { readonly sold: number } => state,
  },
});
