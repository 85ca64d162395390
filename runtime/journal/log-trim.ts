/**
 * Trimming: rows of the log below the checkpoint go, a few with each commit.
 *
 * Owns: how far it has come. A few at a time, since one big delete makes a list of free pages that LMDB has been seen to break on
 * (lmdb-js#321), and since a commit must stay short.
 *
 * Invariants:
 * M1. No row at or above the checkpoint is removed.
 */
import type { Retention } from './journal-control.ts';
import type { LogReader } from './log-reader.ts';
import type { Store, StoreWrites } from './store.ts';

/** Rows removed in one commit. */
const ROWS_A_COMMIT = 64;

export class LogTrim {
  readonly #store: Store;
  readonly #log: LogReader;
  #allowed = false;
  #at: number;
  #next: number;

  constructor(store: Store, log: LogReader) {
    this.#store = store;
    this.#log = log;
    this.#at = store.meta('trimmed') ?? 0;
    this.#next = this.#at;
  }

  allow(retention: Retention): void {
    this.#allowed = retention === 'trim';
  }

  isBehind(checkpoint: number): boolean {
    return this.#allowed && this.#at < checkpoint;
  }

  /** Removes the next few rows. */
  step(writes: StoreWrites, checkpoint: number): void {
    this.#next = this.#at;
    if (!this.isBehind(checkpoint)) return;
    const positions = this.#store.logPositions(this.#at, ROWS_A_COMMIT + 1).filter((position) => position < checkpoint);
    for (const position of positions.slice(0, ROWS_A_COMMIT)) writes.removeLog(position);
    this.#next = positions[ROWS_A_COMMIT] ?? checkpoint;
    writes.meta('trimmed', this.#next);
  }

  /** The commit of the last `step` returned. */
  committed(): void {
    if (this.#next !== this.#at) this.#log.forget();
    this.#at = this.#next;
  }
}
