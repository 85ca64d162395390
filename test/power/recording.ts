/**
 * What the shim wrote down, as changes to a disk and the promises made in between.
 *
 * Owns: the record's format, whose file a write was for, and from when on each change is safe.
 *
 * The disk that is assumed (stricter than ext4, which orders more):
 *   - a write, a new size and a change of names are in memory until something waits for them;
 *   - a sync that has ended makes safe what was done to its file, or to the names in its folder, before the sync began; a file's sync
 *     says nothing about its name;
 *   - a write through a descriptor with O_DSYNC is safe when it has ended.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Not recorded as part of the disk: what the load has promised, a line each, in the record's order. */
export const PROMISES = 'PROMISES';

export type Entry = { readonly kind: 'folder' } | { readonly kind: 'file'; readonly inode: number };

interface Timed {
  /** Number of the event. */
  readonly at: number;
  /** Number of the event after which it is safe; infinite when nothing ever waited for it. */
  safeFrom: number;
}

export interface DataChange extends Timed {
  readonly kind: 'data';
  readonly inode: number;
  readonly offset: number;
  readonly bytes: Buffer;
}

export interface SizeChange extends Timed {
  readonly kind: 'size';
  readonly inode: number;
  readonly size: number;
}

export interface NameChange extends Timed {
  readonly kind: 'names';
  /** All at once; undefined: gone. */
  readonly names: readonly (readonly [path: string, entry: Entry | undefined])[];
}

export type Change = DataChange | SizeChange | NameChange;

/** A line that the load wrote when it had been promised something. */
export interface Promised {
  readonly at: number;
  readonly words: readonly string[];
}

/** A disk at rest: names relative to the root, and the content of files. */
export interface Disk {
  readonly names: ReadonlyMap<string, Entry>;
  readonly files: ReadonlyMap<number, Buffer>;
}

export interface Recording {
  readonly base: Disk;
  readonly changes: readonly Change[];
  readonly promises: readonly Promised[];
  /** Events at which a sync, or a write that waits, ended. */
  readonly syncEnds: readonly number[];
  readonly events: number;
  /** Files that were mapped for writing: their content escapes the record. */
  readonly mapped: ReadonlySet<number>;
  /** When each event happened, in ms since the first. */
  readonly timesMs: readonly number[];
  /** All names and files as they were in the end. */
  readonly paths: ReadonlyMap<number, string>;
}

const HEAD_BYTES = 32;
const CREATED = 1;
const DSYNC = 2;
const TRUNCATED = 4;

type Handle = { readonly folder: string } | { readonly inode: number } | 'promises';

/** Reads the record of a process that worked below `root`, on a disk that was `base` when it began. */
export function readRecording(file: string, root: string, base: Disk): Recording {
  const reader = new RecordReader(root, base);
  const bytes = readFileSync(file);
  for (let at = 0, event = 0; at + HEAD_BYTES <= bytes.length; event++) {
    const length = Number(bytes.readBigUInt64LE(at + 16));
    const end = at + HEAD_BYTES + length;
    if (end > bytes.length) break;
    reader.take(event, {
      kind: String.fromCharCode(bytes[at] as number),
      flags: bytes[at + 1] as number,
      handle: bytes.readUInt32LE(at + 4),
      offset: Number(bytes.readBigUInt64LE(at + 8)),
      timeMs: Number(bytes.readBigUInt64LE(at + 24)) / 1e6,
      bytes: bytes.subarray(at + HEAD_BYTES, end),
    });
    at = end;
  }
  return reader.recording();
}

interface RecordedEvent {
  readonly kind: string;
  readonly flags: number;
  readonly handle: number;
  readonly offset: number;
  readonly timeMs: number;
  readonly bytes: Buffer;
}

class RecordReader {
  readonly #root: string;
  readonly #base: Disk;
  readonly #names: Map<string, Entry>;
  readonly #handles = new Map<number, Handle>();
  readonly #changes: Change[] = [];
  readonly #promises: Promised[] = [];
  readonly #syncEnds: number[] = [];
  readonly #mapped = new Set<number>();
  readonly #timesMs: number[] = [];
  readonly #paths = new Map<number, string>();
  /** Changes that nothing has waited for yet: of a file by its inode, of names by their folder. */
  readonly #unsafe = new Map<number | string, Change[]>();
  /** Folders that a change of names still waits for. */
  readonly #folders = new Map<NameChange, Set<string>>();
  readonly #waiting = new Map<number, DataChange>();
  #inode: number;

  constructor(root: string, base: Disk) {
    this.#root = root;
    this.#base = base;
    this.#names = new Map(base.names);
    this.#inode = Math.max(0, ...base.files.keys());
    for (const [path, entry] of base.names) if (entry.kind === 'file') this.#paths.set(entry.inode, path);
  }

