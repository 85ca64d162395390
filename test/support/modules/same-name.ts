/** A definition whose name is taken by another module. */
import { defineActor } from '../../../runtime/index.ts';

export const counter = defineActor(import.meta.url, 'counter', {
  reducer: { init: () => 0, receive: (state: number) => state },
});
