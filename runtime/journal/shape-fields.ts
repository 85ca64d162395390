/**
 * Fields of a record, each looked at before it is believed: a sum that fits says that bytes are as they were written, not by whom.
 *
 * Owns: what is said of a field of a turn, a dead letter or an answer that is not what it must be: `DataDamagedError`.
 */
import { DataDamagedError } from '../kernel/errors.ts';
import { fieldChecks } from '../wire/field-checks.ts';

/** A record as nested arrays. */
export type Shape = readonly unknown[];

export const { listOf, textOf, numberOf, flagOf, errorOf, kindOf } = fieldChecks(
  (what, expected) =>
    new DataDamagedError(`a record of the journal is malformed: ${what} is not ${expected}`, {
      details: { table: 'log', field: what },
    }),
);

/** Absent is null or not there at all: what stands last is left out. */
export function isAbsent(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}
