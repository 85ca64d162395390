/**
 * Journeys: a statechart that notices what a crash may do to it. Each trip is an idempotent effect, a durable timer, an effect that may
 * happen once, and a child machine with a timer of its own, one after the other.
 *
 * Effects leave a line in a file outside: what was really done.
 */
import { assign, setup } from 'xstate';
import { effect, reply } from '../../../actors/index.ts';
import { defineActor } from '../../../runtime/index.ts';
import { typed } from '../typed.ts';
import { type Deed, writeDeed } from './deed.ts';

export interface JourneyState {
  readonly sink: string;
  readonly name: string;
  readonly asked: number;
  readonly done: number;
  /** Trips of which nobody knows whether they were boarded. */
  readonly unknown: readonly number[];
}

const leg = setup({}).createMachine({
  initial: 'walking',
  states: { walking: { after: { 3: 'there' } }, there: { type: 'final' } },
});

const deedOf = (verb: string, { context }: { context: JourneyState }): Deed => ({
  sink: context.sink,
  name: `${context.name} ${verb}-${context.done + 1}`,
});

const machine = setup({
  types: typed<{
    context: JourneyState;
    input: { sink: string; name: string };
    events: { type: 'TRIP' } | { type: 'GET' };
  }>(),
  actors: {
    leg,
    book: effect<string, Deed>(writeDeed),
    board: effect<string, Deed>(writeDeed, { class: 'at_most_once' }),
  },
}).createMachine({
  context: ({ input }) => ({ ...input, asked: 0, done: 0, unknown: [] }),
  on: {
    TRIP: { actions: [assign({ asked: ({ context }) => context.asked + 1 }), reply(({ context }) => context.asked)] },
    GET: { actions: reply(({ context }) => context) },
  },
  initial: 'home',
  states: {
    home: { always: { guard: ({ context }) => context.asked > context.done, target: 'booking' } },
    booking: { invoke: { src: 'book', input: (at) => deedOf('book', at), onDone: 'waiting' } },
    waiting: { after: { 5: 'boarding' } },
    boarding: {
      invoke: {
        src: 'board',
        input: (at) => deedOf('board', at),
        onDone: 'walking',
        onError: {
          target: 'walking',
          actions: assign({ unknown: ({ context }) => [...context.unknown, context.done + 1] }),
        },
      },
    },
    walking: {
      invoke: {
        src: 'leg',
        onDone: { target: 'home', actions: assign({ done: ({ context }) => context.done + 1 }) },
      },
    },
  },
});

export const journey = defineActor(import.meta.url, 'journey', { machine, snapshotEveryTurns: 20 });
