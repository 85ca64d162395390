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
  const results = PROOFS.map((proof) => {
    const path = proofPath(proof.name);
    return { ...proof, file: existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as ProofFile) : undefined };
  });
  return [
    '| proof | largest run on record | planted faults | size in CI, full size | again |',
    '|---|---|---|---|---|',
    ...results.map(({ name, title, unit, sizes, file }) => {
      const run =
        file === undefined
          ? 'not run yet'
          : `${count(file.cases)} ${unit}: **${file.faults.length} faults** (${day(file)}, ${file.commit}, seed ${file.seed})`;
      const size = `${count(sizes.ci)}, ${count(sizes.full)}`;
      return `| ${title} | ${run} | ${planted(file)} | ${size} | \`npm run proof -- --only ${name}\` |`;
    }),
    '',
    ...results.map(
      ({ title, what, controls, file }) =>
        `<details><summary><b>${title}</b>: what is done, what is checked, what is planted</summary>\n\n${what}\n\n${controls
          .map((control) => `- ${control.what}: ${found(file, control.name)}`)
          .join('\n')}\n\n</details>\n`,
    ),
  ].join('\n');
}

function planted(file: ProofFile | undefined): string {
  if (file === undefined) return '';
  return `${file.controls.filter(({ faults }) => faults > 0).length} of ${file.controls.length} found`;
}

function found(file: ProofFile | undefined, name: string): string {
  const control = file?.controls.find((one) => one.name === name);
  if (control === undefined) return 'not in the run on record';
  return control.faults > 0 ? 'found' : 'NOT FOUND';
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function day(file: ProofFile): string {
  return file.date.slice(0, 10);
}
