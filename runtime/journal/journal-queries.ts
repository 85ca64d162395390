/**
 * Looking into the journal: a cell's turns, images, dead letters.
 *
 * Owns: reads that no host waits for. Everything is answered as bytes; whoever asked decodes.
 *
 * Invariants:
 * Q1. Memory is bounded by the answer and one batch, however long the log is.
 * Q2. A damaged turn is an error that names its position, never a turn left out: turns of a cell are dense (J1), and reach to what
 *     its image stands for.
 */
import type { CellKey } from '../kernel/address.ts';
import { BlocksError, DataDamagedError } from '../kernel/errors.ts';
import { HEADER_BYTES } from './batch-layout.ts';
import { TurnsWriter } from './cell-parcel.ts';
import type { LogFault, LogReader } from './log-reader.ts';
import { readImageHeader } from './row-codec.ts';
import type { KeyRange, Store } from './store.ts';

export interface TurnRange {
  readonly fromSequence?: number | undefined;
  readonly toSequence?: number | undefined;
  readonly limit?: number | undefined;
}

/** Answered without a limit of one's own. */
const LIMIT = 1_000;

export class JournalQueries {
  readonly #store: Store;
  readonly #log: LogReader;

  constructor(store: Store, log: LogReader) {
    this.#store = store;
    this.#log = log;
  }

  turns(key: CellKey, range: TurnRange = {}): Uint8Array {
    const { fromSequence = 1, toSequence = Number.POSITIVE_INFINITY, limit = LIMIT } = range;
    const turns = new TurnsWriter();
    const imaged = this.#imagedSequence(key);
    const name = Buffer.from(key);
    /** The cell's last turn so far. */
    let last: number | undefined;
    /** Turns that may have been the cell's: until its next one shows that they were not. */
    let doubt: DataDamagedError | undefined;
    const fault = (found: LogFault): void => {
      if (found.cells === undefined) doubt ??= found.error;
      else if (found.cells.includes(key)) throw found.error;
    };
    for (const row of this.#log.rows(this.#from(fromSequence, imaged), Number.POSITIVE_INFINITY, false, fault)) {
      const { batch } = row;
      const own = batch?.mentions(name) === true ? batch.keys.indexOf(key) : -1;
      if (batch === undefined || own === -1) continue;
      for (let i = 0; i < batch.turns; i++) {
        const at = batch.header(i);
        if (batch.keyIndex(at) !== own) continue;
        const sequence = batch.sequence(at);
        if (sequence !== (last ?? (doubt === undefined ? sequence : 1)) + (last === undefined ? 0 : 1))
          throw doubt ?? gap(key, (last ?? 0) + 1, sequence);
        last = sequence;
        doubt = undefined;
        if (sequence < fromSequence) continue;
        if (sequence > toSequence || turns.count >= limit) return turns.take();
        turns.add({
          position: row.position + i,
          header: batch.bytes.subarray(at, at + HEADER_BYTES),
          body: batch.body(at),
        });
      }
    }
    // Whatever the image does not stand for lies in the tail, where no turn is lost without its owner's name.
    if (doubt !== undefined && (last ?? -1) < Math.min(imaged ?? Number.POSITIVE_INFINITY, toSequence)) throw doubt;
    return turns.take();
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

  /** Turns that the image does not have are above the checkpoint; the others may be anywhere. */
  #from(sequence: number, imaged: number | undefined): number {
    const first = this.#store.meta('trimmed') ?? 1;
    return imaged === undefined || sequence <= imaged ? first : Math.max(first, this.#store.meta('checkpoint') ?? 1);
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

function gap(key: CellKey, expected: number, found: number): DataDamagedError {
  return new DataDamagedError(`${key} has no turn ${expected} in the log, the next is ${found}`, {
    details: { table: 'log', key, sequence: expected },
  });
}
