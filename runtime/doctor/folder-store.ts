/**
 * A data folder to be read only: its rows as a `Store`, without LMDB, without a lock, without a byte written.
 *
 * Owns: the database's rows with what the file ahead of it has to add. Damage is told row by row, so that whoever looks can go on.
 *
 * Invariants:
 * FS1. Nothing in the folder is changed.
 * FS2. A row that cannot be read is `DataDamagedError`, also where a system would not open the folder at all.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { CellKey } from '../kernel/address.ts';
import { DataDamagedError, StorageError } from '../kernel/errors.ts';
import { checkLmdbPages, type LmdbFault } from '../journal/lmdb-check.ts';
import { viewOf } from '../journal/crc32.ts';
import { LmdbPages, PageFault } from '../journal/lmdb-pages.ts';
import {
  imageRowOf,
  metaOf,
  metaValue,
  numberKey as positionKey,
  rowFault,
  type TableName,
} from '../journal/lmdb-rows.ts';
import { readAhead } from '../journal/ahead-file.ts';
import { type KeyRange, type LogRow, META_NAMES, type MetaName, type Store, type WakeRow } from '../journal/store.ts';
import type { WriteList } from '../journal/write-list.ts';
import { findRows, type FoundRow, nameOf } from './found-rows.ts';

/** A row, from the database or from the file ahead of it. */
interface Row {
  readonly key: Buffer;
  readonly read: () => Uint8Array;
  /** Whether the key is the one under which the row was stored. */
  readonly isKeyWhole: () => boolean;
}

type Tables = Record<Exclude<TableName, 'wake'>, Map<string, Row>>;

