/**
 * Runs one of our scripts in a process of its own.
 *
 * Owns: the process, its lines, and what it complained about.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { REPOSITORY } from '../../bench/environment.ts';
import type { PlantedName } from './planted.ts';

/** Half of a short process's time is else spent on compiling. */
const COMPILED = join(REPOSITORY, '.tmp', 'compiled');
const PLANTED = fileURLToPath(new URL('./planted.ts', import.meta.url));

export interface ScriptEnd {
  /** Exit code, or the signal that ended it. */
  readonly code: number | string;
  readonly errors: string;
}

export interface ScriptOptions {
  readonly planted?: PlantedName | undefined;
  readonly line?: ((text: string) => void) | undefined;
  /** Kills it. */
  readonly signal?: AbortSignal | undefined;
}

export function runScript(
  script: URL,
  order: unknown,
  environment: NodeJS.ProcessEnv,
  options: ScriptOptions = {},
): Promise<ScriptEnd> {
  const { planted, line, signal } = options;
  const hook = planted === undefined ? [] : ['--import', PLANTED];
  const child = spawn(process.execPath, [...hook, fileURLToPath(script), JSON.stringify(order)], {
    env: { ...environment, NODE_COMPILE_CACHE: COMPILED, ...(planted === undefined ? {} : { POWER_PLANTED: planted }) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (text) => (errors += String(text)));
  const lines = createInterface({ input: child.stdout });
  if (line !== undefined) lines.on('line', line);
  const linesEnd = new Promise((resolve) => lines.once('close', resolve));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    signal?.addEventListener('abort', () => child.kill('SIGKILL'));
    child.once('close', (code, endedBy) => {
      void linesEnd.then(() => resolve({ code: code ?? endedBy ?? 'nothing', errors: errors.slice(-2_000) }));
    });
  });
}
