/**
 * How a cell comes back: image, then the turns after it, then the messages that nobody consumed.
 *
 * Owns: recovery of one cell, and the comparison that notices when its past cannot be repeated. No intent is executed here.
 *
 * Invariants:
 * R1. After a replay, state and books are what they were after the last recorded turn.
 * R2. Recomputed intents that differ from the recorded ones block the cell with a diagnosis: which turn, where they differ.
 * R3. Nothing is guessed: an unknown version, a missing migration, damaged bytes block the cell too.
 * R4. Each turn is repeated by the version that made it; in the end the state is the present version's (`past-state.ts`).
 */
import { enterTurn } from '../kernel/ambient.ts';
import { ActorBlockedError, BlocksError, decodeError, encodeError } from '../kernel/errors.ts';
import type { Intent } from '../kernel/intent.ts';
import type { ImageRow, LoadedCell, TurnRecord } from '../journal/turn-record.ts';
import { applyTurn } from './book.ts';
import type { Cell } from './cell.ts';
import type { CellTurn } from './cell-turn.ts';
import { toCarry, uncarry } from './carry.ts';
import { restoreImage, stateIn } from './image.ts';
import { PastState } from './past-state.ts';
import { firstDifference } from './same-value.ts';
import { runBehavior } from './step.ts';

export type Recovered = { readonly kind: 'recovered' } | { readonly kind: 'blocked'; readonly error: BlocksError };

const RECOVERED: Recovered = { kind: 'recovered' };

/** Fills a fresh cell. Its mailbox then begins with what it had not consumed. */
export function recover(cell: Cell, found: LoadedCell, turn: CellTurn): Recovered {
  const loaded = uncarry(found);
  const result = recoverFrom(cell, loaded, turn);
  if (result.kind === 'blocked') cell.carried = toCarry(loaded);
  return result;
}

function recoverFrom(cell: Cell, loaded: LoadedCell, turn: CellTurn): Recovered {
  const early = cell.mailbox.waiting();
  if (
    cell.definition.isMissing === true &&
    (loaded.image !== undefined || loaded.turns.length > 0 || loaded.pending.length > 0)
  ) {
    return blocked(cell, `no definition is named "${cell.definition.name}": list its module in the \`actors\` option`);
  }
  if (loaded.damage !== undefined) {
    const cause = decodeError(loaded.damage);
    return blocked(cell, `its stored bytes are damaged: ${cause.message}`, cause);
  }
  if (loaded.image !== undefined || loaded.turns.length > 0 || loaded.pending.length > 0) {
    // What was already waiting came later than everything the journal knows of.
    for (let envelope = cell.mailbox.shift(); envelope !== undefined; envelope = cell.mailbox.shift());
    const fault = restoreReadable(cell, loaded, turn);
    for (const envelope of loaded.pending) cell.mailbox.push(envelope);
    for (const envelope of early) cell.mailbox.push(envelope);
    if (fault !== undefined) return fault;
  }
  return RECOVERED;
}

/** `restore`, when a turn may be of another version than this one can read, or lie behind its sum. */
function restoreReadable(cell: Cell, loaded: LoadedCell, turn: CellTurn): Recovered | undefined {
  try {
    return restore(cell, loaded, turn);
  } catch (error) {
    if (!(error instanceof BlocksError)) throw error;
    return blocked(cell, `its turn ${cell.sequence + 1} cannot be read: ${error.message}`, error);
  }
}

/** State and books at the end of `turns`, on top of `image`. For history too: nothing but the cell is touched. */
export function restore(
  cell: Cell,
  loaded: Pick<LoadedCell, 'image' | 'turns'>,
  turn: CellTurn,
): Recovered | undefined {
  const past = new PastState(cell);
  try {
    if (loaded.image !== undefined) restoreStored(cell, loaded.image, past);
    for (const record of loaded.turns) {
      if (record.sequence !== cell.sequence + 1) {
        return blocked(
          cell,
          `turn ${record.sequence} follows turn ${cell.sequence} in the journal: turns between are missing`,
        );
      }
      const fault = replayTurn(cell, record, turn, past);
      if (fault !== undefined) return fault;
    }
    past.enter(cell.definition.version);
    return undefined;
  } catch (error) {
    if (error instanceof ActorBlockedError) return { kind: 'blocked', error };
    throw error;
  }
}

