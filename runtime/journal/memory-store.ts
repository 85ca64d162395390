/**
 * A store in memory: for systems without a data folder, and for the testkit, which crashes it and fills it up.
 *
 * Owns: rows in maps; the seam through which a test takes what is on the "disk" and opens it again.
 *
 * Invariants:
 * S1 … S6 of `store.ts`.
 * O1. `snapshot` holds exactly what a crash at this moment would leave: every commit that has returned. A fault before a commit
 *     leaves the state before it, a fault after it the state after it.
 */
import type { CellKey } from '../kernel/address.ts';
import { StorageError, StorageFullError } from '../kernel/errors.ts';
import { compareKeys, SortedKeys } from './sorted-keys.ts';
import type { KeyRange, LogRow, MetaName, Store, StoreWrites, WakeRow } from './store.ts';
import { WriteList } from './write-list.ts';

/** Faults for tests. Each is asked once a commit; what it throws comes out of `commit`. */
export interface StoreFaults {
  /** Throwing leaves the commit undone. */
  beforeCommit?(): void;
  /** Throwing leaves it done, though its caller does not learn of it. */
  afterCommit?(): void;
  /** True: the disk has no room. */
  full?(): boolean;
}

/** What is on the "disk". Rows are never changed, so that they may be shared. */
export interface StoreContent {
  readonly log: readonly LogRow[];
  readonly images: ReadonlyMap<CellKey, Uint8Array>;
  readonly wakes: ReadonlyMap<CellKey, number>;
  readonly letters: ReadonlyMap<string, Uint8Array>;
  readonly meta: ReadonlyMap<MetaName, number>;
  readonly damages: ReadonlyMap<CellKey, Uint8Array>;
}

export class MemoryStore implements Store {
  readonly #faults: StoreFaults;
  #log: LogRow[] = [];
  readonly #images = new Map<CellKey, Uint8Array>();
  readonly #imageKeys = new SortedKeys();
  readonly #wakes = new Map<CellKey, number>();
  readonly #letters = new Map<string, Uint8Array>();
  readonly #letterIds = new SortedKeys();
  readonly #meta = new Map<MetaName, number>();
  readonly #damages = new Map<CellKey, Uint8Array>();
  #bytes = 0;

  constructor(
    options: { readonly content?: StoreContent | undefined; readonly faults?: StoreFaults | undefined } = {},
  ) {
    this.#faults = options.faults ?? {};
    const content = options.content;
    if (content === undefined) return;
    this.#log = [...content.log];
    for (const row of content.log) this.#bytes += row.bytes.length;
    for (const [key, row] of content.images) this.#putImage(key, row, content.wakes.get(key));
    for (const [id, row] of content.letters) this.#putLetter(id, row);
    for (const [name, value] of content.meta) this.#meta.set(name, value);
    for (const [key, bytes] of content.damages) this.#damages.set(key, bytes);
  }

  snapshot(): StoreContent {
    return {
      log: [...this.#log],
      images: new Map(this.#images),
      wakes: new Map(this.#wakes),
      letters: new Map(this.#letters),
      meta: new Map(this.#meta),
      damages: new Map(this.#damages),
    };
  }

  commit(write: (writes: StoreWrites) => void): void {
    if (this.#faults.full?.() === true) throw new StorageFullError('the disk is full (a fault of the test)');
    this.#faults.beforeCommit?.();
    const list = new WriteList();
    write(list);
    list.checkPositions(this.#log.at(-1)?.position ?? -1);
    list.writeTo(this.#writes);
    this.#faults.afterCommit?.();
  }

  readonly #writes: StoreWrites = {
    log: (position, bytes) => {
      this.#log.push({ position, bytes });
      this.#bytes += bytes.length;
    },
    removeLog: (position) => this.#removeLog(position),
    image: (key, row, wakeAtMs) => this.#putImage(key, row, wakeAtMs),
    letter: (id, row) => this.#putLetter(id, row),
    removeLetter: (id) => {
      this.#bytes -= this.#letters.get(id)?.length ?? 0;
      if (this.#letters.delete(id)) this.#letterIds.remove(id);
    },
    meta: (name, value) => this.#meta.set(name, value),
    damage: (key, bytes) => this.#damages.set(key, bytes),
    removeDamage: (key) => this.#damages.delete(key),
  };

  meta(name: MetaName): number | undefined {
    return this.#meta.get(name);
  }

  *logFrom(from: number): Iterable<LogRow> {
    for (let i = this.#firstAtOrAbove(from); i < this.#log.length; i++) yield this.#log[i] as LogRow;
  }

  logPositions(from: number, limit: number): readonly number[] {
    const first = this.#firstAtOrAbove(from);
    return this.#log.slice(first, first + limit).map((row) => row.position);
  }

  logAt(position: number): LogRow | undefined {
    return this.#log[this.#firstAtOrAbove(position + 1) - 1];
  }

  image(key: CellKey): Uint8Array | undefined {
    return this.#images.get(key);
  }

  imageKeys(range: KeyRange): readonly CellKey[] {
    return this.#imageKeys.range(range);
  }

  wakes(afterMs: number, upToMs: number, limit: number): readonly WakeRow[] {
    const due: WakeRow[] = [];
    for (const [key, atMs] of this.#wakes) if (atMs > afterMs && atMs <= upToMs) due.push({ atMs, key });
    return due.sort((a, b) => a.atMs - b.atMs || compareKeys(a.key, b.key)).slice(0, limit);
  }

  letter(id: string): Uint8Array | undefined {
    return this.#letters.get(id);
  }

  letterIds(range: KeyRange): readonly string[] {
    return this.#letterIds.range(range);
  }

  damages(): readonly { readonly key: CellKey; readonly bytes: Uint8Array }[] {
    return [...this.#damages].map(([key, bytes]) => ({ key, bytes }));
  }

  fileBytes(): number {
    return this.#bytes;
  }

  flush(): void {
    // Nothing is ever behind.
  }

  backup(_targetDir: string): Promise<void> {
    return Promise.reject(new StorageError('a system without a data folder has nothing to back up'));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #firstAtOrAbove(position: number): number {
    let low = 0;
    let high = this.#log.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#log[middle] as LogRow).position < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #removeLog(position: number): void {
    const at = this.#firstAtOrAbove(position);
    const row = this.#log[at];
    if (row?.position !== position) return;
    this.#bytes -= row.bytes.length;
    this.#log.splice(at, 1);
  }

  #putImage(key: CellKey, row: Uint8Array, wakeAtMs: number | undefined): void {
    const before = this.#images.get(key);
    if (before === undefined) this.#imageKeys.add(key);
    this.#bytes += row.length - (before?.length ?? 0);
    this.#images.set(key, row);
    if (wakeAtMs === undefined) this.#wakes.delete(key);
    else this.#wakes.set(key, wakeAtMs);
  }

  #putLetter(id: string, row: Uint8Array): void {
    const before = this.#letters.get(id);
    if (before === undefined) this.#letterIds.add(id);
    this.#bytes += row.length - (before?.length ?? 0);
    this.#letters.set(id, row);
  }
}
