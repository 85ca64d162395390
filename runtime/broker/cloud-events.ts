/**
 * Messages as CloudEvents 1.0, and CloudEvents as messages
 * (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md, formats/json-format.md).
 *
 * Owns: attributes and their meaning. Data is `cloud-event-data.ts`, HTTP is `cloud-events-http.ts`.
 *
 * An attribute's name is lower case letters and digits. Ours, beside the specification's own: `kind`, `delivery`, `target`, `replyto`,
 * `notbefore`, `idempotencykey`, `retrypolicy`, `contractversion`, `messagesubject`; and of its documented extensions `correlationid`,
 * `causationid`, `partitionkey` (our `key`), `expirytime`, `traceparent`, `tracestate`.
 *
 * Invariants:
 * CE1. `messageOfCloudEvent(cloudEventOf(m))` is `m`, also through JSON text (but for undefined properties of the payload).
 * CE2. An event without a `kind` of ours is foreign: an EVENT, published to its `type`. What it has besides is in `extensions`, its own
 *      `subject`, `dataschema` and `datacontenttype` too, and goes out again as it came.
 * CE3. Nothing is guessed of a malformed event: it is refused with the attribute at fault.
 */
import { InvalidMessageError, MalformedCloudEventError } from '../kernel/errors.ts';
import { CLOUD_EVENT_ATTRIBUTES_LIMIT, VERSION_LIMIT } from '../kernel/limits.ts';
import { dataOf, familyOf, JSON_TYPE, payloadOfBytes, payloadOfData } from './cloud-event-data.ts';
import type {
  DeliveryGuarantee,
  Message,
  MessageExtensions,
  MessageKind,
  MessageRetryPolicy,
} from './contract/message.ts';
import { assertSubject } from './subjects.ts';

/** A CloudEvent in its JSON format, as an object. */
export interface CloudEvent {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject?: string;
  /** RFC 3339. */
  readonly time?: string;
  readonly datacontenttype?: string;
  readonly dataschema?: string;
  readonly data?: unknown;
  readonly data_base64?: string;
  /** Extensions. */
  readonly [name: string]: unknown;
}

export interface ReadOptions {
  /** The time of an event that does not say its own. */
  readonly nowMs: number;
  /** Where a foreign event is published. Default: its type. */
  readonly subject?: string;
}

/** Attributes by name, as text, numbers and booleans. */
export type Attributes = ReadonlyMap<string, string | number | boolean>;

const KINDS: readonly MessageKind[] = ['COMMAND', 'EVENT', 'QUERY', 'RESPONSE'];
const GUARANTEES: readonly DeliveryGuarantee[] = ['AT_MOST_ONCE', 'AT_LEAST_ONCE', 'EXACTLY_ONCE'];
/** Of a message, and none of its own extensions: `subject`, `dataschema` and `datacontenttype` may be of a foreign event. */
const OUR_NAMES = new Set([
  'specversion',
  'id',
  'source',
  'type',
  'time',
  'data',
  'kind',
  'delivery',
  'target',
  'replyto',
  'notbefore',
  'idempotencykey',
  'retrypolicy',
  'contractversion',
  'messagesubject',
  'correlationid',
  'causationid',
  'partitionkey',
  'expirytime',
  'traceparent',
  'tracestate',
]);
/** Of a foreign event these are among the extensions. */
const TEXTS = ['subject', 'dataschema'];
/** What the specification documents, and means the same in everybody's events. */
const DOCUMENTED = ['correlationid', 'causationid', 'partitionkey', 'expirytime', 'traceparent', 'tracestate'];

