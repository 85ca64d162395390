/**
 * A message as JetStream keeps it: the length of what is about it, that as two lines of JSON, the payload.
 *
 * Owns: both directions. Bytes of somebody else give undefined.
 */
import type { CarriedMessage } from '../../broker-adapter.ts';
import { decodeHeader, encodeHeader } from '../carried-bytes.ts';

const LENGTH_BYTES = 4;

/** What is sent beside a message: the process that waits for its receipt, what tells one try to send it from another, redrives. */
export interface FrameFacts {
  readonly process?: string;
  readonly token?: number;
  readonly redrives?: number;
}

export interface Frame {
  readonly message: CarriedMessage;
  readonly facts: FrameFacts;
}

export function encodeFrame(message: CarriedMessage, facts: FrameFacts): Uint8Array {
  return joined(`${JSON.stringify(facts)}\n${encodeHeader(message.header)}`, message.payload);
}

export function decodeFrame(bytes: Uint8Array): Frame | undefined {
  const parts = parted(bytes);
  if (parts === undefined) return undefined;
  const end = parts.text.indexOf('\n');
  const header = decodeHeader(parts.text.slice(end + 1));
  if (header === undefined || end < 0) return undefined;
  try {
    const facts = JSON.parse(parts.text.slice(0, end)) as FrameFacts;
    return { message: { header, payload: parts.payload }, facts };
  } catch {
    return undefined;
  }
}

/** Any JSON with bytes behind it. */
export function joined(text: string, payload: Uint8Array): Uint8Array {
  const length = Buffer.byteLength(text);
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + length + payload.length);
  bytes.writeUInt32BE(length, 0);
  bytes.write(text, LENGTH_BYTES);
  bytes.set(payload, LENGTH_BYTES + length);
  return bytes;
}

export function parted(bytes: Uint8Array): { readonly text: string; readonly payload: Uint8Array } | undefined {
  if (bytes.length < LENGTH_BYTES) return undefined;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = LENGTH_BYTES + view.readUInt32BE(0);
  if (end > view.length) return undefined;
  return { text: view.toString('utf8', LENGTH_BYTES, end), payload: view.subarray(end) };
}
