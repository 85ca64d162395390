/**
 * The blocks that a link puts on its port: a frame, a count of accepted frames, a word of its owner's, or the end.
 *
 * Layout: kind (byte), seven bytes of zero, frames accepted so far from the other direction (float64), then the body: a frame
 * (`wire/frame-codec.ts`), nothing, or the word or the reason as a value.
 *
 * Invariants:
 * Q1. Every block reports what was accepted, so that an acceptance never needs a block while frames are flowing.
 */
import { FrameError } from '../kernel/errors.ts';
import { decodeValue, encodeValue } from '../wire/value-codec.ts';

export const PACKET_HEADER_BYTES = 16;

const KIND = { frame: 1, accepted: 2, end: 3, word: 4 } as const;

export type LinkPacket =
  | { readonly kind: 'frame' | 'accepted'; readonly accepted: number }
  | { readonly kind: 'word'; readonly accepted: number; readonly word: unknown }
  | { readonly kind: 'end'; readonly accepted: number; readonly reason: unknown };

/** Fills in the header of a frame that was encoded with `PACKET_HEADER_BYTES` in reserve. */
export function markAsFrame(bytes: Uint8Array<ArrayBuffer>, accepted: number): void {
  writeHeader(bytes, KIND.frame, accepted);
}

export function acceptedPacket(accepted: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(PACKET_HEADER_BYTES);
  writeHeader(bytes, KIND.accepted, accepted);
  return bytes;
}

/** A reason that cannot be carried is left out: the end itself must get through. */
export function endPacket(accepted: number, reason: unknown): Uint8Array<ArrayBuffer> {
  let body: Uint8Array;
  try {
    body = encodeValue(reason);
  } catch {
    body = encodeValue(undefined);
  }
  return packetOf(KIND.end, accepted, body);
}

export function wordPacket(accepted: number, word: unknown): Uint8Array<ArrayBuffer> {
  return packetOf(KIND.word, accepted, encodeValue(word));
}

/** What a block is. Throws `FrameError`. The body of a frame begins at `PACKET_HEADER_BYTES`. */
export function readPacket(bytes: Uint8Array): LinkPacket {
  if (bytes.length < PACKET_HEADER_BYTES)
    throw new FrameError(`a block of ${bytes.length} bytes is too short for a link`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, PACKET_HEADER_BYTES);
  const accepted = view.getFloat64(8);
  switch (view.getUint8(0)) {
    case KIND.frame:
      return { kind: 'frame', accepted };
    case KIND.accepted:
      return { kind: 'accepted', accepted };
    case KIND.end:
      return { kind: 'end', accepted, reason: decodeValue(bytes.subarray(PACKET_HEADER_BYTES)) };
    case KIND.word:
      return { kind: 'word', accepted, word: decodeValue(bytes.subarray(PACKET_HEADER_BYTES)) };
    default:
      throw new FrameError(`a block of kind ${view.getUint8(0)} is unknown to a link`);
  }
}

function packetOf(kind: number, accepted: number, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(PACKET_HEADER_BYTES + body.length);
  bytes.set(body, PACKET_HEADER_BYTES);
  writeHeader(bytes, kind, accepted);
  return bytes;
}

function writeHeader(bytes: Uint8Array<ArrayBuffer>, kind: number, accepted: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, PACKET_HEADER_BYTES);
  view.setUint8(0, kind);
  view.setFloat64(8, accepted);
}
