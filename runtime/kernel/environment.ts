/**
 * The environment's variables as defaults of options.
 *
 * Owns: reading one as a number or a flag, and saying what is wrong with it like any other option's fault. Which option it stands behind is
 * the option's.
 */
import { isWithin, type NumberBounds, wordsOf } from './number-bounds.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The number that `name` says; undefined when it is not set. What is no such number becomes one of `faults`. */
export function numberFrom(
  environment: Environment,
  name: string,
  bounds: NumberBounds,
  faults: string[],
): number | undefined {
  const text = environment[name];
  if (text === undefined || text.trim() === '') return undefined;
  const value = Number(text);
  if (isWithin(value, bounds)) return value;
  faults.push(`${name} (environment): ${JSON.stringify(text)} is not ${wordsOf(bounds)}`);
  return undefined;
}

/** `true` or `false`, in the words that environments have for them. */
export function flagFrom(environment: Environment, name: string, faults: string[]): boolean | undefined {
  const text = environment[name];
  const word = text?.trim().toLowerCase() ?? '';
  if (word === '') return undefined;
  if (['true', '1', 'yes', 'on'].includes(word)) return true;
  if (['false', '0', 'no', 'off'].includes(word)) return false;
  faults.push(`${name} (environment): ${JSON.stringify(text)} is not true or false`);
  return undefined;
}
