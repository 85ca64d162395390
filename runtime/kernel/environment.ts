/**
 * The environment's variables as defaults of options.
 *
 * Owns: reading one as a number, and saying what is wrong with it like any other option's fault. Which option it stands behind is
 * the option's.
 */

export type Environment = Readonly<Record<string, string | undefined>>;

export interface NumberRule {
  readonly least: number;
  /** Whether it must be a whole number. */
  readonly whole?: boolean;
}

/** The number that `name` says; undefined when it is not set. What is no such number becomes one of `faults`. */
export function numberFrom(
  environment: Environment,
  name: string,
  { least, whole = false }: NumberRule,
  faults: string[],
): number | undefined {
  const text = environment[name];
  if (text === undefined || text.trim() === '') return undefined;
  const value = Number(text);
  if (value >= least && (whole ? Number.isSafeInteger(value) : Number.isFinite(value))) return value;
  faults.push(
    `${name} (environment): ${JSON.stringify(text)} is not a ${whole ? 'whole ' : ''}number of ${least} or more`,
  );
  return undefined;
}