  take(at: number, event: RecordedEvent): void {
    this.#timesMs.push(event.timeMs - (this.#timesMs.length === 0 ? event.timeMs : (this.#first ?? event.timeMs)));
    this.#first ??= event.timeMs;
    const handle = this.#handles.get(event.handle);
    switch (event.kind) {
      case 'O':
        this.#open(at, event);
        break;
      case 'W':
        this.#write(at, event, handle);
        break;
      case 'T':
        this.#resize(at, inodeOf(handle), event.offset);
        break;
      case 'E':
        this.#end(at, event.offset, handle);
        break;
      case 'M':
        this.#mapped.add(inodeOf(handle));
        break;
      case 'S':
        break;
      case 'D':
        this.#rename(at, [[this.#path(event.bytes), { kind: 'folder' }]]);
        break;
      case 'U':
        this.#rename(at, [[this.#path(event.bytes), undefined]]);
        break;
      case 'R':
      case 'L': {
        const zero = event.bytes.indexOf(0);
        const from = this.#path(event.bytes.subarray(0, zero));
        const to = this.#path(event.bytes.subarray(zero + 1));
        const entry = this.#entry(from);
        if (entry.kind === 'folder') throw new Error(`${from}: the renaming of a folder is not modelled`);
        this.#rename(
          at,
          event.kind === 'L'
            ? [[to, entry]]
            : [
                [from, undefined],
                [to, entry],
              ],
        );
        break;
      }
      default:
        throw new Error(`the record holds what cannot be replayed: ${event.bytes.toString()}`);
    }
  }
  #first: number | undefined;

  recording(): Recording {
    return {
      base: this.#base,
      changes: this.#changes,
      promises: this.#promises,
      syncEnds: this.#syncEnds,
      events: this.#timesMs.length,
      mapped: this.#mapped,
      timesMs: this.#timesMs,
      paths: this.#paths,
    };
  }

  #open(at: number, { flags, handle, bytes }: RecordedEvent): void {
    const path = this.#path(bytes);
    if (path === PROMISES) {
      this.#handles.set(handle, 'promises');
      return;
    }
    if ((flags & CREATED) !== 0) {
      const inode = ++this.#inode;
      this.#paths.set(inode, path);
      this.#handles.set(handle, { inode });
      this.#rename(at, [[path, { kind: 'file', inode }]]);
      return;
    }
    if (path === '') {
      this.#handles.set(handle, { folder: '' });
      return;
    }
    const entry = this.#entry(path);
    this.#handles.set(handle, entry.kind === 'folder' ? { folder: path } : { inode: entry.inode });
    if ((flags & TRUNCATED) !== 0 && entry.kind === 'file') this.#resize(at, entry.inode, 0);
  }

  #write(at: number, { flags, offset, bytes }: RecordedEvent, handle: Handle | undefined): void {
    if (handle === 'promises') {
      for (const line of bytes.toString().split('\n'))
        if (line !== '') this.#promises.push({ at, words: line.split(' ') });
      return;
    }
    const change: DataChange = { kind: 'data', at, safeFrom: Infinity, inode: inodeOf(handle), offset, bytes };
    this.#changes.push(change);
    if ((flags & DSYNC) !== 0) this.#waiting.set(at, change);
    else this.#remember(change.inode, change);
  }

  #resize(at: number, inode: number, size: number): void {
    const change: SizeChange = { kind: 'size', at, safeFrom: Infinity, inode, size };
    this.#changes.push(change);
    this.#remember(inode, change);
  }

  #rename(at: number, names: NameChange['names']): void {
    const change: NameChange = { kind: 'names', at, safeFrom: Infinity, names };
    this.#changes.push(change);
    const folders = new Set<string>();
    for (const [path, entry] of names) {
      if (entry === undefined) this.#names.delete(path);
      else this.#names.set(path, entry);
      if (entry?.kind === 'file') this.#paths.set(entry.inode, path);
      folders.add(folderOf(path));
    }
    this.#folders.set(change, folders);
    for (const folder of folders) this.#remember(`/${folder}`, change);
  }

  #remember(place: number | string, change: Change): void {
    const unsafe = this.#unsafe.get(place);
    if (unsafe === undefined) this.#unsafe.set(place, [change]);
    else unsafe.push(change);
  }

  /** A sync, or a write that waits, which began with event `began`, has ended. */
  #end(at: number, began: number, handle: Handle | undefined): void {
    if (handle === 'promises') return;
    this.#syncEnds.push(at);
    const written = this.#waiting.get(began);
    if (written !== undefined) {
      written.safeFrom = at;
      this.#waiting.delete(began);
      return;
    }
    if (handle === undefined) throw new Error('a sync of a file that was not opened');
    const place = 'folder' in handle ? `/${handle.folder}` : handle.inode;
    const unsafe = this.#unsafe.get(place) ?? [];
    this.#unsafe.set(
      place,
      unsafe.filter((change) => {
        if (change.at > began) return true;
        if (change.kind === 'names' && 'folder' in handle) {
          const folders = this.#folders.get(change);
          folders?.delete(handle.folder);
          if (folders !== undefined && folders.size > 0) return false;
        }
        change.safeFrom = at;
        return false;
      }),
    );
  }

  #entry(path: string): Entry {
    const entry = this.#names.get(path);
    if (entry === undefined) throw new Error(`${path} was opened, and nothing says that it was made`);
    return entry;
  }

  #path(bytes: Buffer): string {
    const path = bytes.toString();
    return path === this.#root ? '' : path.slice(this.#root.length + 1);
  }
}

function inodeOf(handle: Handle | undefined): number {
  if (handle === undefined || handle === 'promises' || 'folder' in handle)
    throw new Error('a change to what is no file');
  return handle.inode;
}

/** The folder that holds a name. */
export function folderOf(path: string): string {
  const folder = dirname(path);
  return folder === '.' ? '' : folder;
}

/** Where the load writes its promises. */
export function promisesFile(root: string): string {
  return join(root, PROMISES);
}
