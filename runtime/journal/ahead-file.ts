/**
 * The file `AHEAD` of a data folder: commits that are not in the database yet, as frames in a row.
 *
 * Owns: how it is written and read again, and what is made of bytes that do not fit. Who takes what out of it is `ahead-store.ts`.
 *
 *   file:  mark 4 | sum 4 | the machine's start in which it was written 8 | frames
 *   frame: size 4 | sum 4 | number 8 | sum of the frame before it 4 | writes
 *
 * Invariants:
 * AF1. Frames are taken as long as number and sum fit. The first that does not ends the file: what follows was written later, and the
 *      order of commits must not have holes.
 * AF2. A frame is taken only behind the very frame that it was written behind, as its sum tells. The cutting of the file may not have
 *      reached the disk when what was appended after it has: then a frame of the past, which an earlier power cut had taken back, may
 *      stand behind a new one, whole and with the next number.
 * AF3. In a file whose frames were flushed one by one, only the last one can have been cut off, and then nobody was told of it. Where
 *      a later one stands behind the first that does not fit, that is damage: the file is refused. Otherwise a cut and damage cannot be
 *      told apart: what was left out is reported. In silence goes only what a process leaves that was killed while it wrote: a file that
 *      ends within its last frame, on a machine that was not started anew.
 * AF4. In a file whose frames were not flushed, a power cut may have taken any of them: what was left out is reported. Without one (the
 *      machine's start is the same) only a process that was killed while it wrote leaves a frame that does not fit, at the end of the
 *      file; anything else is damage, and refused.
 */
import { DataDamagedError, StorageError } from '../kernel/errors.ts';
import { ByteReader, type ByteWriter } from './byte-writer.ts';
import { crc32Of, viewOf } from './crc32.ts';
import { REMEDY } from './data-folder.ts';
import { META_NAMES, type MetaName } from './store.ts';
import { type StoreWrite, WriteList } from './write-list.ts';

/** "CBA" and the layout's number: 1, when frames are with the kernel; 2, when each is on the disk before the next. */
const UNFLUSHED_MAGIC = 0x01_41_42_43;
const FLUSHED_MAGIC = 0x02_41_42_43;
export const FILE_HEADER_BYTES = 16;
const FRAME_HEADER_BYTES = 20;

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

export function fileHeader(isFlushed: boolean, boot: string | undefined): Buffer {
  const header = Buffer.alloc(FILE_HEADER_BYTES);
  header.writeUInt32LE(isFlushed ? FLUSHED_MAGIC : UNFLUSHED_MAGIC, 0);
  // The first 16 digits; zero where the system does not tell.
  header.write((boot ?? '').replaceAll('-', '').slice(0, 16), 8, 'hex');
  header.writeUInt32LE(crc32Of(header, viewOf(header), 8, FILE_HEADER_BYTES), 4);
  return header;
}

/** Puts a frame into `out`; its sum is the answer. */
export function encodeFrame(out: ByteWriter, number: number, sumBefore: number, list: WriteList): number {
  out.length = 0;
  out.u32(0);
  out.u32(0);
  out.f64(number);
  out.u32(sumBefore);
  for (const write of list.writes) encodeWrite(out, write);
  out.view.setUint32(0, out.length, true);
  const sum = crc32Of(out.bytes, out.view, 8, out.length);
  out.view.setUint32(4, sum, true);
  return sum;
}

export interface Ahead {
  readonly lists: readonly WriteList[];
  readonly faults: readonly DataDamagedError[];
}

/** Frames that are not in the store yet: those after `last` that are whole and in order. Throws when others are damaged. */
export function readAhead(bytes: Buffer, last: number, file: string, boot: string | undefined): Ahead {
  if (bytes.length <= FILE_HEADER_BYTES) return { lists: [], faults: [] };
  const view = viewOf(bytes);
  const { lists, end, next } = readFrames(bytes, view, last);
  if (end === bytes.length) return { lists, faults: [] };
  const isFlushed = view.getUint32(0, true) === FLUSHED_MAGIC;
  const isSameStart = boot !== undefined && fileHeader(isFlushed, boot).compare(bytes, 0, FILE_HEADER_BYTES) === 0;
  const isTooShort = bytes.length - end < FRAME_HEADER_BYTES || end + view.getUint32(end, true) > bytes.length;
  const isCutOff = isTooShort && !hasOtherSize(bytes, view, end);
  if (isCutOff && isSameStart) return { lists, faults: [] };
  const fault = new DataDamagedError(
    `${file} is damaged at byte ${end}, or was cut off there while it was written: ${bytes.length - end} bytes of commits from there on cannot be taken`,
    { details: { table: 'ahead', path: file, byte: end, bytes: bytes.length - end } },
  );
  const isRefused = isFlushed ? hasFrameAfter(bytes, view, end, next) : isSameStart;
  if (!isRefused) return { lists, faults: [fault] };
  throw new DataDamagedError(`${fault.message}. ${REMEDY}`, { details: fault.details });
}

/** The frames after `last` that are whole and in order, where they end, and the number of the next one. Those up to `last` are in the store. */
function readFrames(
  bytes: Buffer,
  view: DataView,
  last: number,
): { readonly lists: WriteList[]; readonly end: number; readonly next: number } {
  const lists: WriteList[] = [];
  let expected: number | undefined;
  let before: number | undefined;
  let at = FILE_HEADER_BYTES;
  while (at + FRAME_HEADER_BYTES <= bytes.length) {
    const end = at + view.getUint32(at, true);
    if (!isWhole(bytes, view, at, end)) break;
    const number = view.getFloat64(at + 8, true);
    // The first frame may be in the store already, but none may be missing between it and what is.
    if (number !== (expected ?? Math.min(number, last + 1))) break;
    if (before !== undefined && view.getUint32(at + 16, true) !== before) break;
    before = view.getUint32(at + 4, true);
    if (number > last) lists.push(decodeWrites(bytes.subarray(at + FRAME_HEADER_BYTES, end)));
    expected = number + 1;
    at = end;
  }
  return { lists, end: at, next: expected ?? last + 1 };
}

/** Whether what lies from `at` to `end` is a frame, by its sum; there is room for its head. */
function isWhole(bytes: Buffer, view: DataView, at: number, end: number): boolean {
  if (end > bytes.length || end < at + FRAME_HEADER_BYTES) return false;
  return view.getUint32(at + 4, true) === crc32Of(bytes, view, at + 8, end);
}

/** Whether the frame at `at` is whole but for one bit of its size. */
function hasOtherSize(bytes: Buffer, view: DataView, at: number): boolean {
  if (bytes.length - at < FRAME_HEADER_BYTES) return false;
  for (let bit = 0; bit < 32; bit++) {
    if (isWhole(bytes, view, at, at + ((view.getUint32(at, true) ^ (1 << bit)) >>> 0))) return true;
  }
  return false;
}

/** Whether a frame that was written after the one at `at` is whole: with a number above `number`, that of the one at `at`. */
function hasFrameAfter(bytes: Buffer, view: DataView, at: number, number: number): boolean {
  for (let start = at + 1; start + FRAME_HEADER_BYTES <= bytes.length; start++) {
    const other = view.getFloat64(start + 8, true);
    if (!(other > number && other <= number + bytes.length)) continue;
    if (isWhole(bytes, view, start, start + view.getUint32(start, true))) return true;
  }
  return false;
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
