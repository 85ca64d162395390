/**
 * How rows stand in LMDB: the names of the tables, their keys and what is put around their values.
 *
 * Owns: these bytes, and the sums that bind a key to its row. A row's own sum is `row-codec.ts`; but nobody looks for a row under a
 * key that it does not have, so that a key with a flipped bit must show by itself, when the file is looked through.
 *
 *   log      position 8 → row (which says its position: `batch-layout.ts`)
 *   image    cell key → sum of key and time 4 | when it must be woken 8 | row
 *   wake     time 8, cell key → sum of both 4
 *   letter   id → row
 *   meta     name → value 8 | sum of name and value 4
 *   damage   cell key → row
 */
import { DataDamagedError } from '../kernel/errors.ts';
import { crc32Of, viewOf } from './crc32.ts';

export const TABLES = ['log', 'image', 'wake', 'letter', 'meta', 'damage'] as const;
export type TableName = (typeof TABLES)[number];

const SUM_BYTES = 4;
const TIME_BYTES = 8;
const IMAGE_PREFIX_BYTES = SUM_BYTES + TIME_BYTES;
const META_BYTES = 8 + SUM_BYTES;

/** Numbers of zero and above, in the order of their bytes. */
export function numberKey(value: number): Buffer {
  const key = Buffer.alloc(8);
  key.writeDoubleBE(value);
  return key;
}

export function numberOf(key: Buffer): number {
  return key.readDoubleBE();
}

/** When the cell is woken stands before its row, so that the wake of an older row is found and removed. */
export function imageValue(name: Buffer, row: Uint8Array, wakeAtMs: number | undefined): Buffer {
  const value = Buffer.allocUnsafe(IMAGE_PREFIX_BYTES + row.length);
  value.writeDoubleBE(wakeAtMs ?? Number.NaN, SUM_BYTES);
  value.writeUInt32LE(imageSum(name, viewOf(name), 0, name.length, value, viewOf(value), 0));
  value.set(row, IMAGE_PREFIX_BYTES);
  return value;
}

/** The row in a value of the table of images. */
export function imageRowOf(value: Buffer): Buffer {
  return value.subarray(IMAGE_PREFIX_BYTES);
}

export function imageWakeOf(value: Buffer): number | undefined {
  const atMs = value.readDoubleBE(SUM_BYTES);
  return Number.isNaN(atMs) ? undefined : atMs;
}

export function wakeKey(atMs: number, name: Buffer): Buffer {
  return Buffer.concat([numberKey(atMs), name]);
}

export function wakeValue(key: Buffer): Buffer {
  const value = Buffer.allocUnsafe(SUM_BYTES);
  value.writeUInt32LE(crc32Of(key, viewOf(key), 0, key.length));
  return value;
}

/** The cell that a key of the table of wakes names. */
export function wakenBy(key: Buffer): string {
  return key.toString('utf8', TIME_BYTES);
}

export function metaValue(name: string, number: number): Buffer {
  const value = Buffer.allocUnsafe(META_BYTES);
  value.writeDoubleLE(number);
  value.writeUInt32LE(metaSum(name, value), 8);
  return value;
}

/** Throws `DataDamagedError` unless the number is whole. */
export function metaOf(name: string, value: Buffer): number {
  if (value.length === META_BYTES && value.readUInt32LE(8) === metaSum(name, value)) return value.readDoubleLE();
  throw new DataDamagedError(`the number ${JSON.stringify(name)} of the journal is damaged`, {
    details: { table: 'meta', key: name },
  });
}

/** What is wrong with a row, as far as it can be told from its key and the first bytes of its value; undefined: nothing. */
export function rowFault(
  table: TableName,
  key: { readonly bytes: Buffer; readonly view: DataView; readonly start: number; readonly end: number },
  value: { readonly bytes: Buffer; readonly view: DataView; readonly start: number; readonly length: number },
): string | undefined {
  const { start } = value;
  switch (table) {
    case 'image':
      if (
        value.length >= IMAGE_PREFIX_BYTES &&
        value.view.getUint32(start, true) ===
          imageSum(key.bytes, key.view, key.start, key.end, value.bytes, value.view, start)
      )
        return undefined;
      return 'its key or the time of its wake is damaged';
    case 'wake':
      if (
        value.length === SUM_BYTES &&
        value.view.getUint32(start, true) === crc32Of(key.bytes, key.view, key.start, key.end)
      )
        return undefined;
      return 'its key is damaged';
    case 'log': {
      const position = key.end - key.start === 8 ? key.view.getFloat64(key.start) : Number.NaN;
      return Number.isSafeInteger(position) && position >= 0 ? undefined : 'its key is no position';
    }
    case 'letter':
    case 'meta':
    case 'damage':
      // Whoever reads these reads all of them, and each says whether it is whole.
      return undefined;
  }
}

/** Bytes of a value that `rowFault` looks at. */
export const ROW_FAULT_BYTES = IMAGE_PREFIX_BYTES;

function imageSum(
  name: Buffer,
  nameView: DataView,
  nameStart: number,
  nameEnd: number,
  value: Buffer,
  valueView: DataView,
  start: number,
): number {
  const seed = crc32Of(name, nameView, nameStart, nameEnd);
  return crc32Of(value, valueView, start + SUM_BYTES, start + IMAGE_PREFIX_BYTES, seed);
}

function metaSum(name: string, value: Buffer): number {
  const bytes = Buffer.from(name);
  return crc32Of(value, viewOf(value), 0, 8, crc32Of(bytes, viewOf(bytes), 0, bytes.length));
}
