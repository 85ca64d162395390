/**
 * A carried message as one piece of bytes: packed once by its publisher, looked into by nobody until it is handed to a handler.
 *
 * Owns: the form: a list of fields by place, which is half as long as one with names and packed in half the time.
 *
 * Invariants:
 * EF1. `unpackMessage(packMessage(m))` is `m`.
 */
import { MessageTooLargeError } from '../../kernel/errors.ts';
import { MESSAGE_BYTES_LIMIT } from '../../kernel/limits.ts';
import { decodeValue, encodeValue } from '../../wire/value-codec.ts';
import type { CarriedMessage } from '../broker-adapter.ts';
import type { DeliveryGuarantee, Message, MessageKind } from '../contract/message.ts';

/** What a message travels in needs some room too. */
const BYTES_LIMIT = MESSAGE_BYTES_LIMIT - (32 << 10);

const KINDS: readonly MessageKind[] = ['COMMAND', 'EVENT', 'QUERY', 'RESPONSE'];
const DELIVERIES: readonly DeliveryGuarantee[] = ['AT_MOST_ONCE', 'AT_LEAST_ONCE', 'EXACTLY_ONCE'];

type Fields = readonly [
  kind: number,
  delivery: number,
  id: string,
  type: string,
  /** Null when it is the type. */
  subject: string | null,
  source: string,
  timeMs: number,
  /** Null when it is the id. */
  correlationId: string | null,
  payload: Uint8Array,
  /** What most messages have not. */
  rest: Partial<Message> | null,
];

export function packMessage({ header, payload }: CarriedMessage): Uint8Array {
  const { kind, delivery, id, type, subject, source, timeMs, correlationId } = header;
  const fields: Fields = [
    KINDS.indexOf(kind),
    DELIVERIES.indexOf(delivery),
    id,
    type,
    subject === type ? null : subject,
    source,
    timeMs,
    correlationId === id ? null : correlationId,
    payload,
    restOf(header),
  ];
  const bytes = encodeValue(fields);
  if (bytes.length <= BYTES_LIMIT) return bytes;
  throw new MessageTooLargeError(
    `message ${id} (${type}) has ${bytes.length} bytes, the limit is ${BYTES_LIMIT}: keep large data in a store of its own and send its address`,
    { details: { bytes: bytes.length, limit: BYTES_LIMIT } },
  );
}

/** `redriven`: it is handled although its time is over. */
export function unpackMessage(bytes: Uint8Array, redriven: boolean): CarriedMessage {
  const [kind, delivery, id, type, subject, source, timeMs, correlationId, payload, rest] = decodeValue(
    // The decoder leaves its own marks on what it reads: on a view, not on what a queue may still hold.
    bytes.subarray(),
  ) as Fields;
  const header: Mutable<CarriedMessage['header']> = {
    id,
    kind: KINDS[kind] ?? 'EVENT',
    type,
    subject: subject ?? type,
    source,
    timeMs,
    correlationId: correlationId ?? id,
    delivery: DELIVERIES[delivery] ?? 'AT_LEAST_ONCE',
  };
  if (rest !== null) Object.assign(header, rest);
  if (redriven) delete header.expiresAtMs;
  return { header, payload };
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
] as const satisfies readonly (keyof CarriedMessage['header'])[];

function restOf(header: CarriedMessage['header']): Partial<Message> | null {
  let rest: Record<string, unknown> | null = null;
  for (const name of REST) {
    const value = header[name];
    if (value === undefined) continue;
    rest ??= {};
    rest[name] = value;
  }
  return rest;
}
