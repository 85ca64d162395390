/**
 * `sync: 'relaxed'`: commits go into a file in front of LMDB without waiting for the disk, and into LMDB now and then.
 *
 * Owns: the file `AHEAD` in the data folder, and what is in it but not yet in LMDB.
 *
 * Why not LMDB's own modes: `noSync` corrupts the database on power loss, and lmdb-js's overlapping mode together with
 * `safeRestore` gives up everything unflushed when the process is killed. A frame in a plain file is in the kernel's hands once
 * written, so that it survives the process; LMDB itself only ever sees commits that are flushed.
 *
 *   frame: size 4 | sum 4 | number 8 | writes
 *
 * Invariants:
 * S1 … S6 of `store.ts`, where "survives" means a killed process; power loss costs what was not flushed, and nothing older.
 * N1. Frames are numbered without a gap. `meta('frame')` in LMDB, written in the same transaction, says which are in it.
 * N2. On opening, frames are taken as long as number and sum fit. The first that does not ends the file: what follows was
 *     written later, and the order of commits must not have holes.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { CellKey } from '../kernel/address.ts';
import { StorageError, StorageFullError } from '../kernel/errors.ts';
import { ByteReader, ByteWriter } from './byte-writer.ts';
import { crc32Of, viewOf } from './crc32.ts';
import type { KeyRange, LogRow, MetaName, Store, StoreWrites, WakeRow } from './store.ts';
import { type StoreWrite, WriteList } from './write-list.ts';

const FRAME_HEADER_BYTES = 16;
/** LMDB is given its share at this size, however recent it is. */
const AHEAD_BYTES_MAX = 16 << 20;

const KINDS: readonly StoreWrite['kind'][] = [
  'log',
  'removeLog',
  'image',
  'letter',
  'removeLetter',
  'meta',
  'damage',
  'removeDamage',
];
const META_NAMES: readonly MetaName[] = ['run', 'checkpoint', 'trimmed', 'frame'];

/** Puts `store` behind a file in `folder`, and first gives it what a killed process left in the file. */
export function openRelaxedStore(store: Store, folder: string): Store {
  return new RelaxedStore(store, join(folder, 'AHEAD'));
}

/** Gives `store` what a process that was killed in relaxed mode left in the file, for one that opens the folder in another mode. */
export function takeAhead(store: Store, folder: string): void {
  const file = join(folder, 'AHEAD');
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return;
  new RelaxedStore(store, file).end();
  rmSync(file);
}

class RelaxedStore implements Store {
  readonly #store: Store;
  readonly #fd: number;
  readonly #out = new ByteWriter(64 << 10);
  #lastPosition: number;
  /** Number of the last frame. */
  #frame: number;
  #fileEnd = 0;
  /** In the file, not yet in the store. */
  #ahead: WriteList[] = [];
  /** Images and numbers in `#ahead`: they are read all the time, the rest is worth a flush. */
  readonly #images = new Map<CellKey, Uint8Array>();
  readonly #meta = new Map<MetaName, number>();

