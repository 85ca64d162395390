/**
 * Bytes written one after another into a buffer that grows, and read back in the same order.
 *
 * Owns: the little-endian form of numbers, strings and byte runs that rows, parcels and frames of the journal are made of.
 * Knows nothing of what they mean.
 *
 * Invariants:
 * Y1. A reader that asks for more than there is throws `DataDamagedError`; it never reads beyond its bytes.
 */
import { DataDamagedError } from '../kernel/errors.ts';
import { viewOf } from './crc32.ts';

/** Above any key of a cell that LMDB can hold; a string that is longer was not written by us. */
const STRING_BYTES_MAX = 0xffff;

/** Where a call of `Buffer.copy` begins to pay. */
const COPIED_BYTES = 256;

export class ByteWriter {
  bytes: Buffer;
  view: DataView;
  length = 0;

  constructor(capacity = 1024) {
    this.bytes = Buffer.allocUnsafeSlow(capacity);
    this.view = viewOf(this.bytes);
  }

  /** Makes room for `more` bytes behind `length`. */
  reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
    this.view = viewOf(grown);
  }

  u8(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  u16(value: number): void {
    this.reserve(2);
    this.view.setUint16(this.length, value, true);
    this.length += 2;
  }

  u32(value: number): void {
    this.reserve(4);
    this.view.setUint32(this.length, value, true);
    this.length += 4;
  }

  f64(value: number): void {
    this.reserve(8);
    this.view.setFloat64(this.length, value, true);
    this.length += 8;
  }

  /** A string with its length. */
  string(value: string): void {
    const size = Buffer.byteLength(value);
    if (size > STRING_BYTES_MAX) throw new RangeError(`a name of ${size} bytes is longer than ${STRING_BYTES_MAX}`);
    this.u16(size);
    this.reserve(size);
    this.bytes.write(value, this.length, 'utf8');
    this.length += size;
  }

  /** Bytes as they are. */
  raw(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const size = end - start;
    this.reserve(size);
    if (bytes instanceof Buffer) bytes.copy(this.bytes, this.length, start, end);
    else this.bytes.set(bytes.subarray(start, end), this.length);
    this.length += size;
  }

  /** Bytes as they are, of which many are few: a call of `Buffer.copy` costs more than they do. `view` is of the same memory. */
  copy(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    if (end - start > COPIED_BYTES) return this.raw(bytes, start, end);
    this.reserve(end - start);
    const { bytes: target, view: targetView } = this;
    let to = this.length;
    let from = start;
    for (; from + 4 <= end; from += 4, to += 4) targetView.setInt32(to, view.getInt32(from, true), true);
    for (; from < end; from++, to++) target[to] = bytes[from] as number;
    this.length = to;
  }

  /** Bytes with their length. */
  sized(bytes: Uint8Array): void {
    this.u32(bytes.length);
    this.raw(bytes);
  }

  /** What was written, for a writer that is not used again: the memory is the caller's. */
  whole(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  /** A copy of what was written, in memory of its own, so that it can be transferred. */
  take(): Uint8Array {
    const taken = Buffer.allocUnsafeSlow(this.length);
    this.bytes.copy(taken, 0, 0, this.length);
    this.length = 0;
    return taken;
  }
}

export class ByteReader {
  readonly bytes: Buffer;
  readonly view: DataView;
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.view = viewOf(bytes);
    this.at = at;
  }

  u8(): number {
    return this.view.getUint8(this.#step(1));
  }

  u16(): number {
    return this.view.getUint16(this.#step(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.#step(4), true);
  }

  f64(): number {
    return this.view.getFloat64(this.#step(8), true);
  }

  string(): string {
    const size = this.u16();
    const from = this.#step(size);
    return this.bytes.toString('utf8', from, from + size);
  }

  /** The next `size` bytes, not copied. */
  raw(size: number): Uint8Array {
    const from = this.#step(size);
    return this.bytes.subarray(from, from + size);
  }

  sized(): Uint8Array {
    return this.raw(this.u32());
  }

  skip(size: number): void {
    this.#step(size);
  }

  #step(size: number): number {
    const from = this.at;
    if (from + size > this.bytes.length)
      throw new DataDamagedError(`${size} bytes at ${from} go beyond ${this.bytes.length}`);
    this.at = from + size;
    return from;
  }
}
