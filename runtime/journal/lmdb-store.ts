/**
 * The store in LMDB: one environment, one writer, every commit flushed before it returns.
 *
 * Owns: the environment, its tables, and what LMDB's errors mean. The folder's lock is `data-folder.ts`.
 *
 * How LMDB is used, and why (measurements in `runtime/docs/decisions/0005-how-lmdb-is-used.md`):
 *   - `overlappingSync: false` and synchronous transactions: when `transactionSync` has returned, data and meta page are flushed.
 *   - `safeRestore`: after lost writes without a reboot, LMDB would otherwise trust a state that was never flushed.
 *   - keys and values are bytes; nothing lies in the root table, where it would meet the names of the tables.
 *   - no asynchronous writes: on a full disk they reject promises that nobody holds.
 *   - room on the disk is made sure of before each commit (`disk-room.ts`).
 *
 * Invariants: S1 … S6 of `store.ts`.
 */
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import type { CellKey } from '../kernel/address.ts';
import {
  BlocksError,
  DataDamagedError,
  DataFolderReadOnlyError,
  StorageError,
  StorageFullError,
} from '../kernel/errors.ts';
import { checkFormat, writeFormat } from './data-folder.ts';
import { DiskRoom } from './disk-room.ts';
import { KeptName, makeFolder, syncFile, syncNames } from './durable-files.ts';
import { checkLmdbFile } from './lmdb-file.ts';
import {
  imageRowOf,
  imageValue,
  imageWakeOf,
  metaOf,
  metaValue,
  numberKey,
  numberOf,
  type TableName,
  wakeKey,
  wakenBy,
  wakeValue,
} from './lmdb-rows.ts';
import {
  type KeyRange,
  type LogRow,
  META_NAMES,
  type MetaName,
  type Store,
  type StoreWrites,
  type WakeRow,
} from './store.ts';
import { WriteList } from './write-list.ts';

type Table = Database<Buffer, Buffer>;

const LIMITS = {
  /** Named tables in the environment, with room for later ones. */
  maxDbs: 16,
  /** Threads and processes that may read at the same time: the journal thread, a backup, tools. */
  maxReaders: 64,
} as const;

/** Pages that a commit may write besides its rows: paths of six tables, the list of free pages, the root. */
const PAGES_A_COMMIT = 64;
/** Pages that one row may cost besides its bytes: a split, and the rest of its last page. */
const PAGES_A_WRITE = 3;
/** errno and LMDB codes that mean: no room. ENOSPC, EDQUOT, EFBIG. */
const FULL_CODES = new Set<unknown>([28, 122, 27]);
/** EPERM, EACCES, EROFS. */
const READ_ONLY_CODES = new Set<unknown>([1, 13, 30]);
/** MDB_CORRUPTED, MDB_PANIC, MDB_INVALID, MDB_PAGE_NOTFOUND, MDB_VERSION_MISMATCH. */
const DAMAGE_CODES = new Set<unknown>([-30796, -30795, -30793, -30797, -30794]);

const PAGE_BYTES = 4096;

/** `safeRestore` is missing from lmdb's types. */
const DURABLE = { overlappingSync: false, safeRestore: true } as const;

/** Opens the database in `path`; one that is not there is made, and would be damaged by a power cut meanwhile (`makeLmdbFile`). */
export function openLmdbStore(path: string, options: { readonly checkPages?: boolean | undefined } = {}): Store {
  return new LmdbStore(path, options.checkPages ?? true);
}

/**
 * Makes the database in `path`, unless it is there, so that it has its name only when it is whole. LMDB itself writes its first pages
 * into the file of that name, and waits for them only at its first commit.
 */
export async function makeLmdbFile(path: string): Promise<void> {
  const file = join(path, 'data.mdb');
  // An empty one is damage: it had its name when it was whole.
  if (existsSync(file)) return;
  const draft = join(path, 'new.mdb');
  const remove = (): void => {
    for (const name of [draft, `${draft}-lock`]) rmSync(name, { force: true });
  };
  try {
    remove();
    await open({ ...DURABLE, ...LIMITS, path: draft, noSubdir: true }).close();
    syncFile(draft);
    renameSync(draft, file);
    remove();
    syncNames(path);
  } catch (error) {
    throw asStoreError(error, path, 'opened');
  }
}

class LmdbStore implements Store {
  readonly #path: string;
  readonly #root: RootDatabase;
  readonly #log: Table;
  readonly #image: Table;
  readonly #wake: Table;
  readonly #letter: Table;
  readonly #meta: Table;
  readonly #damage: Table;
  readonly #room: DiskRoom;
  readonly #name: KeptName;
  #lastPosition: number;
  #state: 'open' | 'failed' | 'closed' = 'open';

