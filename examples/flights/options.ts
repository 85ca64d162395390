/**
 * What may be said on the command line.
 *
 * Owns: names, defaults, the help text, and naming everything that is wrong at once.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FLIGHTS_LIMIT } from './flight-log.ts';

export interface DemoOptions {
  readonly flights: number;
  readonly dataDir: string;
  readonly threads: 'auto' | number;
  readonly fresh: boolean;
  readonly kill: boolean;
}

export const HELP = `Flights: real flights as durable XState actors, killed in the middle, checked in the end.

usage: npm run demo -- [options]

  --flights 20k|200k|N  how many flights, up to 200k (default 20k). 20k takes seconds, 200k minutes
  --data DIR            where the journal is kept (default .tmp/demo/flights-<N>). Run it again, and it goes on there
  --fresh               delete that folder first
  --threads N|auto      host threads; 0 runs everything on one thread (default auto: one a core)
  --no-kill             leave out the two outages
  --help                this text
`;

const THREADS_LIMIT = 64;
const TAKES_VALUE = ['flights', 'data', 'threads'] as const;
const SWITCHES = ['fresh', 'no-kill', 'help'] as const;

/** Options, a wish for help, or everything that is wrong. */
export type Parsed =
  | { readonly kind: 'options'; readonly options: DemoOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'faults'; readonly faults: readonly string[] };

export function parseOptions(args: readonly string[]): Parsed {
  const faults: string[] = [];
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    tokens: true,
    options: Object.fromEntries([
      ...TAKES_VALUE.map((name) => [name, { type: 'string' } as const]),
      ...SWITCHES.map((name) => [name, { type: 'boolean' } as const]),
    ]),
  });
  const given = new Map<string, string>();
  for (const token of tokens) {
    if (token.kind === 'positional') faults.push(`"${token.value}": what is it for? Options begin with --`);
    if (token.kind !== 'option') continue;
    const { name, rawName, value } = token;
    if (given.has(name)) faults.push(`${rawName}: given twice`);
    given.set(name, value ?? '');
    if (TAKES_VALUE.some((known) => known === name)) {
      if (value === undefined || value === '') faults.push(`${rawName}: needs a value`);
    } else if (!SWITCHES.some((known) => known === name)) faults.push(`${rawName}: no such option`);
    else if (value !== undefined) faults.push(`${rawName}: takes no value, got "${value}"`);
  }
  if (given.has('help')) return { kind: 'help' };
  const flights = flightsOf(given.get('flights') || '20k', faults);
  const threads = threadsOf(given.get('threads') || 'auto', faults);
  if (faults.length > 0) return { kind: 'faults', faults };
  const dataDir = given.get('data') ?? join('.tmp', 'demo', `flights-${flights}`);
  return {
    kind: 'options',
    options: { flights, threads, dataDir, fresh: given.has('fresh'), kill: !given.has('no-kill') },
  };
}

function flightsOf(text: string, faults: string[]): number {
  const [, digits, thousands] = /^(\d{1,9})(k?)$/i.exec(text) ?? [];
  const flights = Number(digits ?? Number.NaN) * (thousands ? 1_000 : 1);
  if (flights >= 1 && flights <= FLIGHTS_LIMIT) return flights;
  faults.push(`--flights: "${text}" is not a whole number from 1 to ${FLIGHTS_LIMIT / 1_000}k`);
  return 0;
}

function threadsOf(text: string, faults: string[]): 'auto' | number {
  if (text === 'auto') return text;
  const threads = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (threads <= THREADS_LIMIT) return threads;
  faults.push(`--threads: "${text}" is neither auto nor a whole number from 0 to ${THREADS_LIMIT}`);
  return 0;
}
