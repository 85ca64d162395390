/** An actor that fails on what says so, and takes its time between tries. */
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
  failure: { maxAttempts: 2, backoff: { initialMs: 10_000, maxMs: 10_000, jitter: 'none' } },
});
