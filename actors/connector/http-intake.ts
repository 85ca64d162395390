/**
 * One request to a server: its body within the bound, and the message that it is.
 *
 * Owns: what is taken at all. CloudEvents themselves are the broker's.
 *
 * Invariants:
 * HI1. Never more than `limitBytes` are kept; a length that is announced above it is refused before the first byte.
 * HI2. Where a message goes follows from its kind, target and type alone: nobody outside says a subject of the broker's own.
 */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { payloadOfBytes } from '../../runtime/broker/cloud-event-data.ts';
import { messageOfCloudEvent } from '../../runtime/broker/cloud-events.ts';
import { messageOfHttp } from '../../runtime/broker/cloud-events-http.ts';
import type { Message, MessageDraft } from '../../runtime/broker/contract/message.ts';
import {
  BlocksError,
  ConnectorUnavailableError,
  InvalidMessageError,
  MalformedCloudEventError,
  MessageExpiredError,
  MessageTooLargeError,
} from '../../runtime/kernel/errors.ts';
import { republished } from './republished.ts';

/** The content type of a request is none that can be read here. */
export class UnsupportedContentError extends InvalidMessageError {}

const STRUCTURED = 'application/cloudevents+json';
const KINDS: ReadonlySet<unknown> = new Set(['COMMAND', 'EVENT', 'QUERY']);
/** A message's id. */
const ID_LENGTH_LIMIT = 256;

export async function readBody(request: IncomingMessage, limitBytes: number): Promise<Uint8Array> {
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > limitBytes) throw tooLarge(announced, limitBytes);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > limitBytes) throw tooLarge(bytes, limitBytes);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof BlocksError) throw error;
    throw new ConnectorUnavailableError('the client went away in the middle of its request', { cause: error });
  }
  return new Uint8Array(Buffer.concat(chunks));
}

/** @throws UnsupportedContentError, MalformedCloudEventError, MessageExpiredError */
export function readDraft(headers: IncomingHttpHeaders, body: Uint8Array, nowMs: number): MessageDraft {
  const mediaType = assertReadable(headers);
  if (mediaType !== STRUCTURED) {
    const given = attributesOf(headers['ce-kind'], headers['ce-target'], headers['ce-type']);
    const filled = { 'ce-subject': given.subject, 'ce-delivery': given.delivery, ...headers };
    return draftOf(messageOfHttp(filled, body, { nowMs }), given.isForeign, nowMs);
  }
  const event = payloadOfBytes(body, STRUCTURED);
  const { kind, target, type } = (event ?? {}) as Record<string, unknown>;
  const given = attributesOf(kind, target, type);
  const filled = isObject(event) ? { subject: given.subject, delivery: given.delivery, ...event } : event;
  return draftOf(messageOfCloudEvent(filled, { nowMs }), given.isForeign, nowMs);
}

interface GivenAttributes {
  readonly isForeign: boolean;
  /** What is needed of a message and follows from the rest, where a sender left it out. */
  readonly subject: string | undefined;
  readonly delivery: string | undefined;
}

function attributesOf(kind: unknown, target: unknown, type: unknown): GivenAttributes {
  if (kind === 'RESPONSE') throw malformed('kind', 'a RESPONSE is not taken here: it comes as the answer to a request');
  if (!KINDS.has(kind)) {
    if (kind !== undefined && target !== undefined)
      throw malformed('kind', `${JSON.stringify(kind)} is no kind of message`);
    return { isForeign: true, subject: undefined, delivery: undefined };
  }
  if (kind !== 'EVENT' && (typeof target !== 'string' || target === '')) throw malformed('target', 'it is missing');
  const delivery = kind === 'QUERY' ? 'AT_MOST_ONCE' : 'AT_LEAST_ONCE';
  // Checked for what it may be, then replaced by what follows from kind, target and type (HI2).
  return { isForeign: false, subject: typeof type === 'string' ? type : undefined, delivery };
}

function draftOf(message: Message, isForeign: boolean, nowMs: number): MessageDraft {
  const { id: given, type, expiresAtMs } = message;
  if (expiresAtMs !== undefined && expiresAtMs <= nowMs)
    throw new MessageExpiredError(`message ${given} (${type}) had expired when it came`);
  const { subject, ...draft } = republished(message, nowMs);
  if (draft.kind !== 'EVENT') return draft;
  if (subject?.startsWith('$') === true) throw malformed('subject', `${subject} is a subject of the broker's own`);
  const id = isForeign ? foreignId(message.source, message.id) : message.id;
  return { ...draft, id, ...(subject === undefined ? {} : { subject }) };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The ids of foreign events are unique for each source, those of messages everywhere. */
function foreignId(source: string, id: string): string {
  const whole = `${source}#${id}`;
  return whole.length <= ID_LENGTH_LIMIT ? whole : createHash('sha256').update(whole).digest('hex');
}

function assertReadable(headers: IncomingHttpHeaders): string {
  const contentType = headers['content-type'] ?? '';
  const mediaType = (contentType.split(';')[0] ?? '').trim().toLowerCase();
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(contentType)?.[1];
  if (charset !== undefined && !/^(?:utf-?8|us-ascii)$/i.test(charset)) {
    throw new UnsupportedContentError(`content-type: charset ${charset} is not read here; send UTF-8`);
  }
  if (mediaType === STRUCTURED) return mediaType;
  if (mediaType.startsWith('application/cloudevents')) {
    throw new UnsupportedContentError(`content-type ${mediaType} is not read here: send one event, as ${STRUCTURED}`);
  }
  if (Object.keys(headers).some((name) => name.startsWith('ce-'))) return mediaType;
  throw new UnsupportedContentError(
    `content-type ${mediaType === '' ? 'is missing' : mediaType} and there are no ce- headers: send a CloudEvent, ` +
      `structured (${STRUCTURED}) or binary (ce-id, ce-source, ce-type, ce-specversion)`,
  );
}

function malformed(attribute: string, why: string): MalformedCloudEventError {
  return new MalformedCloudEventError(`the CloudEvent is malformed: ${attribute}: ${why}`, { details: { attribute } });
}

function tooLarge(bytes: number, limitBytes: number): MessageTooLargeError {
  return new MessageTooLargeError(`the body has ${bytes} bytes or more, above the ${limitBytes} that are taken here`, {
    details: { bytes, limitBytes },
  });
}
