/**
 * A flight: a saga of three airports' worth of reservations, a departure that cannot be taken back, and a landing.
 *
 * Owns: the steps, and how each is undone. Gate, crew and slot are asked for one after the other, by every flight in the same order: two that
 * wait for each other there cannot be. Whatever ends a flight before its departure gives back what it has, and no more; from the departure
 * on (`pivot`) it is in the air, and can only land.
 *
 * Sleeps are durable timers: a flight that is in the air when the process dies lands when it would have landed, or at once when that time
 * is over.
 */
import { defineSaga } from '../../actors/index.ts';
import { CREW_OVER_DUTY } from './airport.ts';
import { CANCELLED_FROM_MINUTES } from './fate.ts';
import { HUB } from './systems.ts';

/** The workflow's id. */
export const FLIGHT = 'flight';

/** Real milliseconds at the gate. */
const BOARDING_MS = 30;
/** Real milliseconds in the air: 130 for the shortest flight, 770 for the longest. */
const FLYING_MS = '${125.0 + input.distance * 0.145}';
/** Flights wait for a gate as long as it takes: no request of theirs is given up. */
const PATIENCE_MS = 600_000;

const NUMBER = { number: '${input.number}' };
const DELAY = { ...NUMBER, delay: '${input.delay}' };

/** What an airport is asked. */
const ask = (airport: 'origin' | 'destination', action: string, parameters: object = NUMBER) => ({
  actor: { definition: 'airport', id: `\${input.${airport}}` },
  action,
  parameters,
  attemptTimeoutMs: PATIENCE_MS,
});

export const flight = defineSaga(FLIGHT, {
  input: {
    type: 'object',
    properties: {
      number: { type: 'integer' },
      origin: { type: 'string' },
      destination: { type: 'string' },
      delay: { type: 'integer' },
      distance: { type: 'integer' },
    },
    required: ['number', 'origin', 'destination', 'delay', 'distance'],
  },
  output: null,
})
  .step('gate', { ...ask('origin', 'TAKE_GATE'), compensation: ask('origin', 'RETURN_GATE') })
  .step('crew', {
    ...ask('origin', 'TAKE_CREW', { ...DELAY, distance: '${input.distance}' }),
    dependencies: ['gate'],
    retryPolicy: { nonRetryable: [CREW_OVER_DUTY] },
    compensation: ask('origin', 'RETURN_CREW'),
  })
  .step('slot', {
    ...ask('destination', 'BOOK_SLOT'),
    dependencies: ['crew'],
    compensation: ask('destination', 'CANCEL_SLOT'),
  })
  .step('boarding', { sleep: BOARDING_MS, dependencies: ['slot'] })
  .step('clearance', {
    signal: 'clearance',
    dependencies: ['slot'],
    condition: `input.delay >= ${CANCELLED_FROM_MINUTES}`,
  })
  .step('service', {
    ...ask('origin', 'ORDER_SERVICE'),
    dependencies: ['boarding', 'clearance'],
    condition: `\${input.origin} == '${HUB}'`,
  })
  .step('departure', { ...ask('origin', 'DEPART', DELAY), dependencies: ['service'], pivot: true })
  .step('flying', { sleep: FLYING_MS, dependencies: ['departure'] })
  .step('landing', { ...ask('destination', 'LAND'), dependencies: ['flying'] })
  .step('completion', { ...ask('origin', 'COMPLETE', DELAY), dependencies: ['landing'] });
