/**
 * What is wrong with options, collected: a caller hears of everything at once.
 *
 * Owns: the checks that options of brokers, subscriptions, messages and dead letters share, and their wording.
 */
import type { Backoff } from './backoff.ts';
import { InvalidOptionsError } from './errors.ts';
import { isWithin, type NumberBounds, wordsOf } from './number-bounds.ts';

type RetryPolicy = Backoff & { readonly maxAttempts?: number };

const RETRY: readonly (keyof RetryPolicy)[] = ['maxAttempts', 'initialMs', 'maxMs', 'factor', 'jitter'];

export class OptionFaults {
  readonly found: string[] = [];

  add(name: string, value: unknown, expected: string): void {
    this.found.push(`${name}: ${show(value)} is not ${expected}`);
  }

  /** Names that are no options. */
  unknown(given: object, known: Iterable<string>, what = 'option', prefix = ''): void {
    const names = [...known];
    for (const name of Object.keys(given)) {
      if (!names.includes(name)) this.found.push(`${prefix}${noSuch(what, name, names)}`);
    }
  }

  /** The value, or what stands for it when it is not given or wrong. */
  number<T>(name: string, value: unknown, fallback: T, bounds: NumberBounds): number | T {
    if (value === undefined) return fallback;
    if (isWithin(value, bounds)) return value;
    this.add(name, value, wordsOf(bounds));
    return fallback;
  }

  /** A policy of trying again, or nothing. `more`: fields that it may have besides, for the caller to check. */
  retry(name: string, value: unknown, more: readonly string[] = []): RetryPolicy {
    if (value === undefined) return {};
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.add(name, value, `a retry policy { ${RETRY.join(', ')} }`);
      return {};
    }
    this.unknown(value, [...RETRY, ...more], 'field of a retry policy', `${name}.`);
    const { maxAttempts, initialMs, maxMs, factor, jitter } = value as { readonly [K in keyof RetryPolicy]: unknown };
    this.number(`${name}.maxAttempts`, maxAttempts, undefined, { least: 1, whole: true, endless: true });
    this.number(`${name}.initialMs`, initialMs, undefined, { least: 0 });
    this.number(`${name}.maxMs`, maxMs, undefined, { least: 0, endless: true });
    this.number(`${name}.factor`, factor, undefined, { least: 1 });
    if (jitter !== undefined && jitter !== 'full' && jitter !== 'none')
      this.add(`${name}.jitter`, jitter, "'full' or 'none'");
    return value;
  }

  /** All of them in one; undefined: there are none. */
  errorFor(where: string): InvalidOptionsError | undefined {
    const faults = this.found;
    if (faults.length === 0) return undefined;
    return new InvalidOptionsError(`${where}: ${faults.join('; ')}`, { details: { faults } });
  }

  /** @throws InvalidOptionsError, if there are any */
  throwIfAny(where: string): void {
    const error = this.errorFor(where);
    if (error !== undefined) throw error;
  }
}

/** What is wrong with the deadline and the signal of whoever waits. */
export function waitingFault(where: string, options: unknown): InvalidOptionsError | undefined {
  // On the way of every message, mostly without any.
  if (isPlainObject(options) && isEmpty(options)) return undefined;
  const faults = new OptionFaults();
  if (typeof options !== 'object' || options === null) {
    faults.add('options', options, 'an object { timeoutMs, signal }');
  } else {
    faults.unknown(options, ['timeoutMs', 'signal']);
    const { timeoutMs, signal } = options as { readonly timeoutMs?: unknown; readonly signal?: unknown };
    if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs > 0)) {
      faults.add('timeoutMs', timeoutMs, 'a number above 0');
    }
    if (signal !== undefined && !(signal instanceof AbortSignal)) faults.add('signal', signal, 'an AbortSignal');
  }
  return faults.errorFor(where);
}

/** For what is called often: throws at the first name that is no option. @throws InvalidOptionsError */
export function assertKnown(where: string, options: object, known: ReadonlySet<string>): void {
  for (const name in options) {
    if (!known.has(name)) throw new InvalidOptionsError(`${where}: ${noSuch('option', name, [...known])}`);
  }
}

const noSuch = (what: string, name: string, known: readonly string[]): string =>
  `${name}: no such ${what} (known: ${known.join(', ')})`;

/** A text that names something. @throws InvalidOptionsError */
export function assertName(where: string, what: string, value: unknown): asserts value is string {
  if (typeof value === 'string' && value !== '') return;
  throw new InvalidOptionsError(`${where}: ${what}: ${show(value)} is not a text of 1 character or more`);
}

export function isPlainObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isEmpty(object: object): boolean {
  for (const _name in object) return false;
  return true;
}

/** A value, for a message about it. */
export function show(value: unknown): string {
  if (typeof value === 'function') return `a function${value.name === '' ? '' : ` (${value.name})`}`;
  if (typeof value === 'number') return String(value);
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
