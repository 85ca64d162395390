/**
 * What becomes of a flight: it lands, it is cancelled in the middle of its preparations, or it never gets a crew.
 *
 * Owns: the rule, which follows from the file alone, so that the check can count before anything has happened.
 */
import type { Flight } from './flight-log.ts';

/** Minutes. A flight that late waits for clearance, and operations cancel it (`operations.ts`). */
export const CANCELLED_FROM_MINUTES = 120;
/** Miles and minutes: the crew would be on duty for too long, and the airport gives it none. */
const DUTY_MILES = 1_500;
const DUTY_MINUTES = 30;

export type Fate = 'lands' | 'cancelled' | 'refused';

type Times = Pick<Flight, 'distance' | 'delay'>;

export function fateOf(flight: Times): Fate {
  if (flight.delay >= CANCELLED_FROM_MINUTES) return 'cancelled';
  return isOverDuty(flight) ? 'refused' : 'lands';
}

export function isOverDuty({ distance, delay }: Times): boolean {
  return distance >= DUTY_MILES && delay >= DUTY_MINUTES && delay < CANCELLED_FROM_MINUTES;
}
