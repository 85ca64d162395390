/** An actor for the test of found bugs: it keeps what comes while it is closed. */
import { defineActor } from '../../../actors/index.ts';

export const stasher = defineActor(import.meta.url, 'stasher', {
  reducer: {
    init: () => ({ open: false, items: [] as readonly string[] }),
    receive(
      state: { readonly open: boolean; readonly items: readonly string[] },
      message: { readonly type: string },
      turn,
    ) {
      if (message.type === 'OPEN') {
        turn.unstashAll();
        return { ...state, open: true };
      }
      if (!state.open) {
        turn.stash();
        return state;
      }
      turn.reply(message.type);
      return { ...state, items: [...state.items, message.type] };
    },
  },
});

export const refuser = defineActor(import.meta.url, 'refuser', {
  reducer: {
    init(input: { readonly fails: boolean }) {
      if (input.fails) throw new Error('refused on purpose');
      return 0;
    },
    receive: (state: number) => state + 1,
  },
  failure: { maxAttempts: 1 },
});
