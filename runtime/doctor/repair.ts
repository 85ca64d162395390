/**
 * The repair: what can be read of a damaged folder, in a new one that a system opens.
 *
 * Owns: what is taken over as it is, what is mended, what is rebuilt from the log, and what is lost and named. The damaged folder is
 * only read.
 *
 * Invariants:
 * RP1. The new folder holds nothing that the old one did not say: a row is whole, or had one bit flipped that its sum betrays, or is
 *      an actor's past as the log has it.
 * RP2. An actor that may have lost something is blocked in the new folder, with what it lost; where nobody can say whose turns were
 *      lost, the report says so, and the new folder says so at each opening.
 * RP3. Positions and run numbers of the old folder are not given out again.
 */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CellKey } from '../kernel/address.ts';
import { systemClock } from '../kernel/clock.ts';
import { BlocksError, type EncodedError, encodeError, StorageError } from '../kernel/errors.ts';
import { carriedRow, toCarry } from '../cell/carry.ts';
import { CellLoader } from '../journal/cell-loader.ts';
import { decodeParcels, encodeParcels } from '../journal/cell-parcel.ts';
import { assertNotInUse, openDataFolder } from '../journal/data-folder.ts';
import { LogReader } from '../journal/log-reader.ts';
import {
  decodeDamage,
  decodeLetter,
  encodeDamage,
  encodeImage,
  readImageHeader,
  wakeAtOf,
} from '../journal/row-codec.ts';
import type { Store, StoreWrites } from '../journal/store.ts';
import { TailIndex } from '../journal/tail-index.ts';
import { type Examination, examineDataFolder, openable } from './examination.ts';
import { FolderStore } from './folder-store.ts';
import { mendBatch, mendRow } from './mend.ts';

/** Rows written in one commit. */
const ROWS_A_COMMIT = 256;

export interface Repair {
  readonly path: string;
  readonly target: string;
  /** Rows in which one flipped bit was put back. */
  readonly mended: readonly string[];
  /** Actors whose stored state was lost, and whose turns are all in the log: they begin again from the first. */
  readonly rebuilt: readonly CellKey[];
  /** Rows that could not be taken over. Their bytes, where there were any, are in the new folder's `QUARANTINE`. */
  readonly lost: readonly string[];
  /** What is missing without a trace of what it was: any actor may be older than it was, or gone. */
  readonly unaccounted: readonly string[];
  /** How many stored actors are lost without a name: neither their row nor the log tells who they were. */
  readonly nameless: number;
  /** What the new folder says of itself. */
  readonly after: Examination;
}

/**
 * Saves what can be read of `dataDir` into the new folder `target`.
 *
 * @throws StorageError (no data folder; the target is not empty), DataFormatError, DataFolderLockedError
 * @example const { lost, rebuilt } = await repairDataFolder('./data', './data-repaired')
 */
export async function repairDataFolder(dataDir: string, target: string): Promise<Repair> {
  openable(dataDir);
  if (existsSync(target) && readdirSync(target).length > 0)
    throw new StorageError(`${target} is not empty: a repair needs a folder of its own`, { details: { path: target } });
  const source = new FolderStore(dataDir);
  const folder = openDataFolder(target, systemClock);
  let found: Omit<Repair, 'after'>;
  try {
    // Loaded here and not above: this file is part of the package's index, and a thread that ends while it loads LMDB ends the process.
    const { openLmdbStore } = await import('../journal/lmdb-store.ts');
    const store = openLmdbStore(folder.path);
    try {
      found = new Repairer(source, store, dataDir, target).run();
    } finally {
      await store.close();
    }
  } finally {
    folder.release();
    await source.close();
    assertNotInUse(dataDir, systemClock);
  }
  const after = examineDataFolder(target);
  writeFileSync(join(target, 'REPAIR.json'), `${JSON.stringify({ ...found, after }, undefined, 2)}\n`);
  return { ...found, after };
}

class Repairer {
  readonly #source: FolderStore;
  readonly #target: Store;
  readonly #path: string;
  readonly #targetPath: string;
  readonly #mended: string[] = [];
  readonly #rebuilt: CellKey[] = [];
  readonly #lost: string[] = [];
  /** Actors whose stored state is lost, with why. */
  readonly #withoutImage = new Map<CellKey, EncodedError>();
  #nameless = 0;
  #pending: ((writes: StoreWrites) => void)[] = [];

  constructor(source: FolderStore, target: Store, path: string, targetPath: string) {
    this.#source = source;
    this.#target = target;
    this.#path = path;
    this.#targetPath = targetPath;
  }

  run(): Omit<Repair, 'after'> {
    const { first, run, end } = this.#log();
    const checkpoint = this.#source.readableMeta('checkpoint') ?? first;
    this.#images();
    this.#letters();
    this.#damages();
    this.#flush();
    this.#rebuild(first, checkpoint, end);
    this.#write((writes) => {
      writes.meta('run', Math.max(this.#source.readableMeta('run') ?? 0, run));
      writes.meta('checkpoint', checkpoint);
      if (first > 1) writes.meta('trimmed', first);
      // Positions below were given out, whatever has become of them; and whoever reads the report knows what is lost there.
      writes.meta('accepted', end);
    });
    this.#flush();
    return {
      path: this.#path,
      target: this.#targetPath,
      mended: this.#mended,
      rebuilt: this.#rebuilt,
      lost: this.#lost,
      unaccounted: this.#source.unaccounted,
      nameless: this.#nameless,
    };
  }

