/** A machine that publishes what it has counted. */
import { assign, sendTo, setup } from 'xstate';
import { defineActor, exchangeOf } from '../../../runtime/index.ts';

const machine = setup({
  types: { context: {} as { count: number }, events: {} as { type: 'COUNT' } },
}).createMachine({
  context: { count: 0 },
  on: {
    COUNT: {
      actions: [
        assign({ count: ({ context }) => context.count + 1 }),
        sendTo(exchangeOf(), ({ context }) => ({ type: 'counted', payload: context.count })),
      ],
    },
  },
});

export const announcer = defineActor(import.meta.url, 'announcer', { machine });
