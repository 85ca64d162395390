/**
 * A carried message as one piece of bytes: packed once by its publisher, looked into by nobody until it is handed to a handler.
 *
 * Owns: the form. One byte (the form, and whether the id is ASCII), the lengths of id and envelope (two bytes each), the time (float64),
 * the id, the envelope, the payload. The envelope is what messages of one publisher mostly have in common: it is packed once and copied
 * from then on, and read once and compared. A payload is packed right into the piece that it travels in.
 *
 * Invariants:
 * EF1. `readMessage` of what `MessagePacker.pack` has written gives the message that was packed.
 */
import { MessageTooLargeError } from '../../kernel/errors.ts';
import { MESSAGE_BYTES_LIMIT } from '../../kernel/limits.ts';
import { type BytesPart, decodePart, encodePart, encodeValue } from '../../wire/value-codec.ts';
import type { CarriedMessage } from '../broker-adapter.ts';
import type { DeliveryGuarantee, Message, MessageKind } from '../contract/message.ts';

type Header = CarriedMessage['header'];

/** What a message travels in needs some room too. */
const BYTES_LIMIT = MESSAGE_BYTES_LIMIT - (32 << 10);
/** Bytes before the id. */
const FIXED_BYTES = 13;
const FORM = 0xd0;
const WIDE_ID = 1;
/** Bytes of UTF-8 that one of a string's units may need. */
const MOST_OF_A_UNIT = 3;

const KINDS: readonly MessageKind[] = ['COMMAND', 'EVENT', 'QUERY', 'RESPONSE'];
const DELIVERIES: readonly DeliveryGuarantee[] = ['AT_MOST_ONCE', 'AT_LEAST_ONCE', 'EXACTLY_ONCE'];

type Envelope = readonly [
  kind: number,
  delivery: number,
  type: string,
  /** Null when it is the type. */
  subject: string | null,
  source: string,
  /** Null when it is the id. */
  correlationId: string | null,
  /** What most messages have not. */
  rest: Partial<Message> | null,
];

/** Somewhere to write to: `reserve` sees to it that `room` bytes are free at `length`. */
export interface ByteRoom {
  readonly bytes: Buffer;
  length: number;
  reserve(room: number): void;
}

/** Packs messages, and keeps the envelope of the last one that had nothing of its own. */
export class MessagePacker {
  #last: Header | undefined;
  #lastEnvelope: Uint8Array = new Uint8Array(0);

  /**
   * Appends a message, and nothing when it throws. `isBytes`: the payload is bytes already.
   *
   * @throws UnserializableValueError, MessageTooLargeError
   */
  pack(room: ByteRoom, header: Header, payload: unknown, isBytes: boolean): void {
    const envelope = this.#envelopeOf(header);
    this.#write(room, header, envelope, isBytes ? wholeOf(payload as Uint8Array) : encodePart(payload));
  }

  #write(room: ByteRoom, header: Header, envelope: Uint8Array, payload: BytesPart): void {
    const { id } = header;
    const payloadSize = payload.end - payload.start;
    room.reserve(FIXED_BYTES + id.length * MOST_OF_A_UNIT + envelope.length + payloadSize);
    const { bytes, length: start } = room;
    const idEnd = writeId(bytes, start, id);
    bytes.writeUInt16BE(idEnd - start - FIXED_BYTES, start + 1);
    bytes.writeUInt16BE(envelope.length, start + 3);
    bytes.writeDoubleBE(header.timeMs, start + 5);
    bytes.set(envelope, idEnd);
    const payloadStart = idEnd + envelope.length;
    copyPart(payload, bytes, payloadStart);
    const end = payloadStart + payloadSize;
    if (end - start > BYTES_LIMIT) {
      throw new MessageTooLargeError(
        `message ${id} (${header.type}) has ${end - start} bytes, the limit is ${BYTES_LIMIT}: keep large data in a store of its own and send its address`,
        { details: { bytes: end - start, limit: BYTES_LIMIT } },
      );
    }
    room.length = end;
  }

  #envelopeOf(header: Header): Uint8Array {
    const { kind, delivery, type, subject, source, id, correlationId } = header;
    const rest = restOf(header);
    const isCommon = rest === null && correlationId === id;
    const last = this.#last;
    if (
      isCommon &&
      last?.type === type &&
      last.subject === subject &&
      last.source === source &&
      last.kind === kind &&
      last.delivery === delivery
    ) {
      return this.#lastEnvelope;
    }
    const envelope: Envelope = [
      KINDS.indexOf(kind),
      DELIVERIES.indexOf(delivery),
      type,
      subject === type ? null : subject,
      source,
      correlationId === id ? null : correlationId,
      rest,
    ];
    const bytes = encodeValue(envelope);
    if (bytes.length > 0xffff) {
      throw new MessageTooLargeError(
        `message ${id} (${type}) has ${bytes.length} bytes beside its payload, the limit is ${0xffff}: put into the payload what is large`,
        { details: { bytes: bytes.length, limit: 0xffff } },
      );
    }
    if (isCommon) {
      this.#last = header;
      this.#lastEnvelope = new Uint8Array(bytes);
    }
    return bytes;
  }
}

