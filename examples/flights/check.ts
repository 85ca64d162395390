/**
 * The check: what the airports' actors and the flights' sagas have in their books, against a count of the file in a plain loop.
 *
 * Owns: that count, and naming every difference. Knows nothing of actors.
 */
import { fateOf } from './fate.ts';
import type { Flight } from './flight-log.ts';
import { countFlight, type Pool, type Tally } from './pool.ts';
import type { StatisticsState } from './statistics.ts';

/** What an airport is asked for in the end. */
export interface AirportBooks {
  readonly name: string;
  /** Minutes, of the departures. */
  readonly delay: number;
  readonly gates: PoolBooks;
  readonly crews: PoolBooks;
  readonly slots: PoolBooks;
}

type PoolBooks = Pick<Pool, 'held' | 'taken' | 'used' | 'returned'>;

/** A flight that did not fly: the code of its saga's error, and the steps that were undone. */
export interface CalledOff {
  readonly number: number;
  readonly code: string;
  readonly undone: readonly string[];
}

/** What must be in an airport's books. */
export interface ExpectedBooks {
  readonly departures: Tally;
  readonly arrivals: Tally;
  /** Minutes, of the departures. */
  readonly delay: number;
  /** All that were to depart, and all of them that did not. */
  readonly filed: Tally;
  readonly calledOff: Tally;
}

const NONE: Tally = { flights: 0, fingerprint: 0 };

/** The books as they must be. */
export function countFlights(flights: readonly Flight[]): Map<string, ExpectedBooks> {
  const books = new Map<string, ExpectedBooks>();
  const at = (name: string): ExpectedBooks =>
    books.get(name) ?? { departures: NONE, arrivals: NONE, delay: 0, filed: NONE, calledOff: NONE };
  for (const flight of flights) {
    const { number, origin, destination, delay } = flight;
    const from = at(origin);
    const filed = countFlight(from.filed, number);
    if (fateOf(flight) === 'lands') {
      const departures = countFlight(from.departures, number);
      books.set(origin, { ...from, filed, departures, delay: from.delay + delay });
      const to = at(destination);
      books.set(destination, { ...to, arrivals: countFlight(to.arrivals, number) });
    } else {
      books.set(origin, { ...from, filed, calledOff: countFlight(from.calledOff, number) });
      books.set(destination, at(destination));
    }
  }
  return books;
}

/** One of the things that are checked. */
export interface CheckLine {
  readonly what: string;
  readonly differences: readonly string[];
}

const number = (value: number): string => value.toLocaleString('en-US');
const isSame = (a: Tally, b: Tally): boolean => a.flights === b.flights && a.fingerprint === b.fingerprint;
const sumOf = (a: Tally, b: Tally): Tally => ({
  flights: a.flights + b.flights,
  // Fingerprints add up, whatever the order: that of two sets is the sum of theirs.
  fingerprint: (a.fingerprint + b.fingerprint) >>> 0,
});

/** How two tallies differ, in words. */
function difference(got: Tally, wanted: Tally, what: string): string | undefined {
  if (isSame(got, wanted)) return undefined;
  if (got.flights !== wanted.flights) return `${number(got.flights)} ${what}, not ${number(wanted.flights)}`;
  return `as many ${what} as there should be, and others`;
}

interface Comparison {
  readonly what: (total: string) => string;
  readonly count: (books: AirportBooks) => number;
  readonly differences: (books: AirportBooks, expected: ExpectedBooks) => readonly (string | undefined)[];
}

const COMPARISONS: readonly Comparison[] = [
  {
    what: (total) => `${total} departures`,
    count: ({ gates }) => gates.used.flights,
    differences: ({ gates }, { departures }) => [difference(gates.used, departures, 'departures')],
  },
  {
    what: (total) => `${total} landings`,
    count: ({ slots }) => slots.used.flights,
    differences: ({ slots }, { arrivals }) => [difference(slots.used, arrivals, 'landings')],
  },
  {
    what: (total) => `${total} landings reported back to the origin`,
    count: ({ crews }) => crews.used.flights,
    differences: ({ crews }, { departures }) => [difference(crews.used, departures, 'landings reported back')],
  },
  {
    what: (total) => `${total} minutes of delay`,
    count: ({ delay }) => delay,
    differences: ({ delay }, expected) => [delay === expected.delay ? undefined : `${delay}, not ${expected.delay}`],
  },
  {
    what: (total) => `${total} gates taken, by every flight once, and given back once`,
    count: ({ gates }) => gates.taken.flights,
    differences: ({ gates }, { filed, calledOff }) => [
      difference(gates.taken, filed, 'gates taken'),
      difference(gates.returned, calledOff, 'gates of flights that were called off'),
      ...settled(gates, 'gates'),
    ],
  },
  {
    what: (total) => `${total} crews taken, and back`,
    count: ({ crews }) => crews.taken.flights,
    differences: ({ crews }) => settled(crews, 'crews'),
  },
  {
    what: (total) => `${total} slots booked, and landed on or cancelled`,
    count: ({ slots }) => slots.taken.flights,
    differences: ({ slots }) => settled(slots, 'slots'),
  },
];

