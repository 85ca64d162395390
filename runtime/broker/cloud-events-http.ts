/**
 * CloudEvents over HTTP (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md): in binary mode
 * attributes are headers and the body is the data; in structured mode the body is all of it.
 *
 * Owns: headers and bodies, no sockets. In binary mode every attribute is text: an extension that was a number comes back as text.
 *
 * Invariants:
 * CH1. A message that goes out in either mode comes back as it was, but for that.
 */
import { dataOf, familyOf, JSON_TYPE, mediaTypeOf, payloadOfBytes } from './cloud-event-data.ts';
import {
  attributesOf,
  attributeValue,
  cloudEventOf,
  contentTypeOf,
  malformed,
  messageOfAttributes,
  messageOfCloudEvent,
  type ReadOptions,
} from './cloud-events.ts';
import type { Message } from './contract/message.ts';
import { CLOUD_EVENT_ATTRIBUTES_LIMIT } from '../kernel/limits.ts';

/** Headers by lower case name, and a body. */
export interface HttpEvent {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** Headers as `node:http` or `fetch` give them. */
export type HttpHeaders =
  | Readonly<Record<string, string | readonly string[] | undefined>>
  | Iterable<readonly [name: string, value: string]>;

const PREFIX = 'ce-';
const STRUCTURED_TYPE = 'application/cloudevents+json';
const BATCH_TYPE = 'application/cloudevents-batch';
const EMPTY = new Uint8Array(0);

/**
 * `message` in binary mode.
 *
 * @throws InvalidMessageError, UnserializableValueError, MessageTooLargeError as `cloudEventOf`
 */
export function binaryHttpOf(message: Message): HttpEvent {
  const headers: Record<string, string> = {};
  for (const [name, value] of attributesOf(message)) headers[PREFIX + name] = escaped(String(value));
  const data = dataOf(message.payload, contentTypeOf(message));
  if (data.kind === 'none') return { headers, body: EMPTY };
  headers['content-type'] = data.contentType;
  switch (data.kind) {
    case 'json':
      return { headers, body: new TextEncoder().encode(JSON.stringify(data.value)) };
    case 'text':
      return { headers, body: new TextEncoder().encode(data.text) };
    case 'bytes':
      return { headers, body: data.bytes };
  }
}

/** `message` in structured mode; throws as `cloudEventOf`. */
export function structuredHttpOf(message: Message): HttpEvent {
  return {
    headers: { 'content-type': `${STRUCTURED_TYPE}; charset=utf-8` },
    body: new TextEncoder().encode(JSON.stringify(cloudEventOf(message))),
  };
}

/**
 * The message of a request or response in either mode; its content type says which one it is.
 *
 * @throws MalformedCloudEventError
 */
export function messageOfHttp(headers: HttpHeaders, body: Uint8Array, options: ReadOptions): Message {
  const byName = headersOf(headers);
  const contentType = byName.get('content-type');
  const mediaType = contentType === undefined ? undefined : mediaTypeOf(contentType);
  if (mediaType?.startsWith(BATCH_TYPE) === true)
    throw malformed('data', 'batches are not read: send the events one by one');
  if (mediaType === STRUCTURED_TYPE) return messageOfCloudEvent(payloadOfBytes(body, JSON_TYPE), options);
  if (mediaType?.startsWith('application/cloudevents') === true)
    throw malformed('datacontenttype', `${mediaType} is not read: the event format must be JSON`);
  const attributes = new Map<string, string | number | boolean>();
  for (const [name, value] of byName) {
    if (!name.startsWith(PREFIX)) continue;
    const attribute = name.slice(PREFIX.length);
    if (attributes.size >= CLOUD_EVENT_ATTRIBUTES_LIMIT)
      throw malformed(attribute, `there are more than ${CLOUD_EVENT_ATTRIBUTES_LIMIT} attributes`);
    if (attribute === 'datacontenttype') throw malformed(attribute, 'over HTTP it is the header Content-Type');
    attributes.set(attribute, attributeValue(attribute, unescaped(attribute, value)));
  }
  // Text and bytes may be empty; JSON is never.
  const isAbsent = body.length === 0 && familyOf(contentType ?? JSON_TYPE) === 'json';
  const payload = isAbsent ? undefined : payloadOfBytes(body, contentType ?? JSON_TYPE);
  if (contentType !== undefined) attributes.set('datacontenttype', contentType);
  return messageOfAttributes(attributes, payload, options);
}

function headersOf(headers: HttpHeaders): ReadonlyMap<string, string> {
  const entries = Symbol.iterator in headers ? [...headers] : Object.entries(headers);
  return new Map(
    entries
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name.toLowerCase(), typeof value === 'string' ? value : (value ?? []).join(', ')]),
  );
}

/** Section 3.1.3.2: everything but printable ASCII, and of that the blank, the quotation mark and the percent sign. */
function escaped(value: string): string {
  return value.replace(/[^\x21\x23\x24\x26-\x7e]+/gu, (text) =>
    Array.from(new TextEncoder().encode(text), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(
      '',
    ),
  );
}

function unescaped(attribute: string, value: string): string {
  const text = /^".*"$/.test(value) ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value;
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw malformed(attribute, 'a percent sign in it is followed by what is no UTF-8', cause);
  }
}
