/** The definition `shop` in version 2, which knows how version 1 behaved. The older one may be exported too: it is no second `shop`. */
import { defineActor } from '../../../runtime/index.ts';
import { shop as shopFirst } from './shop-first.ts';
import { shop as shopSecond } from './shop-second.ts';

export { shopFirst };

export const shop = defineActor(import.meta.url, 'shop', {
  version: 2,
  previous: [shopFirst],
  migrate: (saved, fromVersion) => shopSecond.migrate?.(saved, fromVersion),
  behavior: shopSecond.behavior,
});
