/**
 * The input: real flights of the package `vega-datasets` (US domestic, first quarter of 2001).
 *
 * Owns: which file holds how many flights, reading it, and what the demo wants to know of it beforehand: which airports there are
 * and how many gates each is to have. Counts nothing that is checked later: that is `check.ts`.
 */
import { readFileSync } from 'node:fs';
import { readParquet } from './parquet.ts';

/** One line of the file. */
export interface Flight {
  /** Place in the file, from 0: the flight's name. */
  readonly number: number;
  readonly origin: string;
  readonly destination: string;
  /** Minutes; negative when it was early. */
  readonly delay: number;
  /** Miles. */
  readonly distance: number;
}

/** As many as the JSON file of this name has; for more, the columns of the Parquet file are read. */
const JSON_FLIGHTS = 20_000;
/** More would take minutes. */
export const FLIGHTS_LIMIT = 200_000;

/** The first `count` flights. */
export function readFlights(count: number): Flight[] {
  return count <= JSON_FLIGHTS ? fromJson(count) : fromParquet(count);
}

/** Name of the file that `readFlights` reads. */
export function flightsFile(count: number): string {
  return count <= JSON_FLIGHTS ? 'flights-20k.json' : 'flights-3m.parquet';
}

/** The package exports its code alone: its data lies beside the folder that the code is in. */
function dataFile(name: string): URL {
  return new URL(`../data/${name}`, import.meta.resolve('vega-datasets'));
}

function fromJson(count: number): Flight[] {
  const lines = JSON.parse(readFileSync(dataFile(flightsFile(count)), 'utf8')) as Omit<Flight, 'number'>[];
  return lines
    .slice(0, count)
    .map(({ origin, destination, delay, distance }, number) => ({ number, origin, destination, delay, distance }));
}

function fromParquet(count: number): Flight[] {
  const columns = readParquet(readFileSync(dataFile(flightsFile(count))), count);
  const column = <T>(name: string): readonly T[] => columns.get(name) as readonly T[];
  const origins = column<string>('origin');
  const destinations = column<string>('destination');
  const delays = column<number>('delay');
  const distances = column<number>('distance');
  return origins.map((origin, number) => ({
    number,
    origin,
    destination: destinations[number] as string,
    delay: delays[number] as number,
    distance: distances[number] as number,
  }));
}

export interface AirportPlan {
  readonly name: string;
  readonly gates: number;
}

/** Departures that share one gate in the course of the demo: few enough to make flights wait, enough to get through. */
const DEPARTURES_PER_GATE = 40;

/** Every airport of these flights, with gates by its traffic. */
export function airportsOf(flights: readonly Flight[]): AirportPlan[] {
  const departures = new Map<string, number>();
  for (const { origin, destination } of flights) {
    departures.set(origin, (departures.get(origin) ?? 0) + 1);
    departures.set(destination, departures.get(destination) ?? 0);
  }
  return [...departures].map(([name, count]) => ({ name, gates: Math.max(1, Math.ceil(count / DEPARTURES_PER_GATE)) }));
}
