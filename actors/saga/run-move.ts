/**
 * A run that is told to move to another definition: what it answers, and what it is then.
 *
 * Owns: the message and its answer, the record that stays with the run, and the trace of it. Whether it can be moved is
 * `run-migration.ts`.
 */
import { childSecret, tokenOf } from './promise-token.ts';
import { type RunBundle, workflowOf } from './run-bundle.ts';
import type { RunStart } from './run-commands.ts';
import { type MigrationMap, migrateRun } from './run-migration.ts';
import type { PlannerTurn, RunCommand, RunState } from './run-state.ts';
import type { TraceEntry } from './run-trace.ts';
import type { RunReport } from './run-view.ts';

/** Asks a run to move, or, as a trial, whether it could. Answered with a `MoveAnswer`. */
export interface MoveMessage {
  readonly type: 'migrate';
  readonly bundle: RunBundle;
  readonly map: MigrationMap;
  readonly isTrial: boolean;
  /** For the tokens of promises, of runs that had none before. */
  readonly secret?: string;
}

export interface MoveAnswer {
  readonly outcome: 'moved' | 'unchanged' | 'refused';
  /** The version that the run had before. */
  readonly version: number;
  readonly faults: readonly string[];
}

/** One move of a run. */
export interface MoveRecord {
  readonly atMs: number;
  readonly fromVersion: number;
  readonly toVersion: number;
  /** Names of steps that had begun, and are called otherwise since. */
  readonly left: readonly string[];
}

interface Movable {
  readonly start: Pick<RunStart, 'runId' | 'workflow' | 'bundle' | 'secret'>;
  readonly run: RunState;
  readonly moves?: readonly MoveRecord[];
}

export interface Moved {
  readonly answer: MoveAnswer;
  /** Absent: it stays as it is. */
  readonly next?: {
    readonly start: Partial<Pick<RunStart, 'bundle' | 'secret'>>;
    readonly run: RunState;
    readonly moves: readonly MoveRecord[];
    readonly commands: readonly RunCommand[];
  };
}

export function moveRun({ start, run, moves = [] }: Movable, message: MoveMessage, turn: PlannerTurn): Moved {
  const { bundle, map, isTrial } = message;
  const [from, to] = [workflowOf(start.bundle, start.workflow), workflowOf(bundle, start.workflow)];
  const { version } = from.data;
  if (start.bundle.hash === bundle.hash) return { answer: { outcome: 'unchanged', version, faults: [] } };
  const left = moves.flatMap((move) => move.left);
  const secret = start.secret ?? (message.secret === undefined ? undefined : childSecret(message.secret, start.runId));
  const token = secret === undefined ? undefined : (step: string): string => tokenOf(start.runId, step, secret);
  const migration = migrateRun(run, { from, to, map, left, tokenOf: token }, turn);
  if (migration.kind === 'refused') return { answer: { outcome: 'refused', version, faults: migration.faults } };
  const answer: MoveAnswer = { outcome: 'moved', version, faults: [] };
  if (isTrial) return { answer };
  const { commands, run: next } = migration;
  const record = { atMs: turn.nowMs, fromVersion: version, toVersion: to.data.version, left: migration.left };
  const changed = { bundle, ...(secret === undefined ? {} : { secret }) };
  return { answer, next: { start: changed, run: next, commands, moves: [...moves, record] } };
}

/** A report with the moves of its run in the trace. */
export function withMoves(report: RunReport, moves: readonly MoveRecord[] = []): RunReport {
  if (moves.length === 0) return report;
  const entries = moves.map(
    ({ atMs, fromVersion, toVersion }): TraceEntry => ({
      atMs,
      what: 'migrated',
      detail: `version ${fromVersion} to ${toVersion}`,
    }),
  );
  return { ...report, trace: [...report.trace, ...entries].sort((a, b) => a.atMs - b.atMs) };
}
