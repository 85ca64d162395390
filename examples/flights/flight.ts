/**
 * A flight: asks its origin for a gate, boards, has its service ordered where another system does that, flies, lands, reports, and is done.
 *
 * Owns: the life of one flight, and its times. What it says to other systems are effects: run after the commit, again after a crash, and
 * with a key that makes the second time the same as the first. Boarding and flying are XState's `after`, which the runtime keeps as durable timers:
 * a flight that is in the air when the process dies lands when it would have landed, or at once when that time is over.
 *
 * It is a virtual actor: the message with its plan creates it (`schedule.ts`). In its final state it has ended.
 */
import { type AnyActorRef, assign, sendTo, setup } from 'xstate';
import { defineActor, effect, refTo } from '../../actors/index.ts';
import type { AirportEvent } from './airport.ts';
import type { Flight } from './flight-log.ts';
import { commandService, HUB, type Landing, publishLanding } from './systems.ts';

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
/** A busy or a starting machine may take its time: a flight waits for the broker as it waits for a gate. */
const UNTIL_ACCEPTED = { retry: { maxAttempts: 1_000, initialMs: 20, maxMs: 1_000 }, timeoutMs: 20_000 };

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
  actors: {
    orderService: effect<void, { readonly number: number }>(
      ({ input, actors }) => commandService(actors, input.number),
      UNTIL_ACCEPTED,
    ),
    announceLanding: effect<void, Landing>(({ input, actors }) => publishLanding(actors, input), UNTIL_ACCEPTED),
  },
  guards: {
    isAtHub: ({ context }) => context.origin === HUB,
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
      after: { boarding: [{ guard: 'isAtHub', target: 'serviced' }, { target: 'flying' }] },
    },
    serviced: {
      invoke: { src: 'orderService', input: ({ context: { number } }) => ({ number }), onDone: 'flying' },
    },
    flying: {
      entry: 'reportDeparture',
      after: { flying: 'landing' },
    },
    landing: {
      entry: 'reportArrival',
      invoke: {
        src: 'announceLanding',
        input: ({ context: { number, origin, delay } }) => ({ number, origin, delay }),
        onDone: 'landed',
      },
    },
    landed: {
      type: 'final',
      entry: 'reportCompletion',
    },
  },
  output: ({ context }) => ({ delay: context.delay }),
});

export const flight = defineActor(import.meta.url, 'flight', { machine: flightMachine, virtual: true });