  constructor(path: string, checkPages: boolean) {
    this.#path = path;
    try {
      checkLmdbFile(join(path, 'data.mdb'), checkPages);
      this.#root = open({
        ...DURABLE,
        ...LIMITS,
        path,
        encoding: 'binary',
        keyEncoding: 'binary',
      });
      const table = (name: TableName): Table =>
        this.#root.openDB<Buffer, Buffer>({ name, encoding: 'binary', keyEncoding: 'binary' });
      this.#log = table('log');
      this.#image = table('image');
      this.#wake = table('wake');
      this.#letter = table('letter');
      this.#meta = table('meta');
      this.#damage = table('damage');
      this.#checkNumbers();
      this.#room = new DiskRoom(path, join(path, 'data.mdb'));
      this.#name = new KeptName(join(path, 'data.mdb'));
      this.#lastPosition = this.logAt(Number.MAX_SAFE_INTEGER)?.position ?? -1;
    } catch (error) {
      throw asStoreError(error, path, 'opened');
    }
  }

  commit(write: (writes: StoreWrites) => void): void {
    if (this.#state !== 'open') throw new StorageError(`the store in ${this.#path} is ${this.#state}`);
    const list = new WriteList();
    write(list);
    const lastPosition = list.checkPositions(this.#lastPosition);
    const pages = PAGES_A_COMMIT + PAGES_A_WRITE * list.writes.length;
    try {
      this.#room.reserve(list.bytes + pages * PAGE_BYTES, () => this.#usedEnd());
    } catch (error) {
      this.#name.look();
      throw error;
    }
    try {
      this.#root.transactionSync(() => list.writeTo(this.#writes));
      this.#name.assertKept();
    } catch (error) {
      // Not even a full disk is an answer here: the room was there a moment ago, and LMDB's own failure leaves its memory in doubt.
      this.#state = 'failed';
      throw asStoreError(error, this.#path, 'written');
    }
    this.#lastPosition = lastPosition;
  }

  readonly #writes: StoreWrites = {
    log: (position, bytes) => put(this.#log, numberKey(position), bytes, { append: true }),
    removeLog: (position) => void this.#log.removeSync(numberKey(position)),
    image: (key, row, wakeAtMs) => {
      const name = Buffer.from(key);
      this.#removeWake(name);
      put(this.#image, name, imageValue(name, row, wakeAtMs));
      if (wakeAtMs === undefined) return;
      const wake = wakeKey(wakeAtMs, name);
      put(this.#wake, wake, wakeValue(wake));
    },
    letter: (id, row) => put(this.#letter, Buffer.from(id), row),
    removeLetter: (id) => void this.#letter.removeSync(Buffer.from(id)),
    meta: (name, value) => put(this.#meta, Buffer.from(name), metaValue(name, value)),
    damage: (key, bytes) => put(this.#damage, Buffer.from(key), bytes),
    removeDamage: (key) => void this.#damage.removeSync(Buffer.from(key)),
  };

  meta(name: MetaName): number | undefined {
    const value = this.#get(this.#meta, Buffer.from(name));
    return value === undefined ? undefined : metaOf(name, value);
  }

  *logFrom(from: number): Iterable<LogRow> {
    for (const { key, value } of this.#range(this.#log, { start: numberKey(from) })) {
      yield { position: numberOf(key), bytes: value };
    }
  }

  logPositions(from: number, limit: number): readonly number[] {
    return this.#read(() => [...this.#log.getKeys({ start: numberKey(from), limit })].map(numberOf));
  }

  logAt(position: number): LogRow | undefined {
    for (const { key, value } of this.#range(this.#log, { start: numberKey(position), reverse: true, limit: 1 })) {
      return { position: numberOf(key), bytes: value };
    }
    return undefined;
  }

  image(key: CellKey): Uint8Array | undefined {
    const value = this.#get(this.#image, Buffer.from(key));
    return value === undefined ? undefined : imageRowOf(value);
  }

  imageKeys(range: KeyRange): readonly CellKey[] {
    return this.#names(this.#image, range);
  }

  wakes(afterMs: number, upToMs: number, limit: number): readonly WakeRow[] {
    const found: WakeRow[] = [];
    for (const { key } of this.#range(this.#wake, { start: wakeKey(Math.max(0, afterMs), Buffer.alloc(0)) })) {
      const atMs = numberOf(key);
      if (atMs > upToMs || found.length >= limit) break;
      if (atMs > afterMs) found.push({ atMs, key: wakenBy(key) });
    }
    return found;
  }

  letter(id: string): Uint8Array | undefined {
    return this.#get(this.#letter, Buffer.from(id));
  }

  letterIds(range: KeyRange): readonly string[] {
    return this.#names(this.#letter, range);
  }

  damages(): readonly { readonly key: CellKey; readonly bytes: Uint8Array }[] {
    return [...this.#range(this.#damage, {})].map(({ key, value }) => ({ key: key.toString(), bytes: value }));
  }

  fileBytes(): number {
    return statSync(join(this.#path, 'data.mdb')).size;
  }

  flush(): void {
    // Every commit was flushed before it returned.
  }

  async backup(targetDir: string): Promise<void> {
    try {
      const path = makeFolder(targetDir);
      checkFormat(path);
      if (readdirSync(path).length > 0)
        throw new StorageError(`${targetDir} is not empty: a backup needs a folder of its own`);
      await this.#root.backup(path, false);
      syncFile(join(path, 'data.mdb'));
      // First the copy's name: a format without it would be an empty system.
      syncNames(path);
      writeFormat(path);
    } catch (error) {
      throw asStoreError(error, targetDir, 'written');
    }
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#room.close();
    await this.#root.close();
  }

  /** One whose name is damaged would count as never written. */
  #checkNumbers(): void {
    for (const { key, value } of this.#range(this.#meta, {})) {
      const name = key.toString();
      metaOf(name, value);
      if (!(META_NAMES as readonly string[]).includes(name))
        throw new DataDamagedError(
          `the journal in ${this.#path} has a number ${JSON.stringify(name)}, which none is called`,
          {
            details: { table: 'meta', key: name },
          },
        );
    }
  }

  /** Where the database's last page ends. */
  #usedEnd(): number {
    const { lastPageNumber } = this.#root.getStats() as { lastPageNumber: number };
    return (lastPageNumber + 1) * PAGE_BYTES;
  }

  #removeWake(name: Buffer): void {
    const before = this.#image.getBinary(name);
    if (before === undefined) return;
    const atMs = imageWakeOf(before);
    if (atMs !== undefined) this.#wake.removeSync(wakeKey(atMs, name));
  }

  #get(table: Table, key: Buffer): Buffer | undefined {
    return this.#read(() => table.getBinary(key));
  }

  #names(table: Table, { prefix = '', after, limit }: KeyRange): string[] {
    const first = after === undefined || Buffer.compare(Buffer.from(after), Buffer.from(prefix)) < 0 ? prefix : after;
    return this.#read(() => {
      const names: string[] = [];
      for (const key of table.getKeys(first === '' ? {} : { start: Buffer.from(first) })) {
        const name = key.toString();
        if (names.length >= limit || !name.startsWith(prefix)) break;
        if (name !== after) names.push(name);
      }
      return names;
    });
  }

  *#range(
    table: Table,
    options: { start?: Buffer; reverse?: boolean; limit?: number },
  ): Iterable<{ key: Buffer; value: Buffer }> {
    try {
      yield* table.getRange({ ...options, snapshot: true });
    } catch (error) {
      throw asStoreError(error, this.#path, 'read');
    }
  }

  #read<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw asStoreError(error, this.#path, 'read');
    }
  }
}

function put(table: Table, key: Buffer, value: Uint8Array, options: { append?: boolean } = {}): void {
  const bytes = value instanceof Buffer ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  // Typed as void, but within a transaction it says whether the row was taken.
  const taken: unknown = table.putSync(key, bytes, options);
  if (taken !== true) throw new StorageError(`LMDB refused a row of ${bytes.length} bytes`);
}

function asStoreError(error: unknown, path: string, what: 'opened' | 'read' | 'written'): BlocksError {
  if (error instanceof BlocksError) return error;
  const { code, message } =
    error instanceof Error ? (error as NodeJS.ErrnoException) : { code: undefined, message: String(error) };
  const details = { path, reason: message };
  if (what === 'opened') {
    if (FULL_CODES.has(code))
      return new StorageFullError(`${path} is on a disk without room`, { cause: error, details });
    if (READ_ONLY_CODES.has(code))
      return new DataFolderReadOnlyError(`${path} cannot be written`, { cause: error, details });
  }
  if (DAMAGE_CODES.has(code) || /MDB_(?:CORRUPTED|INVALID|PAGE_NOTFOUND|PANIC|VERSION_MISMATCH|BAD_TXN)/.test(message))
    return new DataDamagedError(`the database in ${path} is damaged and cannot be ${what}: ${message}`, {
      cause: error,
      details,
    });
  return new StorageError(`the database in ${path} cannot be ${what}: ${message}`, { cause: error, details });
}
