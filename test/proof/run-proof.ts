/**
 * Runs one proof with its controls, and says what came of it.
 *
 * Owns: the scratch folder, the stopwatch, and the judgement: no fault in the proof, at least one in every control.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from '../../bench/environment.ts';
import type { Control, Proof, ProofOutcome, ProofRun, Size } from './proof.ts';

export interface ProofOrder {
  readonly size: Size;
  readonly seed: number;
  /** Default: what the proof says for the size. */
  readonly amount?: number | undefined;
  readonly only?: number | undefined;
  readonly say: (line: string) => void;
}

export interface ProofReport {
  readonly name: string;
  readonly title: string;
  readonly what: string;
  readonly unit: string;
  readonly size: Size;
  readonly amount: number;
  readonly seed: number;
  readonly seconds: number;
  readonly cases: number;
  readonly faults: readonly string[];
  readonly figures: ProofOutcome['figures'];
  readonly controls: readonly {
    readonly name: string;
    readonly what: string;
    readonly cases: number;
    readonly faults: number;
  }[];
}

/** Faults listed in a report; the others are counted. */
const FAULTS_LISTED = 20;

export async function runProof(proof: Proof, order: ProofOrder): Promise<ProofReport> {
  const { size, seed, only, say } = order;
  const amount = order.amount ?? proof.sizes[size];
  const startMs = performance.now();
  const outcome = await inScratch(proof.name, (scratch) => proof.run({ size, amount, seed, only, scratch, say }));
  const controls = only === undefined ? await runControls(proof, size, seed, say) : [];
  const { name, title, what, unit } = proof;
  return {
    name,
    title,
    what,
    unit,
    size,
    amount,
    seed,
    seconds: Math.round((performance.now() - startMs) / 100) / 10,
    cases: outcome.cases,
    faults: listed(outcome.faults),
    figures: outcome.figures,
    controls,
  };
}

/** What is wrong with a report, in sentences; empty when the proof holds and every control has failed as it must. */
export function verdictOf(report: ProofReport): string[] {
  const again = `npm run proof -- --only ${report.name} --seed ${report.seed} --amount ${report.amount}`;
  const wrong = report.faults.map((fault) => `${report.name}: ${fault} (again: ${again})`);
  for (const control of report.controls) {
    if (control.faults === 0)
      wrong.push(`${report.name}: the control "${control.name}" found nothing (again: ${again})`);
  }
  if (report.cases === 0) wrong.push(`${report.name}: no case was run`);
  return wrong;
}

async function runControls(
  proof: Proof,
  size: Size,
  seed: number,
  say: (line: string) => void,
): Promise<ProofReport['controls']> {
  const results: { name: string; what: string; cases: number; faults: number }[] = [];
  for (const control of proof.controls) {
    const { cases, faults } = await runControl(proof, control, { size, seed, say });
    results.push({ name: control.name, what: control.what, cases, faults: faults.length });
  }
  return results;
}

function runControl(
  proof: Proof,
  control: Control,
  order: Pick<ProofRun, 'size' | 'seed' | 'say'>,
): Promise<ProofOutcome> {
  return inScratch(`${proof.name}-${control.name}`, (scratch) =>
    control.run({ ...order, amount: control.amount, only: undefined, scratch }),
  );
}

/** Not the system's temporary folder: that may be in memory, and a disk there proves nothing. */
async function inScratch<T>(name: string, use: (scratch: string) => Promise<T>): Promise<T> {
  const root = join(REPOSITORY, '.tmp', 'proof');
  mkdirSync(root, { recursive: true });
  const scratch = mkdtempSync(join(root, `${name}-`));
  try {
    return await use(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function listed(faults: readonly string[]): string[] {
  const shown = faults.slice(0, FAULTS_LISTED);
  if (faults.length > shown.length) shown.push(`and ${faults.length - shown.length} more`);
  return shown;
}
