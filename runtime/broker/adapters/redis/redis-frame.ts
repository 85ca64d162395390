/**
 * A message as Redis keeps it: the length of its header, a newline, the header, the payload. Scripts pass it on as it is.
 *
 * Owns: both directions. Bytes of somebody else give no header, and a payload that is all of them.
 */
import type { CarriedMessage } from '../../broker-adapter.ts';
import { decodeHeader, encodeHeader } from '../carried-bytes.ts';

const NEWLINE = 10;
const ZERO = 48;
const NINE = 57;
const DIGITS_LIMIT = 8;

export function encodeFrame({ header, payload }: CarriedMessage): Buffer {
  const text = encodeHeader(header);
  const length = Buffer.byteLength(text);
  const begin = `${length}\n`;
  const frame = Buffer.allocUnsafe(begin.length + length + payload.length);
  frame.write(begin, 0, 'latin1');
  frame.write(text, begin.length);
  frame.set(payload, begin.length + length);
  return frame;
}

export interface DecodedFrame {
  /** Undefined for what is none. */
  readonly header: CarriedMessage['header'] | undefined;
  readonly payload: Uint8Array;
}

export function decodeFrame(bytes: Uint8Array): DecodedFrame {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let length = 0;
  let at = 0;
  for (let digit = view[at] ?? 0; digit >= ZERO && digit <= NINE && at < DIGITS_LIMIT; digit = view[++at] ?? 0)
    length = length * 10 + digit - ZERO;
  const begin = at + 1;
  if (at === 0 || view[at] !== NEWLINE || begin + length > view.length) return { header: undefined, payload: view };
  return {
    header: decodeHeader(view.toString('utf8', begin, begin + length)),
    payload: view.subarray(begin + length),
  };
}
