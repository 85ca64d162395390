/**
 * The demo, as a user runs it, with few flights: both outages happen, everything is equal, and a second run finds all done.
 */
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type AirportBooks,
  checkBooks,
  checkCalledOff,
  checkGround,
  checkStatistics,
  countFlights,
} from '../../examples/flights/check.ts';
import { fateOf } from '../../examples/flights/fate.ts';
import { airportsOf, type Flight, readFlights } from '../../examples/flights/flight-log.ts';
import { parseOptions } from '../../examples/flights/options.ts';
import { countFlight, emptyPool, leave, type Pool, take } from '../../examples/flights/pool.ts';
import { HUB } from '../../examples/flights/systems.ts';
import { type TmpDir, tmpDir } from '../support/tmp-dir.ts';

const REPOSITORY = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const FLIGHTS = 300;
const RUN_TIMEOUT_MS = 90_000;

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const demo = (...args: readonly string[]): Promise<Outcome> =>
  new Promise((resolve) => {
    const entry = join(REPOSITORY, 'examples/flights/demo.ts');
    execFile(process.execPath, [entry, ...args], { timeout: RUN_TIMEOUT_MS }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });

const checkedLines = ({ stdout }: Outcome): string[] => stdout.split('\n').filter((line) => /^ {2}[✓✗]/.test(line));

describe('the demo', () => {
  let dir: TmpDir;

  beforeAll(async () => {
    dir = await tmpDir('flights');
  });

  afterAll(async () => {
    await dir[Symbol.asyncDispose]();
  });

  test('survives both outages, and every book is right', { timeout: RUN_TIMEOUT_MS }, async () => {
    const outcome = await demo('--flights', String(FLIGHTS), '--data', dir.at('data'), '--threads', '2');
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(outcome.stdout).toMatch(/host thread \d is dead: a bug in a timer callback of the saboteur/);
    expect(outcome.stdout).toMatch(/host thread \d is back/);
    expect(outcome.stdout).toContain('SIGKILL to the whole process');
    expect(outcome.stdout).toMatch(/started from the journal within/);
    expect(outcome.stdout).toMatch(/every airport answers again/);
    const airports = airportsOf(readFlights(FLIGHTS)).length;
    const landing = readFlights(FLIGHTS).filter((flight) => fateOf(flight) === 'lands');
    const minutes = landing.reduce((sum, { delay }) => sum + delay, 0);
    const hubFlights = landing.filter(({ origin }) => origin === HUB).length;
    const equal = `equal at each of ${airports} airports`;
    const lines = checkedLines(outcome);
    // How far the cancelled ones had got is theirs to say: the books of crews and slots agree with each other.
    const [crews, slots, calledOff] = [lines[5], lines[6], lines[7]];
    expect(lines).toEqual([
      `  ✓ ${landing.length} departures: ${equal}`,
      `  ✓ ${landing.length} landings: ${equal}`,
      `  ✓ ${landing.length} landings reported back to the origin: ${equal}`,
      `  ✓ ${minutes.toLocaleString('en-US')} minutes of delay: ${equal}`,
      `  ✓ ${FLIGHTS} gates taken, by every flight once, and given back once: ${equal}`,
      crews,
      slots,
      calledOff,
      `  ✓ ${landing.length} landings in the statistics, from events: each once`,
      `  ✓ ${hubFlights} flights in the books of ${HUB}'s ground service: all that left`,
      '  ✓ no dead letters, nothing blocked',
    ]);
    expect(crews).toMatch(/^ {2}✓ \d+ crews taken, and back: equal at each of/);
    expect(slots).toMatch(/^ {2}✓ \d+ slots booked, and landed on or cancelled: equal at each of/);
    const off = FLIGHTS - landing.length;
    expect(calledOff).toMatch(
      new RegExp(`✓ ${off} flights called off, and undone: ${off} gates, \\d+ crews, \\d+ slots given back`),
    );
    expect(outcome.stdout).toMatch(
      new RegExp(`${landing.length} flights in .*, both outages included: \\d+ flights a second`),
    );
    expect(outcome.stdout).toMatch(/Recovery of a host thread: /);
    expect(outcome.stdout).toMatch(/Recovery of the process: /);
    expect(outcome.stdout).toMatch(/the ground service has serviced \d+ flights, and goes on strike/);
    expect(outcome.stdout).toContain('the strike is over');
    expect(outcome.stdout).toMatch(/dead commands are sent again/);
    expect(outcome.stdout).toMatch(
      /Its breaker opened (once|[2-9]\d* times), was half open .* and closed (once|[2-9]\d* times)/,
    );
  });

  test('finds all done when it runs again', { timeout: RUN_TIMEOUT_MS }, async () => {
    const outcome = await demo('--flights', String(FLIGHTS), '--data', dir.at('data'));
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(outcome.stdout).toContain(`All ${FLIGHTS} flights were over already: nothing to do`);
    expect(checkedLines(outcome)).toHaveLength(11);
    expect(outcome.stdout).not.toContain('✗');
  });

  test('refuses a folder with another number of flights', { timeout: RUN_TIMEOUT_MS }, async () => {
    const outcome = await demo('--flights', '10', '--data', dir.at('data'));
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain(`is under way with ${FLIGHTS} flights, not 10: use --fresh, or another --data`);
  });

  test('names all faults of its options', async () => {
    const outcome = await demo('--flights', '0', '--threads', 'many', '--fast', '--no-kill=yes', 'again');
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expect(outcome.stderr.split('\n\n')[0]?.split('\n')).toEqual([
      '--fast: no such option',
      '--no-kill: takes no value, got "yes"',
      '"again": what is it for? Options begin with --',
      '--flights: "0" is not a whole number from 1 to 200k',
      '--threads: "many" is neither auto nor a whole number from 0 to 64',
    ]);
    expect(outcome.stderr).toContain('usage: npm run demo');
  });
});

test('options', () => {
  const options = { flights: 20_000, threads: 'auto', fresh: false, kill: true };
  expect(parseOptions([])).toEqual({
    kind: 'options',
    options: { ...options, dataDir: join('.tmp', 'demo', 'flights-20000') },
  });
  expect(parseOptions(['--flights=200k', '--data', 'x', '--fresh', '--no-kill', '--threads', '0'])).toEqual({
    kind: 'options',
    options: { flights: 200_000, dataDir: 'x', threads: 0, fresh: true, kill: false },
  });
  expect(parseOptions(['--help', '--nonsense'])).toEqual({ kind: 'help' });
  expect(parseOptions(['--fresh', '--fresh'])).toEqual({ kind: 'faults', faults: ['--fresh: given twice'] });
});

describe('the check', () => {
  const flights = readFlights(500);
  const books = booksOf(flights);
  const faultsOf = (changed: readonly AirportBooks[]): string[] =>
    checkBooks(flights, changed).flatMap(({ differences }) => differences);
  const dallas = books.find(({ name }) => name === 'DFW') as AirportBooks;
  const withDallas = (change: Partial<AirportBooks>): AirportBooks[] =>
    books.map((page) => (page === dallas ? { ...page, ...change } : page));
  const calledOff = flights
    .filter((flight) => fateOf(flight) !== 'lands')
    .map((flight) => ({
      number: flight.number,
      code: fateOf(flight) === 'cancelled' ? 'WORKFLOW_CANCELLED' : 'WORKFLOW_FAILED',
      undone: ['gate'],
    }));
  const undoFaults = (changed: typeof calledOff, pages = books): string[] => [
    ...checkCalledOff(flights, pages, changed).differences,
  ];

  test('passes what is right', () => {
    expect(faultsOf(books)).toEqual([]);
    expect(undoFaults(calledOff)).toEqual([]);
    expect(calledOff.length).toBeGreaterThan(10);
  });

  test.each(['gates', 'crews', 'slots'] as const)('finds one of the %s lost, doubled, or still held', (name) => {
    const pool = dallas[name];
    const used = { ...pool.used, flights: pool.used.flights + 1 };
    expect(faultsOf(withDallas({ [name]: { ...pool, used } })).length).toBeGreaterThan(0);
    const returned = countFlight(pool.returned, 7);
    expect(faultsOf(withDallas({ [name]: { ...pool, returned } })).length).toBeGreaterThan(0);
    const taken = countFlight(pool.taken, 7);
    expect(faultsOf(withDallas({ [name]: { ...pool, taken } })).length).toBeGreaterThan(0);
    expect(faultsOf(withDallas({ [name]: { ...pool, held: [7] } }))).toEqual([
      `DFW: 1 ${name} are still held, one by flight 7`,
    ]);
  });

  test('finds a wrong delay, and an airport that is missing or a stranger', () => {
    expect(faultsOf(withDallas({ delay: dallas.delay + 1 }))).toHaveLength(1);
    expect(faultsOf(books.slice(1)).length).toBeGreaterThan(0);
    expect(faultsOf([...books, { ...dallas, name: 'ZZZ' }]).length).toBeGreaterThan(0);
  });

  test('finds one flight lost and another twice, though the counts are equal', () => {
    const [first, second] = flights.filter((flight) => flight.origin === 'DFW' && fateOf(flight) === 'lands');
    if (first === undefined || second === undefined) throw new Error('DFW has fewer than two departures');
    const twice = flights.map((flight) => (flight === first ? { ...second, delay: first.delay } : flight));
    const wrong = booksOf(twice).find(({ name }) => name === 'DFW') as AirportBooks;
    expect(wrong.gates.used.flights).toBe(dallas.gates.used.flights);
    expect(faultsOf(withDallas({ gates: wrong.gates }))).toContain(
      'DFW: as many departures as there should be, and others',
    );
  });

  test('finds a flight that ended in another way, undid too much or too little, or did not end', () => {
    const [first, ...rest] = calledOff;
    if (first === undefined) throw new Error('all of them fly');
    expect(undoFaults(rest)).toHaveLength(2);
    expect(undoFaults([{ ...first, code: 'RUN_REFUSED' }, ...rest])).toHaveLength(1);
    expect(undoFaults([{ ...first, undone: [] }, ...rest])).toHaveLength(2);
    expect(undoFaults([{ ...first, undone: ['gate', 'departure'] }, ...rest])).toHaveLength(1);
    const flown = flights.find((flight) => fateOf(flight) === 'lands')?.number ?? -1;
    expect(undoFaults([...calledOff, { ...first, number: flown }])).toHaveLength(2);
  });

  test('finds a landing that was not counted, and one that was counted twice', () => {
    const right = Object.fromEntries(
      [...countFlights(flights)]
        .filter(([, { departures }]) => departures.flights > 0)
        .map(
          ([
            name,
            {
              departures: { flights: landed, fingerprint },
              delay,
            },
          ]) => [name, { landed, delay, fingerprint }],
        ),
    );
    const faults = (origins: typeof right): number =>
      checkStatistics(flights, { landed: 500, origins }).differences.length;
    const [name = '', row] = Object.entries(right)[0] ?? [];
    if (row === undefined) throw new Error('no departures');
    expect(faults(right)).toBe(0);
    expect(faults({ ...right, [name]: { ...row, landed: row.landed + 1 } })).toBe(1);
    expect(faults({ ...right, [name]: { ...row, delay: row.delay + 1 } })).toBe(1);
    expect(faults({ ...right, [name]: { ...row, fingerprint: row.fingerprint + 1 } })).toBe(1);
    const serviced = flights
      .filter((flight) => flight.origin === HUB && fateOf(flight) === 'lands')
      .map(({ number }) => number);
    const stranger = flights.find(({ origin }) => origin !== HUB)?.number ?? -1;
    expect(checkGround(flights, HUB, new Set(serviced)).differences).toEqual([]);
    expect(checkGround(flights, HUB, new Set(serviced.slice(1))).differences).toHaveLength(1);
    expect(checkGround(flights, HUB, new Set([...serviced, stranger])).differences).toHaveLength(1);
  });
});

describe('a pool', () => {
  const answer = (flight: number): never => `answer ${flight}` as never;

  test('gives in the order of asking, and never more than it has', () => {
    let pool = emptyPool(1);
    const step = (moved: { pool: Pool; given: readonly unknown[] }): readonly unknown[] => {
      pool = moved.pool;
      return moved.given;
    };
    expect(step(take(pool, 1, answer(1)))).toEqual(['answer 1']);
    expect(step(take(pool, 2, answer(2)))).toEqual([]);
    expect(step(take(pool, 3, answer(3)))).toEqual([]);
    expect(step(leave(pool, 1, 'used'))).toEqual(['answer 2']);
    expect(step(leave(pool, 2, 'returned'))).toEqual(['answer 3']);
    expect(pool).toMatchObject({ held: [3], waiting: [], taken: { flights: 3 }, used: { flights: 1 } });
  });

  test('asked twice, it gives once; left twice, it is left once; who waits and leaves waits no more', () => {
    const once = take(emptyPool(1), 1, answer(1)).pool;
    expect(take(once, 1, answer(1))).toEqual({ pool: once, given: ['answer 1'] });
    const queued = take(take(once, 2, answer(2)).pool, 2, answer(22)).pool;
    expect(queued.waiting).toEqual([{ number: 2, answer: 'answer 22' }]);
    expect(leave(queued, 2, 'returned').pool).toEqual(once);
    const left = leave(once, 1, 'used').pool;
    expect(leave(left, 1, 'returned').pool).toEqual(left);
  });
});

test('200k flights come from the Parquet file, with airports', () => {
  const flights = readFlights(20_001);
  expect(flights).toHaveLength(20_001);
  expect(flights[0]).toEqual({ number: 0, origin: 'LAS', destination: 'PHL', delay: 33, distance: 2176 });
  for (const { number, origin, destination, delay, distance } of flights) {
    expect(`${origin}${destination}`).toMatch(/^[A-Z]{6}$/);
    if (!Number.isInteger(delay) || !(distance > 0))
      expect.fail(`flight ${number}: delay ${delay}, distance ${distance}`);
  }
});

/** Books of airports where all went as it should: who was called off had got a gate and no more. */
function booksOf(flights: readonly Flight[]): AirportBooks[] {
  const books = new Map<string, { delay: number; gates: Pool; crews: Pool; slots: Pool }>();
  const many = Number.MAX_SAFE_INTEGER;
  const at = (name: string): { delay: number; gates: Pool; crews: Pool; slots: Pool } => {
    const page = books.get(name) ?? {
      delay: 0,
      gates: emptyPool(many),
      crews: emptyPool(many),
      slots: emptyPool(many),
    };
    books.set(name, page);
    return page;
  };
  const pass = (pool: Pool, number: number, as: 'used' | 'returned'): Pool =>
    leave(take(pool, number, undefined).pool, number, as).pool;
  for (const flight of flights) {
    const { number, origin, destination, delay } = flight;
    const [from, to] = [at(origin), at(destination)];
    const lands = fateOf(flight) === 'lands';
    from.gates = pass(from.gates, number, lands ? 'used' : 'returned');
    if (!lands) continue;
    from.crews = pass(from.crews, number, 'used');
    from.delay += delay;
    to.slots = pass(to.slots, number, 'used');
  }
  return [...books].map(([name, page]) => ({ name, ...page }));
}
