/**
 * The simulated disk: a store in memory that can be slow, full, and cut off in the middle of a commit.
 *
 * Owns: the content that outlives a crash of the simulated process, and where faults strike a commit.
 *
 * Invariants:
 * SD1. With `sync: 'group'` a crash leaves exactly the commits that have returned, and the one under way whole or not at all.
 * SD2. With `sync: 'relaxed'` a killed process leaves the same; a power failure leaves what was flushed and a prefix of the rest,
 *      in whole commits: a commit that was half written is found out by its sum (`relaxed-store.ts`, N2).
 */
import type { CellKey } from '../kernel/address.ts';
import { StorageFullError } from '../kernel/errors.ts';
import type { SyncMode } from '../journal/journal-control.ts';
import { MemoryStore, type StoreContent } from '../journal/memory-store.ts';
import type { KeyRange, LogRow, MetaName, Store, StoreWrites, WakeRow } from '../journal/store.ts';
import { WriteList } from '../journal/write-list.ts';
import type { FaultDice } from './fault-plan.ts';
import type { VirtualThread } from './virtual-clock.ts';

export interface SimulatedDiskPorts {
  readonly dice: FaultDice;
  readonly sync: SyncMode;
  /** The process dies here and now; does not return. */
  crash(where: string): never;
  clockJump(ms: number): void;
  readonly note: (line: string) => void;
}

/** The disk, which outlives the process. */
export class SimulatedDisk {
  readonly #ports: SimulatedDiskPorts;
  #flushed: StoreContent | undefined;
  #unflushed: WriteList[] = [];
  #full: { readonly untilMs: number } | undefined;

  constructor(ports: SimulatedDiskPorts) {
    this.#ports = ports;
  }

  /** The store of a new process; `thread` is the one that writes. */
  open(thread: VirtualThread): Store {
    return new SimulatedStore(this, new MemoryStore({ content: this.content() }), thread);
  }

  /** Everything that is on the disk. */
  content(): StoreContent | undefined {
    const store = new MemoryStore({ content: this.#flushed });
    for (const list of this.#unflushed) store.commit((writes) => list.writeTo(writes));
    this.#flushed = store.snapshot();
    this.#unflushed = [];
    return this.#flushed;
  }

  /** The power fails: of what was not flushed, the first part is there. Returns how many commits are lost. */
  loseUnflushed(): number {
    if (this.#ports.sync === 'group') return 0;
    const kept = Math.floor(this.#ports.dice.next() * (this.#unflushed.length + 1));
    const lost = this.#unflushed.length - kept;
    this.#unflushed.length = kept;
    return lost;
  }

  /** A planted bug: the last commits were acknowledged and are gone. */
  lose(commits: number): void {
    this.#unflushed.splice(-commits);
  }

  flush(): void {
    this.content();
  }

  /** One commit of `store`, with what may happen to it. */
  commit(store: MemoryStore, thread: VirtualThread, write: (writes: StoreWrites) => void): void {
    const { dice } = this.#ports;
    const list = new WriteList();
    write(list);
    if (dice.strikes('clockJump')) this.#ports.clockJump(dice.spanMs('clockJumpMs') * (dice.next() < 0.5 ? -1 : 1));
    this.#assertRoom(thread);
    if (dice.strikes('slowDisk')) thread.stall(dice.spanMs('slowDiskMs'));
    const storesImages = list.writes.some(
      (one) => one.kind === 'image' || (one.kind === 'meta' && one.name === 'checkpoint'),
    );
    const crashInCheckpoint = storesImages && dice.strikes('crashDuringCheckpoint');
    const beforehand = crashInCheckpoint && dice.next() < 0.5;
    if (beforehand || dice.strikes('crashBeforeCommit')) this.#ports.crash('before a commit');
    store.commit((writes) => list.writeTo(writes));
    this.#unflushed.push(list);
    this.#ports.note(`commit ${list.writes.map(describe).join(' ')}`);
    if (crashInCheckpoint || dice.strikes('crashAfterCommit')) this.#ports.crash('after a commit');
  }

  #assertRoom(thread: VirtualThread): void {
    const { dice } = this.#ports;
    const nowMs = thread.elapsedMs;
    if (this.#full === undefined && dice.strikes('fullDisk'))
      this.#full = { untilMs: nowMs + dice.spanMs('fullDiskMs') };
    if (this.#full === undefined) return;
    if (nowMs < this.#full.untilMs) throw new StorageFullError('the simulated disk is full');
    this.#full = undefined;
  }
}

function describe(write: WriteList['writes'][number]): string {
  switch (write.kind) {
    case 'log':
      return `${write.position}:${write.bytes.length}`;
    case 'meta':
      return `${write.name}=${write.value}`;
    case 'removeLog':
      return `-${write.position}`;
    default:
      return `${write.kind}(${write.key})`;
  }
}

class SimulatedStore implements Store {
  readonly #disk: SimulatedDisk;
  readonly #memory: MemoryStore;
  readonly #thread: VirtualThread;

  constructor(disk: SimulatedDisk, memory: MemoryStore, thread: VirtualThread) {
    this.#disk = disk;
    this.#memory = memory;
    this.#thread = thread;
  }

  commit(write: (writes: StoreWrites) => void): void {
    this.#disk.commit(this.#memory, this.#thread, write);
  }

  flush(): void {
    this.#disk.flush();
  }

  meta(name: MetaName): number | undefined {
    return this.#memory.meta(name);
  }

  logFrom(from: number): Iterable<LogRow> {
    return this.#memory.logFrom(from);
  }

  logPositions(from: number, limit: number): readonly number[] {
    return this.#memory.logPositions(from, limit);
  }

  logAt(position: number): LogRow | undefined {
    return this.#memory.logAt(position);
  }

  image(key: CellKey): Uint8Array | undefined {
    return this.#memory.image(key);
  }

  imageKeys(range: KeyRange): readonly CellKey[] {
    return this.#memory.imageKeys(range);
  }

  wakes(afterMs: number, upToMs: number, limit: number): readonly WakeRow[] {
    return this.#memory.wakes(afterMs, upToMs, limit);
  }

  letter(id: string): Uint8Array | undefined {
    return this.#memory.letter(id);
  }

  letterIds(range: KeyRange): readonly string[] {
    return this.#memory.letterIds(range);
  }

  damages(): readonly { readonly key: CellKey; readonly bytes: Uint8Array }[] {
    return this.#memory.damages();
  }

  fileBytes(): number {
    return this.#memory.fileBytes();
  }

  backup(targetDir: string): Promise<void> {
    return this.#memory.backup(targetDir);
  }

  close(): Promise<void> {
    return this.#memory.close();
  }
}
