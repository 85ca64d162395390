/** A supervisor with one child, and a machine with a child machine inside: as first deployed. */
import { assign, sendTo, setup } from 'xstate';
import { defineActor } from '../../../runtime/index.ts';
import { defineSupervisor } from '../../../supervisors/index.ts';

/** A ship whose engine counts `step` a turn of the key. */
export const shipOf = (step: number) => {
  const engine = setup({
    types: { context: {} as { turns: number }, events: {} as { type: 'KEY' } },
  }).createMachine({
    context: { turns: 0 },
    on: { KEY: { actions: assign(({ context }) => ({ turns: context.turns + step })) } },
  });
  return setup({
    types: { context: {} as { keys: number }, events: {} as { type: 'KEY' } },
    actors: { engine },
    actions: { turn: sendTo('engine', { type: 'KEY' }) },
  }).createMachine({
    context: { keys: 0 },
    invoke: { id: 'engine', src: 'engine' },
    on: {
      KEY: {
        actions: [
          assign(({ context }) => ({ keys: context.keys + step })),
          ...Array.from({ length: step }, () => 'turn' as const),
        ],
      },
    },
  });
};

export const hand = defineActor(import.meta.url, 'hand', {
  reducer: { init: () => 0, receive: (state: number): number => state + 1 },
});
export const ship = defineActor(import.meta.url, 'ship', { machine: shipOf(1), version: 1, virtual: true });
export const crew = defineSupervisor(import.meta.url, 'crew', {
  children: [{ id: 'cook', actor: { definition: hand } }],
});
