/**
 * The systems beside the actors: what flights say to them, and how.
 *
 * Owns: their names, the one connector of the flights on each host thread, and what is said over it.
 */
import { type EffectArgument, SystemConnector } from '../../actors/index.ts';
import { MessageBroker } from '../../runtime/index.ts';

/** The airport whose departures are serviced by another system. */
export const HUB = 'ORD';
/** That system: somebody else's, reached over HTTP. */
export const GROUND = 'ground';
/** The system that counts landings. */
export const STATISTICS = 'statistics';

/** An effect's way to the actors of its system. */
type Actors = EffectArgument['actors'];

export interface Landing {
  readonly number: number;
  readonly origin: string;
  readonly delay: number;
}

const CONNECTORS = new WeakMap<Actors, Promise<SystemConnector>>();

/** The connector of the flights, one a thread: effects run on the thread of their flight. */
function flightsOn(actors: Actors): Promise<SystemConnector> {
  let made = CONNECTORS.get(actors);
  if (made === undefined) {
    made = MessageBroker.start({ system: actors }).then((broker) => new SystemConnector('flights', broker));
    made.catch(() => CONNECTORS.delete(actors));
    CONNECTORS.set(actors, made);
  }
  return made;
}

/** Resolves once the command is on disk, whether the ground service works or not. The key makes a second one the same. */
export async function commandService(actors: Actors, number: number): Promise<void> {
  const flights = await flightsOn(actors);
  const key = `service-${number}`;
  await flights.sendCommand(GROUND, 'service', { number }, { idempotencyKey: key, key, delivery: 'EXACTLY_ONCE' });
}

/** Tells everybody who is interested. */
export async function publishLanding(actors: Actors, landing: Landing): Promise<void> {
  const flights = await flightsOn(actors);
  await flights.publishEvent(`flights.landed.${landing.origin}`, landing, {
    idempotencyKey: `landed-${landing.number}`,
    delivery: 'EXACTLY_ONCE',
    // Of different flights, beside each other.
    key: `f-${landing.number}`,
  });
}
