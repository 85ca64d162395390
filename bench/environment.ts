/**
 * On what, with what, when: what a figure means nothing without.
 *
 * Owns: the description of machine, versions and commit that goes into every result.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { statfs } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

export const REPOSITORY = fileURLToPath(new URL('..', import.meta.url));

export interface Environment {
  readonly date: string;
  /** Of the working tree; `+` when it had changes. */
  readonly commit: string;
  readonly machine: {
    readonly cores: number;
    readonly cpu: string;
    readonly memoryGb: number;
    readonly system: string;
    /** One-minute load average before the bench began. */
    readonly loadBefore: number;
    /** File system of the scratch folder, by its magic number. */
    readonly disk: string;
  };
  readonly versions: Readonly<Record<string, string>>;
}

/** `scratch` is where the journals are written. */
export async function describeEnvironment(scratch: string): Promise<Environment> {
  return {
    date: new Date().toISOString(),
    commit: commitOf(),
    machine: {
      cores: availableParallelism(),
      cpu: (cpus()[0]?.model ?? 'unknown').trim(),
      memoryGb: Math.round(totalmem() / 2 ** 30),
      system: `${process.platform} ${release()} ${process.arch}`,
      loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
      disk: await fileSystemOf(scratch),
    },
    versions: {
      'collaborative-blocks': versionAt(`${REPOSITORY}/package.json`),
      node: process.versions.node,
      lmdb: versionOf('lmdb'),
      msgpackr: versionOf('msgpackr'),
      xstate: versionOf('xstate'),
    },
  };
}

const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x9123683e: 'btrfs',
  0x58465342: 'xfs',
  0x2fc12fc1: 'zfs',
  0x01021994: 'tmpfs',
  0x794c7630: 'overlayfs',
};

/** Name of the file system that `path` is on. A journal on `tmpfs` measures nothing. */
export async function fileSystemOf(path: string): Promise<string> {
  const { type } = await statfs(path);
  return FILE_SYSTEMS[type] ?? `0x${type.toString(16)}`;
}

/** Version of an installed package; `none` when there is none. */
export function versionOf(name: string): string {
  const paths = createRequire(import.meta.url).resolve.paths(name) ?? [];
  for (const path of paths) {
    try {
      return versionAt(`${path}/${name}/package.json`);
    } catch {
      // Not in this folder.
    }
  }
  return 'none';
}

function versionAt(path: string): string {
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

function commitOf(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: REPOSITORY, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '+');
  } catch {
    return 'unknown';
  }
}
