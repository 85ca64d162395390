/** A virtual actor that is written to, and whose module a later run of the system does not list at first. */
import { defineActor } from '../../../actors/index.ts';

export const lateKnown = defineActor(import.meta.url, 'late-known', {
  reducer: {
    init: (): number => 0,
    receive: (sum: number, { add = 0 }: { readonly type: string; readonly add?: number }, turn): number => {
      turn.reply(sum);
      return sum + add;
    },
  },
  virtual: true,
});
