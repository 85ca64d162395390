/**
 * An error as it travels: `EncodedError` with details that are sure to be encodable, since an error must always get through.
 *
 * Owns: what becomes of details that are not plain data (a word about them), and the check of what comes back.
 */
import { type EncodedError, encodeError } from '../kernel/errors.ts';
import { Reference } from '../kernel/reference.ts';
import { describeValue, isPlain } from './value-kind.ts';

/** Nesting of an error's details beyond which a word must do. */
const DETAILS_DEPTH = 8;
/** Entries of one object or array in an error's details. */
const DETAILS_ENTRIES = 1_000;

export function carriedError(error: Error): EncodedError {
  return withPlainDetails(encodeError(error));
}

function withPlainDetails(encoded: EncodedError): EncodedError {
  const { details, cause, ...rest } = encoded;
  return {
    ...rest,
    ...(details === undefined ? {} : { details: plainForm(details, 0) as Record<string, unknown> }),
    ...(cause === undefined ? {} : { cause: withPlainDetails(cause) }),
  };
}

function plainForm(value: unknown, depth: number): unknown {
  if (typeof value === 'bigint') return BigInt.asIntN(64, value) === value ? value : `${value}n`;
  if (typeof value === 'function' || typeof value === 'symbol') return describeValue(value);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Reference || value instanceof Date || value instanceof Uint8Array) return value;
  if (value instanceof Error) return plainForm(carriedError(value), depth);
  if (depth >= DETAILS_DEPTH || !isPlain(value)) return describeValue(value);
  if (Array.isArray(value)) return value.slice(0, DETAILS_ENTRIES).map((element) => plainForm(element, depth + 1));
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value).slice(0, DETAILS_ENTRIES))
    if (key !== '__proto__') copy[key] = plainForm((value as Record<string, unknown>)[key], depth + 1);
  return copy;
}

/** Not an array or bytes: made an object of, they would have a property for every element. */
function isPlainObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && isPlain(value);
}

/** Whether `value` has the shape that `decodeError` takes. */
export function isEncodedError(value: unknown): value is EncodedError {
  if (typeof value !== 'object' || value === null) return false;
  const { name, code, message, stack, details, cause } = value as Record<string, unknown>;
  return (
    typeof name === 'string' &&
    typeof code === 'string' &&
    typeof message === 'string' &&
    (stack === undefined || typeof stack === 'string') &&
    (details === undefined || isPlainObject(details)) &&
    (cause === undefined || isEncodedError(cause))
  );
}
