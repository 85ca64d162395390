/**
 * Messages as brokers carry them: a header that anybody may read, and a payload that is bytes to everybody between sender and handler.
 *
 * Owns: making a payload bytes, once, and a message of both again; what a header must have. Which values can be payloads, and how large,
 * is `wire/value-codec.ts`; how a header is written is each adapter's.
 *
 * Invariants:
 * MC1. `messageOf(carried(m))` is `m`, in what `value-codec.ts` says that values keep.
 * MC2. A payload's bytes are its own: they may be kept, and posted to another thread.
 * MC3. Whatever comes from outside becomes a message or an `InvalidMessageError` with all faults; never half of one.
 */
import { InvalidMessageError } from '../kernel/errors.ts';
import { VERSION_LIMIT } from '../kernel/limits.ts';
import { decodeValue, encodeValue } from '../wire/value-codec.ts';
import type { CarriedMessage } from './broker-adapter.ts';
import type { DeliveryGuarantee, Message, MessageKind } from './contract/message.ts';
import { assertSubject } from './subjects.ts';

/** Everything of a message but its payload. */
export type MessageHeader = CarriedMessage['header'];

/**
 * A payload as bytes.
 *
 * @throws UnserializableValueError (with `details.path`), MessageTooLargeError
 */
export function encodePayload(payload: unknown): Uint8Array<ArrayBuffer> {
  // Out of the encoder's buffer, which is kept as long as any part of it.
  return new Uint8Array(encodeValue(payload));
}

/** The payload of `bytes`; throws `InvalidMessageError` when they are none. */
export function decodePayload(bytes: Uint8Array): unknown {
  try {
    return decodeValue(bytes);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidMessageError(`a payload cannot be read: ${why}`, {
      cause,
      details: { faults: [`payload: ${why}`] },
    });
  }
}

/** `message` as it is carried; throws as `encodePayload`. */
export function carried(message: Message): CarriedMessage {
  const { payload, ...header } = message;
  return { header, payload: encodePayload(payload) };
}

/** The message that was carried; throws `InvalidMessageError` when its payload cannot be read. */
export function messageOf({ header, payload }: CarriedMessage): Message {
  return { ...header, payload: decodePayload(payload) };
}

type Check = (value: unknown) => string | undefined;

const text: Check = (value) =>
  typeof value === 'string' && value !== '' ? undefined : 'must be text that is not empty';
const time: Check = (value) => (Number.isFinite(value) ? undefined : 'must be a time in ms');
const oneOf =
  (names: readonly string[]): Check =>
  (value) =>
    names.includes(value as string) ? undefined : `must be one of ${names.join(', ')}`;
const subject: Check = (value) => {
  try {
    assertSubject(value as string);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};
const version: Check = (value) =>
  Number.isInteger(value) && (value as number) >= 1 && (value as number) <= VERSION_LIMIT
    ? undefined
    : 'must be an integer from 1 on';
const retry: Check = (value) => {
  if (!isObject(value)) return 'must be an object';
  const { jitter, whenExhausted, ...numbers } = value;
  if (whenExhausted !== undefined && whenExhausted !== 'letter' && whenExhausted !== 'answer')
    return 'has a whenExhausted that is neither letter nor answer';
  if (jitter !== undefined && jitter !== 'full' && jitter !== 'none')
    return 'has a jitter that is neither full nor none';
  const wrong = ['maxAttempts', 'initialMs', 'maxMs', 'factor'].find((name) => {
    const one = numbers[name];
    return one !== undefined && !(Number.isFinite(one) && (one as number) >= 0);
  });
  return wrong === undefined ? undefined : `has a ${wrong} that is no number from 0 on`;
};
const extensions: Check = (value) => {
  if (!isObject(value)) return 'must be an object';
  const wrong = Object.entries(value).find(([, one]) => !['string', 'number', 'boolean'].includes(typeof one));
  return wrong === undefined ? undefined : `has ${JSON.stringify(wrong[0])}, which is no text, number or boolean`;
};

const KINDS: readonly MessageKind[] = ['COMMAND', 'EVENT', 'QUERY', 'RESPONSE'];
const GUARANTEES: readonly DeliveryGuarantee[] = ['AT_MOST_ONCE', 'AT_LEAST_ONCE', 'EXACTLY_ONCE'];

const REQUIRED: Readonly<Record<string, Check>> = {
  id: text,
  kind: oneOf(KINDS),
  type: text,
  subject,
  source: text,
  timeMs: time,
  correlationId: text,
  delivery: oneOf(GUARANTEES),
};
const OPTIONAL: Readonly<Record<string, Check>> = {
  target: text,
  expiresAtMs: time,
  notBeforeMs: time,
  causationId: text,
  replyTo: subject,
  key: text,
  idempotencyKey: text,
  retry,
  contractVersion: version,
  traceparent: text,
  tracestate: text,
  extensions,
};

/**
 * `value`, which came from outside, as a header: its known fields, each of its type. Unknown ones, as those of a newer version, are
 * left out; so are those that are undefined or null.
 *
 * @throws InvalidMessageError with all of `details.faults`
 */
export function headerOf(value: unknown): MessageHeader {
  if (!isObject(value)) throw malformed(['the header must be an object'], undefined);
  const faults: string[] = [];
  const header: Record<string, unknown> = {};
  for (const [name, check] of [...Object.entries(REQUIRED), ...Object.entries(OPTIONAL)]) {
    const field = Object.hasOwn(value, name) ? value[name] : undefined;
    if ((field === undefined || field === null) && name in OPTIONAL) continue;
    const fault = check(field);
    if (fault === undefined) header[name] = field;
    else faults.push(`${name}: ${fault}`);
  }
  if (faults.length > 0) throw malformed(faults, value['id']);
  return header as unknown as MessageHeader;
}

function malformed(faults: readonly string[], id: unknown): InvalidMessageError {
  return new InvalidMessageError(`a message is malformed: ${faults.join('; ')}`, {
    details: { faults, ...(typeof id === 'string' ? { id } : {}) },
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
