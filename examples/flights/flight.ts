/**
 * A flight: asks its origin for a gate, boards, flies, lands, reports, and is done.
 *
 * Owns: the life of one flight, and its times. Boarding and flying are XState's `after`, which the runtime keeps as durable timers:
 * a flight that is in the air when the process dies lands when it would have landed, or at once when that time is over.
 *
 * It is a virtual actor: the message with its plan creates it (`schedule.ts`). In its final state it has ended.
 */
import { type AnyActorRef, assign, sendTo, setup } from 'xstate';
import { defineActor, refTo } from '../../actors/index.ts';
import type { AirportEvent } from './airport.ts';
import type { Flight } from './flight-log.ts';

export type FlightEvent =
  | { readonly type: 'PLAN'; readonly flight: Flight }
  /** The origin has a gate for it. */
  | { readonly type: 'GATE' };

type FlightContext = Flight & { readonly id: string };

/** Real milliseconds at the gate. */
const BOARDING_MS = 30;
/** Real milliseconds in the air: 130 for the shortest flight, 770 for the longest. */
const FLYING_BASE_MS = 125;
const FLYING_MS_PER_MILE = 0.145;

/** The reference to a flight, by its place in the file. */
export function refToFlight(number: number): AnyActorRef {
  return refTo('flight', `f-${number}`);
}

const flightMachine = setup({
  types: {
    context: {} as FlightContext,
    events: {} as FlightEvent,
    input: {} as { readonly id: string },
    output: {} as { readonly delay: number },
  },
  actions: {
    takePlan: assign(({ event }) => (event.type === 'PLAN' ? event.flight : {})),
    requestGate: sendTo(
      ({ context }) => refTo('airport', context.origin),
      ({ self }): AirportEvent => ({ type: 'REQUEST_GATE', flight: self }),
    ),
    reportDeparture: sendTo(
      ({ context }) => refTo('airport', context.origin),
      ({ context: { number, delay } }): AirportEvent => ({ type: 'DEPARTED', number, delay }),
    ),
    reportArrival: sendTo(
      ({ context }) => refTo('airport', context.destination),
      ({ context: { number } }): AirportEvent => ({ type: 'ARRIVED', number }),
    ),
    reportCompletion: sendTo(
      ({ context }) => refTo('airport', context.origin),
      ({ context: { number } }): AirportEvent => ({ type: 'COMPLETED', number }),
    ),
  },
  delays: {
    boarding: BOARDING_MS,
    flying: ({ context }) => FLYING_BASE_MS + context.distance * FLYING_MS_PER_MILE,
  },
}).createMachine({
  id: 'flight',
  context: ({ input }) => ({ id: input.id, number: -1, origin: '', destination: '', delay: 0, distance: 0 }),
  initial: 'unplanned',
  states: {
    unplanned: {
      on: { PLAN: { target: 'waiting', actions: 'takePlan' } },
    },
    waiting: {
      entry: 'requestGate',
      on: { GATE: 'boarding' },
    },
    boarding: {
      after: { boarding: 'flying' },
      exit: 'reportDeparture',
    },
    flying: {
      after: { flying: 'landed' },
    },
    landed: {
      type: 'final',
      entry: ['reportArrival', 'reportCompletion'],
    },
  },
  output: ({ context }) => ({ delay: context.delay }),
});

export const flight = defineActor(import.meta.url, 'flight', { machine: flightMachine, virtual: true });
