/**
 * `npm run proof`: breaks the runtime in every way that there is a proof for.
 *
 * Owns: the command line.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { describeEnvironment, REPOSITORY } from '../../bench/environment.ts';
import type { Proof, Size } from './proof.ts';
import { writeProof, writeProofTable } from './proof-file.ts';
import { PROOFS, proofOf } from './proof-list.ts';
import { runProof, verdictOf } from './run-proof.ts';

const HELP = `npm run proof -- [options]

  --only NAME     only this proof; may be given several times (--list names them)
  --size SIZE     quick, ci (default) or full
  --amount N      as many cases, in place of what the size says
  --minutes N     as many rounds of so many cases as begin within N minutes, each with cases of its own
  --seed N        the cases of an earlier run (default: drawn, and printed)
  --case N        only this case of the run
  --write         write bench/results/proof-NAME.json, and the table of runtime/docs/guarantees.md
  --table         only the table, from what was written
  --list, --help
`;

// As in vitest.config.ts: processes that are started to be killed would compile the runtime most of the time.
process.env['NODE_COMPILE_CACHE'] ??= join(REPOSITORY, '.tmp', 'compile-cache');

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    size: { type: 'string', default: 'ci' },
    amount: { type: 'string' },
    minutes: { type: 'string' },
    seed: { type: 'string' },
    case: { type: 'string' },
    write: { type: 'boolean' },
    table: { type: 'boolean' },
    list: { type: 'boolean' },
    help: { type: 'boolean' },
  },
});

function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new Error(`--${name} ${text}: not a whole number`);
  return value;
}

function sizeOf(text: string): Size {
  if (text === 'quick' || text === 'ci' || text === 'full') return text;
  throw new Error(`--size ${text}: not quick, ci or full`);
}

function chosen(names: readonly string[] | undefined): readonly Proof[] {
  if (names === undefined) return PROOFS;
  return names.map((name) => {
    const proof = proofOf(name);
    if (proof === undefined) throw new Error(`--only ${name}: there are ${PROOFS.map((one) => one.name).join(', ')}`);
    return proof;
  });
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function prove(): Promise<void> {
  const size = sizeOf(values.size);
  const seed = wholeNumber('seed', values.seed) ?? Math.floor(Math.random() * 2 ** 31);
  const environment = await describeEnvironment(REPOSITORY);
  for (const proof of chosen(values.only)) {
    const missing = proof.missing?.();
    if (missing !== undefined) {
      say(`${proof.name}: cannot be run here: ${missing}`);
      continue;
    }
    say(`${proof.name}: ${proof.title} (seed ${seed})`);
    const amount = wholeNumber('amount', values.amount);
    const minutes = wholeNumber('minutes', values.minutes);
    const report = await runProof(proof, { size, seed, amount, minutes, only: wholeNumber('case', values.case), say });
    const wrong = verdictOf(report);
    for (const line of wrong) say(`FAULT ${line}`);
    if (wrong.length > 0) process.exitCode = 1;
    process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
    if (values.write === true) writeProof({ ...environment, ...report });
  }
  if (values.write === true) writeProofTable();
}

if (values.help === true) process.stdout.write(HELP);
else if (values.list === true) for (const { name, what } of PROOFS) process.stdout.write(`${name}: ${what}\n`);
else if (values.table === true) writeProofTable();
else await prove();
