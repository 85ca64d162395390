/**
 * Commits that are in a file in front of LMDB first, and in LMDB now and then: one store for both sync modes.
 *
 * Owns: when which is written, and what is in the file (`ahead-file.ts`) but not yet in LMDB. The files' names are `AHEAD` and, for what
 * could not be taken at an opening, `AHEAD.damaged`.
 *
 * Why a file, when LMDB is durable by itself: a commit of LMDB waits for the disk twice, for its pages and then for its first page, and
 * writes a page for each table that it touches; appending waits once (1.02 ms and 0.45 ms a commit on the machine of decision 0017).
 * Where the waiting is left out (`relaxed`), LMDB's own modes corrupt it on power loss or give up what a killed process had written.
 * LMDB itself only ever sees commits that are flushed.
 *
 * Invariants:
 * S1 … S6 of `store.ts`. In the group mode a commit is on the disk when it returns, in the file or in LMDB; in the relaxed mode it is
 * with the kernel: it survives a killed process, and power loss costs what was not flushed, and nothing older.
 * N1. Frames are numbered without a gap. `meta('frame')` in LMDB, written in the same transaction as what they hold, says which are in it.
 *     In the group mode those stay in the file until it has grown.
 * N2. What the frames add to the log is above all that is there. A row in their way has a damaged key: the store does not open, and the
 *     file stays as it is.
 * N3. Reads are of what the file holds too: from memory where they are made all the time (images, numbers, rows of the log one by one),
 *     otherwise after a flush, if there is anything of that kind to flush; merged (`ahead-view.ts`) while the disk has no room for that.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { CellKey } from '../kernel/address.ts';
import { DataDamagedError, StorageError, StorageFullError } from '../kernel/errors.ts';
import { encodeFrame, FILE_HEADER_BYTES, fileHeader, readAhead } from './ahead-file.ts';
import { ByteWriter } from './byte-writer.ts';
import { AheadView, type TableReads } from './ahead-view.ts';
import { bootId, REMEDY } from './data-folder.ts';
import { isFull } from './disk-refusals.ts';
import { KeptName, syncNames } from './durable-files.ts';
import type { SyncMode } from './journal-control.ts';
import type { KeyRange, LogRow, MetaName, Store, StoreWrites, WakeRow } from './store.ts';
import { type StoreWrite, WriteList } from './write-list.ts';

/** The file grows to this size; then LMDB is given its share, and it begins anew. That holds the journal for some milliseconds. */
const AHEAD_BYTES_MAX: Readonly<Record<SyncMode, number>> = { group: 4 << 20, relaxed: 16 << 20 };
/** A commit of more bytes goes to LMDB at once: to write them twice takes longer than to wait twice. */
const DIRECT_BYTES = 128 << 10;
/** Written with it, a frame is on the disk when the write returns. Not every system has it. */
const DSYNC = (constants as { O_DSYNC?: number }).O_DSYNC;

/** Puts `store` behind a file in `folder`, and first gives it what a killed process left in the file. */
export function openAheadStore(store: Store, folder: string, sync: SyncMode, boot = bootId()): AheadStore {
  return new AheadStore(store, join(folder, 'AHEAD'), sync, boot);
}

export class AheadStore implements Store {
  /** What could not be taken at the opening. */
  readonly faults: readonly DataDamagedError[];
  readonly #store: Store;
  readonly #sync: SyncMode;
  readonly #fd: number;
  readonly #name: KeptName;
  readonly #out = new ByteWriter(64 << 10);
  #lastPosition: number;
  /** Number of the last frame. */
  #frame: number;
  /** Its sum; 0 before the first one of this opening. */
  #lastSum = 0;
  #fileEnd = FILE_HEADER_BYTES;
  /** In the file, not yet in the store. */
  #ahead: WriteList[] = [];
  /** Kinds of what is in `#ahead`. */
  readonly #kinds = new Set<StoreWrite['kind']>();
  readonly #images = new Map<CellKey, Uint8Array>();
  readonly #meta = new Map<MetaName, number>();
  /** By position, ascending. */
  #rows: LogRow[] = [];
  /** While the disk has no room; of `#ahead` as it is. */
  #view: AheadView | undefined;

