/**
 * Messages as CloudEvents, and CloudEvents as drafts of messages.
 *
 * Owns: which attribute says what. Required: `specversion`, `id`, `source`, `type`. Extensions of ours: `kind`, `target`,
 * `correlationid`, `causationid`, `idempotencykey`, `delivery`, `contractversion`; documented ones of CloudEvents: `partitionkey`
 * (the key), `expirytime`, `traceparent`, `tracestate`. An event without `kind` is an EVENT, from wherever it comes.
 *
 * Invariants:
 * EM1. Every attribute at fault is named, all at once.
 */
import { createHash } from 'node:crypto';
import type { DeliveryGuarantee, Message, MessageDraft, MessageKind } from '../../runtime/broker/contract/message.ts';
import { MalformedCloudEventError } from '../../runtime/kernel/errors.ts';
import type { EventObject } from './http-binding.ts';

const KINDS: readonly MessageKind[] = ['COMMAND', 'EVENT', 'QUERY'];
const DELIVERIES: readonly DeliveryGuarantee[] = ['AT_MOST_ONCE', 'AT_LEAST_ONCE', 'EXACTLY_ONCE'];
/** A message's id. */
const ID_LENGTH_LIMIT = 256;
const EXTENSION = /^[a-z0-9]{1,20}$/;
const OWN = new Set([
  'specversion',
  'id',
  'source',
  'type',
  'subject',
  'time',
  'datacontenttype',
  'dataschema',
  'data',
  'data_base64',
  'kind',
  'target',
  'correlationid',
  'causationid',
  'idempotencykey',
  'delivery',
  'contractversion',
  'partitionkey',
  'expirytime',
  'traceparent',
  'tracestate',
]);

export function eventOf(message: Message): EventObject {
  const { payload } = message;
  const event: Record<string, unknown> = {
    ...message.extensions,
    specversion: '1.0',
    id: message.id,
    source: message.source,
    type: message.type,
    subject: message.subject,
    time: new Date(message.timeMs).toISOString(),
    kind: message.kind,
    target: message.target,
    correlationid: message.correlationId,
    causationid: message.causationId,
    idempotencykey: message.idempotencyKey,
    delivery: message.delivery,
    contractversion: message.contractVersion,
    partitionkey: message.key,
    expirytime: message.expiresAtMs === undefined ? undefined : new Date(message.expiresAtMs).toISOString(),
    traceparent: message.traceparent,
    tracestate: message.tracestate,
    ...(payload instanceof Uint8Array
      ? { datacontenttype: 'application/octet-stream', data_base64: Buffer.from(payload).toString('base64') }
      : payload === undefined
        ? {}
        : { datacontenttype: 'application/json', data: payload }),
  };
  return Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined));
}

/** @throws MalformedCloudEventError with all faults */
export function draftOf(event: EventObject, nowMs: number): MessageDraft {
  const faults: string[] = [];
  const text = (name: string, required = false): string | undefined => {
    const value = event[name];
    if (value === undefined && !required) return undefined;
    if (typeof value === 'string' && value !== '') return value;
    faults.push(value === undefined ? `${name}: is missing` : `${name}: ${JSON.stringify(value)} is no text`);
    return undefined;
  };
  const oneOf = <T extends string>(name: string, values: readonly T[]): T | undefined => {
    const value = text(name);
    if (value === undefined || values.includes(value as T)) return value as T | undefined;
    faults.push(`${name}: ${JSON.stringify(value)} is none of ${values.join(', ')}`);
    return undefined;
  };
  const time = (name: string): number | undefined => {
    const value = text(name);
    const ms = value === undefined ? undefined : Date.parse(value);
    if (ms !== undefined && Number.isNaN(ms)) faults.push(`${name}: ${JSON.stringify(value)} is no time of RFC 3339`);
    return ms;
  };
  if (event['specversion'] !== '1.0') {
    faults.push(`specversion: ${JSON.stringify(event['specversion']) ?? 'is missing, expected'} is not "1.0"`);
  }
  const id = text('id', true);
  const source = text('source', true);
  const type = text('type', true);
  const target = text('target');
  // Without a target, a kind that is none of ours is an extension of whoever sent it.
  const isOurs = target !== undefined || KINDS.includes(event['kind'] as MessageKind);
  const kind = isOurs ? oneOf('kind', KINDS) : undefined;
  const expiresMs = time('expirytime');
  time('time');
  if (kind !== undefined && kind !== 'EVENT' && target === undefined) faults.push(`target: is missing, for a ${kind}`);
  const version = event['contractversion'];
  const contractVersion = version === undefined ? undefined : Number(version);
  if (contractVersion !== undefined && !Number.isInteger(contractVersion)) {
    faults.push(`contractversion: ${JSON.stringify(version)} is no whole number`);
  }
  const extensions = extensionsOf(event, isOurs, faults);
  const draft = {
    id: isOurs || id === undefined || source === undefined ? id : foreignId(source, id),
    source,
    type,
    kind: kind ?? 'EVENT',
    target,
    payload: payloadOf(event, faults),
    correlationId: text('correlationid'),
    causationId: text('causationid'),
    idempotencyKey: text('idempotencykey'),
    delivery: oneOf('delivery', DELIVERIES),
    key: text('partitionkey'),
    contractVersion,
    traceparent: text('traceparent'),
    tracestate: text('tracestate'),
    extensions: Object.keys(extensions).length === 0 ? undefined : extensions,
    ttlMs: expiresMs === undefined ? undefined : Math.max(1, expiresMs - nowMs),
  };
  if (faults.length > 0) {
    throw new MalformedCloudEventError(`no CloudEvent 1.0: ${faults.join('; ')}`, { details: { faults } });
  }
  return Object.fromEntries(
    Object.entries(draft).filter(([, value]) => value !== undefined),
  ) as unknown as MessageDraft;
}

/** CloudEvents' ids are unique for each source, those of messages everywhere. */
export function foreignId(source: string, id: string): string {
  const whole = `${source}#${id}`;
  return whole.length <= ID_LENGTH_LIMIT ? whole : createHash('sha256').update(whole).digest('hex');
}

function payloadOf(event: EventObject, faults: string[]): unknown {
  const { data, data_base64: base64 } = event;
  if (base64 === undefined) return data;
  if (data !== undefined) faults.push('data and data_base64: only one of them can be there');
  if (typeof base64 !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) {
    faults.push('data_base64: is no base64');
    return undefined;
  }
  return new Uint8Array(Buffer.from(base64, 'base64'));
}

function extensionsOf(
  event: EventObject,
  isOurs: boolean,
  faults: string[],
): Record<string, string | number | boolean> {
  const extensions: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(event)) {
    if (OWN.has(name) && !(name === 'kind' && !isOurs)) continue;
    const isScalar = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
    if (EXTENSION.test(name) && isScalar) extensions[name] = value;
    else
      faults.push(
        `${name}: an extension is named by up to 20 small letters and digits, and is text, a number or a boolean`,
      );
  }
  return extensions;
}
