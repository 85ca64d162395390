/**
 * A blocked cell's image: what the journal knew of it, kept as it was.
 *
 * Owns: the form in which the past of a cell that cannot be recovered yet survives checkpoints. Once its code is mended, it is
 * recovered from here as if no time had passed.
 *
 * Invariants:
 * C11. `uncarry(load of carryImage(c))` has every turn, message and damage report that `c` had.
 */
import { BlocksError, type EncodedError, encodeError } from '../kernel/errors.ts';
import { type Envelope, laneOf } from '../kernel/message.ts';
import type { ImageRow, LoadedCell, TurnRecord, Watermark } from '../journal/turn-record.ts';
import type { Cell } from './cell.ts';
import { isJournaled } from './image.ts';

interface CarriedBody {
  readonly format: number;
  readonly carried: CarriedCell;
  /** Why it was blocked when it was last tried. */
  readonly why?: EncodedError | undefined;
}

/** What a blocked cell was loaded with, its turns as values. */
export interface CarriedCell extends LoadedCell {
  readonly turns: readonly TurnRecord[];
}

/** Turns that cannot be read cannot be carried either: then the report of it is, and the turns stay in the log. */
export function toCarry(loaded: LoadedCell): CarriedCell {
  try {
    return { ...loaded, turns: [...loaded.turns] };
  } catch (error) {
    if (!(error instanceof BlocksError)) throw error;
    return { ...loaded, turns: [], damage: loaded.damage ?? error.toJSON() };
  }
}

/** The row that keeps a blocked cell; `carried` is what it was loaded with. */
export function carryImage(cell: Cell, carried: CarriedCell): ImageRow {
  const waiting = cell.mailbox.waiting().filter(isJournaled);
  return carriedRow(carried, waiting, cell.phase.kind === 'blocked' ? encodeError(cell.phase.error) : undefined);
}

/** The row of a cell that is kept as it was loaded, with messages that came later. */
export function carriedRow(
  carried: CarriedCell,
  waiting: readonly Envelope[],
  why: EncodedError | undefined,
): ImageRow {
  const known = new Set(carried.pending.map(idOf));
  const pending = [...carried.pending, ...waiting.filter((envelope) => !known.has(idOf(envelope)))];
  const marks = new Map<string, Watermark>();
  for (const mark of carried.image?.received ?? []) marks.set(`${mark.stream}${mark.lane}`, mark);
  for (const record of carried.turns) raise(marks, record.envelope);
  for (const envelope of pending) raise(marks, envelope);
  const last = carried.turns.at(-1);
  const body: CarriedBody = { format: 1, carried: { ...carried, pending }, ...(why === undefined ? {} : { why }) };
  return {
    key: carried.key,
    sequence: last?.sequence ?? carried.image?.sequence ?? 0,
    received: [...marks.values()],
    wakeAtMs: 0,
    body,
  };
}

/** Why the cell of this row was blocked when it was last tried; undefined: it was not, or was not tried yet. */
export function blockedIn(row: ImageRow): EncodedError | undefined {
  const body = row.body as Partial<CarriedBody> | undefined;
  return body?.carried === undefined ? undefined : body.why;
}

/** Whether what was loaded is kept as it once was: its image holds turns that are still to be repeated. */
export function isCarried(loaded: LoadedCell): boolean {
  return (loaded.image?.body as Partial<CarriedBody> | undefined)?.carried !== undefined;
}

/** What was loaded, with what had been carried in its image put back in place. */
export function uncarry(loaded: LoadedCell): LoadedCell {
  const body = loaded.image?.body as Partial<CarriedBody> | undefined;
  const carried = body?.carried;
  if (carried === undefined) return loaded;
  const damage = loaded.damage ?? carried.damage;
  return {
    key: loaded.key,
    image: carried.image,
    turns: loaded.turns.length === 0 ? carried.turns : [...carried.turns, ...loaded.turns],
    pending: [...carried.pending, ...loaded.pending],
    ...(damage === undefined ? {} : { damage }),
  };
}

function raise(marks: Map<string, Watermark>, envelope: Envelope): void {
  if (envelope.id === undefined) return;
  const lane = laneOf(envelope);
  const { stream, position, index } = envelope.id;
  const mark = marks.get(`${stream}${lane}`);
  if (mark === undefined || position > mark.position || (position === mark.position && index > mark.index)) {
    marks.set(`${stream}${lane}`, { stream, lane, position, index });
  }
}

function idOf(envelope: Envelope): string {
  const id = envelope.id;
  return id === undefined ? '' : `${id.stream}/${id.position}/${id.index}`;
}
