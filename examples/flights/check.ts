/**
 * The check: what the airports' actors have in their books, against a count of the file in a plain loop.
 *
 * Owns: that count, and naming every difference. Knows nothing of actors.
 */
import { addFingerprint } from './fingerprint.ts';
import type { Flight } from './flight-log.ts';
import type { StatisticsState } from './statistics.ts';

/** What an airport is asked for in the end. */
export interface AirportBooks {
  readonly name: string;
  readonly departures: number;
  readonly arrivals: number;
  /** Departures whose landing was reported back. */
  readonly completed: number;
  /** Minutes, of the departures. */
  readonly delay: number;
  /** Fingerprints of who departed, arrived and completed. */
  readonly departed: number;
  readonly arrived: number;
  readonly safe: number;
}

/** The books as they must be. */
export function countFlights(flights: readonly Flight[]): Map<string, AirportBooks> {
  const books = new Map<string, { -readonly [K in keyof AirportBooks]: AirportBooks[K] }>();
  const at = (name: string): { -readonly [K in keyof AirportBooks]: AirportBooks[K] } => {
    let page = books.get(name);
    if (page === undefined) {
      page = { name, departures: 0, arrivals: 0, completed: 0, delay: 0, departed: 0, arrived: 0, safe: 0 };
      books.set(name, page);
    }
    return page;
  };
  for (const { number, origin, destination, delay } of flights) {
    const from = at(origin);
    from.departures += 1;
    from.completed += 1;
    from.delay += delay;
    from.departed = addFingerprint(from.departed, number);
    from.safe = from.departed;
    const to = at(destination);
    to.arrivals += 1;
    to.arrived = addFingerprint(to.arrived, number);
  }
  return books;
}

/** One of the things that are checked at every airport. */
export interface CheckLine {
  readonly what: string;
  readonly differences: readonly string[];
}

const COUNTED = [
  { field: 'departures', what: 'departures' },
  { field: 'arrivals', what: 'arrivals' },
  { field: 'completed', what: 'landings reported back to the origin' },
  { field: 'delay', what: 'minutes of delay' },
] as const;

const FINGERPRINTS = [
  { field: 'departed', what: 'departed' },
  { field: 'arrived', what: 'arrived' },
  { field: 'safe', what: 'were reported back' },
] as const;

const number = (value: number): string => value.toLocaleString('en-US');

/** Compares books with the file; every line says what was compared, and where it differs. */
export function checkBooks(flights: readonly Flight[], actual: readonly AirportBooks[]): CheckLine[] {
  const expected = countFlights(flights);
  const found = new Map(actual.map((page) => [page.name, page]));
  const names = [...new Set([...expected.keys(), ...found.keys()])].sort();
  const lines: CheckLine[] = COUNTED.map(({ field, what }) => {
    const differences: string[] = [];
    let total = 0;
    for (const name of names) {
      const wanted = expected.get(name)?.[field];
      const got = found.get(name)?.[field];
      total += got ?? 0;
      if (wanted !== got)
        differences.push(`${name}: ${got ?? 'no such airport'}, the file says ${wanted ?? 'no such airport'}`);
    }
    return { what: `${number(total)} ${what}: equal at each of ${number(names.length)} airports`, differences };
  });
  const strangers: string[] = [];
  for (const name of names) {
    for (const { field, what } of FINGERPRINTS) {
      if (expected.get(name)?.[field] !== found.get(name)?.[field]) {
        strangers.push(`${name}: the flights that ${what} are not those of the file`);
      }
    }
  }
  lines.push({
    what: 'none lost, none double: at each airport they are the very flights of the file',
    differences: strangers,
  });
  return lines;
}

/** What the statistics counted from events, against the file. */
export function checkStatistics(flights: readonly Flight[], { landed, origins }: StatisticsState): CheckLine {
  const differences: string[] = [];
  const expected = countFlights(flights);
  for (const name of new Set([...expected.keys(), ...Object.keys(origins)])) {
    const { departures = 0, delay = 0, departed = 0 } = expected.get(name) ?? {};
    const row = origins[name] ?? { landed: 0, delay: 0, fingerprint: 0 };
    if (row.landed !== departures) differences.push(`${name}: ${row.landed} landings, the file says ${departures}`);
    else if (row.delay !== delay || row.fingerprint !== departed) {
      differences.push(`${name}: the landings that were counted are not those of the file`);
    }
  }
  return { what: `${number(landed)} landings in the statistics, from events: each once`, differences };
}

/** What the ground service has in its books, against the file. */
export function checkGround(flights: readonly Flight[], hub: string, serviced: ReadonlySet<number>): CheckLine {
  const expected = new Set(flights.filter(({ origin }) => origin === hub).map((flight) => flight.number));
  const differences = [
    ...[...expected].filter((flight) => !serviced.has(flight)).map((flight) => `flight ${flight} was not serviced`),
    ...[...serviced].filter((flight) => !expected.has(flight)).map((flight) => `flight ${flight} is none of ${hub}`),
  ];
  return { what: `${number(serviced.size)} flights in the books of ${hub}'s ground service: all of them`, differences };
}
