/**
 * Fields of what was decoded, each looked at before it is believed.
 *
 * Owns: the checks. Which error a field is that is not what it must be, whoever decodes says.
 */
import type { EncodedError } from '../kernel/errors.ts';
import { isEncodedError } from './carried-error.ts';

export interface FieldChecks {
  readonly listOf: (value: unknown, what: string) => readonly unknown[];
  readonly textOf: (value: unknown, what: string) => string;
  readonly numberOf: (value: unknown, what: string) => number;
  readonly flagOf: (value: unknown, what: string) => boolean;
  readonly errorOf: (value: unknown, what: string) => EncodedError;
  /** An object of the sum type `T`: with a `kind`, at least. */
  readonly kindOf: <T extends { readonly kind: string }>(value: unknown, what: string) => T;
}

/** Checks that throw what `malformed` makes of a field's name and what was expected of it. */
export function fieldChecks(malformed: (what: string, expected: string) => Error): FieldChecks {
  return {
    listOf(value, what) {
      if (Array.isArray(value)) return value as readonly unknown[];
      throw malformed(what, 'a list');
    },
    textOf(value, what) {
      if (typeof value === 'string') return value;
      throw malformed(what, 'a text');
    },
    numberOf(value, what) {
      if (typeof value === 'number') return value;
      throw malformed(what, 'a number');
    },
    flagOf(value, what) {
      if (typeof value === 'boolean') return value;
      throw malformed(what, 'a boolean');
    },
    errorOf(value, what) {
      if (isEncodedError(value)) return value;
      throw malformed(what, 'an error');
    },
    kindOf<T extends { readonly kind: string }>(value: unknown, what: string): T {
      if (typeof value === 'object' && value !== null && typeof (value as { kind?: unknown }).kind === 'string')
        return value as T;
      throw malformed(what, 'an object with a kind');
    },
  };
}
