/**
 * The search for one cell's turns in rows of the log that come one after another.
 *
 * Owns: which turns are wanted, and what a damaged row means for them.
 *
 * Invariants:
 * Q2. A damaged turn is an error that names its position, never a turn left out: turns of a cell are dense (J1), and reach to what
 *     its image stands for.
 */
import type { CellKey } from '../kernel/address.ts';
import { DataDamagedError } from '../kernel/errors.ts';
import { TurnsWriter } from './cell-parcel.ts';
import type { LogFault, ReadRow } from './log-reader.ts';

export interface WantedTurns {
  readonly key: CellKey;
  readonly fromSequence: number;
  readonly toSequence: number;
  readonly limit: number;
  /** Up to here the cell's image stands for its turns. Undefined: it has none, or none that can be read. */
  readonly imaged: number | undefined;
}

export class TurnSearch {
  readonly #wanted: WantedTurns;
  readonly #name: Buffer;
  readonly #turns = new TurnsWriter();
  /** The cell's last turn so far. */
  #last: number | undefined;
  /** Turns that may have been the cell's: until its next one shows that they were not. */
  #doubt: DataDamagedError | undefined;
  #isOver = false;

  constructor(wanted: WantedTurns) {
    this.#wanted = wanted;
    this.#name = Buffer.from(wanted.key);
  }

  /** Everything wanted is found. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The next row. Throws `DataDamagedError` when a turn of the cell is missing before it. */
  take({ position, batch }: ReadRow): void {
    const own = batch?.mentions(this.#name) === true ? batch.keys.indexOf(this.#wanted.key) : -1;
    if (batch === undefined || own === -1) return;
    for (let i = 0; i < batch.turns && !this.#isOver; i++) {
      const at = batch.header(i);
      if (batch.keyIndex(at) !== own) continue;
      const sequence = batch.sequence(at);
      this.#follow(sequence);
      const { fromSequence, toSequence, limit } = this.#wanted;
      if (sequence < fromSequence) continue;
      if (sequence <= toSequence && this.#turns.count < limit) {
        this.#turns.add(batch.rawTurn(at, position + i));
      }
      this.#isOver = sequence >= toSequence || this.#turns.count >= limit;
    }
  }

  /** What is wrong between two rows, or in the one that comes next. Throws it when it is the cell's. */
  fault({ cells, error }: LogFault): void {
    if (cells === undefined) this.#doubt ??= error;
    else if (cells.includes(this.#wanted.key)) throw error;
  }

  /** What was found, when the search is over or there are no more rows. */
  found(): Uint8Array {
    const { imaged = Number.POSITIVE_INFINITY, toSequence } = this.#wanted;
    // Whatever the image does not stand for lies in the tail, where no turn is lost without its owner's name.
    if (!this.#isOver && this.#doubt !== undefined && (this.#last ?? -1) < Math.min(imaged, toSequence))
      throw this.#doubt;
    return this.#turns.take();
  }

  #follow(sequence: number): void {
    const expected = this.#last === undefined ? (this.#doubt === undefined ? sequence : 1) : this.#last + 1;
    if (sequence !== expected) throw this.#doubt ?? gap(this.#wanted.key, expected, sequence);
    this.#last = sequence;
    this.#doubt = undefined;
  }
}

function gap(key: CellKey, expected: number, found: number): DataDamagedError {
  return new DataDamagedError(`${key} has no turn ${expected} in the log, the next is ${found}`, {
    details: { table: 'log', key, sequence: expected },
  });
}
