/**
 * A data folder that a killed process left behind, and fresh processes that come back from copies of it.
 *
 * Owns: both kinds of process, and the copies. What they do is in the scripts.
 */
import { execFile } from 'node:child_process';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A script of this folder, given a data folder and JSON. */
const argumentsOf = (script: string, dataDir: string, about: object): string[] => [
  fileURLToPath(new URL(`${script}.ts`, import.meta.url)),
  dataDir,
  JSON.stringify(about),
];

/** Runs a script that fills `dir`/left and then kills itself. */
export async function leaveBehind(script: string, dir: string, about: object): Promise<void> {
  try {
    await run(process.execPath, argumentsOf(script, join(dir, 'left'), about));
  } catch (error) {
    // It ends by SIGKILL, so that nothing is tidied up; anything else is a fault.
    if ((error as { signal?: string }).signal !== 'SIGKILL') throw error;
  }
}

/** Runs a script on a copy of what was left behind; resolves with the JSON that it prints. */
export async function comeBack<Report>(script: string, dir: string, about: object): Promise<Report> {
  const copy = join(dir, 'copy');
  await cp(join(dir, 'left'), copy, { recursive: true });
  try {
    // As an application's: without the compile cache that the harness gives its contenders.
    const { NODE_COMPILE_CACHE: _, ...env } = process.env;
    const { stdout } = await run(process.execPath, argumentsOf(script, copy, about), { env });
    return JSON.parse(stdout) as Report;
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}
