/**
 * The disk after a power cut: everything safe, and of the rest whatever the choice says.
 *
 * Owns: putting changes together into files, and the files into a folder. Which cut and which choice is `cut-plan.ts`.
 *
 * Invariants:
 * DK1. With every change chosen whole, the disk is the one that the recorded process left.
 * DK2. Nothing safe is ever missing, whatever is chosen.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Change,
  type DataChange,
  type Disk,
  type Entry,
  folderOf,
  PROMISES,
  type Recording,
} from './recording.ts';

const SECTOR_BYTES = 512;

/** What became of a change that was not safe. Torn: which of its sectors arrived. */
export type Fate = 'kept' | 'lost' | { readonly sectors: readonly boolean[] };

/** What lies where the file's size arrived and its bytes did not. */
export type Hole = 'none' | 'zeros' | 'garbage';

export interface Choice {
  /** Of each unsafe change, in their order. */
  readonly fates: readonly Fate[];
  /** The order in which they arrive: indices into `fates`. Undefined: as they were made. */
  readonly order?: readonly number[] | undefined;
  readonly hole: Hole;
  /** What is in files that were mapped for writing, as far as the record cannot know it. */
  readonly mapped: 'zeros' | 'garbage';
}

class FileBytes {
  #bytes: Buffer;
  #size: number;

  constructor(content: Buffer) {
    this.#bytes = content;
    this.#size = content.length;
  }

  get size(): number {
    return this.#size;
  }

