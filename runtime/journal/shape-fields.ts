/**
 * Fields of a record, each looked at before it is believed: a sum that fits says that bytes are as they were written, not by whom.
 *
 * Owns: the checks of what turns, dead letters and answers are made of. A field that is not what it must be is `DataDamagedError`.
 */
import { DataDamagedError, type EncodedError } from '../kernel/errors.ts';
import { isEncodedError } from '../wire/carried-error.ts';

/** A record as nested arrays. */
export type Shape = readonly unknown[];

export function listOf(value: unknown, what: string): Shape {
  if (Array.isArray(value)) return value as Shape;
  throw malformed(what, 'a list');
}

export function textOf(value: unknown, what: string): string {
  if (typeof value === 'string') return value;
  throw malformed(what, 'a text');
}

export function numberOf(value: unknown, what: string): number {
  if (typeof value === 'number') return value;
  throw malformed(what, 'a number');
}

export function flagOf(value: unknown, what: string): boolean {
  if (typeof value === 'boolean') return value;
  throw malformed(what, 'a boolean');
}

export function errorOf(value: unknown, what: string): EncodedError {
  if (isEncodedError(value)) return value;
  throw malformed(what, 'an error');
}

/** An object of the sum type `T`: with a `kind`, at least. */
export function kindOf<T extends { readonly kind: string }>(value: unknown, what: string): T {
  if (typeof value === 'object' && value !== null && typeof (value as { kind?: unknown }).kind === 'string')
    return value as T;
  throw malformed(what, 'an object with a kind');
}

/** Absent is null or not there at all: what stands last is left out. */
export function isAbsent(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}

function malformed(what: string, expected: string): DataDamagedError {
  return new DataDamagedError(`a record of the journal is malformed: ${what} is not ${expected}`, {
    details: { table: 'log', field: what },
  });
}
