/**
 * Many messages as few values: their bytes in one piece, and what is said of them in lists of one kind each.
 *
 * Owns: the forms of a batch on its way to a queue, and of hand-outs on their way from it. A tuple with bytes of its own for each
 * message takes three times as long to pack, and each batch is packed three times: for the way, for the journal, and for the way back.
 *
 * Invariants:
 * ET1. What comes out is what was put in, in order. The bytes are views of one piece, which lives as long as any of them.
 */
import type { WireHandOut, WireMessage } from './embedded-protocol.ts';

export interface PackedBatch {
  readonly ids: readonly string[];
  /** Null: the same as the one before. */
  readonly keys: readonly (string | null)[];
  /** Of those that have any: place, deduplication key, expiry, earliest time. */
  readonly rest: readonly (readonly [at: number, dedupe: string | null, expiresAtMs: number, notBeforeMs: number])[];
  readonly sizes: readonly number[];
  readonly bytes: Uint8Array;
}

export interface PackedHandOuts {
  /** Six for each: number, lease, attempt, first time, redrives, size. */
  readonly numbers: readonly number[];
  readonly bytes: Uint8Array;
}

const FIELDS = 6;
const NO_BYTES = new Uint8Array(0);
const NO_HAND_OUTS: PackedHandOuts = { numbers: [], bytes: NO_BYTES };

export function packBatch(messages: readonly WireMessage[]): PackedBatch {
  const ids: string[] = [];
  const keys: (string | null)[] = [];
  const rest: (readonly [number, string | null, number, number])[] = [];
  const sizes: number[] = [];
  let size = 0;
  let lastKey: string | undefined;
  for (const [at, [id, key, dedupe, expiresAtMs, notBeforeMs, bytes]] of messages.entries()) {
    ids.push(id);
    keys.push(key === lastKey ? null : key);
    lastKey = key;
    if (dedupe !== null || expiresAtMs !== 0 || notBeforeMs !== 0) rest.push([at, dedupe, expiresAtMs, notBeforeMs]);
    sizes.push(bytes.length);
    size += bytes.length;
  }
  return { ids, keys, rest, sizes, bytes: joined(messages, size) };
}

function joined(messages: readonly WireMessage[], size: number): Uint8Array {
  const all = new Uint8Array(size);
  let offset = 0;
  for (const message of messages) {
    all.set(message[5], offset);
    offset += message[5].length;
  }
  return all;
}

export function eachOfBatch(batch: PackedBatch, each: (message: WireMessage) => void): void {
  const { ids, keys, rest, sizes, bytes } = batch;
  let key = '';
  let offset = 0;
  let nextRest = 0;
  for (let at = 0; at < ids.length; at++) {
    key = keys[at] ?? key;
    const size = sizes[at] as number;
    const own = bytes.subarray(offset, offset + size);
    offset += size;
    const more = rest[nextRest];
    if (more?.[0] === at) {
      nextRest += 1;
      each([ids[at] as string, key, more[1], more[2], more[3], own]);
    } else {
      each([ids[at] as string, key, null, 0, 0, own]);
    }
  }
}

export function packHandOuts(handOuts: readonly WireHandOut[]): PackedHandOuts {
  if (handOuts.length === 0) return NO_HAND_OUTS;
  const numbers: number[] = [];
  let size = 0;
  for (const [seq, lease, attempt, firstMs, redrives, bytes] of handOuts) {
    numbers.push(seq, lease, attempt, firstMs, redrives, bytes.length);
    size += bytes.length;
  }
  const all = new Uint8Array(size);
  let offset = 0;
  for (const handOut of handOuts) {
    all.set(handOut[5], offset);
    offset += handOut[5].length;
  }
  return { numbers, bytes: all };
}

export function unpackHandOuts({ numbers, bytes }: PackedHandOuts): WireHandOut[] {
  const handOuts: WireHandOut[] = [];
  let offset = 0;
  for (let at = 0; at < numbers.length; at += FIELDS) {
    const size = numbers[at + 5] as number;
    const own = bytes.subarray(offset, offset + size);
    offset += size;
    handOuts.push([
      numbers[at] as number,
      numbers[at + 1] as number,
      numbers[at + 2] as number,
      numbers[at + 3] as number,
      numbers[at + 4] as number,
      own,
    ]);
  }
  return handOuts;
}