/** Ids are ASCII, nearly all of them, and short: a loop is faster than a call that would ask for it. */
function writeId(bytes: Buffer, start: number, id: string): number {
  const from = start + FIXED_BYTES;
  bytes[start] = FORM;
  for (let at = 0; at < id.length; at++) {
    const unit = id.charCodeAt(at);
    if (unit > 0x7f) {
      bytes[start] = FORM | WIDE_ID;
      return from + bytes.write(id, from, 'utf8');
    }
    bytes[from + at] = unit;
  }
  return from + id.length;
}

const wholeOf = (bytes: Uint8Array): BytesPart => ({ bytes, start: 0, end: bytes.length });

function copyPart({ bytes, start, end }: BytesPart, target: Uint8Array, at: number): void {
  target.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), at);
}

/** A piece of bytes with messages in it, in the two classes that they are read by. */
export interface Block {
  readonly text: Buffer;
  /** The same: a Buffer's `slice` would be no copy, and the decoder leaves a mark on what it reads. */
  readonly bytes: Uint8Array;
}

export function blockOf(bytes: Uint8Array): Block {
  const { buffer, byteOffset, length } = bytes;
  return { text: Buffer.from(buffer, byteOffset, length), bytes: new Uint8Array(buffer, byteOffset, length) };
}

/** The id of the message that begins at `start`. */
export function idAt(text: Buffer, start: number): string {
  const from = start + FIXED_BYTES;
  const isWide = text[start] !== FORM;
  return text.toString(isWide ? 'utf8' : 'latin1', from, from + text.readUInt16BE(start + 1));
}

/** A message in a block: the header is read at once, the payload when it is asked for. */
export interface ReadMessage {
  readonly header: Header;
  readonly payloadStart: number;
}

/** Reads messages, and keeps what the last envelope said. */
export class MessageReader {
  #last: Uint8Array = new Uint8Array(0);
  #said: Envelope | undefined;

  /** `redriven`: it is handled although its time is over. */
  read({ text, bytes }: Block, start: number, redriven: boolean): ReadMessage {
    const envelopeStart = start + FIXED_BYTES + text.readUInt16BE(start + 1);
    const payloadStart = envelopeStart + text.readUInt16BE(start + 3);
    const said = this.#envelope(bytes, envelopeStart, payloadStart);
    const [kind, delivery, type, subject, source, correlationId, rest] = said;
    const id = idAt(text, start);
    const header: Mutable<Header> = {
      id,
      kind: KINDS[kind] ?? 'EVENT',
      type,
      subject: subject ?? type,
      source,
      timeMs: text.readDoubleBE(start + 5),
      correlationId: correlationId ?? id,
      delivery: DELIVERIES[delivery] ?? 'AT_LEAST_ONCE',
    };
    if (rest !== null) Object.assign(header, rest);
    if (redriven) delete header.expiresAtMs;
    return { header, payloadStart };
  }

  #envelope(bytes: Uint8Array, start: number, end: number): Envelope {
    if (this.#said !== undefined && isSame(this.#last, bytes, start, end)) return this.#said;
    const said = decodePart(bytes, start, end) as Envelope;
    // One that says something of its message alone does not come again.
    if (said[5] === null && said[6] === null) {
      this.#last = bytes.slice(start, end);
      this.#said = said;
    }
    return said;
  }
}

function isSame(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let at = 0; at < known.length; at++) if (known[at] !== bytes[start + at]) return false;
  return true;
}

/** One message as bytes of its own, as letters and retained subjects keep it. */
export function unpackMessage(bytes: Uint8Array): CarriedMessage {
  const { header, payloadStart } = new MessageReader().read(blockOf(bytes), 0, false);
  return { header, payload: bytes.subarray(payloadStart) };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Most messages have none of these: to look at each costs less than to make an object of what is left. */
const REST = [
  'target',
  'expiresAtMs',
  'notBeforeMs',
  'causationId',
  'replyTo',
  'key',
  'idempotencyKey',
  'retry',
  'contractVersion',
  'traceparent',
  'tracestate',
  'extensions',
] as const satisfies readonly (keyof Header)[];

function restOf(header: Header): Partial<Message> | null {
  let rest: Record<string, unknown> | null = null;
  for (const name of REST) {
    const value = header[name];
    if (value === undefined) continue;
    rest ??= {};
    rest[name] = value;
  }
  return rest;
}
