/**
 * Rows that are not turns: images of cells and dead letters.
 *
 * Owns: their bytes. An image row begins with a fixed header, so that loading and waking need not decode the state.
 *
 *   sum 4 | format 1 | flags 1 | watermarks 2 | sequence 8 | wakeAtMs 8 | watermarks 20 each | body
 *
 * Invariants:
 * R1. The sum covers the row and its key: a row that LMDB gives under another key is damaged.
 * R2. A row of a newer format is refused by name.
 */
import type { CellKey } from '../kernel/address.ts';
import { DataDamagedError, DataFormatError, type EncodedError } from '../kernel/errors.ts';
import { packNext, type ReviveReference, unpackOne } from '../wire/journal-codec.ts';
import { FORMAT_VERSION } from './batch-layout.ts';
import { ByteReader, ByteWriter } from './byte-writer.ts';
import { crc32Of, viewOf } from './crc32.ts';
import { errorOf, listOf, numberOf, textOf } from './shape-fields.ts';
import { envelopeOfShape, envelopeShape } from './turn-shape.ts';
import type { DeadLetter, ImageRow, Watermark } from './turn-record.ts';

const IMAGE_HEADER_BYTES = 24;
const WATERMARK_BYTES = 20;
const LETTER_HEADER_BYTES = 5;

const HAS_WAKE = 1;

/** What an image row says before its body. */
export interface ImageHeader {
  readonly sequence: number;
  readonly received: readonly Watermark[];
  readonly wakeAtMs: number | undefined;
}

/** Appends the row of `image` to `out`. */
export function writeImage(out: ByteWriter, image: ImageRow): void {
  const start = out.length;
  out.u32(0);
  out.u8(FORMAT_VERSION);
  out.u8(image.wakeAtMs === undefined ? 0 : HAS_WAKE);
  out.u16(image.received.length);
  out.f64(image.sequence);
  out.f64(image.wakeAtMs ?? 0);
  for (const mark of image.received) {
    out.u32(mark.stream);
    out.u32(mark.lane === 'signal' ? 1 : 0);
    out.u32(mark.index);
    out.f64(mark.position);
  }
  const packed = packNext(image.body);
  out.raw(packed, packed.start, packed.end);
  out.view.setUint32(start, sumOf(image.key, out.bytes, out.view, start, out.length), true);
}

export function encodeImage(image: ImageRow): Uint8Array {
  const out = new ByteWriter();
  writeImage(out, image);
  return out.take();
}

/** Throws `DataDamagedError` unless the row is whole. */
export function readImageHeader(key: CellKey, row: Uint8Array): ImageHeader {
  check('image', key, row, IMAGE_HEADER_BYTES);
  const reader = new ByteReader(row, 5);
  const flags = reader.u8();
  const count = reader.u16();
  const sequence = reader.f64();
  const wakeAtMs = reader.f64();
  const received: Watermark[] = [];
  for (let i = 0; i < count; i++) {
    const stream = reader.u32();
    const lane = reader.u32() === 1 ? 'signal' : 'user';
    const index = reader.u32();
    received.push({ stream, lane, position: reader.f64(), index });
  }
  return { sequence, received, wakeAtMs: flags & HAS_WAKE ? wakeAtMs : undefined };
}

/** When the cell of this row must be woken; reads nothing but that, and sums nothing. */
export function wakeAtOf(row: Uint8Array): number | undefined {
  if (row.length < IMAGE_HEADER_BYTES || ((row[5] as number) & HAS_WAKE) === 0) return undefined;
  return viewOf(row).getFloat64(16, true);
}

export function decodeImage(key: CellKey, row: Uint8Array, revive?: ReviveReference): ImageRow {
  const header = readImageHeader(key, row);
  const body = row.subarray(IMAGE_HEADER_BYTES + header.received.length * WATERMARK_BYTES);
  return { key, ...header, body: unpackOne(body, revive) };
}

export function writeLetter(out: ByteWriter, letter: DeadLetter): void {
  const start = out.length;
  out.u32(0);
  out.u8(FORMAT_VERSION);
  const { timeMs, reason, error, attempts, envelope } = letter;
  const packed = packNext([timeMs, reason, error, attempts, envelopeShape(envelope)], letter);
  out.raw(packed, packed.start, packed.end);
  out.view.setUint32(start, sumOf(letter.id, out.bytes, out.view, start, out.length), true);
}

/** Throws `DataDamagedError` unless the row is whole. */
export function decodeLetter(id: string, row: Uint8Array, revive?: ReviveReference): DeadLetter {
  check('dead letter', id, row, LETTER_HEADER_BYTES);
  const letter = listOf(unpackOne(row.subarray(LETTER_HEADER_BYTES), revive), 'letter');
  const [timeMs, reason, error, attempts, envelope] = letter;
  return {
    id,
    timeMs: numberOf(timeMs, 'letter.timeMs'),
    // A newer version may know more reasons; they are for people.
    reason: textOf(reason, 'letter.reason') as DeadLetter['reason'],
    error: errorOf(error, 'letter.error'),
    attempts: numberOf(attempts, 'letter.attempts'),
    envelope: envelopeOfShape(envelope),
  };
}

/** Why a cell cannot be served, kept when the log that shows it is not read any more. */
export function encodeDamage(key: CellKey, damage: EncodedError): Uint8Array {
  const out = new ByteWriter();
  out.u32(0);
  out.u8(FORMAT_VERSION);
  const packed = packNext(damage);
  out.raw(packed, packed.start, packed.end);
  out.view.setUint32(0, sumOf(key, out.bytes, out.view, 0, out.length), true);
  return out.take();
}

/** Throws `DataDamagedError` unless the row is whole: then nobody knows which cell it keeps from being served. */
export function decodeDamage(key: CellKey, row: Uint8Array): EncodedError {
  check('damage', key, row, LETTER_HEADER_BYTES);
  return errorOf(unpackOne(row.subarray(LETTER_HEADER_BYTES)), 'damage');
}

function check(table: string, key: string, row: Uint8Array, least: number): void {
  const view = viewOf(row);
  if (row.length < least || view.getUint32(0, true) !== sumOf(key, row, view, 0, row.length)) {
    throw new DataDamagedError(
      `the ${table} of ${JSON.stringify(key)} is damaged: its checksum does not fit its bytes`,
      {
        details: { table, key },
      },
    );
  }
  if (row[4] !== FORMAT_VERSION) {
    throw new DataFormatError(
      `the ${table} of ${JSON.stringify(key)} has format ${row[4]}; this version reads format ${FORMAT_VERSION}`,
      { details: { table, key, format: row[4] } },
    );
  }
}

function sumOf(key: string, bytes: Uint8Array, view: DataView, start: number, end: number): number {
  const name = Buffer.from(key);
  return crc32Of(bytes, view, start + 4, end, crc32Of(name, viewOf(name), 0, name.length));
}