  resize(size: number): void {
    if (size > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(size, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, this.#size);
      this.#bytes = larger;
    }
    if (size < this.#size) this.#bytes.fill(0, size, this.#size);
    this.#size = size;
  }

  write(offset: number, bytes: Uint8Array): void {
    if (offset + bytes.length > this.#size) this.resize(offset + bytes.length);
    this.#bytes.set(bytes, offset);
  }

  content(): Buffer {
    return this.#bytes.subarray(0, this.#size);
  }

  copy(): FileBytes {
    return new FileBytes(Buffer.from(this.content()));
  }
}

/** Goes through a recording's cuts, from the first on. */
export class DiskHistory {
  readonly #recording: Recording;
  /** Per file: what was made safe without anything unsafe before it, and what came after. */
  readonly #settled = new Map<number, FileBytes>();
  readonly #later = new Map<number, Change[]>();
  #laterNames: Change[] = [];
  readonly #names: Map<string, Entry>;
  #taken = 0;
  #cut = 0;

  constructor(recording: Recording) {
    this.#recording = recording;
    this.#names = new Map(recording.base.names);
    for (const [inode, content] of recording.base.files) this.#settled.set(inode, new FileBytes(Buffer.from(content)));
  }

  /** Moves to the cut before event `cut`, which is not before the last one. */
  moveTo(cut: number): void {
    if (cut < this.#cut) throw new Error('cuts go forward');
    this.#cut = cut;
    const { changes } = this.#recording;
    for (; this.#taken < changes.length && (changes[this.#taken] as Change).at < cut; this.#taken++) {
      const change = changes[this.#taken] as Change;
      if (change.kind === 'names') this.#laterNames.push(change);
      else {
        const later = this.#later.get(change.inode);
        if (later === undefined) this.#later.set(change.inode, [change]);
        else later.push(change);
      }
    }
    for (const [inode, later] of this.#later) {
      let settled = 0;
      while (settled < later.length && (later[settled] as Change).safeFrom < cut) {
        applyToFile(this.#file(inode), later[settled++] as Change, 'kept');
      }
      if (settled > 0) later.splice(0, settled);
    }
    let named = 0;
    while (named < this.#laterNames.length && (this.#laterNames[named] as Change).safeFrom < cut) {
      applyNames(this.#names, this.#laterNames[named++] as Change);
    }
    this.#laterNames = this.#laterNames.slice(named);
  }

  /** The changes that are not safe at the cut, in their order. */
  unsafe(): Change[] {
    return unsafeAt(this.#recording, this.#cut, [...this.#later.values(), this.#laterNames].flat());
  }

  /** The disk that the choice leaves. */
  disk(choice: Choice): Disk {
    const unsafe = this.unsafe();
    const fates = new Map<Change, Fate>(unsafe.map((change, i) => [change, choice.fates[i] ?? 'lost']));
    const rank = new Map<Change, number>();
    for (const [place, i] of (choice.order ?? []).entries()) rank.set(unsafe[i] as Change, place);
    const inOrder = (changes: readonly Change[]): readonly Change[] => {
      if (choice.order === undefined) return changes;
      // Those that change places do so among themselves; what is safe stays where it is.
      const moving = changes
        .filter((change) => rank.has(change))
        .sort((a, b) => (rank.get(a) ?? 0) - (rank.get(b) ?? 0));
      let moved = 0;
      return changes.map((change) => (rank.has(change) ? (moving[moved++] as Change) : change));
    };

    const names = new Map(this.#names);
    for (const change of this.#laterNames) if ((fates.get(change) ?? 'kept') !== 'lost') applyNames(names, change);
    const files = new Map<number, Buffer>();
    for (const entry of names.values()) {
      if (entry.kind === 'folder' || files.has(entry.inode)) continue;
      const file = this.#file(entry.inode).copy();
      for (const change of inOrder(this.#later.get(entry.inode) ?? [])) {
        applyToFile(file, change, fates.get(change) ?? 'kept', choice.hole);
      }
      if (this.#recording.mapped.has(entry.inode)) fill(file, choice.mapped, entry.inode);
      files.set(entry.inode, file.content());
    }
    return { names, files };
  }

  #file(inode: number): FileBytes {
    let file = this.#settled.get(inode);
    if (file === undefined) {
      file = new FileBytes(Buffer.alloc(0));
      this.#settled.set(inode, file);
    }
    return file;
  }
}

/** The unsafe ones of `changes` at a cut, in their order. */
export function unsafeAt(recording: Recording, cut: number, changes: readonly Change[] = recording.changes): Change[] {
  return changes.filter((change) => change.at < cut && change.safeFrom >= cut).sort((a, b) => a.at - b.at);
}

function applyNames(names: Map<string, Entry>, change: Change): void {
  if (change.kind !== 'names') return;
  for (const [path, entry] of change.names) {
    if (entry === undefined) names.delete(path);
    else names.set(path, entry);
  }
}

function applyToFile(file: FileBytes, change: Change, fate: Fate, hole: Hole = 'none'): void {
  if (change.kind === 'names') return;
  if (change.kind === 'size') {
    if (fate !== 'lost') file.resize(change.size);
    return;
  }
  const { offset, bytes } = change;
  if (fate === 'kept') {
    file.write(offset, bytes);
    return;
  }
  const before = file.size;
  if (hole !== 'none' && offset + bytes.length > before) {
    file.resize(offset + bytes.length);
    if (hole === 'garbage') file.write(before, garbage(offset + bytes.length - before, offset + 1));
  }
  if (fate === 'lost') return;
  let at = offset;
  for (const arrived of fate.sectors) {
    const end = Math.min(offset + bytes.length, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES);
    if (arrived) file.write(at, bytes.subarray(at - offset, end - offset));
    at = end;
  }
}

/** Sectors of the disk that a write touches. */
export function sectorsOf({ offset, bytes }: DataChange): number {
  return Math.floor((offset + bytes.length - 1) / SECTOR_BYTES) - Math.floor(offset / SECTOR_BYTES) + 1;
}

function fill(file: FileBytes, what: 'zeros' | 'garbage', seed: number): void {
  const { size } = file;
  file.write(0, what === 'zeros' ? Buffer.alloc(size) : garbage(size, seed));
}

function garbage(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let value = Math.imul(seed, 0x9e3779b1) | 1;
  for (let i = 0; i < length; i++) {
    value = Math.imul(value, 0x19660d) + 0x3c6ef35f;
    bytes[i] = value >>> 24;
  }
  return bytes;
}

/** Writes a disk into an empty folder. A name whose folder has no name cannot be reached, and is left out. */
export function writeDisk(disk: Disk, folder: string): void {
  const reachable = new Set(['']);
  for (const [path, entry] of [...disk.names].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!reachable.has(folderOf(path))) continue;
    if (entry.kind === 'folder') {
      reachable.add(path);
      mkdirSync(join(folder, path));
    } else {
      writeFileSync(join(folder, path), disk.files.get(entry.inode) ?? Buffer.alloc(0));
    }
  }
}

/** The disk that a folder is. */
export function readDisk(folder: string): Disk {
  const names = new Map<string, Entry>();
  const files = new Map<number, Buffer>();
  for (const { name, parentPath, ...entry } of readdirSync(folder, { withFileTypes: true, recursive: true }).map(
    (found) => ({ name: found.name, parentPath: found.parentPath, isFolder: found.isDirectory() }),
  )) {
    const whole = join(parentPath, name);
    const path = whole.slice(folder.length + 1);
    if (path === PROMISES) continue;
    if (entry.isFolder) {
      names.set(path, { kind: 'folder' });
    } else {
      const inode = files.size + 1;
      names.set(path, { kind: 'file', inode });
      files.set(inode, readFileSync(whole));
    }
  }
  return { names, files };
}
