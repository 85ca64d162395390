/**
 * The data folder: ours alone while we have it open, and in a format that we can read.
 *
 * Owns: the folder's path, its FORMAT file and its LOCK file. What is in the database is the store's.
 *
 * Invariants:
 * T1. At most one system has the folder: not two processes, not two systems of one process, by whatever path.
 * T2. The lock of a dead process is taken over; that of a living one never.
 * T3. A folder in a newer format, or with a database that is not ours, is left exactly as it was.
 */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Clock, Wait } from '../kernel/clock.ts';
import { DataFolderLockedError, DataFolderReadOnlyError, DataFormatError, StorageError } from '../kernel/errors.ts';
import { systemRandom } from '../kernel/random.ts';
import { FORMAT_VERSION } from './batch-layout.ts';
import { refusalOf } from './disk-refusals.ts';
import { codeOf, makeFolder, placeFile, replaceFile, syncNames } from './durable-files.ts';

/** What to do about a folder that is too damaged to be opened. */
export const REMEDY =
  'Put a backup in its place, or save what can be read into a new folder with "collaborative-blocks doctor --repair"';

/** How often a living owner touches its lock, for readers on other machines or in other containers. */
const HEARTBEAT_MS = 5_000;
/** A lock of another machine that was not touched for this long is of a dead owner. */
const ABANDONED_AFTER_MS = 30_000;
/** Tries for a lock that others try for too. */
const LOCK_TRIES = 5;

export interface DataFolder {
  /** Without symbolic links. */
  readonly path: string;
  release(): void;
}

interface LockOwner {
  readonly pid: number;
  /** Tells a process from an earlier one with the same number: a container's first process is always 1. */
  readonly started: string;
  readonly host: string;
  readonly boot: string;
}

/** Takes the folder, made if need be. Throws one of the `DataFolder…Error`s, or `DataFormatError`. */
export function openDataFolder(dataDir: string, clock: Clock): DataFolder {
  const path = writable(dataDir, () => makeFolder(dataDir));
  checkFormat(path);
  const lock = join(path, 'LOCK');
  writable(path, () => takeLock(path, lock, clock));
  try {
    // Written only by the owner, and before there is a database.
    writable(path, () => writeFormat(path));
  } catch (error) {
    rmSync(lock, { force: true });
    throw error;
  }
  let beat: Wait | undefined;
  const heartbeat = (): void => {
    beat = clock.wait(HEARTBEAT_MS, () => {
      touch(lock, clock);
      heartbeat();
    });
  };
  heartbeat();
  let held = true;
  return {
    path,
    release() {
      if (!held) return;
      held = false;
      beat?.cancel();
      rmSync(lock, { force: true });
    },
  };
}

/** Throws `DataFolderLockedError` when a living process has the folder; takes nothing and writes nothing. */
export function assertNotInUse(path: string, clock: Clock): void {
  const lock = join(path, 'LOCK');
  const owner = readOwner(lock);
  if (owner !== 'gone' && isAlive(owner, ownIdentity(), lock, clock)) throw lockedBy(path, owner);
}

/** Throws `DataFormatError` unless the folder is new or ours. */
export function checkFormat(path: string): void {
  const file = join(path, 'FORMAT');
  if (!existsSync(file)) {
    if (!existsSync(join(path, 'data.mdb'))) return;
    throw new DataFormatError(`${path} holds a database that is not ours: it has no FORMAT file`, {
      details: { path },
    });
  }
  const text = readFileSync(file, 'utf8').trim();
  const format = /^collaborative-blocks (\d+)$/.exec(text)?.[1];
  if (format === undefined) {
    throw new DataFormatError(`${file} does not say a format: ${JSON.stringify(text.slice(0, 80))}`, {
      details: { path },
    });
  }
  if (Number(format) !== FORMAT_VERSION) {
    const other = Number(format) > FORMAT_VERSION ? 'a newer' : 'an older';
    throw new DataFormatError(
      `${path} has format ${format}, this version reads format ${FORMAT_VERSION}: it was written by ${other} version`,
      { details: { path, format: Number(format) } },
    );
  }
}

/** Says what format the folder has, durably. */
export function writeFormat(path: string): void {
  const file = join(path, 'FORMAT');
  if (!existsSync(file)) replaceFile(file, `collaborative-blocks ${FORMAT_VERSION}\n`);
  // Without its name the database beside it would be taken for somebody else's.
  syncNames(path);
}

