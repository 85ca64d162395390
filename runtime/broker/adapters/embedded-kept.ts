/**
 * Messages that this process has given to a queue, for its own consumers: the queue need not send them back.
 *
 * Owns: their bytes, by the numbers that the queue has given them, until they are handed out for the first time. What is not here is
 * asked of the queue.
 *
 * Invariants:
 * EK1. No more than `limit` bytes are kept: the oldest batch is forgotten first.
 */
import type { BatchBuilder } from './embedded-batch.ts';
import { type Block, blockOf } from './embedded-frame.ts';

const KEPT_BYTES = 8 << 20;

interface KeptBatch {
  /** Number of the first message; the others follow. */
  readonly first: number;
  readonly starts: readonly number[];
  readonly block: Block;
  readonly size: number;
  /** Not handed out yet. */
  left: number;
}

/** Where a message is. */
export interface KeptMessage {
  readonly block: Block;
  readonly start: number;
  readonly end: number;
}

const SIZE_BYTES = 4;

export class KeptMessages {
  /** In the order of their numbers. */
  #batches: KeptBatch[] = [];
  #bytes = 0;
  readonly #limit: number;

  constructor(limit: number = KEPT_BYTES) {
    this.#limit = limit;
  }

  /** Keeps the messages of `batch`, but for those at `unnumbered` places. */
  keep(batch: BatchBuilder, first: number, unnumbered: ReadonlySet<number> | undefined): void {
    const starts = unnumbered === undefined ? batch.starts : batch.starts.filter((_, at) => !unnumbered.has(at));
    if (starts.length === 0) return;
    const size = batch.bytes.length;
    this.#batches.push({ first, starts, block: blockOf(batch.bytes), size, left: starts.length });
    this.#bytes += size;
    while (this.#bytes > this.#limit) {
      const oldest = this.#batches.shift();
      if (oldest === undefined) break;
      this.#bytes -= oldest.size;
    }
  }

  /** A message that is handed out for the first time. A batch is forgotten when all of it were. */
  take(number: number): KeptMessage | undefined {
    // Mostly of the oldest batch: they are handed out in their order.
    for (let index = 0; index < this.#batches.length; index++) {
      const batch = this.#batches[index] as KeptBatch;
      const at = number - batch.first;
      if (at < 0 || at >= batch.starts.length) continue;
      batch.left -= 1;
      if (batch.left === 0) {
        this.#batches.splice(index, 1);
        this.#bytes -= batch.size;
      }
      const start = batch.starts[at] as number;
      return { block: batch.block, start, end: start + batch.block.text.readUInt32BE(start - SIZE_BYTES) };
    }
    return undefined;
  }

  clear(): void {
    this.#batches = [];
    this.#bytes = 0;
  }
}