  constructor(store: Store, file: string) {
    this.#store = store;
    this.#frame = store.meta('frame') ?? 0;
    this.#fd = openSync(file, 'a+');
    for (const list of readFrames(readFileSync(file), this.#frame)) {
      this.#frame++;
      this.#ahead.push(list);
    }
    this.flush();
    this.#lastPosition = store.logAt(Number.MAX_SAFE_INTEGER)?.position ?? -1;
    // A torn tail must not stand before what is appended next.
    ftruncateSync(this.#fd, 0);
  }

  commit(write: (writes: StoreWrites) => void): void {
    const list = new WriteList();
    write(list);
    const lastPosition = list.checkPositions(this.#lastPosition);
    this.#append(list);
    this.#lastPosition = lastPosition;
    this.#frame++;
    this.#ahead.push(list);
    for (const one of list.writes) {
      if (one.kind === 'image') this.#images.set(one.key, one.bytes);
      else if (one.kind === 'meta') this.#meta.set(one.name, one.value);
    }
    if (this.#fileEnd < AHEAD_BYTES_MAX) return;
    try {
      this.flush();
    } catch (error) {
      // The commit itself is in the file; a full disk will say so again at the next one.
      if (!(error instanceof StorageFullError)) throw error;
    }
  }

  flush(): void {
    if (this.#ahead.length > 0) {
      this.#store.commit((writes) => {
        for (const list of this.#ahead) list.writeTo(writes);
        writes.meta('frame', this.#frame);
      });
    }
    this.#ahead = [];
    this.#images.clear();
    this.#meta.clear();
    if (this.#fileEnd > 0) ftruncateSync(this.#fd, 0);
    this.#fileEnd = 0;
  }

  meta(name: MetaName): number | undefined {
    return this.#meta.get(name) ?? this.#store.meta(name);
  }

  image(key: CellKey): Uint8Array | undefined {
    return this.#images.get(key) ?? this.#store.image(key);
  }

  logFrom(from: number): Iterable<LogRow> {
    return this.#flushed.logFrom(from);
  }

  logPositions(from: number, limit: number): readonly number[] {
    return this.#flushed.logPositions(from, limit);
  }

  logAt(position: number): LogRow | undefined {
    return this.#flushed.logAt(position);
  }

  imageKeys(range: KeyRange): readonly CellKey[] {
    return this.#flushed.imageKeys(range);
  }

  wakes(afterMs: number, upToMs: number, limit: number): readonly WakeRow[] {
    return this.#flushed.wakes(afterMs, upToMs, limit);
  }

  letter(id: string): Uint8Array | undefined {
    return this.#flushed.letter(id);
  }

  letterIds(range: KeyRange): readonly string[] {
    return this.#flushed.letterIds(range);
  }

  damages(): readonly { readonly key: CellKey; readonly bytes: Uint8Array }[] {
    return this.#flushed.damages();
  }

  fileBytes(): number {
    return this.#store.fileBytes() + this.#fileEnd;
  }

  backup(targetDir: string): Promise<void> {
    return this.#flushed.backup(targetDir);
  }

  async close(): Promise<void> {
    this.end();
    await this.#store.close();
  }

  /** Lets go of the file, and leaves the store open. */
  end(): void {
    closeSync(this.#fd);
  }

  get #flushed(): Store {
    this.flush();
    return this.#store;
  }

  #append(list: WriteList): void {
    const out = this.#out;
    out.length = 0;
    out.u32(0);
    out.u32(0);
    out.f64(this.#frame + 1);
    for (const write of list.writes) encodeWrite(out, write);
    out.view.setUint32(0, out.length, true);
    out.view.setUint32(4, crc32Of(out.bytes, out.view, 8, out.length), true);
    try {
      let written = 0;
      while (written < out.length) written += writeSync(this.#fd, out.bytes, written, out.length - written);
    } catch (error) {
      ftruncateSync(this.#fd, this.#fileEnd);
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG')
        throw new StorageFullError('the disk of the data folder has no room', { cause: error });
      throw new StorageError('the file ahead of the database cannot be written', { cause: error });
    }
    this.#fileEnd += out.length;
    if (fstatSync(this.#fd).size !== this.#fileEnd)
      throw new StorageError('another process writes into the data folder');
  }
}

function encodeWrite(out: ByteWriter, write: StoreWrite): void {
  out.u8(KINDS.indexOf(write.kind));
  if (write.kind === 'meta') {
    out.u8(META_NAMES.indexOf(write.name));
    out.f64(write.value);
    return;
  }
  if ('position' in write) out.f64(write.position);
  else out.string(write.key);
  if (write.kind === 'image') out.f64(write.wakeAtMs ?? Number.NaN);
  if ('bytes' in write) out.sized(write.bytes);
}

function decodeWrites(reader: ByteReader, end: number): WriteList {
  const list = new WriteList();
  while (reader.at < end) {
    const kind = KINDS[reader.u8()];
    switch (kind) {
      case 'log':
        list.log(reader.f64(), reader.sized());
        break;
      case 'removeLog':
        list.removeLog(reader.f64());
        break;
      case 'image': {
        const key = reader.string();
        const wakeAtMs = reader.f64();
        list.image(key, reader.sized(), Number.isNaN(wakeAtMs) ? undefined : wakeAtMs);
        break;
      }
      case 'letter':
        list.letter(reader.string(), reader.sized());
        break;
      case 'removeLetter':
        list.removeLetter(reader.string());
        break;
      case 'meta':
        list.meta(META_NAMES[reader.u8()] as MetaName, reader.f64());
        break;
      case 'damage':
        list.damage(reader.string(), reader.sized());
        break;
      case 'removeDamage':
        list.removeDamage(reader.string());
        break;
      case undefined:
        throw new StorageError('the file ahead of the database holds a write that this version does not know');
    }
  }
  return list;
}

/** The frames after `last` that are whole and in order. Frames up to `last` are in the store already. */
function readFrames(bytes: Buffer, last: number): WriteList[] {
  const view = viewOf(bytes);
  const lists: WriteList[] = [];
  let expected: number | undefined;
  let at = 0;
  while (at + FRAME_HEADER_BYTES <= bytes.length) {
    const end = at + view.getUint32(at, true);
    if (end > bytes.length || end < at + FRAME_HEADER_BYTES) break;
    if (view.getUint32(at + 4, true) !== crc32Of(bytes, view, at + 8, end)) break;
    const number = view.getFloat64(at + 8, true);
    // The first frame may be in the store already, but none may be missing between it and what is.
    if (number !== (expected ?? Math.min(number, last + 1))) break;
    if (number > last) lists.push(decodeWrites(new ByteReader(bytes, at + FRAME_HEADER_BYTES), end));
    expected = number + 1;
    at = end;
  }
  return lists;
}
