/**
 * The saboteur: an actor with a bug that takes its whole host thread down.
 *
 * Owns: the bug. Its effect leaves an exception behind in a timer, where no handler, no promise and no supervisor of actors can
 * catch it: Node ends the thread. It lives in memory only, so that its successor host does not inherit it.
 */
import { setup } from 'xstate';
import { defineActor, effect } from '../../actors/index.ts';

const FUSE_MS = 10;

const saboteurMachine = setup({
  types: { events: {} as { readonly type: 'CRASH' } },
  actors: {
    leaveBomb: effect(() => {
      setTimeout(() => {
        throw new Error('a bug in a timer callback of the saboteur');
      }, FUSE_MS);
    }),
  },
}).createMachine({
  id: 'saboteur',
  initial: 'idle',
  states: {
    idle: { on: { CRASH: 'sabotaging' } },
    sabotaging: { invoke: { src: 'leaveBomb' } },
  },
});

export const saboteur = defineActor(import.meta.url, 'saboteur', { machine: saboteurMachine, durability: 'none' });
