/**
 * A blocked cell's image: what the journal knew of it, kept as it was.
 *
 * Owns: the form in which the past of a cell that cannot be recovered yet survives checkpoints. Once its code is mended, it is
 * recovered from here as if no time had passed.
 *
 * Invariants:
 * C11. `uncarry(load of carryImage(c))` has every turn, message and damage report that `c` had.
 */
import { type Envelope, laneOf } from '../kernel/message.ts';
import type { ImageRow, LoadedCell, Watermark } from '../journal/turn-record.ts';
import type { Cell } from './cell.ts';

interface CarriedBody {
  readonly format: number;
  readonly carried: LoadedCell;
}

/** The row that keeps a blocked cell; `carried` is what it was loaded with. */
export function carryImage(cell: Cell, carried: LoadedCell): ImageRow {
  const waiting = cell.mailbox.waiting().filter((envelope) => envelope.id !== undefined);
  const known = new Set(carried.pending.map(idOf));
  const pending = [...carried.pending, ...waiting.filter((envelope) => !known.has(idOf(envelope)))];
  const marks = new Map<string, Watermark>();
  for (const mark of carried.image?.received ?? []) marks.set(`${mark.stream}${mark.lane}`, mark);
  for (const record of carried.turns) raise(marks, record.envelope);
  for (const envelope of pending) raise(marks, envelope);
  const last = carried.turns.at(-1);
  const body: CarriedBody = { format: 1, carried: { ...carried, pending } };
  return {
    key: cell.key,
    sequence: last?.sequence ?? carried.image?.sequence ?? 0,
    received: [...marks.values()],
    wakeAtMs: 0,
    body,
  };
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
    turns: [...carried.turns, ...loaded.turns],
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
