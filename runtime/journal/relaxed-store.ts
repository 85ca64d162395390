/**
 * `sync: 'relaxed'`: commits go into a file in front of LMDB without waiting for the disk, and into LMDB now and then.
 *
 * Owns: the file `AHEAD` in the data folder, and what is in it but not yet in LMDB.
 *
 * Why not LMDB's own modes: `noSync` corrupts the database on power loss, and lmdb-js's overlapping mode together with
 * `safeRestore` gives up everything unflushed when the process is killed. A frame in a plain file is in the kernel's hands once
 * written, so that it survives the process; LMDB itself only ever sees commits that are flushed.
 *
 *   file:  mark 4 | sum 4 | the machine's start in which it was written 8 | frames
 *   frame: size 4 | sum 4 | number 8 | sum of the frame before it 4 | writes
 *
 * Invariants:
 * S1 … S6 of `store.ts`, where "survives" means a killed process; power loss costs what was not flushed, and nothing older.
 * N1. Frames are numbered without a gap. `meta('frame')` in LMDB, written in the same transaction, says which are in it.
 * N2. On opening, frames are taken as long as number and sum fit. The first that does not ends the file: what follows was
 *     written later, and the order of commits must not have holes.
 * N3. Only a power failure may leave a frame that does not fit, or a process that was killed within its write: a last one that is too
 *     short. Anything else is damage: the store does not open. After a new start of the machine the two cannot be told apart, and
 *     what was left out is reported.
 * N4. A frame is taken only behind the very frame that it was written behind, as its sum tells. The cutting of the file may not have
 *     reached the disk when what was appended after it has: then a frame of the past, which an earlier power cut had taken back, may
 *     stand behind a new one, whole and with the next number.
 * N5. What the frames add to the log is above all that is there. A row in their way has a damaged key: the store does not open, and the
 *     file stays as it is.
 */
