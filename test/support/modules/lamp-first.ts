/** The machine `lamp`, as first deployed: it goes out after a second, and tells who listens. */
import { assign, emit, setup } from 'xstate';
import { defineActor } from '../../../runtime/index.ts';

const machine = setup({
  types: { context: {} as { lit: number }, events: {} as { type: 'PRESS' } },
}).createMachine({
  context: { lit: 0 },
  initial: 'off',
  states: {
    off: { on: { PRESS: 'on' } },
    on: {
      entry: [
        assign(({ context }) => ({ lit: context.lit + 1 })),
        emit(({ context }) => ({ type: 'LIT', n: context.lit })),
      ],
      after: { 60_000: 'off' },
      on: { PRESS: 'off' },
    },
  },
});

export const lamp = defineActor(import.meta.url, 'lamp', { machine, version: 20_260_101, virtual: true });
