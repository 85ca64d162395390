/** An actor that fails on what says so, as often as it is tried. */
import { defineActor } from '../../../actors/index.ts';

export const stumbler = defineActor(import.meta.url, 'stumbler', {
  reducer: {
    init: () => 0,
    receive(state: number, message: { readonly key: string; readonly fails?: boolean }, turn): number {
      if (message.fails === true) throw new Error(`${message.key} fails`);
      turn.reply(message.key);
      return state + 1;
    },
  },
  virtual: true,
  failure: { maxAttempts: 100, backoff: { initialMs: 60_000, maxMs: 60_000, jitter: 'none' } },
});
