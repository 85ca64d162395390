/**
 * The journal as a host sees it: somewhere to append batches and to load cells from.
 *
 * Owns: the contract between `host/` and `journal/`. On a worker thread it is a port to the journal thread, with `threads: 0` and
 * in simulation the journal itself.
 *
 * Invariants:
 * P1. Batches of one host are committed in the order of `append`, gaplessly: `committed` comes in the same order.
 * P2. After `committed`, the batch survives what the system's sync mode promises.
 * P3. After `fenced` no batch of this host will be accepted any more, and none committed that was not.
 * P5. `accepted` comes before `committed` of the same batch, for batches that say that they forward, and in their order. An accepted batch
 *     has its place: nothing that is appended after `accepted` was said is ever on the disk without it.
 * P4. `load` answers as of every batch appended before the call.
 */
import type { CellKey } from '../kernel/address.ts';
import type { DeadLetter, ImageRow, LoadedCell, TurnRecord } from './turn-record.ts';

/** One batch being written. `turn`, `image` and `deadLetter` capture their values at the call: later changes have no effect. */
export interface BatchBuilder {
  readonly turns: number;
  readonly bytes: number;
  turn(record: TurnRecord): void;
  image(row: ImageRow): void;
  deadLetter(letter: DeadLetter): void;
  /** Gives up everything captured since the last `mark`, for a turn that could not be encoded. */
  rewind(): void;
  mark(): void;
  /** The batch's bytes; the builder is then empty again. */
  seal(): Uint8Array;
}

export interface HostJournal {
  newBatch(): BatchBuilder;
  /** Hands over a sealed batch. `number` grows by 1. `forwards`: something waits for its acceptance. */
  append(number: number, bytes: Uint8Array, forwards?: boolean): void;
  /** Reads cells, to be answered in one call. */
  load(keys: readonly CellKey[], loaded: (cells: readonly LoadedCell[]) => void): void;
  /** Says that every obligation of this host below `target` is imaged or consumed, in answer to `checkpoint`. */
  clean(round: number): void;
  close(): void;
}

/** What the journal tells a host. */
export interface HostJournalEvents {
  /** Batch `number` has its place in the log, and is being written: its first turn will have `position`, the following ones the following. */
  accepted(number: number, position: number): void;
  /** Batch `number` is durable; its first turn has `position`, the following ones the following. */
  committed(number: number, position: number): void;
  /** This host was replaced. It must stop itself. */
  fenced(): void;
  /** Timers of unloaded cells are due, or work is pending: load these. */
  wake(keys: readonly CellKey[]): void;
  /** The disk is full (nothing more is committed until it is not), or has room again. */
  storage(state: 'full' | 'ok'): void;
  /** Image everything older than `target`, then answer `clean(round)`. */
  checkpoint(round: number, target: number): void;
}
