/**
 * Errors as HTTP says them, both ways.
 *
 * Owns: which status an error has, and which error a status is. The body is `application/problem+json` (RFC 9457) with the error in it,
 * so that between two connectors the very error arrives; from any other server the status decides.
 *
 * Invariants:
 * HF1. A retryable error has a status that says so (429, 503, 504, 500, 404 for a handler that may come), and comes back as one.
 * HF2. No stack leaves the process.
 */
import {
  BlocksError,
  BrokerClosedError,
  ConnectorUnavailableError,
  decodeError,
  encodeError,
  type EncodedError,
  InvalidMessageError,
  MessageTooLargeError,
  NoHandlerError,
  RateLimitedError,
  RemoteFailedError,
  RemoteRefusedError,
  RequestTimeoutError,
} from '../../runtime/kernel/errors.ts';
import { retryAfterOf } from './call-guard.ts';
import { UnsupportedContentError } from './http-intake.ts';

export const PROBLEM_TYPE = 'application/problem+json';

const STATUS: Readonly<Record<string, number>> = {
  INVALID_MESSAGE: 400,
  INVALID_SUBJECT: 400,
  INVALID_OPTIONS: 400,
  MALFORMED_CLOUD_EVENT: 400,
  UNSERIALIZABLE_VALUE: 400,
  UNKNOWN_TARGET: 404,
  NO_SUBSCRIBER: 404,
  NO_HANDLER: 404,
  MESSAGE_EXPIRED: 410,
  MESSAGE_TOO_LARGE: 413,
  CONTRACT_VIOLATION: 422,
  RATE_LIMITED: 429,
  QUEUE_FULL: 429,
  BULKHEAD_FULL: 429,
  CIRCUIT_OPEN: 503,
  BROKER_UNAVAILABLE: 503,
  BROKER_CLOSED: 503,
  CONNECTOR_UNAVAILABLE: 503,
  STORAGE_FULL: 503,
  SYSTEM_STOPPED: 503,
  REQUEST_TIMEOUT: 504,
};
/** What to tell a client that may come again when nothing says how soon. */
const RETRY_AFTER_MS = 1_000;

export interface HttpFailure {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

export function statusOf(error: unknown): number {
  if (error instanceof UnsupportedContentError) return 415;
  return error instanceof BlocksError ? (STATUS[error.code] ?? 500) : 500;
}

/** What a server answers for `error`. */
export function failureOf(error: unknown, status = statusOf(error)): HttpFailure {
  const encoded = withoutStack(encodeError(error));
  const headers: Record<string, string> = { 'content-type': PROBLEM_TYPE };
  if (status === 429 || status === 503) {
    headers['retry-after'] = String(Math.max(1, Math.ceil((retryAfterOf(error) ?? RETRY_AFTER_MS) / 1_000)));
  }
  const { name, code, message } = encoded;
  return { status, headers, body: JSON.stringify({ title: name, status, detail: message, code, error: encoded }) };
}

function withoutStack({ stack: _stack, cause, ...error }: EncodedError): EncodedError {
  return cause === undefined ? error : { ...error, cause: withoutStack(cause) };
}

export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly retryAfter: string | null;
  readonly body: Uint8Array;
}

/** The error that an answer is. `where` names the other side. */
export function errorOf(where: string, answer: HttpAnswer, nowMs: number): BlocksError {
  const { status } = answer;
  const retryAfterMs = retryAfterMsOf(answer.retryAfter, nowMs);
  const problem = problemOf(answer);
  const carried = problem?.error === undefined ? undefined : decodeError(problem.error);
  if (carried !== undefined) {
    if (retryAfterMs === undefined || retryAfterOf(carried) !== undefined) return carried;
    return decodeError({ ...(problem?.error as EncodedError), details: { ...carried.details, retryAfterMs } });
  }
  const said = problem?.detail === undefined ? '' : `: ${problem.detail}`;
  const message = `${where} answered ${status}${said}`;
  const options = { details: { status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) } };
  switch (status) {
    case 400:
    case 415:
    case 422:
      return new InvalidMessageError(message, options);
    case 404:
      return new NoHandlerError(message, options);
    case 408:
    case 504:
      return new RequestTimeoutError(message, options);
    case 413:
      return new MessageTooLargeError(message, options);
    case 425:
    case 429:
      return new RateLimitedError(message, options);
    case 503:
      return new ConnectorUnavailableError(message, options);
    default:
      return status >= 500 ? new RemoteFailedError(message, options) : new RemoteRefusedError(message, options);
  }
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
function retryAfterMsOf(header: string | null, nowMs: number): number | undefined {
  if (header === null || header.trim() === '') return undefined;
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1_000;
  const atMs = Date.parse(header);
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs);
}

interface Problem {
  readonly detail: string | undefined;
  readonly error: EncodedError | undefined;
}

function problemOf({ contentType, body }: HttpAnswer): Problem | undefined {
  if (!contentType.startsWith(PROBLEM_TYPE)) return undefined;
  let problem: unknown;
  try {
    problem = JSON.parse(new TextDecoder().decode(body));
  } catch {
    // The status says enough.
    return undefined;
  }
  if (typeof problem !== 'object' || problem === null) return undefined;
  const { detail, error } = problem as { detail?: unknown; error?: unknown };
  return {
    detail: typeof detail === 'string' ? detail : undefined,
    error: isEncoded(error) && error.code !== new BrokerClosedError('').code ? error : undefined,
  };
}

function isEncoded(value: unknown): value is EncodedError {
  if (typeof value !== 'object' || value === null) return false;
  const { name, code, message, details, cause } = value as Record<string, unknown>;
  return (
    [name, code, message].every((part) => typeof part === 'string') &&
    (details === undefined || (typeof details === 'object' && details !== null)) &&
    (cause === undefined || isEncoded(cause))
  );
}
