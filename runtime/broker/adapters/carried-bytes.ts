/**
 * A carried message as a server keeps it: its header as a JSON list, its payload as it is.
 *
 * Owns: both directions, and what is no header. Headers have no `undefined` in them afterwards, which nobody can tell from none.
 * The list has what every header has, in one order, and an object of the rest: the names of the fields were half of a header's bytes.
 *
 * Invariants:
 * CY1. What `decodeHeader` gives has the fields that every header has, with their types: other bytes give undefined, never an error.
 */
import type { EncodedError } from '../../kernel/errors.ts';
import { isEmpty } from '../../kernel/option-faults.ts';
import type { CarriedMessage, DeadLetterQuery, DeadLetterRecord } from '../broker-adapter.ts';
import type { DeliveryStatus, ReceiptState } from '../contract/receipt.ts';
import { matchesSubject } from '../subjects.ts';

type Header = CarriedMessage['header'];

/** In place of a correlation id that is the message's own. */
const OWN_ID = 0;

/** The id comes first: scripts of Redis read it. */
export function encodeHeader(header: Header): string {
  const { id, kind, type, subject, source, timeMs, delivery, correlationId, ...more } = header;
  const correlation = correlationId === id ? OWN_ID : correlationId;
  const list: unknown[] = [id, kind, type, subject, source, timeMs, delivery, correlation];
  if (!isEmpty(more)) list.push(more);
  return JSON.stringify(list);
}

/** The header, or undefined when the text is none. */
export function decodeHeader(text: string): Header | undefined {
  const list = parsed(text);
  if (!Array.isArray(list)) return undefined;
  const [id, kind, type, subject, source, timeMs, delivery, correlation, more] = list as unknown[];
  const correlationId = correlation === OWN_ID ? id : correlation;
  if (typeof timeMs !== 'number') return undefined;
  for (const text of [id, kind, type, subject, source, delivery, correlationId]) {
    if (typeof text !== 'string') return undefined;
  }
  if (more !== undefined && (typeof more !== 'object' || more === null || Array.isArray(more))) return undefined;
  // What the rest calls by one of these names is not asked.
  return { ...more, id, kind, type, subject, source, timeMs, delivery, correlationId } as unknown as Header;
}

/** Stands for what somebody else has put among our messages: its bytes are the payload. */
export const strayMessage = (id: string, subject: string, timeMs: number, payload: Uint8Array): CarriedMessage => ({
  header: {
    id,
    kind: 'EVENT',
    type: 'undecodable',
    subject,
    source: 'unknown',
    timeMs,
    correlationId: id,
    delivery: 'AT_LEAST_ONCE',
  },
  payload,
});

export const undecodable = (what: string): EncodedError => ({
  name: 'InvalidMessageError',
  code: 'INVALID_MESSAGE',
  message: `${what} is no message of this broker: something else wrote it`,
});

/** Without a stack: nobody's code has thrown it. */
export const EXPIRED: EncodedError = {
  name: 'MessageExpiredError',
  code: 'MESSAGE_EXPIRED',
  message: 'the message waited longer than its time to live',
};

export function decodeError(text: string): EncodedError {
  const value = parsed(text);
  if (typeof value === 'object' && value !== null && 'code' in value) return value as EncodedError;
  return { name: 'Error', code: 'ERROR', message: text };
}

const RANK = { accepted: 0, delivered: 1, handled: 2, dead: 3 } as const;

/** The state of a message of the states at its subscriptions. */
export function receiptOf(id: string, subscriptions: Readonly<Record<string, DeliveryStatus>>): ReceiptState {
  let status: DeliveryStatus['status'] | undefined;
  for (const at of Object.values(subscriptions)) {
    if (at.status === 'dead') return { id, status: 'dead', subscriptions };
    if (status === undefined || RANK[at.status] < RANK[status]) status = at.status;
  }
  return { id, status: status ?? 'accepted', subscriptions };
}

/** Whether it is handled or dead everywhere. */
export const isSettled = (state: ReceiptState): boolean =>
  Object.values(state.subscriptions).every(({ status }) => status === 'handled' || status === 'dead');

/** Whether a dead letter is one of those that are asked for. */
export function isWanted(letter: DeadLetterRecord, query: DeadLetterQuery): boolean {
  const { header } = letter.message;
  return (
    (query.subscription === undefined || letter.subscription === query.subscription) &&
    (query.subjectPattern === undefined || matchesSubject(query.subjectPattern, header.subject)) &&
    (query.type === undefined || header.type === query.type) &&
    (query.reason === undefined || letter.reason === query.reason) &&
    (query.errorCode === undefined || letter.error.code === query.errorCode) &&
    (query.deadAfterMs === undefined || letter.deadMs > query.deadAfterMs) &&
    (query.deadBeforeMs === undefined || letter.deadMs < query.deadBeforeMs)
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
