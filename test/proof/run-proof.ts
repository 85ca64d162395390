/**
 * Runs one proof with its controls, and says what came of it.
 *
 * Owns: the scratch folder, the stopwatch, the rounds of a long run, and the judgement: no fault in the proof, at least one in every control.
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
  /**
   * Rounds of `amount` cases, each with cases of its own, until so many minutes are over; the round that is under way then is finished.
   * Default: one round.
   */
  readonly minutes?: number | undefined;
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
  /** Of the last round, where there are several. */
  readonly figures: ProofOutcome['figures'];
  /** What repeats each round of a run that was given minutes. */
  readonly rounds?: readonly { readonly seed: number; readonly cases: number; readonly seconds: number }[];
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
  const rounds = await runRounds(proof, { ...order, amount }, startMs);
  const outcomes = rounds.map(({ outcome }) => outcome);
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
    seconds: secondsSince(startMs),
    cases: outcomes.reduce((sum, outcome) => sum + outcome.cases, 0),
    faults: listed(outcomes.flatMap((outcome) => outcome.faults)),
    figures: outcomes.at(-1)?.figures ?? {},
    ...(order.minutes === undefined
      ? {}
      : { rounds: rounds.map((round) => ({ seed: round.seed, cases: round.outcome.cases, seconds: round.seconds })) }),
    controls,
  };
}

interface Round {
  readonly seed: number;
  readonly seconds: number;
  readonly outcome: ProofOutcome;
}

/** Seeds are `amount` apart: a proof may use as many that follow its own. */
async function runRounds(
  proof: Proof,
  { size, amount, seed: first, only, minutes = 0, say }: ProofOrder & { readonly amount: number },
  startMs: number,
): Promise<readonly Round[]> {
  const rounds: Round[] = [];
  do {
    const roundMs = performance.now();
    const seed = first + rounds.length * amount;
    const outcome = await inScratch(proof.name, (scratch) => proof.run({ size, amount, seed, only, scratch, say }));
    rounds.push({ seed, seconds: secondsSince(roundMs), outcome: minutes === 0 ? outcome : ofRound(outcome, seed) });
    if (minutes > 0) say(`${proof.name}: round ${rounds.length}, seed ${seed}: ${outcome.faults.length} faults`);
  } while (performance.now() - startMs < minutes * 60_000);
  return rounds;
}

/** A fault is repeated with the seed of its round. */
function ofRound(outcome: ProofOutcome, seed: number): ProofOutcome {
  return { ...outcome, faults: outcome.faults.map((fault) => `seed ${seed}: ${fault}`) };
}

function secondsSince(startMs: number): number {
  return Math.round((performance.now() - startMs) / 100) / 10;
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
