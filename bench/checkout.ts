/**
 * Two versions of the library side by side, measured with one and the same bench.
 *
 * Owns: a copy of a version's sources (from a folder or from a commit) beside a copy of this bench, from which contenders are
 * started. Copies, so that whoever edits a checkout while it is being measured disturbs nothing.
 *
 * Invariants:
 * CO1. Both sides run the bench of this checkout: workloads, actors and harness are equal, only the library differs.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, realpath, stat, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { REPOSITORY } from './environment.ts';

const run = promisify(execFile);

/** What of a checkout is the library. */
const LIBRARY = ['runtime', 'actors', 'supervisors', 'package.json'];

export interface Checkout {
  /** For the table: what was asked for. */
  readonly name: string;
  /** The contender process to start. */
  readonly entry: string;
}

/** Copies the library in `source` (a folder, or a commit of this repository) and this bench into `dir`. */
export async function copyCheckout(source: string, dir: string): Promise<Checkout> {
  await mkdir(dir, { recursive: true });
  const folder = resolve(source);
  const isFolder = await holdsLibrary(folder);
  if (isFolder) {
    for (const part of LIBRARY) await cp(join(folder, part), join(dir, part), { recursive: true });
  } else {
    const tar = join(dir, 'library.tar');
    await run('git', ['archive', `--output=${tar}`, source, ...LIBRARY], { cwd: REPOSITORY });
    await run('tar', ['-xf', tar, '-C', dir]);
  }
  const packages = join(isFolder && (await exists(join(folder, 'node_modules'))) ? folder : REPOSITORY, 'node_modules');
  await symlink(await realpath(packages), join(dir, 'node_modules'));
  await cp(join(REPOSITORY, 'bench'), join(dir, 'bench'), {
    recursive: true,
    filter: (path) => !path.includes(join('bench', 'results')),
  });
  return { name: source, entry: join(dir, 'bench', 'contender-process.ts') };
}

const holdsLibrary = (folder: string): Promise<boolean> => exists(join(folder, 'runtime', 'index.ts'));

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
