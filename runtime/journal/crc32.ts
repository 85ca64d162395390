/**
 * CRC-32 (the polynomial of zlib) of a part of a buffer.
 *
 * Owns: nothing but the sum. A call of `zlib.crc32` costs about half a microsecond here, more than the sum of a short record
 * itself; so short parts are summed in JavaScript, eight bytes a step, and long ones by zlib. Both give the same number.
 */
import { crc32 } from 'node:zlib';

/** Where the call into zlib begins to pay. */
const NATIVE_FROM_BYTES = 512;

// Eight tables of 256: the sum of eight bytes is eight look-ups that do not wait for each other.
const TABLE = new Int32Array(8 * 256);
for (let i = 0; i < 256; i++) {
  let sum = i;
  for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  TABLE[i] = sum;
}
for (let i = 256; i < TABLE.length; i++) {
  const before = TABLE[i - 256] as number;
  TABLE[i] = (TABLE[before & 255] as number) ^ (before >>> 8);
}

/** CRC-32 of `bytes[start, end)`, going on from `seed`. `view` must look at the same memory as `bytes`. */
export function crc32Of(bytes: Uint8Array, view: DataView, start: number, end: number, seed = 0): number {
  if (end - start >= NATIVE_FROM_BYTES) return crc32(bytes.subarray(start, end), seed);
  let sum = ~seed;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    const a = sum ^ view.getInt32(at, true);
    const b = view.getInt32(at + 4, true);
    sum =
      (TABLE[1792 | (a & 255)] as number) ^
      (TABLE[1536 | ((a >>> 8) & 255)] as number) ^
      (TABLE[1280 | ((a >>> 16) & 255)] as number) ^
      (TABLE[1024 | (a >>> 24)] as number) ^
      (TABLE[768 | (b & 255)] as number) ^
      (TABLE[512 | ((b >>> 8) & 255)] as number) ^
      (TABLE[256 | ((b >>> 16) & 255)] as number) ^
      (TABLE[b >>> 24] as number);
  }
  for (; at < end; at++) sum = (TABLE[(sum ^ (bytes[at] as number)) & 255] as number) ^ (sum >>> 8);
  return ~sum >>> 0;
}

/**
 * Copies `source[start, end)` to `target` at `at`, and sums it on the way: short records are read only once, and a call of
 * `Buffer.copy` is saved.
 */
export function copySummed(
  source: Buffer,
  sourceView: DataView,
  start: number,
  end: number,
  target: Buffer,
  targetView: DataView,
  at: number,
  seed: number,
): number {
  if (end - start >= NATIVE_FROM_BYTES) {
    source.copy(target, at, start, end);
    return crc32(source.subarray(start, end), seed);
  }
  let sum = ~seed;
  let from = start;
  let to = at;
  for (; from + 8 <= end; from += 8, to += 8) {
    const first = sourceView.getInt32(from, true);
    const b = sourceView.getInt32(from + 4, true);
    targetView.setInt32(to, first, true);
    targetView.setInt32(to + 4, b, true);
    const a = sum ^ first;
    sum =
      (TABLE[1792 | (a & 255)] as number) ^
      (TABLE[1536 | ((a >>> 8) & 255)] as number) ^
      (TABLE[1280 | ((a >>> 16) & 255)] as number) ^
      (TABLE[1024 | (a >>> 24)] as number) ^
      (TABLE[768 | (b & 255)] as number) ^
      (TABLE[512 | ((b >>> 8) & 255)] as number) ^
      (TABLE[256 | ((b >>> 16) & 255)] as number) ^
      (TABLE[b >>> 24] as number);
  }
  for (; from < end; from++, to++) {
    const byte = source[from] as number;
    target[to] = byte;
    sum = (TABLE[(sum ^ byte) & 255] as number) ^ (sum >>> 8);
  }
  return ~sum >>> 0;
}

/**
 * Which single bit of `length` bytes explains that their sum came out as `computed` where `stored` was expected: counted from the
 * first bit, -1 when it is a bit of the stored sum itself, undefined when no single one explains it. The sum is linear, so that a
 * flipped bit changes it in a way that depends on nothing but its place.
 */
export function flippedBit(stored: number, computed: number, length: number): number | undefined {
  const change = (stored ^ computed) | 0;
  if (change !== 0 && (change & (change - 1)) === 0) return -1;
  const changes = Int32Array.from({ length: 8 }, (_, bit) => TABLE[1 << bit] as number);
  for (let at = length - 1; at >= 0; at--) {
    for (let bit = 0; bit < 8; bit++) {
      const here = changes[bit] as number;
      if (here === change) return at * 8 + bit;
      changes[bit] = (here >>> 8) ^ (TABLE[here & 255] as number);
    }
  }
  return undefined;
}

/** A `DataView` of the memory of `bytes`. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