  constructor(store: Store, file: string, sync: SyncMode, boot: string | undefined) {
    this.#store = store;
    this.#sync = sync;
    this.#frame = store.meta('frame') ?? 0;
    const found = readAhead(existsSync(file) ? readFileSync(file) : Buffer.alloc(0), this.#frame, file, boot);
    this.faults = found.faults;
    // What was left out is written over below: somebody may still be able to make something of it.
    if (found.faults.length > 0) copyFileSync(file, `${file}.damaged`);
    const isFlushed = sync === 'group';
    const { O_CREAT, O_RDWR } = constants;
    this.#fd = openSync(file, O_CREAT | O_RDWR | (isFlushed ? (DSYNC ?? 0) : 0), 0o666);
    this.#name = new KeptName(file);
    try {
      assertAbove(found.lists, store.logAt(Number.MAX_SAFE_INTEGER)?.position);
      for (const list of found.lists) {
        this.#frame++;
        this.#isAhead(list);
      }
      this.flush();
      this.#lastPosition = store.logAt(Number.MAX_SAFE_INTEGER)?.position ?? -1;
      // A torn tail must not stand before what is appended next. Each step is waited for: frames of one sync mode must not stand behind
      // the header of the other.
      ftruncateSync(this.#fd, 0);
      fdatasyncSync(this.#fd);
      writeSync(this.#fd, fileHeader(isFlushed, boot), 0, FILE_HEADER_BYTES, 0);
      fdatasyncSync(this.#fd);
      // Whoever made the file may have been killed before it had its name for good.
      syncNames(dirname(file));
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  commit(write: (writes: StoreWrites) => void): void {
    const list = new WriteList();
    write(list);
    const lastPosition = list.checkPositions(this.#lastPosition);
    if (this.#sync === 'group' && list.bytes > DIRECT_BYTES) {
      this.#take([...this.#ahead, list]);
      this.#lastPosition = lastPosition;
      return;
    }
    this.#append(list);
    this.#lastPosition = lastPosition;
    this.#frame++;
    this.#isAhead(list);
    if (this.#fileEnd < AHEAD_BYTES_MAX[this.#sync]) return;
    try {
      this.flush();
    } catch (error) {
      // The commit itself is in the file; a full disk will say so again at the next one.
      if (!(error instanceof StorageFullError)) throw error;
    }
  }

  flush(): void {
    this.#take(this.#ahead);
  }

  meta(name: MetaName): number | undefined {
    return this.#meta.get(name) ?? this.#store.meta(name);
  }

  image(key: CellKey): Uint8Array | undefined {
    return this.#images.get(key) ?? this.#store.image(key);
  }

  logFrom(from: number): Iterable<LogRow> {
    return this.#flushed('log', 'removeLog').logFrom(from);
  }

  logPositions(from: number, limit: number): readonly number[] {
    return this.#flushed('log', 'removeLog').logPositions(from, limit);
  }

  logAt(position: number): LogRow | undefined {
    const store = this.#flushed('removeLog');
    const rows = this.#rows;
    const first = rows[0];
    if (store === this.#view || first === undefined || position < first.position) return store.logAt(position);
    let low = 0;
    let high = rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((rows[middle] as LogRow).position <= position) low = middle + 1;
      else high = middle;
    }
    return rows[low - 1];
  }

  imageKeys(range: KeyRange): readonly CellKey[] {
    return this.#flushed('image').imageKeys(range);
  }

  wakes(afterMs: number, upToMs: number, limit: number): readonly WakeRow[] {
    return this.#flushed('image').wakes(afterMs, upToMs, limit);
  }

  letter(id: string): Uint8Array | undefined {
    return this.#flushed('letter', 'removeLetter').letter(id);
  }

  letterIds(range: KeyRange): readonly string[] {
    return this.#flushed('letter', 'removeLetter').letterIds(range);
  }

  damages(): readonly { readonly key: CellKey; readonly bytes: Uint8Array }[] {
    return this.#flushed('damage', 'removeDamage').damages();
  }

  fileBytes(): number {
    return this.#store.fileBytes() + this.#fileEnd;
  }

  backup(targetDir: string): Promise<void> {
    this.flush();
    return this.#store.backup(targetDir);
  }

  async close(): Promise<void> {
    this.end();
    await this.#store.close();
  }

  /** Lets go of the file, and leaves the store open. */
  end(): void {
    closeSync(this.#fd);
  }

  /** The store, with what is ahead of these kinds. */
  #flushed(...kinds: readonly StoreWrite['kind'][]): TableReads {
    if (!kinds.some((kind) => this.#kinds.has(kind))) return this.#store;
    try {
      this.flush();
      return this.#store;
    } catch (error) {
      // Who reads can do nothing about it, and must not fail for it.
      if (!(error instanceof StorageFullError)) throw error;
      this.#view ??= new AheadView(this.#store, this.#ahead);
      return this.#view;
    }
  }

  #isAhead(list: WriteList): void {
    this.#view = undefined;
    this.#ahead.push(list);
    for (const one of list.writes) {
      this.#kinds.add(one.kind);
      if (one.kind === 'image') this.#images.set(one.key, one.bytes);
      else if (one.kind === 'meta') this.#meta.set(one.name, one.value);
      else if (one.kind === 'log') this.#rows.push({ position: one.position, bytes: one.bytes });
    }
  }

  /** Gives LMDB `lists`, among which is all that is ahead, in one commit. */
  #take(lists: readonly WriteList[]): void {
    if (lists.length > 0) {
      this.#store.commit((writes) => {
        for (const list of lists) list.writeTo(writes);
        writes.meta('frame', this.#frame);
      });
    }
    this.#view = undefined;
    this.#ahead = [];
    this.#kinds.clear();
    this.#images.clear();
    this.#meta.clear();
    this.#rows = [];
    // Frames that were flushed may stay: they are whole, and known by their numbers. Others may be torn, and in the way of later ones.
    if (this.#sync === 'group' && this.#fileEnd < AHEAD_BYTES_MAX.group) return;
    if (this.#fileEnd === FILE_HEADER_BYTES) return;
    this.#cut(FILE_HEADER_BYTES);
    this.#fileEnd = FILE_HEADER_BYTES;
  }

  /** Nothing says that a disk cuts the file before it takes what is appended next: without waiting it might cut that off. */
  #cut(size: number): void {
    ftruncateSync(this.#fd, size);
    if (this.#sync === 'group') fdatasyncSync(this.#fd);
  }

  #append(list: WriteList): void {
    const out = this.#out;
    const sum = encodeFrame(out, this.#frame + 1, this.#lastSum, list);
    try {
      for (let written = 0; written < out.length; )
        written += writeSync(this.#fd, out.bytes, written, out.length - written, this.#fileEnd + written);
      if (this.#sync === 'group' && DSYNC === undefined) fdatasyncSync(this.#fd);
    } catch (error) {
      this.#cut(this.#fileEnd);
      if (isFull(error)) throw new StorageFullError('the disk of the data folder has no room', { cause: error });
      throw new StorageError('the file ahead of the database cannot be written', { cause: error });
    }
    this.#fileEnd += out.length;
    this.#lastSum = sum;
    if (fstatSync(this.#fd).size !== this.#fileEnd)
      throw new StorageError('another process writes into the data folder');
    this.#name.assertKept();
  }
}

function assertAbove(lists: readonly WriteList[], last: number | undefined): void {
  const first = lists.flatMap(({ writes }) => writes).find(({ kind }) => kind === 'log');
  if (last === undefined || first?.kind !== 'log' || first.position > last) return;
  throw new DataDamagedError(
    `the journal has a row at position ${last}, and the commits ahead of it go on at ${first.position}: the key of that row is damaged. ${REMEDY}`,
    { details: { table: 'log', position: last } },
  );
}
