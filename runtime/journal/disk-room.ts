/**
 * Room on the disk, made sure of before LMDB writes.
 *
 * Owns: the check, and the zeros with which a nearly full disk is reserved. LMDB must never be the one to find the disk full: in
 * lmdb 3.5.6 a page write that fails prints its report into a buffer that is too small and destroys the heap (mdb.c,
 * `mdb_page_flush`: 100 bytes for up to 120 characters), and the process aborts soon after. So the room is taken first, by a plain
 * write behind the database's last page, whose failure is an ordinary error.
 *
 * Invariants:
 * Q1. After `reserve` returned, a commit of that size finds its pages on the disk already, or so much room that nobody fills it
 *     between the check and the write.
 * Q2. `reserve` changes nothing that LMDB has written: it writes behind the end of the file only.
 * Q3. Where the mount says that it has quotas, the room is always taken first.
 */
import { closeSync, fstatSync, openSync, statfsSync, writeSync } from 'node:fs';
import { StorageError, StorageFullError } from '../kernel/errors.ts';
import { isFull } from './disk-refusals.ts';
import { mayHaveQuota } from './quota.ts';

/** With more room than this no reservation is needed: nobody fills it within a commit. Where there are quotas, what is free says nothing. */
const AMPLE_BYTES = 256 << 20;
/** Left free besides the reservation: for the tables of the file system, and for holes in the database's file. */
const SPARE_BYTES = 256 << 10;
const CHUNK = Buffer.alloc(64 << 10);

export class DiskRoom {
  readonly #path: string;
  readonly #fd: number;
  readonly #ampleBytes: number;

  /** `file`: the database, which exists. */
  constructor(folder: string, file: string, quotas = mayHaveQuota(folder)) {
    this.#path = folder;
    this.#ampleBytes = quotas ? Number.POSITIVE_INFINITY : AMPLE_BYTES;
    this.#fd = openSync(file, 'r+');
  }

  /** Makes sure of room for `bytes` behind `usedEnd` (asked only when it matters). Throws `StorageFullError`. */
  reserve(bytes: number, usedEnd: () => number): void {
    const free = this.#free();
    if (free - bytes > this.#ampleBytes) return;
    if (free < SPARE_BYTES) throw this.#full();
    let end = fstatSync(this.#fd).size;
    const wanted = usedEnd() + bytes;
    if (end >= wanted) return;
    if (wanted - end + SPARE_BYTES > free) throw this.#full();
    try {
      while (end < wanted) end += writeSync(this.#fd, CHUNK, 0, Math.min(CHUNK.length, wanted - end), end);
    } catch (error) {
      if (isFull(error)) throw this.#full(error);
      throw new StorageError(`room for the database in ${this.#path} cannot be reserved`, { cause: error });
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  #free(): number {
    const { bavail, bsize } = statfsSync(this.#path);
    return bavail * bsize;
  }

  #full(cause?: unknown): StorageFullError {
    return new StorageFullError(
      `${this.#path} is on a disk without room: nothing acknowledged is lost; free some space`,
      {
        details: { path: this.#path, freeBytes: this.#free() },
        ...(cause === undefined ? {} : { cause }),
      },
    );
  }
}
