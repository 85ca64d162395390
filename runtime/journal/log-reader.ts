/**
 * Reading the log: rows as batches, in order or at a position, with what is wrong with them.
 *
 * Owns: the check that rows follow each other without a gap, and a small memory of batches that were just read.
 *
 * Invariants:
 * G1. Positions of undamaged rows are gapless: a row that is missing is reported, never passed over in silence.
 */
import type { CellKey } from '../kernel/address.ts';
import { DataDamagedError, DataFormatError } from '../kernel/errors.ts';
import { HEADER_BYTES } from './batch-layout.ts';
import { BatchReader, type BatchDamage, mendPrelude } from './batch-reader.ts';
import type { LogRow, Store } from './store.ts';

/**
 * Bytes of batches kept for the next look. A busy cell's turns are spread over most batches of the tail, so that cells which are
 * loaded one after another need the same ones: half of a tail as long as checkpoints let it grow.
 */
const CACHED_BYTES = 64 << 20;

/** One row of the log. Without `batch`, nothing of it can be read. */
export interface ReadRow {
  readonly position: number;
  readonly bytes: number;
  readonly batch: BatchReader | undefined;
  readonly damage: BatchDamage | undefined;
  /** Where the next row begins. Undefined: how many turns it has cannot be said. */
  readonly end: number | undefined;
}

/** What is wrong in the log, in words. */
export interface LogFault {
  readonly position: number;
  readonly error: DataDamagedError;
  readonly cells: readonly CellKey[] | undefined;
  readonly receivers: readonly CellKey[] | undefined;
}

export class LogReader {
  readonly #store: Store;
  /** What was read, by position. */
  #cache: ReadRow[] = [];
  #cachedBytes = 0;
  /** The row that was asked for last: turns of one cell lie next to each other. */
  #last: ReadRow | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Rows of `[from, to)`; `fault` hears of damaged and missing ones. `bodies`: whether bodies are summed too. */
  *rows(from: number, to: number, bodies: boolean, fault?: (fault: LogFault) => void): Generator<ReadRow> {
    let expected = from;
    for (const row of this.#store.logFrom(from)) {
      if (row.position >= to) break;
      if (row.position > expected && fault !== undefined) fault(missing(expected, row.position));
      const read = readRow(row, bodies);
      if (read.damage !== undefined && fault !== undefined) fault(damaged(read.position, read.damage));
      // How many turns a row has that cannot be read is told by its neighbour.
      expected = read.end ?? Number.POSITIVE_INFINITY;
      yield read;
    }
  }

  /** Where the next turn goes: behind the last row. */
  end(): number {
    const last = this.#store.logAt(Number.MAX_SAFE_INTEGER);
    if (last === undefined) return 1;
    const read = readRow(last, false);
    // Ids must never be given twice, so a last row that cannot be read counts for as many turns as it could hold at most.
    return read.end ?? last.position + Math.ceil(last.bytes.length / HEADER_BYTES) + 1;
  }

  /** The batch that holds `position`, and the offset of its turn's header. Throws `DataDamagedError` when it cannot be had. */
  turnAt(position: number): { readonly batch: BatchReader; readonly at: number } {
    const read = this.#rowAt(position);
    if (read?.batch === undefined || read.end === undefined || position >= read.end)
      throw damaged(position, { turns: [0], cells: undefined, receivers: undefined }).error;
    return { batch: read.batch, at: read.batch.header(position - read.position) };
  }

  /** Forgets what was read: after rows were removed. */
  forget(): void {
    this.#cache = [];
    this.#cachedBytes = 0;
    this.#last = undefined;
  }

  #rowAt(position: number): ReadRow | undefined {
    const last = this.#last;
    if (last?.end !== undefined && position >= last.position && position < last.end) return last;
    const row = this.#findRow(position);
    this.#last = row;
    return row;
  }

  #findRow(position: number): ReadRow | undefined {
    const before = this.#cache[this.#indexAfter(position) - 1];
    if (before?.batch !== undefined && position < before.position + before.batch.turns) return before;
    const row = this.#store.logAt(position);
    if (row === undefined) return undefined;
    const read = readRow(row, false);
    if (this.#cachedBytes + read.bytes > CACHED_BYTES) this.forget();
    const at = this.#indexAfter(read.position);
    if (this.#cache[at - 1]?.position !== read.position) {
      this.#cache.splice(at, 0, read);
      this.#cachedBytes += read.bytes;
    }
    return read;
  }

  /** Index of the first cached row above `position`. */
  #indexAfter(position: number): number {
    let low = 0;
    let high = this.#cache.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#cache[middle] as ReadRow).position <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function readRow({ position, bytes }: LogRow, bodies: boolean): ReadRow {
  const size = bytes.length;
  const batch = batchIn(bytes, position);
  const damage = batch?.damage(bodies);
  if (batch !== undefined && (damage === undefined || damage.cells !== undefined))
    return rowOf(position, size, batch, batch.isSeatedAt(position) ? damage : batch.everything());
  // Whose turns these were is wanted even where none of them is taken.
  const mended = mendPrelude(bytes);
  const named = mended === undefined ? undefined : batchIn(mended, position);
  if (named?.hasKeys === true) return rowOf(position, size, named, named.everything());
  return { position, bytes: size, batch: undefined, damage: damage ?? NAMELESS, end: undefined };
}

function rowOf(position: number, bytes: number, batch: BatchReader, damage: BatchDamage | undefined): ReadRow {
  // Headers can be trusted: all sums of prelude, keys and headers fit, or single turns are known to be damaged.
  const isSound = damage === undefined || damage.cells !== undefined;
  return { position, bytes, batch, damage, end: isSound ? position + batch.turns : undefined };
}

const NAMELESS: BatchDamage = { turns: [], cells: undefined, receivers: undefined };

/** Undefined: these bytes are no batch. */
function batchIn(bytes: Uint8Array, position: number): BatchReader | undefined {
  try {
    return new BatchReader(bytes);
  } catch (error) {
    if (error instanceof DataDamagedError) return undefined;
    // Not the mark of another version, when all else is as this one writes it.
    if (error instanceof DataFormatError && mendPrelude(bytes) !== undefined) return undefined;
    if (error instanceof DataFormatError)
      throw new DataFormatError(`position ${position} of the log: ${error.message}, or is damaged`, {
        details: { table: 'log', position },
      });
    throw error;
  }
}

function damaged(position: number, damage: BatchDamage): LogFault {
  const { cells, receivers } = damage;
  const turns = damage.turns.map((i) => position + i);
  const lost =
    cells === undefined
      ? 'which cells lost turns cannot be said'
      : `turns of ${cells.join(', ') || 'no cell'} are lost`;
  return {
    position,
    cells,
    receivers,
    error: new DataDamagedError(`the log is damaged at position ${turns[0] ?? position}: ${lost}`, {
      details: { table: 'log', position, turns, ...(cells === undefined ? {} : { cells, receivers }) },
    }),
  };
}

function missing(from: number, to: number): LogFault {
  return {
    position: from,
    cells: undefined,
    receivers: undefined,
    error: new DataDamagedError(`the log has no turns ${from} to ${to - 1}: they are lost`, {
      details: { table: 'log', position: from, to },
    }),
  };
}