const NAME = /^[a-z0-9]+$/;
// The specification: no control characters, no halves of surrogate pairs.
const CONTROL = /\p{Cc}/u;
// RFC 3986 has no white space, no control characters and none of these in a URI reference; letters beyond ASCII are let pass.
const NO_URI = /[\s\p{Cc}<>"{}|\\^`]/u;
const TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;
const INT32 = 2 ** 31;

/**
 * `message` as a CloudEvent, in structured mode: `JSON.stringify` makes its text.
 *
 * @throws InvalidMessageError when an attribute cannot be one of a CloudEvent; UnserializableValueError, MessageTooLargeError of the payload
 */
export function cloudEventOf(message: Message): CloudEvent {
  const event: Record<string, unknown> = Object.fromEntries(attributesOf(message));
  const data = dataOf(message.payload, contentTypeOf(message));
  if (data.kind !== 'none') event['datacontenttype'] = data.contentType;
  if (data.kind === 'json') event['data'] = data.value;
  else if (data.kind === 'text') event['data'] = data.text;
  else if (data.kind === 'bytes') event['data_base64'] = Buffer.from(data.bytes).toString('base64');
  return event as unknown as CloudEvent;
}

/**
 * The message that `event`, an object in the JSON format, stands for.
 *
 * @throws MalformedCloudEventError with the name in `details.attribute`
 */
export function messageOfCloudEvent(event: unknown, options: ReadOptions): Message {
  if (typeof event !== 'object' || event === null || Array.isArray(event))
    throw malformed('specversion', 'an event is an object');
  const attributes = new Map<string, string | number | boolean>();
  const { data, data_base64: base64, ...others } = event as Record<string, unknown>;
  const names = Object.keys(others);
  if (names.length > CLOUD_EVENT_ATTRIBUTES_LIMIT)
    throw malformed(
      names[CLOUD_EVENT_ATTRIBUTES_LIMIT] as string,
      `there are more than ${CLOUD_EVENT_ATTRIBUTES_LIMIT} attributes`,
    );
  for (const name of names) {
    const value = others[name];
    // The JSON format: null is as if it were not there.
    if (value !== null && value !== undefined) attributes.set(name, attributeValue(name, value));
  }
  const contentType = attributes.get('datacontenttype') ?? JSON_TYPE;
  if (typeof contentType !== 'string') throw malformed('datacontenttype', 'it must be text');
  let payload: unknown;
  if (base64 !== undefined && base64 !== null) {
    if (data !== undefined && data !== null)
      throw malformed('data_base64', 'there is data too: only one of them may be there');
    payload = payloadOfBytes(bytesOf(base64), contentType);
  } else if (data !== undefined) payload = payloadOfData(data);
  return messageOfAttributes(attributes, payload, options);
}

/** Attributes of `message` as an event, without `datacontenttype`. */
export function attributesOf(message: Message): Attributes {
  const { extensions = {} } = message;
  const attributes = new Map<string, string | number | boolean>();
  const put = (name: string, value: string | number | boolean | undefined): void => {
    if (value !== undefined) attributes.set(name, checked(name, value));
  };
  put('specversion', '1.0');
  put('id', message.id);
  put('source', message.source);
  put('type', message.type);
  const foreignSubject = extensions['subject'];
  put('subject', foreignSubject ?? message.subject);
  if (foreignSubject !== undefined) put('messagesubject', message.subject);
  put('time', timeText('time', message.timeMs));
  put('kind', message.kind);
  put('delivery', message.delivery);
  put('target', message.target);
  put('correlationid', message.correlationId);
  put('causationid', message.causationId);
  put('replyto', message.replyTo);
  put('partitionkey', message.key);
  put('idempotencykey', message.idempotencyKey);
  put('expirytime', timeText('expirytime', message.expiresAtMs));
  put('notbefore', timeText('notbefore', message.notBeforeMs));
  put('retrypolicy', message.retry === undefined ? undefined : JSON.stringify(message.retry));
  // An Integer of the specification has 31 bits and a sign.
  const version = message.contractVersion;
  put('contractversion', version === undefined || version < INT32 ? version : String(version));
  put('traceparent', message.traceparent);
  put('tracestate', message.tracestate);
  for (const [name, value] of Object.entries(extensions)) {
    if (name === 'subject' || name === 'datacontenttype') continue;
    if (OUR_NAMES.has(name)) throw unfit(name, 'an extension may not have the name of an attribute');
    put(name, value);
  }
  return attributes;
}

/** What the payload was when it came in, if that was said. */
export function contentTypeOf({ extensions }: Message): string | undefined {
  const given = extensions?.['datacontenttype'];
  return typeof given === 'string' ? given : undefined;
}

/** The message of these attributes; each has passed `attributeValue`. */
export function messageOfAttributes(attributes: Attributes, payload: unknown, options: ReadOptions): Message {
  if (attributes.get('specversion') !== '1.0')
    throw malformed('specversion', `it must be "1.0", and is ${JSON.stringify(attributes.get('specversion'))}`);
  const read = new AttributeReader(attributes);
  const id = read.text('id');
  const source = read.text('source');
  if (NO_URI.test(source)) throw malformed('source', 'it must be a URI reference');
  const type = read.text('type');
  const kind = KINDS.find((one) => one === attributes.get('kind'));
  const taken = new Set(['specversion', 'id', 'source', 'type', 'time', ...DOCUMENTED]);
  const shared = {
    id,
    type,
    source,
    payload,
    timeMs: read.time('time') ?? options.nowMs,
    correlationId: read.optionalText('correlationid') ?? id,
    ...present('causationId', read.optionalText('causationid')),
    ...present('key', read.optionalText('partitionkey')),
    ...present('expiresAtMs', read.time('expirytime')),
    ...present('traceparent', read.optionalText('traceparent')),
    ...present('tracestate', read.optionalText('tracestate')),
  };
  if (kind === undefined) {
    const subject = options.subject ?? type;
    assertPublishable(subject, options.subject === undefined ? 'type' : 'subject');
    for (const name of TEXTS) read.optionalText(name);
    return { ...shared, kind: 'EVENT', subject, delivery: 'AT_LEAST_ONCE', ...extensionsOf(attributes, taken) };
  }
  for (const name of OUR_NAMES) taken.add(name);
  const moved = read.optionalText('messagesubject');
  const subject = moved ?? read.text('subject');
  if (moved === undefined) taken.add('subject');
  assertPublishable(subject, moved === undefined ? 'subject' : 'messagesubject');
  // Ours says so itself; only what another type was is worth keeping.
  if (isOwnContentType(attributes.get('datacontenttype'), payload)) taken.add('datacontenttype');
  const delivery = GUARANTEES.find((one) => one === attributes.get('delivery'));
  if (delivery === undefined) throw malformed('delivery', `it must be one of ${GUARANTEES.join(', ')}`);
  return {
    ...shared,
    kind,
    subject,
    delivery,
    ...present('target', read.optionalText('target')),
    ...present('replyTo', read.optionalText('replyto')),
    ...present('idempotencyKey', read.optionalText('idempotencykey')),
    ...present('notBeforeMs', read.time('notbefore')),
    ...present('retry', retryPolicy(read.optionalText('retrypolicy'))),
    ...present('contractVersion', read.version('contractversion')),
    ...extensionsOf(attributes, taken),
  };
}

/** `value` as an attribute's; throws `MalformedCloudEventError` when it cannot be one. */
export function attributeValue(name: string, value: unknown): string | number | boolean {
  const fault = faultOf(name, value);
  if (fault !== undefined) throw malformed(name, fault);
  return value as string | number | boolean;
}

export function malformed(attribute: string, why: string, cause?: unknown): MalformedCloudEventError {
  return new MalformedCloudEventError(`the CloudEvent is malformed: ${attribute}: ${why}`, {
    details: { attribute },
    ...(cause === undefined ? {} : { cause }),
  });
}

class AttributeReader {
  readonly #attributes: Attributes;

  constructor(attributes: Attributes) {
    this.#attributes = attributes;
  }

  text(name: string): string {
    const value = this.#attributes.get(name);
    if (value === undefined) throw malformed(name, 'it is missing');
    if (typeof value !== 'string' || value === '') throw malformed(name, 'it must be text that is not empty');
    return value;
  }

  optionalText(name: string): string | undefined {
    return this.#attributes.get(name) === undefined ? undefined : this.text(name);
  }

  time(name: string): number | undefined {
    const text = this.optionalText(name);
    if (text === undefined) return undefined;
    const timeMs = TIME.test(text) ? Date.parse(text) : Number.NaN;
    if (Number.isNaN(timeMs)) throw malformed(name, `${JSON.stringify(text)} is no time as in RFC 3339`);
    return timeMs;
  }

  version(name: string): number | undefined {
    const value = this.#attributes.get(name);
    if (value === undefined) return undefined;
    // Text over HTTP.
    const version = typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value;
    if (typeof version !== 'number' || version < 1 || version > VERSION_LIMIT)
      throw malformed(name, 'it must be an integer from 1 on');
    return version;
  }
}

function faultOf(name: string, value: unknown): string | undefined {
  if (!NAME.test(name)) return 'a name is made of lower case letters and digits';
  switch (typeof value) {
    case 'boolean':
      return undefined;
    case 'number':
      return Number.isInteger(value) && value >= -INT32 && value < INT32
        ? undefined
        : 'a number must be an integer of 32 bits';
    case 'string':
      if (!value.isWellFormed()) return 'half of a surrogate pair is no text';
      return CONTROL.test(value) ? 'control characters are not allowed' : undefined;
    default:
      return 'it must be text, an integer, true or false';
  }
}

/** An attribute on its way out. */
function checked(name: string, value: string | number | boolean): string | number | boolean {
  const isOwn = OUR_NAMES.has(name) || TEXTS.includes(name);
  const fault = value === '' && isOwn ? 'it is empty' : faultOf(name, value);
  if (fault !== undefined) throw unfit(name, fault);
  if (TEXTS.includes(name) && typeof value !== 'string') throw unfit(name, 'it must be text');
  if (name === 'source' && NO_URI.test(String(value))) throw unfit(name, 'it must be a URI reference');
  return value;
}

function unfit(attribute: string, why: string): InvalidMessageError {
  return new InvalidMessageError(`the message cannot be a CloudEvent: ${attribute}: ${why}`, {
    details: { attribute, faults: [`${attribute}: ${why}`] },
  });
}

function timeText(name: string, timeMs: number | undefined): string | undefined {
  if (timeMs === undefined) return undefined;
  const date = new Date(timeMs);
  const year = date.getUTCFullYear();
  // RFC 3339 has four digits for a year, and none for NaN.
  if (!(year >= 0 && year <= 9_999)) throw unfit(name, `${timeMs} ms is no time between the years 0 and 9999`);
  return date.toISOString();
}

function assertPublishable(subject: string, attribute: string): void {
  try {
    assertSubject(subject);
  } catch (cause) {
    throw malformed(attribute, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function bytesOf(base64: unknown): Uint8Array {
  // Buffer takes what is no base64 for its end.
  if (typeof base64 !== 'string' || !/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(base64))
    throw malformed('data_base64', 'it is no base64');
  return new Uint8Array(Buffer.from(base64, 'base64'));
}

function retryPolicy(text: string | undefined): MessageRetryPolicy | undefined {
  if (text === undefined) return undefined;
  let policy: unknown;
  try {
    policy = JSON.parse(text);
  } catch (cause) {
    throw malformed('retrypolicy', 'it is no JSON', cause);
  }
  if (typeof policy !== 'object' || policy === null || Array.isArray(policy))
    throw malformed('retrypolicy', 'it is no object');
  const { factor, initialMs, jitter, maxAttempts, maxMs, whenExhausted } = policy as Record<string, unknown>;
  for (const [name, value] of Object.entries({ factor, initialMs, maxAttempts, maxMs }))
    if (value !== undefined && (typeof value !== 'number' || value < 0))
      throw malformed('retrypolicy', `${name} is no number from 0 on`);
  if (jitter !== undefined && jitter !== 'full' && jitter !== 'none')
    throw malformed('retrypolicy', 'jitter must be full or none');
  if (whenExhausted !== undefined && whenExhausted !== 'letter' && whenExhausted !== 'answer')
    throw malformed('retrypolicy', 'whenExhausted must be letter or answer');
  return {
    ...present('factor', factor as number | undefined),
    ...present('initialMs', initialMs as number | undefined),
    ...present('jitter', jitter),
    ...present('maxAttempts', maxAttempts as number | undefined),
    ...present('maxMs', maxMs as number | undefined),
    ...present('whenExhausted', whenExhausted),
  };
}

/** Whether the payload alone says this type: then it is no fact about a foreign event. */
function isOwnContentType(contentType: string | number | boolean | undefined, payload: unknown): boolean {
  if (typeof contentType !== 'string') return true;
  const data = dataOf(payload, undefined);
  return data.kind !== 'none' && data.contentType === contentType && familyOf(contentType) !== 'text';
}

function extensionsOf(attributes: Attributes, taken: ReadonlySet<string>): { readonly extensions?: MessageExtensions } {
  const rest = [...attributes].filter(([name]) => !taken.has(name));
  return rest.length === 0 ? {} : { extensions: Object.fromEntries(rest) };
}

function present<Key extends string, Value>(key: Key, value: Value | undefined): { readonly [K in Key]?: Value } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [K in Key]?: Value });
}
