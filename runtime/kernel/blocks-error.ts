/**
 * The base of all errors, and any error as plain data.
 *
 * Owns: what every error of this library has, and the way from a thrown value to plain data. The classes, and the way back, are `errors.ts`.
 */

/** Base of every error that this library throws. */
export abstract class BlocksError extends Error {
  /** Stable, upper case; what programs should test. */
  abstract readonly code: string;
  /** Whether the same call may succeed later without a change. */
  readonly retryable: boolean = false;
  /** Further facts, plain data. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.details = options.details ?? {};
  }

  override get name(): string {
    return this.constructor.name;
  }

  toJSON(): EncodedError {
    return encodeError(this);
  }
}

/** An error as plain data. */
export interface EncodedError {
  readonly name: string;
  readonly code: string;
  readonly message: string;
  readonly stack?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: EncodedError;
}

/** Causes kept when an error becomes data; a longer chain is cut. */
const CAUSE_DEPTH_LIMIT = 8;

/** Any thrown value as plain data. */
export function encodeError(error: unknown, depth = 0): EncodedError {
  if (!(error instanceof Error)) return { name: 'Error', code: 'THROWN_VALUE', message: describeThrown(error) };
  const code: unknown = (error as { code?: unknown }).code;
  const details: unknown = (error as { details?: unknown }).details;
  return {
    name: error.name,
    code: typeof code === 'string' ? code : 'ERROR',
    message: error.message,
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(isPlainDetails(details) ? { details } : {}),
    ...(error.cause === undefined || depth >= CAUSE_DEPTH_LIMIT ? {} : { cause: encodeError(error.cause, depth + 1) }),
  };
}

function isPlainDetails(details: unknown): details is Record<string, unknown> {
  return typeof details === 'object' && details !== null && Object.keys(details).length > 0;
}

function describeThrown(value: unknown): string {
  if (typeof value === 'string') return value;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
