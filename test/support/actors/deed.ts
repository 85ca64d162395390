/** What effects do outside in tests of crashes: a line in a file, with the effect's key. */
import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { pass } from '../../crash/points.ts';

export interface Deed {
  readonly sink: string;
  /** Who, and which of its deeds. */
  readonly name: string;
}

/** Long enough for a kill to fall between the deed and its report. */
const REPORT_MS = 3;

export const writeDeed = async (call: {
  readonly input: unknown;
  readonly idempotencyKey: string;
}): Promise<string> => {
  const { sink, name } = call.input as Deed;
  pass('effect.before');
  appendFileSync(sink, `${name} ${call.idempotencyKey}\n`);
  pass('effect.after');
  await pause(REPORT_MS);
  return name;
};