export class FolderStore implements Store {
  readonly path: string;
  /** What is wrong with the files themselves; rows tell their own damage when they are read. */
  readonly faults: readonly LmdbFault[];
  readonly databaseBytes: number;
  readonly aheadBytes: number;
  /** Rows of the table of images that should be there, as far as the file still says. */
  readonly expectedImages: number | undefined;
  /** What is missing without a trace of what it was; images are counted by whoever knows which can be rebuilt. */
  readonly unaccounted: readonly string[];
  readonly #pages: LmdbPages | undefined;
  readonly #tables: Tables = {
    log: new Map(),
    image: new Map(),
    letter: new Map(),
    meta: new Map(),
    damage: new Map(),
  };
  readonly #positions: readonly number[];

  /** `path` is a data folder. */
  constructor(path: string) {
    this.path = path;
    const faults: LmdbFault[] = [];
    const unaccounted: string[] = [];
    const file = join(path, 'data.mdb');
    this.databaseBytes = sizeOf(file);
    this.aheadBytes = sizeOf(join(path, 'AHEAD'));
    const isThere = existsSync(file);
    if (isThere) this.#pages = openPages(file, faults);
    if (isThere && this.#pages === undefined) unaccounted.push('nothing of the database can be read');
    if (this.#pages !== undefined) {
      faults.push(...checkLmdbPages(this.#pages).faults);
      const rows = findRows(this.#pages);
      for (const table of ['log', 'image', 'letter', 'meta', 'damage'] as const) {
        for (const [name, row] of rows.tables[table]) this.#tables[table].set(name, rowOf(table, row));
      }
      this.expectedImages = rows.expected.image;
      for (const [table, line] of rows.unaccounted) {
        // Wakes are made from images; images that have a count are whoever's matter who rebuilds them.
        if (table !== 'wake' && (table !== 'image' || rows.expected.image === undefined)) unaccounted.push(line);
      }
      // The newer of the two first pages may have been the damaged one in a way that made it look older.
      if (faults.some(({ table }) => table === 'first pages') && unaccounted.length === 0)
        unaccounted.push('the last commit may be missing');
      // The check has said it before; what only the search has seen is added.
      const told = new Set(faults.map(({ reason }) => reason));
      faults.push(...rows.faults.filter(({ reason }) => !told.has(reason)));
    }
    const before = faults.length;
    this.#overlay(faults);
    if (faults.length > before) unaccounted.push('commits ahead of the database are missing at the end');
    this.unaccounted = unaccounted;
    for (const [name, { key }] of this.#tables.log) {
      if (isPosition(key)) continue;
      this.#tables.log.delete(name);
      faults.push({
        table: 'log',
        page: undefined,
        reason: `a row has the key ${key.toString('hex')}, which is no position`,
      });
      unaccounted.push('a row of the log has lost its position');
    }
    this.#positions = [...this.#tables.log.values()].map(({ key }) => key.readDoubleBE()).sort((a, b) => a - b);
    this.faults = faults;
  }

  meta(name: MetaName): number | undefined {
    const row = this.#tables.meta.get(name);
    return row === undefined ? undefined : metaOf(name, Buffer.from(row.read()));
  }

  /** `meta`, or undefined where the number is damaged. */
  readableMeta(name: MetaName): number | undefined {
    try {
      return this.meta(name);
    } catch (error) {
      if (error instanceof DataDamagedError) return undefined;
      throw error;
    }
  }

  /** Names in the table of numbers that are none of ours. */
  get strangeMeta(): readonly string[] {
    return [...this.#tables.meta.keys()].filter((name) => !(META_NAMES as readonly string[]).includes(name));
  }

  /** A row that cannot be read at all has no bytes. */
  *logFrom(from: number): Iterable<LogRow> {
    for (let i = this.#firstAt(from); i < this.#positions.length; i++) yield this.#logRow(this.#positions[i] as number);
  }

  logPositions(from: number, limit: number): readonly number[] {
    const first = this.#firstAt(from);
    return this.#positions.slice(first, first + limit);
  }

  logAt(position: number): LogRow | undefined {
    const after = this.#firstAt(position);
    const at = this.#positions[after] === position ? after : after - 1;
    const found = this.#positions[at];
    return found === undefined ? undefined : this.#logRow(found);
  }

  image(key: CellKey): Uint8Array | undefined {
    return this.#tables.image.get(nameOf(Buffer.from(key)))?.read();
  }

  /** False: the image is somebody else's, or nobody's. */
  isKeyWhole(key: CellKey): boolean {
    return this.#tables.image.get(nameOf(Buffer.from(key)))?.isKeyWhole() ?? false;
  }

  imageKeys({ prefix = '', after, limit }: KeyRange): readonly CellKey[] {
    return range(this.#tables.image, prefix, after, limit);
  }

  wakes(): readonly WakeRow[] {
    return [];
  }

  letter(id: string): Uint8Array | undefined {
    return this.#tables.letter.get(nameOf(Buffer.from(id)))?.read();
  }

  letterIds({ prefix = '', after, limit }: KeyRange): readonly string[] {
    return range(this.#tables.letter, prefix, after, limit);
  }

  damages(): readonly { readonly key: CellKey; readonly bytes: Uint8Array }[] {
    return [...this.#tables.damage.values()].map(({ key, read }) => ({ key: key.toString(), bytes: read() }));
  }

  fileBytes(): number {
    return this.databaseBytes + this.aheadBytes;
  }

  commit(): void {
    throw new StorageError(`${this.path} is only looked at`);
  }

  flush(): void {
    // Nothing is ever written.
  }

  backup(): Promise<void> {
    return Promise.reject(new StorageError(`${this.path} is only looked at`));
  }

  close(): Promise<void> {
    this.#pages?.close();
    return Promise.resolve();
  }

  /** What was not given to the database yet. */
  #overlay(faults: LmdbFault[]): void {
    const file = join(this.path, 'AHEAD');
    if (!existsSync(file)) return;
    try {
      const { lists, faults: found } = readAhead(readFileSync(file), this.readableMeta('frame') ?? 0, file, undefined);
      for (const list of lists) this.#apply(list);
      for (const error of found) faults.push({ table: 'ahead', page: undefined, reason: error.message });
    } catch (error) {
      if (!(error instanceof DataDamagedError) && !(error instanceof StorageError)) throw error;
      faults.push({ table: 'ahead', page: undefined, reason: error.message });
    }
  }

  #apply(list: WriteList): void {
    const put = (table: keyof Tables, key: Buffer, bytes: Uint8Array): void =>
      void this.#tables[table].set(nameOf(key), { key, read: () => bytes, isKeyWhole: () => true });
    list.writeTo({
      log: (position, bytes) => put('log', positionKey(position), bytes),
      removeLog: (position) => void this.#tables.log.delete(nameOf(positionKey(position))),
      image: (key, row) => put('image', Buffer.from(key), row),
      letter: (id, row) => put('letter', Buffer.from(id), row),
      removeLetter: (id) => void this.#tables.letter.delete(nameOf(Buffer.from(id))),
      meta: (name, value) => put('meta', Buffer.from(name), metaValue(name, value)),
      damage: (key, bytes) => put('damage', Buffer.from(key), bytes),
      removeDamage: (key) => void this.#tables.damage.delete(nameOf(Buffer.from(key))),
    });
  }

  #logRow(position: number): LogRow {
    const row = this.#tables.log.get(nameOf(positionKey(position))) as Row;
    try {
      return { position, bytes: row.read() };
    } catch (error) {
      if (!(error instanceof DataDamagedError)) throw error;
      return { position, bytes: new Uint8Array(0) };
    }
  }

  /** Index of the first position at or above `position`. */
  #firstAt(position: number): number {
    let low = 0;
    let high = this.#positions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#positions[middle] as number) < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function isPosition(key: Buffer): boolean {
  const position = key.length === 8 ? key.readDoubleBE() : Number.NaN;
  return Number.isSafeInteger(position) && position >= 0 && positionKey(position).equals(key);
}

function rowOf(table: TableName, row: FoundRow): Row {
  const read = (): Uint8Array => {
    try {
      const value = row.value();
      return table === 'image' ? imageRowOf(value) : value;
    } catch (error) {
      if (!(error instanceof PageFault)) throw error;
      throw new DataDamagedError(
        `the ${table} of ${JSON.stringify(row.key.toString())} cannot be read: ${error.message}`,
        {
          details: { table, key: row.key.toString() },
        },
      );
    }
  };
  const isKeyWhole = (): boolean => {
    try {
      const bytes = row.value();
      const key = { bytes: row.key, view: viewOf(row.key), start: 0, end: row.key.length };
      return rowFault(table, key, { bytes, view: viewOf(bytes), start: 0, length: bytes.length }) === undefined;
    } catch (error) {
      if (error instanceof PageFault) return false;
      throw error;
    }
  };
  return { key: row.key, read, isKeyWhole };
}

function range(rows: ReadonlyMap<string, Row>, prefix: string, after: string | undefined, limit: number): string[] {
  const keys = [...rows.values()].map(({ key }) => key).sort((a, b) => a.compare(b));
  const last = after === undefined ? undefined : Buffer.from(after);
  const names: string[] = [];
  for (const key of keys) {
    if (names.length >= limit) break;
    const name = key.toString();
    if (name.startsWith(prefix) && (last === undefined || key.compare(last) > 0)) names.push(name);
  }
  return names;
}

function openPages(file: string, faults: LmdbFault[]): LmdbPages | undefined {
  try {
    return new LmdbPages(file);
  } catch (error) {
    if (!(error instanceof PageFault)) throw error;
    faults.push({ table: 'first pages', page: error.page, reason: error.message });
    return undefined;
  }
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