  /** Rows of the log, as they are or mended. One that is damaged stays as it is when it still says whose turns it has lost. */
  #log(): { first: number; run: number; end: number } {
    const positions = this.#source.logPositions(0, Number.POSITIVE_INFINITY);
    const first = this.#source.readableMeta('trimmed') ?? positions[0] ?? 1;
    const source = new LogReader(this.#source);
    let run = 0;
    for (const row of source.rows(first, Number.POSITIVE_INFINITY, true)) {
      const bytes = this.#source.logAt(row.position)?.bytes ?? new Uint8Array(0);
      const name = `log ${row.position}`;
      if (row.damage === undefined) {
        run = Math.max(run, row.batch?.run ?? 0);
        this.#write((writes) => writes.log(row.position, bytes));
        continue;
      }
      const mended = mendBatch(bytes, row.position);
      if (mended !== undefined) {
        this.#mended.push(name);
        this.#write((writes) => writes.log(row.position, mended));
        continue;
      }
      this.#quarantine(name, bytes);
      if (row.damage.cells !== undefined) this.#write((writes) => writes.log(row.position, bytes));
    }
    const end = Math.max(
      source.end(),
      this.#source.readableMeta('checkpoint') ?? 1,
      this.#source.readableMeta('accepted') ?? 1,
    );
    return { first, run, end };
  }

  #images(): void {
    const source = this.#source;
    for (const key of source.imageKeys({ limit: Number.POSITIVE_INFINITY })) {
      const found = this.#whole('image', key, () => source.image(key), readImageHeader);
      if ('row' in found) this.#write((writes) => writes.image(found.key, found.row, wakeAtOf(found.row)));
      // Under a damaged key it is nobody's: the log may know whose.
      else if (source.isKeyWhole(key)) this.#withoutImage.set(key, found.why);
    }
  }

  #letters(): void {
    for (const id of this.#source.letterIds({ limit: Number.POSITIVE_INFINITY })) {
      const found = this.#whole('letter', id, () => this.#source.letter(id), decodeLetter);
      if ('row' in found) this.#write((writes) => writes.letter(found.key, found.row));
    }
  }

  #damages(): void {
    for (const { key, bytes } of this.#source.damages()) {
      const found = this.#whole('damage', key, () => bytes, decodeDamage);
      // That a stored state is damaged is seen anew, and may be mended.
      if ('row' in found && decodeDamage(found.key, found.row).details?.['table'] !== 'image')
        this.#write((writes) => writes.damage(found.key, found.row));
    }
  }

  /** The row as it is, or mended; else what is wrong with it, and it is put aside. */
  #whole(
    table: string,
    key: string,
    read: () => Uint8Array | undefined,
    check: (key: string, bytes: Uint8Array) => unknown,
  ): { readonly key: string; readonly row: Uint8Array } | { readonly why: EncodedError } {
    let row = new Uint8Array(0);
    try {
      row = Uint8Array.from(read() ?? row);
      check(key, row);
      return { key, row };
    } catch (error) {
      if (!(error instanceof BlocksError)) throw error;
      const mended = mendRow(key, row);
      if (mended !== undefined) {
        this.#mended.push(`${table} ${mended.key}`);
        return mended;
      }
      this.#quarantine(`${table} ${key}`, row);
      return { why: encodeError(error) };
    }
  }

  /** Actors whose stored state is lost begin again from the log, when it has them from their first turn. */
  #rebuild(first: number, checkpoint: number, end: number): void {
    const log = new LogReader(this.#target);
    const stored = new Set(this.#target.imageKeys({ limit: Number.POSITIVE_INFINITY }));
    // Whoever had a turn below the checkpoint was stored: one that has turns there, and is not, was lost with its row.
    const index = new TailIndex(log, 1);
    index.scan(first, end, -1, true, (key) => !stored.has(key));
    const damaged = new Map<CellKey, EncodedError>();
    const loader = new CellLoader(this.#target, log, index, damaged);
    const candidates = new Set(this.#withoutImage.keys());
    for (const trace of index.traces.values()) {
      if ((trace.turns[0] ?? Number.POSITIVE_INFINITY) < checkpoint) candidates.add(trace.key);
    }
    for (const key of candidates) {
      const raw = loader.load(key, first);
      const [loaded] = decodeParcels(encodeParcels([raw]));
      if (loaded === undefined) continue;
      const carried = toCarry(loaded);
      const why = carried.damage ?? (carried.turns.length === 0 ? this.#withoutImage.get(key) : undefined);
      if (why === undefined) {
        this.#rebuilt.push(key);
        const row = encodeImage(carriedRow(carried, [], undefined));
        this.#write((writes) => writes.image(key, row, 0));
      } else {
        const damage = encodeDamage(key, this.#withoutImage.get(key) ?? why);
        this.#write((writes) => writes.damage(key, damage));
      }
    }
    const lostImages = (this.#source.expectedImages ?? 0) - stored.size - candidates.size;
    this.#nameless = Math.max(0, lostImages);
  }

  #quarantine(name: string, bytes: Uint8Array): void {
    this.#lost.push(name);
    if (bytes.length === 0) return;
    const folder = join(this.#targetPath, 'QUARANTINE');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `${name.replaceAll(/[^\w.-]+/g, '_').slice(0, 120)}-${this.#lost.length}.bin`), bytes);
  }

  #write(write: (writes: StoreWrites) => void): void {
    this.#pending.push(write);
    if (this.#pending.length >= ROWS_A_COMMIT) this.#flush();
  }

  #flush(): void {
    const pending = this.#pending;
    this.#pending = [];
    if (pending.length === 0) return;
    this.#target.commit((writes) => {
      for (const write of pending) write(writes);
    });
  }
}
