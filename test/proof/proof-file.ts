/**
 * Reports of proofs as JSON, and the table of `guarantees.md` that is made from them.
 *
 * Owns: the files `bench/results/proof-NAME.json` and what is between the markers. Neither is written by hand.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Environment, REPOSITORY } from '../../bench/environment.ts';
import { PROOFS } from './proof-list.ts';
import type { ProofReport } from './run-proof.ts';

const GUARANTEES = join(REPOSITORY, 'runtime', 'docs', 'guarantees.md');
const START = '<!-- proof:start -->';
const END = '<!-- proof:end -->';

export interface ProofFile extends Environment, ProofReport {}

export function proofPath(name: string): string {
  return join(REPOSITORY, 'bench', 'results', `proof-${name}.json`);
}

export function writeProof(file: ProofFile): void {
  mkdirSync(dirname(proofPath(file.name)), { recursive: true });
  writeFileSync(proofPath(file.name), `${JSON.stringify(file, undefined, 2)}\n`);
}

/** Puts the table of all results that there are into `guarantees.md`. */
export function writeProofTable(): void {
  const text = readFileSync(GUARANTEES, 'utf8');
  const start = text.indexOf(START);
  const end = text.indexOf(END);
  if (start === -1 || end < start) throw new Error(`guarantees.md has no place for the table: ${START} and ${END}`);
  writeFileSync(GUARANTEES, `${text.slice(0, start + START.length)}\n\n${proofTable()}\n\n${text.slice(end)}`);
}

function proofTable(): string {
  const rows = PROOFS.map(({ name, title, what, sizes, unit }) => {
    const command = `\`npm run proof -- --only ${name}\``;
    const size = `${count(sizes.ci)} in CI, full: ${count(sizes.full)} ${unit}`;
    if (!existsSync(proofPath(name))) return `| **${title}**: ${what} | ${size} | not run yet | ${command} |`;
    const file = JSON.parse(readFileSync(proofPath(name), 'utf8')) as ProofFile;
    const controls = file.controls.map((control) => `${control.what}: found`).join('; ');
    const result = `${count(file.cases)} ${unit}, **${file.faults.length} faults** (${day(file)}, seed ${file.seed}). Controls: ${controls}`;
    return `| **${title}**: ${what} | ${size} | ${result} | ${command} |`;
  });
  return [
    '| what is done, what is checked | size | largest run on record | again |',
    '|---|---|---|---|',
    ...rows,
  ].join('\n');
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function day(file: ProofFile): string {
  return file.date.slice(0, 10);
}
