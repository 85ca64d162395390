/**
 * Looking into the journal: a cell's turns, images, dead letters.
 *
 * Owns: reads that no host waits for. Everything is answered as bytes; whoever asked decodes. Which turns of a row are a cell's, and
 * what damage means for them (Q2), is `turn-search.ts`.
 *
 * Invariants:
 * Q1. Memory is bounded by the answer and one batch, however long the log is.
 * Q3. A slice of a long read is a few milliseconds. The answer is as of the call, less what is trimmed before it is read.
 */
import type { CellKey } from '../kernel/address.ts';
import { BlocksError, DataDamagedError } from '../kernel/errors.ts';
import type { LogReader } from './log-reader.ts';
import { readImageHeader } from './row-codec.ts';
import type { Slices } from './sliced-reads.ts';
import type { KeyRange, Store } from './store.ts';
import { TurnSearch, type WantedTurns } from './turn-search.ts';

export interface TurnRange {
  readonly fromSequence?: number | undefined;
  readonly toSequence?: number | undefined;
  readonly limit?: number | undefined;
}

/** Answered without a limit of one's own. */
const LIMIT = 1_000;
/** Read without a pause: small rows cost by their number, large ones by their bytes. */
const SLICE_ROWS = 256;
const SLICE_BYTES = 1 << 20;

export class JournalQueries {
  readonly #store: Store;
  readonly #log: LogReader;

  constructor(store: Store, log: LogReader) {
    this.#store = store;
    this.#log = log;
  }

  /** A cell's turns as they are in the log now, in slices. */
  *turns(key: CellKey, range: TurnRange = {}): Slices<Uint8Array> {
    const { fromSequence = 1, toSequence = Number.POSITIVE_INFINITY, limit = LIMIT } = range;
    const imaged = this.#imagedSequence(key);
    const wanted: WantedTurns = { key, fromSequence, toSequence, limit, imaged };
    const end = this.#log.end();
    let search = new TurnSearch(wanted);
    let at: number | undefined = this.#from(fromSequence, imaged);
    for (;;) {
      at = this.#slice(search, at, end);
      if (at === undefined) return search.found();
      yield;
      const first = this.#first;
      if (first <= at) continue;
      // Rows that come next were trimmed meanwhile, and with them what was found before: only what comes after is a whole past.
      search = new TurnSearch(wanted);
      at = first;
    }
  }

  image(key: CellKey): Uint8Array | undefined {
    return this.#store.image(key);
  }

  keys(range: Partial<KeyRange>): readonly CellKey[] {
    return this.#store.imageKeys({ limit: LIMIT, ...range });
  }

  letters(range: { readonly after?: string | undefined; readonly limit?: number | undefined } = {}): {
    readonly id: string;
    readonly row: Uint8Array;
  }[] {
    return this.#store.letterIds({ after: range.after, limit: range.limit ?? LIMIT }).map((id) => {
      const row = this.#store.letter(id);
      if (row !== undefined) return { id, row };
      // Its key does not come back from being text: no id that was ever given does that.
      throw new DataDamagedError(`the dead letter of ${JSON.stringify(id)} is damaged: its id is not one`, {
        details: { table: 'letter', key: id },
      });
    });
  }

  hasLetter(id: string): boolean {
    return this.#store.letter(id) !== undefined;
  }

  /** Reads on at `from`. Where the next slice begins; undefined: there is nothing more to read. */
  #slice(search: TurnSearch, from: number, end: number): number | undefined {
    let rows = 0;
    let bytes = 0;
    for (const row of this.#log.rows(from, end, false, (fault) => search.fault(fault))) {
      search.take(row);
      if (search.isOver) return undefined;
      rows++;
      bytes += row.bytes;
      // Not behind a row whose end cannot be said: the next row tells what is missing between them.
      if ((rows >= SLICE_ROWS || bytes >= SLICE_BYTES) && row.end !== undefined) return row.end;
    }
    return undefined;
  }

  /** The first position that is kept. */
  get #first(): number {
    return this.#store.meta('trimmed') ?? 1;
  }

  /** Turns that the image does not have are above the checkpoint; the others may be anywhere. */
  #from(sequence: number, imaged: number | undefined): number {
    if (imaged === undefined || sequence <= imaged) return this.#first;
    return Math.max(this.#first, this.#store.meta('checkpoint') ?? 1);
  }

  #imagedSequence(key: CellKey): number | undefined {
    const image = this.#store.image(key);
    if (image === undefined) return undefined;
    try {
      return readImageHeader(key, image).sequence;
    } catch (error) {
      // Its turns may still be whole.
      if (error instanceof BlocksError) return undefined;
      throw error;
    }
  }
}