import {
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { CellKey } from '../kernel/address.ts';
import { DataDamagedError, StorageError, StorageFullError } from '../kernel/errors.ts';
import { ByteReader, ByteWriter } from './byte-writer.ts';
import { crc32Of, viewOf } from './crc32.ts';
import { bootId } from './data-folder.ts';
import { KeptName } from './durable-files.ts';
import {
  type KeyRange,
  type LogRow,
  META_NAMES,
  type MetaName,
  type Store,
  type StoreWrites,
  type WakeRow,
} from './store.ts';
import { type StoreWrite, WriteList } from './write-list.ts';

/** "CBA" and the layout's number. */
const FILE_MAGIC = 0x01_41_42_43;
const FILE_HEADER_BYTES = 16;
const FRAME_HEADER_BYTES = 20;
/** LMDB is given its share at this size, however recent it is. */
const AHEAD_BYTES_MAX = 16 << 20;

const REMEDY =
  'Put a backup in its place, or save what can be read into a new folder with "collaborative-blocks doctor --repair"';

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

/** Puts `store` behind a file in `folder`, and first gives it what a killed process left in the file. */
export function openRelaxedStore(store: Store, folder: string, boot = bootId()): RelaxedStore {
  return new RelaxedStore(store, join(folder, 'AHEAD'), boot);
}

/**
 * Gives `store` what a process that was killed in relaxed mode left in the file, for one that opens the folder in another mode. The
 * answer is what could not be taken.
 */
export function takeAhead(store: Store, folder: string): readonly DataDamagedError[] {
  const file = join(folder, 'AHEAD');
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return [];
  const ahead = new RelaxedStore(store, file, bootId());
  ahead.end();
  rmSync(file);
  return ahead.faults;
}

export class RelaxedStore implements Store {
  /** What could not be taken at the opening. */
  readonly faults: readonly DataDamagedError[];
  readonly #store: Store;
  readonly #fd: number;
  readonly #name: KeptName;
  readonly #out = new ByteWriter(64 << 10);
  #lastPosition: number;
  /** Number of the last frame. */
  #frame: number;
  /** Its sum; 0 before the first one of this opening. */
  #lastSum = 0;
  #fileEnd = 0;
  /** In the file, not yet in the store. */
  #ahead: WriteList[] = [];
  /** Images and numbers in `#ahead`: they are read all the time, the rest is worth a flush. */
  readonly #images = new Map<CellKey, Uint8Array>();
  readonly #meta = new Map<MetaName, number>();

  constructor(store: Store, file: string, boot: string | undefined) {
    this.#store = store;
    this.#frame = store.meta('frame') ?? 0;
    const found = readAhead(existsSync(file) ? readFileSync(file) : Buffer.alloc(0), this.#frame, file, boot);
    this.faults = found.faults;
    // What was left out is written over below: somebody may still be able to make something of it.
    if (found.faults.length > 0) copyFileSync(file, `${file}.damaged`);
    this.#fd = openSync(file, 'a+');
    this.#name = new KeptName(file);
    try {
      assertAbove(found.lists, store.logAt(Number.MAX_SAFE_INTEGER)?.position);
      for (const list of found.lists) {
        this.#frame++;
        this.#ahead.push(list);
      }
      this.flush();
      this.#lastPosition = store.logAt(Number.MAX_SAFE_INTEGER)?.position ?? -1;
      // A torn tail must not stand before what is appended next, and neither must the mark of an earlier start of the machine.
      ftruncateSync(this.#fd, 0);
      writeSync(this.#fd, fileHeader(boot));
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
    this.#fileEnd = FILE_HEADER_BYTES;
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
    if (this.#fileEnd > FILE_HEADER_BYTES) ftruncateSync(this.#fd, FILE_HEADER_BYTES);
    this.#fileEnd = Math.min(this.#fileEnd, FILE_HEADER_BYTES);
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
    out.u32(this.#lastSum);
    for (const write of list.writes) encodeWrite(out, write);
    out.view.setUint32(0, out.length, true);
    const sum = crc32Of(out.bytes, out.view, 8, out.length);
    out.view.setUint32(4, sum, true);
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
    `the journal has a row at position ${last}, and the commits of the relaxed mode go on at ${first.position}: the key of that row is damaged. ${REMEDY}`,
    { details: { table: 'log', position: last } },
  );
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

function decodeWrites(bytes: Buffer): WriteList {
  const reader = new ByteReader(bytes);
  const list = new WriteList();
  while (reader.at < bytes.length) {
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
        list.meta(metaNameOf(reader.u8()), reader.f64());
        break;
      case 'damage':
        list.damage(reader.string(), reader.sized());
        break;
      case 'removeDamage':
        list.removeDamage(reader.string());
        break;
      case undefined:
        throw unknownWrite();
    }
  }
  return list;
}

function metaNameOf(code: number): MetaName {
  const name = META_NAMES[code];
  if (name === undefined) throw unknownWrite();
  return name;
}

function unknownWrite(): StorageError {
  return new StorageError('the file ahead of the database holds a write that this version does not know');
}

function fileHeader(boot: string | undefined): Buffer {
  const header = Buffer.alloc(FILE_HEADER_BYTES);
  header.writeUInt32LE(FILE_MAGIC, 0);
  // The first 16 digits; zero where the system does not tell.
  header.write((boot ?? '').replaceAll('-', '').slice(0, 16), 8, 'hex');
  header.writeUInt32LE(crc32Of(header, viewOf(header), 8, FILE_HEADER_BYTES), 4);
  return header;
}

interface Ahead {
  readonly lists: readonly WriteList[];
  readonly faults: readonly DataDamagedError[];
}

/** Frames that are not in the store yet: those after `last` that are whole and in order. Throws when others are damaged. */
export function readAhead(bytes: Buffer, last: number, file: string, boot: string | undefined): Ahead {
  if (bytes.length <= FILE_HEADER_BYTES) return { lists: [], faults: [] };
  const view = viewOf(bytes);
  const { lists, end } = readFrames(bytes, view, last);
  if (end === bytes.length) return { lists, faults: [] };
  const isTooShort = bytes.length - end < FRAME_HEADER_BYTES || end + view.getUint32(end, true) > bytes.length;
  const isCutOff = isTooShort && !hasOtherSize(bytes, view, end);
  const header = fileHeader(boot);
  const isSameStart = boot !== undefined && header.compare(bytes, 0, FILE_HEADER_BYTES) === 0;
  if (isCutOff && isSameStart) return { lists, faults: [] };
  const fault = new DataDamagedError(
    `${file} is damaged at byte ${end}: ${bytes.length - end} bytes of commits from there on cannot be taken`,
    { details: { table: 'ahead', path: file, byte: end, bytes: bytes.length - end } },
  );
  // A machine that was started anew may have lost power before, and then the last commits may be gone: that was never promised.
  if (!isSameStart) return { lists, faults: [fault] };
  throw new DataDamagedError(`${fault.message}. ${REMEDY}`, { details: fault.details });
}

/** Whether the frame at `at` is whole but for one bit of its size. */
function hasOtherSize(bytes: Buffer, view: DataView, at: number): boolean {
  if (bytes.length - at < FRAME_HEADER_BYTES) return false;
  for (let bit = 0; bit < 32; bit++) {
    const end = at + ((view.getUint32(at, true) ^ (1 << bit)) >>> 0);
    if (end > bytes.length || end < at + FRAME_HEADER_BYTES) continue;
    if (view.getUint32(at + 4, true) === crc32Of(bytes, view, at + 8, end)) return true;
  }
  return false;
}

/** The frames after `last` that are whole and in order, and where they end. Frames up to `last` are in the store already. */
function readFrames(
  bytes: Buffer,
  view: DataView,
  last: number,
): { readonly lists: WriteList[]; readonly end: number } {
  const lists: WriteList[] = [];
  let expected: number | undefined;
  let before: number | undefined;
  let at = FILE_HEADER_BYTES;
  while (at + FRAME_HEADER_BYTES <= bytes.length) {
    const end = at + view.getUint32(at, true);
    if (end > bytes.length || end < at + FRAME_HEADER_BYTES) break;
    const sum = view.getUint32(at + 4, true);
    if (sum !== crc32Of(bytes, view, at + 8, end)) break;
    const number = view.getFloat64(at + 8, true);
    // The first frame may be in the store already, but none may be missing between it and what is.
    if (number !== (expected ?? Math.min(number, last + 1))) break;
    if (before !== undefined && view.getUint32(at + 16, true) !== before) break;
    before = sum;
    if (number > last) lists.push(decodeWrites(bytes.subarray(at + FRAME_HEADER_BYTES, end)));
    expected = number + 1;
    at = end;
  }
  return { lists, end: at };
}