function restoreStored(cell: Cell, image: ImageRow, past: PastState): void {
  let stored: ReturnType<typeof stateIn>;
  try {
    restoreImage(cell, image);
    stored = stateIn(image);
  } catch (error) {
    throw blockedBy(cell, `its stored state does not load: ${encodeError(error).message}`, error);
  }
  if (cell.book.status.kind === 'absent') return;
  past.assertKnown(stored.version, 'stored');
  past.store(stored.saved, stored.version, 'its stored state');
}

function replayTurn(cell: Cell, record: TurnRecord, turn: CellTurn, past: PastState): Recovered | undefined {
  const { envelope, version } = record;
  past.assertKnown(version, 'last run');
  if (record.outcome === 'handled') {
    if (record.state === undefined) {
      past.enter(version);
      const fault = repeat(cell, record, turn);
      if (fault !== undefined) return fault;
    } else {
      adopt(cell, record, past);
    }
  }
  cell.sequence = record.sequence;
  const refused = record.outcome === 'refused';
  applyTurn(cell.book, envelope, refused, record.intents, record.sequence, cell.edition.idempotencyKeysLimit);
  return undefined;
}

/** `snapshot` durability: the state stands in the record. */
function adopt(cell: Cell, record: TurnRecord, past: PastState): void {
  const control = record.envelope.control;
  if (control?.kind === 'spawn') cell.book.logic = control.logic ?? cell.book.logic;
  past.store(record.state, record.version, `the state of turn ${record.sequence}`);
}

function repeat(cell: Cell, record: TurnRecord, turn: CellTurn): Recovered | undefined {
  turn.begin(cell, record.envelope, record.timeMs, record.sequence, true);
  const outer = enterTurn(turn);
  let intents: readonly Intent[];
  let state: unknown;
  try {
    const before = cell.state;
    state = runBehavior(cell, record.envelope, turn);
    completeAsStep(cell, record, turn, before, state);
    // Only a cell with a journal has a past, and it has no plain sends.
    intents = turn.take() as readonly Intent[];
  } catch (error) {
    turn.take();
    return blocked(
      cell,
      `turn ${record.sequence} (${describe(record)}) throws when it is repeated: ${encodeError(error).message}`,
      error,
    );
  } finally {
    enterTurn(outer);
  }
  // Most turns ask for nothing.
  const isQuiet = intents.length === 0 && record.intents.length === 0;
  const difference = isQuiet ? undefined : firstDifference(record.intents, intents);
  if (difference !== undefined) {
    return blocked(
      cell,
      `turn ${record.sequence} (${describe(record)}) asks for something else when it is repeated: intents${difference} differs. ` +
        'The behavior is not deterministic, or its code changed without a new version',
    );
  }
  cell.state = state;
  return undefined;
}

/** What `step` adds to the behavior's own intents. */
function completeAsStep(cell: Cell, record: TurnRecord, turn: CellTurn, before: unknown, state: unknown): void {
  if (record.envelope.replyTo !== undefined && !turn.answered) {
    const answer = record.intents.find((intent) => intent.kind === 'fail');
    if (answer?.kind === 'fail') turn.fail(decodeError(answer.error));
  }
  if (turn.exiting !== undefined) turn.announceExit(turn.exiting);
  if ((cell.book.reports & 1) !== 0 && state !== before) turn.reportSnapshot(cell.behavior?.view(state));
}

function describe(record: TurnRecord): string {
  const control = record.envelope.control;
  if (control !== undefined) return control.kind;
  const type: unknown = (record.envelope.message as { type?: unknown } | undefined)?.type;
  return typeof type === 'string' ? type : 'message';
}

function blocked(cell: Cell, why: string, cause?: unknown): Recovered {
  return { kind: 'blocked', error: blockedBy(cell, why, cause) };
}

function blockedBy(cell: Cell, why: string, cause?: unknown): ActorBlockedError {
  return new ActorBlockedError(`actor ${cell.key} is blocked: ${why}`, {
    ...(cause === undefined ? {} : { cause }),
    details: { key: cell.key, sequence: cell.sequence },
  });
}
