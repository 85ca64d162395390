/**
 * Flipped bits put back: a sum that a single bit would make right says which bit it was.
 *
 * Owns: mending of log rows, images and dead letters, one bit each. A sum of 32 bits takes a wrong bit for the right one in about one
 * of 40,000 rows that are damaged in more than one bit; so nothing mended is ever served by itself, only put into a repaired
 * folder, and named.
 */
import { BlocksError } from '../kernel/errors.ts';
import {
  H_BODY_BYTES,
  H_BODY_START,
  H_SENDS,
  H_SENDS_START,
  H_SUM,
  HEADER_BYTES,
  P_BODIES_BYTES,
  P_SENDS,
  SEND_BYTES,
} from '../journal/batch-layout.ts';
import { BatchReader, mendPrelude } from '../journal/batch-reader.ts';
import { crc32Of, flippedBit, viewOf } from '../journal/crc32.ts';

/** The row at `position` with one flipped bit put back, in the prelude, its keys or each of its turns; undefined: it is not that. */
export function mendBatch(bytes: Uint8Array, position: number): Uint8Array | undefined {
  const first = readBatch(bytes);
  const start = first?.hasKeys === true ? Uint8Array.from(bytes) : mendPrelude(bytes);
  if (start === undefined) return undefined;
  const batch = readBatch(start);
  if (batch === undefined) return undefined;
  for (const turn of batch.damage()?.turns ?? []) mendTurn(batch, turn);
  if (batch.damage() !== undefined) return undefined;
  // The seat has no second witness: it is taken anew only where all else is whole.
  if (!batch.isSeatedAt(position)) batch.takeSeat(position);
  return start;
}

/** A row with a sum of `key` and itself in front (an image, a dead letter), and its key, one of which had a flipped bit. */
export function mendRow(
  key: string,
  bytes: Uint8Array,
): { readonly key: string; readonly row: Uint8Array } | undefined {
  if (bytes.length < 5) return undefined;
  const row = Uint8Array.from(bytes);
  const view = viewOf(row);
  const name = Buffer.from(key);
  const computed = crc32Of(row, view, 4, row.length, crc32Of(name, viewOf(name), 0, name.length));
  const flipped = flippedBit(view.getUint32(0, true), computed, name.length + row.length - 4);
  if (flipped === undefined) return undefined;
  if (flipped === -1) view.setUint32(0, computed, true);
  else if (flipped >= name.length * 8) flip(row, 4, flipped - name.length * 8);
  else flip(name, 0, flipped);
  return { key: name.toString(), row };
}

function mendTurn(batch: BatchReader, turn: number): void {
  const { bytes, view } = batch;
  const at = batch.header(turn);
  // First as if header and sizes were right; then with each bit of the header turned, since it may be the sizes that are not.
  if (mendWithin(batch, at)) return;
  for (let bit = 0; bit < HEADER_BYTES * 8; bit++) {
    flip(bytes, at, bit);
    const parts = partsOf(batch, at);
    if (parts !== undefined && sumOf(batch, at, parts) === view.getUint32(at + H_SUM, true)) return;
    flip(bytes, at, bit);
  }
}

function mendWithin(batch: BatchReader, at: number): boolean {
  const { bytes, view } = batch;
  const parts = partsOf(batch, at);
  if (parts === undefined) return false;
  const length = parts.reduce((sum, [start, end]) => sum + end - start, 0);
  const computed = sumOf(batch, at, parts);
  const flipped = flippedBit(view.getUint32(at + H_SUM, true), computed, length);
  if (flipped === undefined) return false;
  if (flipped === -1) {
    view.setUint32(at + H_SUM, computed, true);
    return true;
  }
  let offset = flipped >>> 3;
  for (const [start, end] of parts) {
    if (offset < end - start) {
      flip(bytes, start + offset, flipped & 7);
      return true;
    }
    offset -= end - start;
  }
  return false;
}

type Part = readonly [number, number];

/** What a turn's sum is over: the rest of its header, its sends, its body. */
function partsOf(batch: BatchReader, at: number): readonly Part[] | undefined {
  const { view } = batch;
  const sends = batch.header(batch.turns);
  const bodies = sends + view.getUint32(P_SENDS, true) * SEND_BYTES;
  const sendsStart = sends + view.getUint32(at + H_SENDS_START, true) * SEND_BYTES;
  const sendsEnd = sendsStart + view.getUint32(at + H_SENDS, true) * SEND_BYTES;
  const bodyStart = bodies + view.getUint32(at + H_BODY_START, true);
  const bodyEnd = bodyStart + view.getUint32(at + H_BODY_BYTES, true);
  if (sendsEnd > bodies || bodyEnd > bodies + view.getUint32(P_BODIES_BYTES, true)) return undefined;
  return [
    [at + H_SUM + 4, at + HEADER_BYTES],
    [sendsStart, sendsEnd],
    [bodyStart, bodyEnd],
  ];
}

function sumOf(batch: BatchReader, at: number, parts: readonly Part[]): number {
  const { bytes, view } = batch;
  const seed = batch.sumSeed(at);
  return parts.reduce((sum, [start, end]) => (end > start ? crc32Of(bytes, view, start, end, sum) : sum), seed);
}

function flip(bytes: Uint8Array, start: number, bit: number): void {
  bytes[start + (bit >>> 3)] = (bytes[start + (bit >>> 3)] as number) ^ (1 << (bit & 7));
}

function readBatch(bytes: Uint8Array): BatchReader | undefined {
  try {
    return new BatchReader(bytes);
  } catch (error) {
    if (error instanceof BlocksError) return undefined;
    throw error;
  }
}
