/**
 * Terms of the Open Workflow Specification that say how long, how often, and what went wrong.
 *
 * Owns: reading durations, retry policies and error filters, and refusing what has no equal here.
 */
import { isRecord } from './value-shape.ts';
import type { RetryPolicyOptions } from './workflow-step.ts';

/** Takes a fault: where in the document, and what is wrong there. */
export type Report = (path: string, message: string) => undefined;

const UNITS_MS: Readonly<Record<string, number>> = {
  days: 86_400_000,
  hours: 3_600_000,
  minutes: 60_000,
  seconds: 1_000,
  milliseconds: 1,
};
const ISO = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/;
/** Tries of a policy without a limit. */
const UNLIMITED = 1_000_000;
/** Longest wait between tries; the specification has no bound. */
const WAIT_LIMIT_MS = 86_400_000;

/** Milliseconds: of `{ seconds: 3 }`, or `PT3S`. */
export function durationMs(given: unknown, path: string, report: Report): number | undefined {
  if (typeof given === 'string') {
    const match = ISO.exec(given);
    if (match === null || given.endsWith('P') || given.endsWith('T'))
      return report(path, `${JSON.stringify(given)} is no duration of days to seconds, as PT15M`);
    const [, days = 0, hours = 0, minutes = 0, seconds = 0] = match;
    return Number(days) * 86_400_000 + Number(hours) * 3_600_000 + Number(minutes) * 60_000 + Number(seconds) * 1_000;
  }
  if (!isRecord(given)) return report(path, `${JSON.stringify(given)} is no duration`);
  let ms = 0;
  for (const [unit, count] of Object.entries(given)) {
    const unitMs = UNITS_MS[unit];
    if (unitMs === undefined) report(path, `unknown unit "${unit}": ${Object.keys(UNITS_MS).join(', ')}`);
    else if (typeof count !== 'number' || count < 0) report(path, `${unit}: ${JSON.stringify(count)} is no number`);
    else ms += count * unitMs;
  }
  return ms;
}

/** Refuses members that are not listed. */
export function onlyKnown(
  given: Record<string, unknown>,
  known: readonly string[],
  path: string,
  report: Report,
): void {
  for (const name of Object.keys(given)) {
    if (!known.includes(name)) report(`${path}.${name}`, `is not supported (supported: ${known.join(', ')})`);
  }
}

/** A retry policy, of those that our own can say. */
export function retryPolicy(given: unknown, path: string, report: Report): RetryPolicyOptions | undefined {
  if (!isRecord(given)) return report(path, `${JSON.stringify(given)} is no retry policy`);
  onlyKnown(given, ['delay', 'backoff', 'limit'], path, report);
  const { delay, backoff = { constant: {} }, limit = {} } = given;
  const initialMs = delay === undefined ? 0 : (durationMs(delay, `${path}.delay`, report) ?? 0);
  const kinds = isRecord(backoff) ? Object.keys(backoff) : [];
  const [kind = ''] = kinds;
  if (kinds.length !== 1 || (kind !== 'constant' && kind !== 'exponential'))
    report(
      `${path}.backoff`,
      `${kinds.join(', ') || JSON.stringify(backoff)} is not supported: constant or exponential`,
    );
  else if (isRecord(backoff) && Object.keys(Object(backoff[kind])).length > 0)
    report(`${path}.backoff.${kind}`, 'is not supported with parameters of its own');
  let count: unknown;
  if (!isRecord(limit)) report(`${path}.limit`, `${JSON.stringify(limit)} is no limit`);
  else {
    onlyKnown(limit, ['attempt'], `${path}.limit`, report);
    const attempt = limit['attempt'] ?? {};
    if (isRecord(attempt)) onlyKnown(attempt, ['count'], `${path}.limit.attempt`, report);
    count = Object(attempt).count as unknown;
  }
  if (count !== undefined && !(Number.isInteger(count) && (count as number) >= 0))
    return report(`${path}.limit.attempt.count`, `${JSON.stringify(count)} is no whole number`);
  // The first try is no retry.
  const maxAttempts = count === undefined ? UNLIMITED : (count as number) + 1;
  const maxMs = kind === 'exponential' ? WAIT_LIMIT_MS : initialMs;
  return { maxAttempts, initialMs, maxMs, factor: kind === 'exponential' ? 2 : 1, jitter: 'none' };
}

const STANDARD = 'https://serverlessworkflow.io/spec/1.0.0/errors/';

/** Our codes, by the standard type of an error. Any other is one of communication. */
const TYPES: readonly (readonly [type: string, status: number, codes: readonly string[]])[] = [
  [
    'timeout',
    408,
    ['ASK_TIMEOUT', 'REQUEST_TIMEOUT', 'STEP_TIMEOUT', 'HEARTBEAT_TIMEOUT', 'EFFECT_TIMEOUT', 'TELL_TIMEOUT'],
  ],
  ['expression', 400, ['EXPRESSION_FAILED']],
  ['validation', 400, ['CONTRACT_VIOLATION', 'MESSAGE_TOO_LARGE', 'UNSERIALIZABLE_VALUE']],
];

/** The error of a step in the specification's words: a template over the CEL expression of the error. */
export function problemOf(error: string): Readonly<Record<string, string>> {
  const of = (name: string, otherwise: string): string =>
    `\${dyn(${error}).?details[?"${name}"].orValue(dyn(${otherwise}))}`;
  const choose = (pick: (row: (typeof TYPES)[number]) => string, otherwise: string): string =>
    TYPES.reduceRight(
      (rest, row) =>
        `(${error}.code in [${row[2].map((code) => JSON.stringify(code)).join(', ')}] ? ${pick(row)} : ${rest})`,
      otherwise,
    );
  const type = choose(([name]) => JSON.stringify(STANDARD + name), JSON.stringify(`${STANDARD}communication`));
  return {
    type: of('type', type),
    status: of(
      'status',
      choose(([, status]) => String(status), '500'),
    ),
    title: of('title', `${error}.name`),
    detail: of('detail', `${error}.message`),
  };
}
