/**
 * Results as JSON: what the harness writes, and what tables are made from.
 *
 * Owns: the shape and its check. Never written by hand.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Environment } from './environment.ts';
import { REPOSITORY } from './environment.ts';
import type { WorkloadResult } from './measurement.ts';

export const FORMAT = 1;

export interface Results extends Environment {
  readonly format: typeof FORMAT;
  /** Short samples and small data sets: for a look, not for quoting. */
  readonly quick: boolean;
  readonly rounds: number;
  readonly sampleMs: number;
  readonly workloads: readonly WorkloadResult[];
}

/** Which workloads a run is of: the table's, the peers', how cost grows. */
export type Part = 'main' | 'peers' | 'growth';

const FILES: Readonly<Record<Part, string>> = { main: 'latest', peers: 'peers', growth: 'growth' };

/** Where a whole run is written. */
export function resultsPath(part: Part, quick: boolean): string {
  const name = quick ? (part === 'main' ? 'quick' : `${FILES[part]}-quick`) : FILES[part];
  return join(REPOSITORY, 'bench', 'results', `${name}.json`);
}

export function writeResults(path: string, results: Results): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(results, undefined, 2)}\n`);
}

/** Throws when the file is no result of this bench. */
export function readResults(path: string): Results {
  const read = JSON.parse(readFileSync(path, 'utf8')) as Partial<Results>;
  if (read.format !== FORMAT || !Array.isArray(read.workloads)) {
    throw new Error(`${path} holds no results of this bench (format ${String(read.format)}, expected ${FORMAT})`);
  }
  return read as Results;
}