function takeLock(path: string, lock: string, clock: Clock): void {
  const self = ownIdentity();
  const text = JSON.stringify(self);
  for (let i = 0; i < LOCK_TRIES; i++) {
    try {
      placeFile(lock, text, draftOf(lock));
      removeDrafts(path);
      return;
    } catch (error) {
      // Gone: an owner of the lock has removed our draft, and will be met.
      if (codeOf(error) !== 'EEXIST' && codeOf(error) !== 'ENOENT') throw error;
    }
    const owner = readOwner(lock);
    if (owner !== 'gone' && isAlive(owner, self, lock, clock)) throw lockedBy(path, owner);
    removeStale(path, lock, self, clock);
  }
  throw lockedBy(path, readOwner(lock));
}

/** Nobody else's: a lock must have its content when it gets its name, or a power cut leaves one that says nothing. */
function draftOf(lock: string): string {
  return `${lock}.${process.pid}-${Math.floor(systemRandom.next() * 2 ** 32).toString(16)}.draft`;
}

/** What killed processes have left. The lock is ours. */
function removeDrafts(path: string): void {
  for (const name of readdirSync(path)) {
    if (/^LOCK\..*\.draft$/.test(name)) rmSync(join(path, name), { force: true });
  }
}

/**
 * Removes a lock whose owner is dead. Two that find it at once must not remove each other's new one, so that the removal has a lock
 * of its own.
 */
function removeStale(path: string, lock: string, self: LockOwner, clock: Clock): void {
  const takeover = `${lock}.takeover`;
  try {
    placeFile(takeover, JSON.stringify(self), draftOf(takeover));
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    const other = readOwner(takeover);
    if (other !== 'gone' && isAlive(other, self, takeover, clock)) throw lockedBy(path, other);
    rmSync(takeover, { force: true });
    return;
  }
  try {
    const owner = readOwner(lock);
    if (owner !== 'gone' && !isAlive(owner, self, lock, clock)) rmSync(lock, { force: true });
  } finally {
    rmSync(takeover, { force: true });
  }
}

function readOwner(lock: string): LockOwner | 'unknown' | 'gone' {
  try {
    const owner = JSON.parse(readFileSync(lock, 'utf8')) as LockOwner;
    return typeof owner.pid === 'number' ? owner : 'unknown';
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? 'gone' : 'unknown';
  }
}

function isAlive(owner: LockOwner | 'unknown', self: LockOwner, lock: string, clock: Clock): boolean {
  // Half-written, or of another machine: only its age can tell.
  if (owner === 'unknown' || owner.host !== self.host) return ageMs(lock, clock) < ABANDONED_AFTER_MS;
  if (owner.boot !== self.boot) return false;
  if (owner.pid === self.pid) return owner.started === self.started;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false;
  }
  const started = startOf(owner.pid);
  return started === undefined || started === owner.started;
}

function lockedBy(path: string, owner: LockOwner | 'unknown' | 'gone'): DataFolderLockedError {
  const known = typeof owner === 'object' ? owner : undefined;
  const who =
    known === undefined ? 'another process' : known.pid === process.pid ? 'this process' : `process ${known.pid}`;
  const where = known === undefined || known.host === hostname() ? '' : ` on ${known.host}`;
  return new DataFolderLockedError(`${path} is in use by ${who}${where}: stop it, or use another data folder`, {
    details: { path, ...(known === undefined ? {} : { pid: known.pid, host: known.host }) },
  });
}

function ownIdentity(): LockOwner {
  return {
    pid: process.pid,
    started: startOf(process.pid) ?? '',
    host: hostname(),
    boot: bootId() ?? '',
  };
}

/** Changes with every start of the machine; undefined where the system does not tell. */
export function bootId(): string | undefined {
  return readText('/proc/sys/kernel/random/boot_id');
}

/** When the process started, in the kernel's ticks; undefined where the system does not tell. */
function startOf(pid: number): string | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  // The name in parentheses may hold anything; the start is the 20th field behind it.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function ageMs(file: string, clock: Clock): number {
  try {
    return clock.now() - statSync(file).mtimeMs;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

function touch(lock: string, clock: Clock): void {
  try {
    utimesSync(lock, clock.now() / 1000, clock.now() / 1000);
  } catch {
    // Somebody removed the lock of a living owner; nothing that we write depends on it.
  }
}

/** Runs `work`, and gives the system's refusals their names. */
function writable<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const context = { cause: error, details: { path } };
    switch (codeOf(error)) {
      // What Node says of a folder to be made within a read-only one.
      case 'ENOENT':
        throw new DataFolderReadOnlyError(`${path} cannot be written`, context);
      case 'ENOTDIR':
      case 'EEXIST':
        throw new StorageError(`${path} is not a folder`, context);
      default:
        throw refusalOf(error, path, 'used');
    }
  }
}
