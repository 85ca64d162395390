/**
 * CloudEvents over HTTP: an event as headers and body, and back.
 *
 * Owns: the binary and the structured content mode of the HTTP protocol binding, version 1.0.2
 * (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md). Batches are refused. What the
 * attributes mean is not looked at here.
 *
 * Invariants:
 * HB1. `eventFrom(encode(event))` is the event, in both modes, as far as JSON goes.
 * HB2. What is no event is refused with the attribute or header that is at fault.
 */
import { InvalidMessageError, MalformedCloudEventError } from '../../runtime/kernel/errors.ts';

/** An event in JSON form: attributes, and `data` or `data_base64`. */
export type EventObject = Readonly<Record<string, unknown>>;

export type ContentMode = 'binary' | 'structured';

export interface HttpEvent {
  readonly headers: Record<string, string>;
  readonly body: Uint8Array | undefined;
}

/** The content type of a request is none that can be read here. */
export class UnsupportedContentError extends InvalidMessageError {}

const STRUCTURED = 'application/cloudevents+json';
const BATCH = 'application/cloudevents-batch+json';
const JSON_TYPE = 'application/json';
const BYTES_TYPE = 'application/octet-stream';
const PREFIX = 'ce-';

const encoder = new TextEncoder();

export function encodeEvent(event: EventObject, mode: ContentMode): HttpEvent {
  if (mode === 'structured') {
    return { headers: { 'content-type': `${STRUCTURED}; charset=utf-8` }, body: encoder.encode(JSON.stringify(event)) };
  }
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(event)) {
    if (name === 'data' || name === 'data_base64' || name === 'datacontenttype' || value === undefined) continue;
    headers[PREFIX + name] = toHeader(String(value));
  }
  const { data, data_base64: base64, datacontenttype } = event;
  if (typeof base64 === 'string') {
    headers['content-type'] = typeof datacontenttype === 'string' ? datacontenttype : BYTES_TYPE;
    return { headers, body: Buffer.from(base64, 'base64') };
  }
  if (data === undefined) return { headers, body: undefined };
  const type = typeof datacontenttype === 'string' ? datacontenttype : JSON_TYPE;
  headers['content-type'] = type;
  const text = isJson(mediaTypeOf(type)) || typeof data !== 'string' ? JSON.stringify(data) : data;
  return { headers, body: encoder.encode(text) };
}

/**
 * The event of a request.
 *
 * @throws MalformedCloudEventError, UnsupportedContentError
 */
export function eventFrom(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  body: Uint8Array,
): EventObject {
  const contentType = headerOf(headers, 'content-type');
  const mediaType = mediaTypeOf(contentType);
  assertUtf8(contentType);
  if (mediaType === BATCH) {
    throw new UnsupportedContentError(`content-type ${BATCH}: batches are not taken; send one event a request`);
  }
  if (mediaType === STRUCTURED) return structured(body);
  if (mediaType.startsWith('application/cloudevents')) {
    throw new UnsupportedContentError(
      `content-type ${mediaType}: of the event formats only ${STRUCTURED} is read here`,
    );
  }
  return binary(headers, mediaType, contentType, body);
}

/** A body by its content type: JSON as a value, text as a string, anything else as bytes; undefined when it is empty. */
export function decodeBody(contentType: string, body: Uint8Array): unknown {
  if (body.length === 0) return undefined;
  const mediaType = mediaTypeOf(contentType);
  if (isJson(mediaType)) return parse(body, 'body');
  return mediaType.startsWith('text/') ? textOf(body, 'body') : new Uint8Array(body);
}

function structured(body: Uint8Array): EventObject {
  const event = parse(body, 'event');
  if (typeof event !== 'object' || event === null || Array.isArray(event)) {
    throw new MalformedCloudEventError('the event is no JSON object');
  }
  return event as EventObject;
}

function binary(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  mediaType: string,
  contentType: string,
  body: Uint8Array,
): EventObject {
  const event: Record<string, unknown> = {};
  for (const name of Object.keys(headers)) {
    if (name.startsWith(PREFIX)) event[name.slice(PREFIX.length)] = fromHeader(headerOf(headers, name), name);
  }
  if (Object.keys(event).length === 0) {
    throw new UnsupportedContentError(
      `content-type ${mediaType === '' ? 'is missing' : mediaType} and there are no ce- headers: send a CloudEvent, ` +
        `structured (${STRUCTURED}) or binary (ce-id, ce-source, ce-type, ce-specversion)`,
    );
  }
  if (body.length === 0) return event;
  if (isJson(mediaType) || mediaType === '') return { ...event, datacontenttype: JSON_TYPE, data: parse(body, 'data') };
  if (mediaType.startsWith('text/')) return { ...event, datacontenttype: contentType, data: textOf(body, 'data') };
  if (mediaType === BYTES_TYPE) {
    return { ...event, datacontenttype: contentType, data_base64: Buffer.from(body).toString('base64') };
  }
  throw new UnsupportedContentError(`content-type ${mediaType}: data is JSON, text or ${BYTES_TYPE}`);
}

function headerOf(headers: Readonly<Record<string, string | readonly string[] | undefined>>, name: string): string {
  const value = headers[name];
  return typeof value === 'string' ? value : (value?.join(', ') ?? '');
}

function mediaTypeOf(contentType: string): string {
  return (contentType.split(';')[0] ?? '').trim().toLowerCase();
}

function isJson(mediaType: string): boolean {
  return mediaType === JSON_TYPE || mediaType.endsWith('+json');
}

function assertUtf8(contentType: string): void {
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(contentType)?.[1];
  if (charset === undefined || /^(?:utf-?8|us-ascii)$/i.test(charset)) return;
  throw new UnsupportedContentError(`content-type: charset ${charset} is not read here; send UTF-8`);
}

function textOf(body: Uint8Array, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch (error) {
    throw new MalformedCloudEventError(`${what} is no UTF-8`, { cause: error });
  }
}

function parse(body: Uint8Array, what: string): unknown {
  const text = textOf(body, what);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new MalformedCloudEventError(
      `${what} is no JSON: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  }
}

/** 3.1.3.2: space, quotes, percent and everything but printable ASCII are percent-encoded. */
function toHeader(value: string): string {
  return value.replace(/[^!#$&-~]/gu, (character) =>
    [...encoder.encode(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

function fromHeader(value: string, name: string): string {
  if (!value.includes('%')) return value;
  try {
    return decodeURIComponent(value);
  } catch (error) {
    throw new MalformedCloudEventError(`${name}: ${JSON.stringify(value)} is not percent-encoded UTF-8`, {
      cause: error,
    });
  }
}
