/**
 * The systems beside the airports: their names, and what is said to them.
 */
import type { MessageDraft } from '../../runtime/index.ts';

/** The airport whose departures are serviced by another system. */
export const HUB = 'ORD';
/** That system: somebody else's, reached over HTTP. */
export const GROUND = 'ground';
/** The system that counts landings. */
export const STATISTICS = 'statistics';

export interface Landing {
  readonly number: number;
  readonly origin: string;
  readonly delay: number;
}

/** Tells everybody who is interested. */
export function landingEvent(landing: Landing): MessageDraft<Landing> {
  return {
    type: `flights.landed.${landing.origin}`,
    kind: 'EVENT',
    payload: landing,
    idempotencyKey: `landed-${landing.number}`,
    delivery: 'EXACTLY_ONCE',
    // Of different flights, beside each other.
    key: runIdOf(landing.number),
  };
}

/** Orders the service of a flight. */
export function serviceCommand(number: number): MessageDraft<{ readonly number: number }> {
  const key = `service-${number}`;
  return {
    type: 'service',
    kind: 'COMMAND',
    target: GROUND,
    payload: { number },
    idempotencyKey: key,
    key,
    delivery: 'EXACTLY_ONCE',
  };
}

/** The run of a flight, by the flight's place in the file. */
export function runIdOf(number: number): string {
  return `f-${number}`;
}
