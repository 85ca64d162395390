/**
 * An airport: a bounded number of gates, a queue for them, and the books that are checked in the end.
 *
 * Owns: who stands at a gate, who waits, what departed and what arrived.
 *
 * Invariants:
 * AP1. Never more flights at the gates than there are gates: the chart is `open` while one is free, `full` otherwise.
 * AP2. Gates are given in the order in which they were asked for.
 */
import { type AnyActorRef, assign, enqueueActions, setup } from 'xstate';
import { defineActor } from '../../actors/index.ts';
import { addFingerprint } from './fingerprint.ts';

export interface AirportContext {
  readonly name: string;
  readonly gates: number;
  readonly busyGates: number;
  /** Flights without a gate, the first to come first. */
  readonly waiting: readonly AnyActorRef[];
  readonly departures: number;
  readonly arrivals: number;
  /** Flights from here that reported a landing elsewhere. */
  readonly completed: number;
  /** Minutes, of the departures. */
  readonly delay: number;
  /** Which flights departed, arrived and completed: see `fingerprint.ts`. */
  readonly departed: number;
  readonly arrived: number;
  readonly safe: number;
}

export type AirportEvent =
  | { readonly type: 'REQUEST_GATE'; readonly flight: AnyActorRef }
  | { readonly type: 'DEPARTED'; readonly number: number; readonly delay: number }
  | { readonly type: 'ARRIVED'; readonly number: number }
  | { readonly type: 'COMPLETED'; readonly number: number };

const airportMachine = setup({
  types: {
    context: {} as AirportContext,
    events: {} as AirportEvent,
    input: {} as { readonly name: string; readonly gates: number },
  },
  guards: {
    isLastFreeGate: ({ context }) => context.busyGates === context.gates - 1,
    someoneWaits: ({ context }) => context.waiting.length > 0,
  },
  actions: {
    giveGate: enqueueActions(({ enqueue, context, event }) => {
      if (event.type !== 'REQUEST_GATE') return;
      enqueue.assign({ busyGates: context.busyGates + 1 });
      enqueue.sendTo(event.flight, { type: 'GATE' });
    }),
    joinQueue: assign({
      waiting: ({ context, event }) =>
        event.type === 'REQUEST_GATE' ? [...context.waiting, event.flight] : context.waiting,
    }),
    passGateOn: enqueueActions(({ enqueue, context }) => {
      const [next, ...waiting] = context.waiting;
      if (next === undefined) return;
      enqueue.assign({ waiting });
      enqueue.sendTo(next, { type: 'GATE' });
    }),
    freeGate: assign({ busyGates: ({ context }) => context.busyGates - 1 }),
    bookDeparture: assign(({ context, event }) => {
      if (event.type !== 'DEPARTED') return {};
      return {
        departures: context.departures + 1,
        delay: context.delay + event.delay,
        departed: addFingerprint(context.departed, event.number),
      };
    }),
    bookArrival: assign(({ context, event }) => {
      if (event.type !== 'ARRIVED') return {};
      return { arrivals: context.arrivals + 1, arrived: addFingerprint(context.arrived, event.number) };
    }),
    bookCompletion: assign(({ context, event }) => {
      if (event.type !== 'COMPLETED') return {};
      return { completed: context.completed + 1, safe: addFingerprint(context.safe, event.number) };
    }),
  },
}).createMachine({
  id: 'airport',
  context: ({ input }) => ({
    name: input.name,
    gates: input.gates,
    busyGates: 0,
    waiting: [],
    departures: 0,
    arrivals: 0,
    completed: 0,
    delay: 0,
    departed: 0,
    arrived: 0,
    safe: 0,
  }),
  initial: 'open',
  states: {
    open: {
      on: {
        REQUEST_GATE: [{ guard: 'isLastFreeGate', target: 'full', actions: 'giveGate' }, { actions: 'giveGate' }],
        DEPARTED: { actions: ['bookDeparture', 'freeGate'] },
      },
    },
    full: {
      on: {
        REQUEST_GATE: { actions: 'joinQueue' },
        DEPARTED: [
          { guard: 'someoneWaits', actions: ['bookDeparture', 'passGateOn'] },
          { target: 'open', actions: ['bookDeparture', 'freeGate'] },
        ],
      },
    },
  },
  on: {
    ARRIVED: { actions: 'bookArrival' },
    COMPLETED: { actions: 'bookCompletion' },
  },
});

export const airport = defineActor(import.meta.url, 'airport', { machine: airportMachine });
