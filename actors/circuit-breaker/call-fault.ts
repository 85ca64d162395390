/**
 * What an error of a call says about the dependency.
 *
 * Owns: the judgement, and its default. Aborts by the caller and calls that never left say nothing; a refusal of the request says that the
 * dependency works.
 */

/** `unused`: nothing was learnt. */
export type Verdict = 'failure' | 'success' | 'unused';

/** Errors of this library for what was stopped on this side of the dependency. */
const NEVER_LEFT: ReadonlySet<unknown> = new Set([
  'CIRCUIT_OPEN',
  'BULKHEAD_FULL',
  'RATE_LIMITED',
  'INVALID_OPTIONS',
  'INVALID_MESSAGE',
  'CONTRACT_VIOLATION',
  'UNSERIALIZABLE_VALUE',
  'MESSAGE_TOO_LARGE',
  'SYSTEM_STOPPED',
]);

const REQUEST_TIMEOUT = 408;
const TOO_MANY_REQUESTS = 429;

/** Judges what a call threw. `signal`: the caller's; `isFailure`: the breaker's own rule. */
export function verdictOn(
  error: unknown,
  signal: AbortSignal | undefined,
  isFailure: ((error: unknown) => boolean) | undefined,
): Verdict {
  if (signal?.aborted === true && isAbort(error, signal)) return isTimeout(signal.reason) ? 'failure' : 'unused';
  if (NEVER_LEFT.has(propertyOf(error, 'code'))) return 'unused';
  return (isFailure ?? isFault)(error) ? 'failure' : 'success';
}

/** The default of `isFailure`. */
function isFault(error: unknown): boolean {
  const status = statusOf(error);
  if (status === undefined || status < 400 || status > 499) return true;
  return status === REQUEST_TIMEOUT || status === TOO_MANY_REQUESTS;
}

function statusOf(error: unknown): number | undefined {
  for (const from of [error, propertyOf(error, 'response')]) {
    for (const name of ['status', 'statusCode']) {
      const status = propertyOf(from, name);
      if (typeof status === 'number') return status;
    }
  }
  return undefined;
}

function isAbort(error: unknown, signal: AbortSignal): boolean {
  if (error === signal.reason || propertyOf(error, 'name') === 'AbortError') return true;
  return signal.reason !== undefined && propertyOf(error, 'cause') === signal.reason;
}

/** As `AbortSignal.timeout()` says it: the dependency was too slow, which is its fault. */
const isTimeout = (reason: unknown): boolean => propertyOf(reason, 'name') === 'TimeoutError';

function propertyOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
