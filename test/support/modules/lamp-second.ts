/** The machine `lamp` with two brightnesses in place of one: PRESS does something else in every state. */
import { assign, setup } from 'xstate';
import { defineActor } from '../../../runtime/index.ts';
import { lamp as lampFirst } from './lamp-first.ts';

const machine = setup({
  types: { context: {} as { pressed: number; lit: number }, events: {} as { type: 'PRESS' } },
}).createMachine({
  context: { pressed: 0, lit: 0 },
  initial: 'off',
  on: { PRESS: { actions: assign(({ context }) => ({ pressed: context.pressed + 1 })) } },
  states: {
    off: { on: { PRESS: 'dim' } },
    dim: { after: { 30_000: 'off' }, on: { PRESS: 'bright' } },
    bright: { on: { PRESS: 'off' } },
  },
});

export const lamp = defineActor(import.meta.url, 'lamp', {
  machine,
  version: 20_261_122,
  virtual: true,
  previous: [lampFirst],
  migrate(stored) {
    const lit = stored.context['lit'] as number;
    return { ...stored, value: stored.value === 'on' ? 'bright' : 'off', context: { pressed: lit * 10, lit } };
  },
});
