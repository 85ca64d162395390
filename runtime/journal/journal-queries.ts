/**
 * Looking into the journal: a cell's turns, images, dead letters.
 *
 * Owns: reads that no host waits for. Everything is answered as bytes; whoever asked decodes.
 *
 * Invariants:
 * Q1. Memory is bounded by the answer and one batch, however long the log is.
 * Q2. A damaged turn is an error that names its position, never a turn left out.
 */
import type { CellKey } from '../kernel/address.ts';
import type { DataDamagedError } from '../kernel/errors.ts';
import { HEADER_BYTES } from './batch-layout.ts';
import { encodeTurns, type RawTurn } from './cell-parcel.ts';
import type { LogReader } from './log-reader.ts';
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
    const turns: RawTurn[] = [];
    let damage: DataDamagedError | undefined;
    const fault = (found: {
      readonly cells: readonly CellKey[] | undefined;
      readonly error: DataDamagedError;
    }): void => {
      if (found.cells?.includes(key) === true) damage ??= found.error;
    };
    for (const row of this.#log.rows(this.#store.meta('trimmed') ?? 1, Number.POSITIVE_INFINITY, false, fault)) {
      if (damage !== undefined) throw damage;
      const { batch } = row;
      const own = batch?.keys.indexOf(key) ?? -1;
      if (batch === undefined || own === -1) continue;
      for (let i = 0; i < batch.turns; i++) {
        const at = batch.header(i);
        if (batch.keyIndex(at) !== own) continue;
        const sequence = batch.sequence(at);
        if (sequence < fromSequence) continue;
        if (sequence > toSequence || turns.length >= limit) return encodeTurns(turns);
        const position = row.position + i;
        turns.push({ position, header: batch.bytes.slice(at, at + HEADER_BYTES), body: batch.body(at).slice() });
      }
    }
    return encodeTurns(turns);
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
    return this.#store
      .letterIds({ after: range.after, limit: range.limit ?? LIMIT })
      .map((id) => ({ id, row: this.#store.letter(id) as Uint8Array }));
  }

  hasLetter(id: string): boolean {
    return this.#store.letter(id) !== undefined;
  }
}
