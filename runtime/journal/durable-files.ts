/**
 * Files and folders that survive power loss under their names: whole, or not at all.
 *
 * Owns: what must be waited for. A sync of a file says nothing about its name: that is the folder's, which wants a sync of its own.
 *
 * Invariants:
 * DF1. After `makeFolder` and `syncNames` have returned, the names survive.
 * DF2. A file made by `placeFile` is never seen empty or in part, not after a power cut either.
 * DF3. A file that has lost its name is noticed at the first assertion of its `KeptName` after `KEPT_NAME_LOOK_MS`.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { StorageError } from '../kernel/errors.ts';

/** What a system says where a folder cannot be opened or synced, and therefore need not be: Windows, some network disks. */
const NO_FOLDER_SYNC = new Set<unknown>(['EISDIR', 'EPERM', 'EACCES', 'EINVAL', 'ENOTSUP', 'ENOSYS']);
/** What a file system says that has no second names for files. */
const NO_LINKS = new Set<unknown>(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL']);

/** Makes the folder with those above it, durably; its path without symbolic links is the answer. */
export function makeFolder(folder: string): string {
  const first = makeMissing(folder);
  const path = realpathSync(folder);
  // Also when nothing was made: a process may have been killed between making the folder and this.
  let above = dirname(path);
  syncNames(above);
  const top = first === undefined ? above : dirname(realpathSync(first));
  while (above.length > top.length) {
    above = dirname(above);
    syncNames(above);
  }
  return path;
}

/**
 * The first folder that had to be made. Not Node's `recursive`: where the system says "no such file" to every folder that is to be made,
 * as in /proc, it begins again for ever.
 */
function makeMissing(folder: string): string | undefined {
  const missing: string[] = [];
  for (let at = resolve(folder); !existsSync(at); at = dirname(at)) missing.unshift(at);
  for (const path of missing) {
    try {
      mkdirSync(path);
    } catch (error) {
      // Another process may have been faster.
      if (codeOf(error) !== 'EEXIST' || !statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
    }
  }
  if (missing.length === 0 && !statSync(folder).isDirectory()) mkdirSync(folder);
  return missing[0];
}

/** Makes every change of names in `folder` survive. */
export function syncNames(folder: string): void {
  let fd: number;
  try {
    fd = openSync(folder, 'r');
  } catch (error) {
    if (NO_FOLDER_SYNC.has(codeOf(error))) return;
    throw error;
  }
  try {
    fsyncSync(fd);
  } catch (error) {
    if (!NO_FOLDER_SYNC.has(codeOf(error))) throw error;
  } finally {
    closeSync(fd);
  }
}

/** Makes `file` survive, whoever has written it. */
export function syncFile(file: string): void {
  const fd = openSync(file, 'r+');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Gives `file` this text. Its name survives with the next `syncNames`. */
export function replaceFile(file: string, text: string): void {
  const draft = `${file}.new`;
  rmSync(draft, { force: true });
  writeDraft(draft, text);
  renameSync(draft, file);
}

/** Makes `file` with this text; throws EEXIST when it is there. `draft`: a name that nobody else uses. */
export function placeFile(file: string, text: string, draft: string): void {
  rmSync(draft, { force: true });
  writeDraft(draft, text);
  try {
    linkSync(draft, file);
  } catch (error) {
    if (!NO_LINKS.has(codeOf(error))) throw error;
    writeDraft(file, text);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** A look right after a flush costs an eighth of a lone durable ask (100 µs of 900), so it is not taken at every commit. */
const KEPT_NAME_LOOK_MS = 50;

/** The name of an open file. Writing goes on without an error when it is taken away, and nobody will ever read what was written. */
export class KeptName {
  readonly #file: string;
  readonly #inode: number;
  readonly #device: number;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #nextLookMs = 0;

  /** `file` exists, and is open. */
  constructor(file: string, clock: Pick<Clock, 'monotonicMs'> = systemClock) {
    this.#clock = clock;
    const { dev, ino } = statSync(file);
    this.#file = file;
    this.#device = dev;
    this.#inode = ino;
  }

  /** Looks, unless it was done a moment ago; throws `StorageError` when another file has the name, or none. */
  assertKept(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#nextLookMs) return;
    this.#nextLookMs = nowMs + KEPT_NAME_LOOK_MS;
    this.look();
  }

  /** Throws `StorageError` when another file has the name, or none. */
  look(): void {
    const found = statSync(this.#file, { throwIfNoEntry: false });
    if (found?.ino === this.#inode && found.dev === this.#device) return;
    throw new StorageError(
      `${this.#file} was removed, renamed or replaced while it was in use: what was acknowledged before is in the file that had ` +
        'this name; put it back, and start again',
      { details: { path: this.#file } },
    );
  }
}

/** Makes the file, which must not exist. */
function writeDraft(file: string, text: string): void {
  const fd = openSync(file, 'wx');
  let written = false;
  try {
    writeSync(fd, text);
    fsyncSync(fd);
    written = true;
  } finally {
    closeSync(fd);
    if (!written) rmSync(file, { force: true });
  }
}

/** What the system calls the reason of its refusal. */
export function codeOf(error: unknown): unknown {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
