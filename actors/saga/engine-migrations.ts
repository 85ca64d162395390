/**
 * Runs in flight and a new definition: which of them can follow it, and moving those that can.
 *
 * Owns: going through the runs, some at a time, and the report. Whether one run can be moved is `run-migration.ts`, asked in the run's own
 * turn: what the report says of a run was true of it, and a move that is reported is on disk.
 */
import { encodeError } from '../../runtime/kernel/errors.ts';
import { LIST_LIMIT } from './engine-options.ts';
import type { RunBundle } from './run-bundle.ts';
import type { RunEntry, RunFilter } from './run-index.ts';
import type { MigrationMap } from './run-migration.ts';
import type { MoveAnswer, MoveMessage } from './run-move.ts';
import type { RunStatus } from './run-view.ts';

/** How runs are moved to another version. */
export interface MigrationOptions extends MigrationMap {
  /** The version, as it was given to `defineWorkflow`. */
  readonly to: number;
}

/** A run that cannot follow, and every reason. */
export interface MigrationRefusal {
  readonly runId: string;
  readonly version: number;
  readonly faults: readonly string[];
}

export interface MigrationReport {
  /** Ids of runs that were moved. */
  readonly migrated: readonly string[];
  /** Runs that were under this definition already. */
  readonly unchanged: readonly string[];
  /** Runs that stay with the definition they have. */
  readonly refused: readonly MigrationRefusal[];
}

/** What a new definition would mean for runs in flight. */
export interface CheckReport {
  /** Runs that could follow it. */
  readonly compatible: readonly string[];
  readonly breaking: readonly MigrationRefusal[];
}

export interface MigrationPorts {
  readonly list: (filter: RunFilter, page: { after: string; limit: number }) => Promise<readonly RunEntry[]>;
  readonly ask: (runId: string, message: MoveMessage) => Promise<MoveAnswer>;
}

/** Runs that are asked at a time. */
const AT_ONCE = 64;
const IN_FLIGHT: readonly RunStatus[] = ['running', 'draining', 'compensating', 'stuck'];

/** Moves a run, or all in flight that a filter finds, to the definition of `bundle`. */
export async function migrateRuns(
  ports: MigrationPorts,
  what: string | RunFilter,
  bundle: RunBundle,
  options: MigrationOptions,
  secret: string | undefined,
): Promise<MigrationReport> {
  const { to: _version, ...map } = options;
  const move = { type: 'migrate', bundle, map, isTrial: false, ...(secret === undefined ? {} : { secret }) } as const;
  const answers = await askAll(ports, what, move);
  const of = (outcome: MoveAnswer['outcome']): string[] =>
    answers.filter((one) => one.answer.outcome === outcome).map(({ runId }) => runId);
  return { migrated: of('moved'), unchanged: of('unchanged'), refused: refusals(answers) };
}

/** Compares a definition with all its runs in flight. */
export async function checkRuns(
  ports: MigrationPorts,
  workflow: string,
  bundle: RunBundle,
  map: MigrationMap,
): Promise<CheckReport> {
  const answers = await askAll(ports, { workflow }, { type: 'migrate', bundle, map, isTrial: true });
  const compatible = answers.filter(({ answer }) => answer.outcome !== 'refused').map(({ runId }) => runId);
  return { compatible, breaking: refusals(answers) };
}

interface Answered {
  readonly runId: string;
  readonly answer: MoveAnswer;
}

function refusals(answers: readonly Answered[]): MigrationRefusal[] {
  return answers
    .filter(({ answer }) => answer.outcome === 'refused')
    .map(({ runId, answer: { version, faults } }) => ({ runId, version, faults }));
}

async function askAll(ports: MigrationPorts, what: string | RunFilter, message: MoveMessage): Promise<Answered[]> {
  if (typeof what === 'string') return [{ runId: what, answer: await ports.ask(what, message) }];
  const answers: Answered[] = [];
  for (let after = '', isLast = false; !isLast; ) {
    const page = await ports.list({ ...what, status: what.status ?? IN_FLIGHT }, { after, limit: LIST_LIMIT });
    for (let at = 0; at < page.length; at += AT_ONCE) {
      answers.push(...(await Promise.all(page.slice(at, at + AT_ONCE).map((entry) => askOne(ports, entry, message)))));
    }
    after = page.at(-1)?.runId ?? after;
    isLast = page.length < LIST_LIMIT;
  }
  return answers;
}

/** One that is gone, blocked or silent does not keep the others from being moved. */
async function askOne(ports: MigrationPorts, { runId, version }: RunEntry, message: MoveMessage): Promise<Answered> {
  try {
    return { runId, answer: await ports.ask(runId, message) };
  } catch (error) {
    const { code, message: reason } = encodeError(error);
    return { runId, answer: { outcome: 'refused', version, faults: [`it did not answer: ${code}: ${reason}`] } };
  }
}
