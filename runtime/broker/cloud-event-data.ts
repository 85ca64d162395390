/**
 * A payload as the data of a CloudEvent, and back: JSON where JSON says all of it, bytes where it does not.
 *
 * Owns: media types and what they make of a payload. Attributes are `cloud-events.ts`.
 *
 * Invariants:
 * CD1. What `dataOf` gives, `payloadOfData` and `payloadOfBytes` give back as it was, but for properties that are undefined: JSON
 *      leaves them out.
 */
import { MalformedCloudEventError } from '../kernel/errors.ts';
import { MESSAGE_DEPTH_LIMIT } from '../kernel/limits.ts';
import { isPlain } from '../wire/value-kind.ts';
import { decodeValue, encodeValue } from '../wire/value-codec.ts';

/** What JSON cannot say (dates, maps, bigints, undefined in a list, …) goes as our own encoding. */
export const PACKED_TYPE = 'application/vnd.collaborative-blocks.value';
export const JSON_TYPE = 'application/json';
const BYTES_TYPE = 'application/octet-stream';

/** Data of an event, and what it is. */
export type EventData =
  | { readonly kind: 'none' }
  | { readonly kind: 'json'; readonly value: unknown; readonly contentType: string }
  /** Text that is not JSON, as XML is. */
  | { readonly kind: 'text'; readonly text: string; readonly contentType: string }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array; readonly contentType: string };

/** `contentType`: what the payload was when it came from elsewhere. */
export function dataOf(payload: unknown, contentType: string | undefined): EventData {
  if (payload === undefined) return { kind: 'none' };
  const given = contentType === undefined ? undefined : { contentType, family: familyOf(contentType) };
  if (payload instanceof Uint8Array) {
    const isOther = given !== undefined && given.family === 'bytes' && mediaTypeOf(given.contentType) !== PACKED_TYPE;
    return { kind: 'bytes', bytes: payload, contentType: isOther ? given.contentType : BYTES_TYPE };
  }
  if (typeof payload === 'string' && given?.family === 'text')
    return { kind: 'text', text: payload, contentType: given.contentType };
  if (isJson(payload, 0))
    return { kind: 'json', value: payload, contentType: given?.family === 'json' ? given.contentType : JSON_TYPE };
  return { kind: 'bytes', bytes: encodeValue(payload).slice(), contentType: PACKED_TYPE };
}

/** The payload that was in `data` of a structured event. */
export function payloadOfData(data: unknown): unknown {
  if (!isJson(data, 0)) throw malformedData(`it is no JSON, or nested deeper than ${MESSAGE_DEPTH_LIMIT}`);
  return data;
}

/** The payload that was in `data_base64`, or in the body of a request. */
export function payloadOfBytes(bytes: Uint8Array, contentType: string): unknown {
  if (mediaTypeOf(contentType) === PACKED_TYPE) {
    try {
      return decodeValue(bytes);
    } catch (cause) {
      throw malformedData(cause instanceof Error ? cause.message : String(cause), cause);
    }
  }
  const family = familyOf(contentType);
  if (family === 'bytes') return bytes;
  let value: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    value = family === 'text' ? text : (JSON.parse(text) as unknown);
  } catch (cause) {
    throw malformedData(`it is no ${family === 'text' ? 'UTF-8 text' : 'JSON'}`, cause);
  }
  return family === 'text' ? value : payloadOfData(value);
}

/** How data of a media type is read: RFC 6839 for `+json` and `+xml`. */
export function familyOf(contentType: string): 'json' | 'text' | 'bytes' {
  const type = mediaTypeOf(contentType);
  if (type === JSON_TYPE || type === 'text/json' || type.endsWith('+json')) return 'json';
  if (type.startsWith('text/') || type === 'application/xml' || type.endsWith('+xml')) return 'text';
  return 'bytes';
}

export function mediaTypeOf(contentType: string): string {
  return (contentType.split(';')[0] as string).trim().toLowerCase();
}

/** Whether JSON text gives `value` back, but for undefined properties. */
function isJson(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed();
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0);
    case 'object':
      break;
    default:
      return false;
  }
  if (value === null) return true;
  if (depth >= MESSAGE_DEPTH_LIMIT || !isPlain(value)) return false;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) if (!isJson(value[i], depth + 1)) return false;
    return true;
  }
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return false;
  return Object.entries(value).every(
    ([key, inner]) => key !== '__proto__' && key.isWellFormed() && (inner === undefined || isJson(inner, depth + 1)),
  );
}

function malformedData(why: string, cause?: unknown): MalformedCloudEventError {
  return new MalformedCloudEventError(`the CloudEvent is malformed: data: ${why}`, {
    cause,
    details: { attribute: 'data' },
  });
}
