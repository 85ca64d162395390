/**
 * The shim made ready: compiled once, and the environment of a process that is to be watched by it.
 *
 * Owns: the compiler's call and its cache, and what to say where there is no compiler.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { REPOSITORY } from '../../bench/environment.ts';

const SOURCE = fileURLToPath(new URL('./shim.c', import.meta.url));

let missing: { readonly reason: string | undefined } | undefined;

/** Why system calls cannot be recorded here; undefined when they can. */
export function shimMissing(): string | undefined {
  missing ??= { reason: findMissing() };
  return missing.reason;
}

function findMissing(): string | undefined {
  if (process.platform !== 'linux') return 'linux, whose loader is needed to record system calls';
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'cc, which is needed to compile the recorder of system calls';
  }
}

/** The compiled shim. The name has its source's sum in it: a changed source is compiled anew. */
export function compileShim(): string {
  const folder = join(REPOSITORY, '.tmp', 'power-shim');
  const file = join(folder, `shim-${crc32(readFileSync(SOURCE)).toString(16)}.so`);
  if (existsSync(file)) return file;
  mkdirSync(folder, { recursive: true });
  const made = `${file}.${process.pid}`;
  execFileSync('cc', ['-O2', '-shared', '-fPIC', '-o', made, SOURCE], { stdio: ['ignore', 'ignore', 'inherit'] });
  renameSync(made, file);
  return file;
}

/** Everything that the process does below `root` is written to `record`. `boot`: the file with the boot id of its machine. */
export function recordingEnvironment(root: string, record: string, boot: string): NodeJS.ProcessEnv {
  return { ...process.env, LD_PRELOAD: compileShim(), POWER_ROOT: root, POWER_RECORD: record, POWER_BOOT: boot };
}

/** The process does not wait for the disk: for looking at states that are thrown away at once. */
export function stillEnvironment(boot: string): NodeJS.ProcessEnv {
  return { ...process.env, LD_PRELOAD: compileShim(), POWER_STILL: '1', POWER_BOOT: boot };
}

/** Makes `file` say the boot id of the machine's start number `start`. */
export function writeBootId(file: string, start: number): void {
  const digits = start.toString(16).padStart(8, '0');
  writeFileSync(file, `${digits}-0000-4000-8000-${digits.padStart(12, '0')}\n`);
}
