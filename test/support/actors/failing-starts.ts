/** Machines and others whose start throws, each at another place; and one that waits for such a child. */
import { assign, fromPromise, fromTransition, setup } from 'xstate';
import { defineActor, reply } from '../../../runtime/index.ts';

const fails = (what: string): never => {
  throw new Error(`${what} threw`);
};
const plain = setup({});

export const contextFails = defineActor(import.meta.url, 'context-fails', {
  machine: plain.createMachine({ context: () => fails('context') }),
});
export const entryFails = defineActor(import.meta.url, 'entry-fails', {
  machine: plain.createMachine({ entry: () => fails('entry') }),
});
export const assignFails = defineActor(import.meta.url, 'assign-fails', {
  machine: setup({ types: { context: {} as { n: number } } }).createMachine({
    context: { n: 0 },
    entry: assign(() => fails('assign')),
  }),
});
export const guardFails = defineActor(import.meta.url, 'guard-fails', {
  machine: plain.createMachine({
    initial: 'a',
    states: { a: { always: { guard: () => fails('guard'), target: 'b' } }, b: {} },
  }),
});
export const inputFails = defineActor(import.meta.url, 'input-fails', {
  machine: setup({ actors: { work: fromPromise(async ({ input }: { input: number }) => input) } }).createMachine({
    initial: 'a',
    states: { a: { invoke: { src: 'work', input: () => fails('input') } } },
  }),
});
export const transitionFails = defineActor(import.meta.url, 'transition-fails', {
  logic: fromTransition(
    (state: number) => state,
    (): number => fails('transition'),
  ),
});
export const reducerFails = defineActor(import.meta.url, 'reducer-fails', {
  reducer: { init: (): number => fails('reducer'), receive: (state: number) => state },
});

const child = setup({ types: { input: {} as { fails: boolean } } }).createMachine({
  context: ({ input }) => (input.fails ? fails('child') : {}),
});

/** Says how its child ended: which never begins. */
export const parent = defineActor(import.meta.url, 'parent', {
  machine: setup({
    types: { context: {} as { error: string }, events: {} as { type: 'ASK' } },
    actors: { child },
  }).createMachine({
    context: { error: '' },
    initial: 'waiting',
    on: { ASK: { actions: reply(({ context }) => context.error) } },
    states: {
      waiting: {
        invoke: {
          src: 'child',
          input: { fails: true },
          onError: { target: 'told', actions: assign({ error: ({ event }) => (event.error as Error).message }) },
        },
      },
      told: {},
    },
  }),
});

/** Fails until it is told otherwise, by what every thread can see. */
export const fickle = defineActor(import.meta.url, 'fickle', {
  durability: 'journal',
  machine: setup({
    types: { input: {} as { fails: boolean }, context: {} as { n: number }, events: {} as { type: 'ASK' } },
  }).createMachine({
    context: ({ input }) => (input.fails ? fails('fickle') : { n: 42 }),
    on: { ASK: { actions: reply(({ context }) => context.n) } },
  }),
});

/** In memory, on the same host: lost if the host is. */
export const bystander = defineActor(import.meta.url, 'bystander', {
  durability: 'none',
  reducer: {
    init: () => 0,
    receive(state: number, _message: unknown, turn): number {
      turn.reply(state + 1);
      return state + 1;
    },
  },
});
