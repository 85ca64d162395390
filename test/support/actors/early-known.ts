/** Writes to an actor of another module, which may not be loaded. */
import { defineActor } from '../../../actors/index.ts';

export const earlyKnown = defineActor(import.meta.url, 'early-known', {
  reducer: {
    init: (): number => 0,
    receive: (sent: number, { add }: { readonly type: string; readonly add: number }, turn): number => {
      turn.send('late-known/x', { type: 'ADD', add });
      return sent + 1;
    },
  },
});
