/**
 * The packages of other products, which are no dependencies of this one.
 *
 * Owns: their pinned versions, the scratch folder they are installed into, and loading them from there. `npm run bench -- --peers`
 * installs; whoever asks for one that is not there is told why there is no figure.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { REPOSITORY } from '../environment.ts';

const run = promisify(execFile);

const PACKAGES = {
  '@dbos-inc/dbos-sdk': '5.3.0',
  '@restatedev/restate-sdk': '1.17.2',
  '@restatedev/restate-server': '1.7.12',
  bullmq: '6.7.0',
  cockatiel: '4.0.0',
  ioredis: '5.11.1',
  nact: '7.6.2',
  opossum: '10.0.0',
} as const;

export type PeerPackage = keyof typeof PACKAGES;

const FOLDER = join(REPOSITORY, '.tmp', 'peers');
const INSTALL_LIMIT_MS = 180_000;

const require = createRequire(join(FOLDER, 'package.json'));

/** Installs what is not there yet. What cannot be installed is said, and missing. */
export async function installPeers(say: (line: string) => void): Promise<void> {
  const wanted = names().filter((name) => missingPackage(name) !== undefined);
  if (wanted.length === 0) return;
  await mkdir(FOLDER, { recursive: true });
  await writeFile(join(FOLDER, 'package.json'), JSON.stringify({ name: 'bench-peers', private: true, type: 'module' }));
  say(`installing ${wanted.join(', ')} into ${FOLDER}`);
  try {
    await install(names());
  } catch {
    // One that the registry does not give must not take the others along.
    for (const name of names()) {
      await install([name]).catch((error: unknown) => {
        say(`  ${name} cannot be installed: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
      });
    }
  }
}

/** Why the package cannot be used, in plain words; undefined when it can. */
export function missingPackage(name: PeerPackage): string | undefined {
  try {
    const { version } = JSON.parse(readFileSync(join(folderOf(name), 'package.json'), 'utf8')) as { version: string };
    if (version === PACKAGES[name]) return undefined;
    return `${name} is installed as ${version}, not ${PACKAGES[name]}`;
  } catch {
    return `${name} is not installed: npm run bench -- --peers`;
  }
}

export const folderOf = (name: PeerPackage): string => join(FOLDER, 'node_modules', name);

/** `name 1.2.3`. */
export const versioned = (name: PeerPackage): string => `${name} ${PACKAGES[name]}`;

/** The module, which has whatever types the caller says. */
export function load<Module>(name: PeerPackage | 'pg'): Module {
  return require(name) as Module;
}

const names = (): PeerPackage[] => Object.keys(PACKAGES) as PeerPackage[];

async function install(packages: readonly PeerPackage[]): Promise<void> {
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--save-exact'];
  const exact = packages.map((name) => `${name}@${PACKAGES[name]}`);
  await run('npm', ['install', ...flags, ...exact], { cwd: FOLDER, timeout: INSTALL_LIMIT_MS });
}
