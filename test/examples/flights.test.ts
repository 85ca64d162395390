/**
 * The demo, as a user runs it, with few flights: both outages happen, everything is equal, and a second run finds all done.
 */
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkBooks, checkGround, checkStatistics, countFlights } from '../../examples/flights/check.ts';
import { airportsOf, readFlights } from '../../examples/flights/flight-log.ts';
import { parseOptions } from '../../examples/flights/options.ts';
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
    const minutes = readFlights(FLIGHTS).reduce((sum, { delay }) => sum + delay, 0);
    const hubFlights = readFlights(FLIGHTS).filter(({ origin }) => origin === HUB).length;
    expect(checkedLines(outcome)).toEqual([
      `  ✓ ${FLIGHTS} departures: equal at each of ${airports} airports`,
      `  ✓ ${FLIGHTS} arrivals: equal at each of ${airports} airports`,
      `  ✓ ${FLIGHTS} landings reported back to the origin: equal at each of ${airports} airports`,
      `  ✓ ${minutes.toLocaleString('en-US')} minutes of delay: equal at each of ${airports} airports`,
      '  ✓ none lost, none double: at each airport they are the very flights of the file',
      `  ✓ ${FLIGHTS} landings in the statistics, from events: each once`,
      `  ✓ ${hubFlights} flights in the books of ${HUB}'s ground service: all of them`,
      '  ✓ no dead letters, nothing blocked',
    ]);
    expect(outcome.stdout).toMatch(/300 flights in .*, both outages included: \d+ flights a second/);
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
    expect(outcome.stdout).toContain(`All ${FLIGHTS} flights had landed already: nothing to do`);
    expect(checkedLines(outcome)).toHaveLength(8);
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
  const books = [...countFlights(flights).values()];
  const faultsOf = (changed: typeof books): number =>
    checkBooks(flights, changed).reduce((sum, { differences }) => sum + differences.length, 0);
  const withFirst = (change: Partial<(typeof books)[number]>): typeof books =>
    books.map((page, index) => (index === 0 ? { ...page, ...change } : page));

  test('passes what is right', () => {
    expect(faultsOf(books)).toBe(0);
  });

  test.each(['departures', 'arrivals', 'completed', 'delay', 'departed', 'arrived', 'safe'] as const)(
    'finds a wrong %s',
    (field) => {
      expect(faultsOf(withFirst({ [field]: (books[0]?.[field] ?? 0) + 1 }))).toBe(1);
    },
  );

  test('finds one flight lost and another twice, though the counts are equal', () => {
    const [first, second] = flights.filter(({ origin }) => origin === 'DFW');
    if (first === undefined || second === undefined) throw new Error('DFW has fewer than two departures');
    const twice = flights.map((flight) => (flight === first ? { ...second, delay: first.delay } : flight));
    const wrong = countFlights(twice).get('DFW');
    const page = countFlights(flights).get('DFW');
    expect(wrong?.departures).toBe(page?.departures);
    expect(wrong?.departed).not.toBe(page?.departed);
  });

  test('finds a landing that was not counted, and one that was counted twice', () => {
    const right = Object.fromEntries(
      books
        .filter(({ departures }) => departures > 0)
        .map(({ name, departures, delay, departed }) => [name, { landed: departures, delay, fingerprint: departed }]),
    );
    const faults = (origins: typeof right): number =>
      checkStatistics(flights, { landed: 500, origins }).differences.length;
    const [name = '', row] = Object.entries(right)[0] ?? [];
    if (row === undefined) throw new Error('no departures');
    expect(faults(right)).toBe(0);
    expect(faults({ ...right, [name]: { ...row, landed: row.landed + 1 } })).toBe(1);
    expect(faults({ ...right, [name]: { ...row, fingerprint: row.fingerprint + 1 } })).toBe(1);
    expect(faults({ ...right, [name]: { ...row, delay: row.delay + 1 } })).toBe(1);
    const serviced = flights.filter(({ origin }) => origin === HUB).map(({ number }) => number);
    const stranger = flights.find(({ origin }) => origin !== HUB)?.number ?? -1;
    expect(checkGround(flights, HUB, new Set(serviced)).differences).toEqual([]);
    expect(checkGround(flights, HUB, new Set(serviced.slice(1))).differences).toHaveLength(1);
    expect(checkGround(flights, HUB, new Set([...serviced, stranger])).differences).toHaveLength(1);
  });

  test('finds a missing airport', () => {
    expect(faultsOf(books.slice(1))).toBeGreaterThan(0);
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
