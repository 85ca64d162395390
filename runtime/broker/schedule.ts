/**
 * When a scheduled message is due: cron expressions in a time zone. The door to `croner`.
 *
 * Owns: reading an expression, saying which field of it is wrong, and the next time after a given one. No clock and no timers: those who
 * wait do so elsewhere.
 *
 * Fields: `minute hour day-of-month month day-of-week`, before them seconds when there are six, behind them a year when there are seven;
 * `*`, `?` (the same), lists, ranges, steps (`0-30/10`), names (`MON`, `JAN`), `L` (last), `15W` (nearest weekday), `5#2` (second
 * Friday); or `@yearly`, `@monthly`, `@weekly`, `@daily`, `@hourly`. Where both days are given, either will do, as in Vixie's cron.
 *
 * Invariants:
 * SC1. `nextAfterMs(t)` is later than `t`, a whole second, and depends on nothing but the expression, the zone and `t`.
 * SC2. Clocks that are put forward: a fixed time of day that is skipped is due at the first moment after the gap; repeated times
 *      (with `*` or steps in them) that are skipped are not made up for. Clocks that are put back: a fixed time of day is due once, the
 *      first time; repeated times are due in both hours.
 */
import { Cron } from 'croner';
import { InvalidScheduleError } from '../kernel/errors.ts';
import { SCHEDULE_LENGTH_LIMIT } from '../kernel/limits.ts';

/** A cron expression that was read. */
export interface Schedule {
  readonly expression: string;
  /** IANA name. */
  readonly timeZone: string;
  /** The first time it is due after `timeMs` (ms since 1970); undefined: never again. */
  nextAfterMs(timeMs: number): number | undefined;
}

const FIELDS = ['second', 'minute', 'hour', 'day of month', 'month', 'day of week', 'year'] as const;

/**
 * Reads a cron expression.
 *
 * ```ts
 * const schedule = readSchedule('0 9 * * MON-FRI', { timeZone: 'Europe/Berlin' });
 * schedule.nextAfterMs(nowMs);
 * ```
 *
 * `timeZone` is `UTC` unless given: never that of the machine, on which it would be another one.
 *
 * @throws InvalidScheduleError with `details.field` (`minute`, …), `details.value` and `details.position` (from 0) of what is wrong
 */
export function readSchedule(expression: string, { timeZone = 'UTC' }: { readonly timeZone?: string } = {}): Schedule {
  assertTimeZone(timeZone);
  const cron = read(expression, timeZone);
  return {
    expression,
    timeZone,
    nextAfterMs(timeMs) {
      const from = new Date(timeMs);
      if (Number.isNaN(from.getTime()))
        throw new InvalidScheduleError(`${timeMs} is no time in ms since 1970`, { details: { timeMs } });
      return cron.nextRun(from)?.getTime();
    },
  };
}

function read(expression: string, timeZone: string): Cron {
  if (typeof expression !== 'string') throw invalid(expression, 'it must be text');
  if (expression.length > SCHEDULE_LENGTH_LIMIT)
    throw invalid(
      `${expression.slice(0, 60)}…`,
      `it has ${expression.length} characters, the limit is ${SCHEDULE_LENGTH_LIMIT}`,
    );
  const fields = fieldsOf(expression);
  const isNickname = fields.length === 1 && fields[0]?.value.startsWith('@') === true;
  // croner would also take a date.
  if (!isNickname && (fields.length < 5 || fields.length > 7)) {
    throw invalid(
      expression,
      `it has ${fields.length} fields; there must be five (minute, hour, day of month, month, day of week), six with seconds before them, or seven with a year behind them`,
    );
  }
  try {
    return cronOf(expression, timeZone);
  } catch (cause) {
    const fault = fields.find((_, index) => fieldFault(fields, index) !== undefined);
    if (isNickname || fault === undefined) throw invalid(expression, wordsOf(cause), cause);
    const index = fields.indexOf(fault);
    const field = FIELDS[index + (fields.length === 5 ? 1 : 0)];
    const error = fieldFault(fields, index);
    throw new InvalidScheduleError(
      `cron expression ${JSON.stringify(expression)} is not valid: ${field} ${JSON.stringify(fault.value)}, at character ${fault.position + 1}: ${wordsOf(error)}`,
      { cause: error, details: { expression, field, value: fault.value, position: fault.position } },
    );
  }
}

interface Field {
  readonly value: string;
  readonly position: number;
}

function fieldsOf(expression: string): readonly Field[] {
  return [...expression.matchAll(/\S+/g)].map((match) => ({ value: match[0], position: match.index }));
}

/** What is wrong with one field by itself: the others are let be anything. */
function fieldFault(fields: readonly Field[], index: number): unknown {
  try {
    cronOf(fields.map(({ value }, i) => (i === index ? value : '*')).join(' '), 'UTC');
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Without a function to call, croner starts no timer. */
function cronOf(expression: string, timeZone: string): Cron {
  return new Cron(expression, { timezone: timeZone });
}

function assertTimeZone(timeZone: string): void {
  try {
    if (typeof timeZone !== 'string') throw new TypeError('it must be text');
    void new Intl.DateTimeFormat('en', { timeZone });
  } catch (cause) {
    throw new InvalidScheduleError(
      `time zone ${JSON.stringify(timeZone)} is not known: give an IANA name, as "Europe/Berlin" or "UTC"`,
      { cause, details: { timeZone } },
    );
  }
}

function invalid(expression: unknown, why: string, cause?: unknown): InvalidScheduleError {
  return new InvalidScheduleError(
    `cron expression ${JSON.stringify(expression) ?? String(expression)} is not valid: ${why}`,
    {
      details: { expression },
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/^CronPattern: /, '') : String(error);
}