/** Whoever took one has left it, once: none is held, and who left them is who took them. */
function settled({ held, taken, used, returned }: PoolBooks, what: string): (string | undefined)[] {
  return [
    held.length === 0 ? undefined : `${number(held.length)} ${what} are still held, one by flight ${held[0]}`,
    difference(sumOf(used, returned), taken, `${what} given back`),
  ];
}

/** Compares books with the file; every line says what was compared, and where it differs. */
export function checkBooks(flights: readonly Flight[], actual: readonly AirportBooks[]): CheckLine[] {
  const expected = countFlights(flights);
  const found = new Map(actual.map((page) => [page.name, page]));
  const names = [...new Set([...expected.keys(), ...found.keys()])].sort();
  return COMPARISONS.map(({ what, count, differences }) => {
    const total = actual.reduce((sum, page) => sum + count(page), 0);
    const faults = names.flatMap((name) => {
      const wanted = expected.get(name);
      const got = found.get(name);
      if (wanted === undefined) return [`${name}: no airport of the file`];
      if (got === undefined) return [`${name}: no such airport`];
      return differences(got, wanted).flatMap((fault) => (fault === undefined ? [] : [`${name}: ${fault}`]));
    });
    return { what: `${what(number(total))}: equal at each of ${number(names.length)} airports`, differences: faults };
  });
}

/** The steps that a cancelled flight undoes, at most. One that never got a crew has nothing but its gate. */
const UNDOABLE = ['gate', 'crew', 'slot'];

/** Sagas that did not go through are those of the file, for the reason of the file; and the steps they undid are in the airports' books. */
export function checkCalledOff(
  flights: readonly Flight[],
  books: readonly AirportBooks[],
  calledOff: readonly CalledOff[],
): CheckLine {
  const found = new Map(calledOff.map((one) => [one.number, one]));
  const differences: string[] = [];
  for (const flight of flights) {
    const fate = fateOf(flight);
    const one = found.get(flight.number);
    if (fate === 'lands') {
      if (one !== undefined) differences.push(`flight ${flight.number} was called off, and was to fly`);
      continue;
    }
    const code = fate === 'cancelled' ? 'WORKFLOW_CANCELLED' : 'WORKFLOW_FAILED';
    const allowed = fate === 'cancelled' ? UNDOABLE : ['gate'];
    if (one?.code !== code) differences.push(`flight ${flight.number}: ${one?.code ?? 'no end'}, not ${code}`);
    else if (!one.undone.includes('gate') || !one.undone.every((step) => allowed.includes(step)))
      differences.push(`flight ${flight.number} has undone ${one.undone.join(', ') || 'nothing'}`);
  }
  const undone = (step: string): number => calledOff.filter((one) => one.undone.includes(step)).length;
  for (const [step, pool] of [
    ['gate', 'gates'],
    ['crew', 'crews'],
    ['slot', 'slots'],
  ] as const) {
    const returned = books.reduce((sum, page) => sum + page[pool].returned.flights, 0);
    if (returned !== undone(step)) differences.push(`${returned} ${pool} came back, ${undone(step)} were given back`);
  }
  const [gates, crews, slots] = UNDOABLE.map((step) => number(undone(step)));
  return {
    what: `${number(calledOff.length)} flights called off, and undone: ${gates} gates, ${crews} crews, ${slots} slots given back`,
    differences,
  };
}

/** What the statistics counted from events, against the file. */
export function checkStatistics(flights: readonly Flight[], { landed, origins }: StatisticsState): CheckLine {
  const differences: string[] = [];
  const expected = countFlights(flights);
  for (const name of new Set([...expected.keys(), ...Object.keys(origins)])) {
    const { departures = NONE, delay = 0 } = expected.get(name) ?? {};
    const row = origins[name] ?? { landed: 0, delay: 0, fingerprint: 0 };
    const fault = difference({ flights: row.landed, fingerprint: row.fingerprint }, departures, 'landings counted');
    if (fault !== undefined) differences.push(`${name}: ${fault}`);
    else if (row.delay !== delay) differences.push(`${name}: ${row.delay} minutes, not ${delay}`);
  }
  return { what: `${number(landed)} landings in the statistics, from events: each once`, differences };
}

/** What the ground service has in its books, against the file. */
export function checkGround(flights: readonly Flight[], hub: string, serviced: ReadonlySet<number>): CheckLine {
  const expected = new Set(
    flights.filter((flight) => flight.origin === hub && fateOf(flight) === 'lands').map((flight) => flight.number),
  );
  const differences = [
    ...[...expected].filter((flight) => !serviced.has(flight)).map((flight) => `flight ${flight} was not serviced`),
    ...[...serviced]
      .filter((flight) => !expected.has(flight))
      .map((flight) => `flight ${flight} is none that left ${hub}`),
  ];
  return {
    what: `${number(serviced.size)} flights in the books of ${hub}'s ground service: all that left`,
    differences,
  };
}
