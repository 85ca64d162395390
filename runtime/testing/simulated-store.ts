/**
 * The simulated disk: a store in memory that can be slow, full, and cut off in the middle of a commit.
 *
 * Owns: the content that outlives a crash of the simulated process, and where faults strike a commit.
 *
 * Invariants:
 * SD1. With `sync: 'group'` a crash leaves exactly the commits that have returned, and the one under way whole or not at all.
 * SD2. With `sync: 'relaxed'` a killed process leaves the same; a power failure leaves what was flushed and a prefix of the rest.
 *      With a folder, the real store decides what that is, on a real file that was torn (`simulated-ahead.ts`), and is held to it.
 */
import type { CellKey } from '../kernel/address.ts';
import { StorageError, StorageFullError } from '../kernel/errors.ts';
import { BatchReader } from '../journal/batch-reader.ts';
import type { SyncMode } from '../journal/journal-control.ts';
import { MemoryStore, type StoreContent } from '../journal/memory-store.ts';
import type { KeyRange, LogRow, MetaName, Store, StoreWrites, WakeRow } from '../journal/store.ts';
import { WriteList } from '../journal/write-list.ts';
import type { FaultDice } from './fault-plan.ts';
import { SimulatedAhead } from './simulated-ahead.ts';
import type { VirtualThread } from './virtual-clock.ts';

export interface SimulatedDiskPorts {
  readonly dice: FaultDice;
  readonly sync: SyncMode;
  /** Where the file of `relaxed` lies. */
  readonly folder: string | undefined;
  /** The process dies here and now; does not return. */
  crash(where: string): never;
  clockJump(ms: number): void;
  /** The date is wrong from now on: forward for good, back for a while. */
  wrongDate(ms: number): void;
  readonly violated: (rule: string, what: string) => void;
  readonly note: (line: string) => void;
}

/** The disk, which outlives the process. */
export class SimulatedDisk {
  readonly #ports: SimulatedDiskPorts;
  #flushed: StoreContent | undefined;
  #unflushed: WriteList[] = [];
  #full: { readonly untilMs: number } | undefined;
  #failure = false;
  /** Rows that were removed from the log, by position: the checker wants the whole past. */
  readonly #trimmed: LogRow[] = [];

  /** Behind the file of `relaxed`: it outlives processes as its rows do. */
  readonly #database = new MemoryStore();
  readonly #ahead: SimulatedAhead | undefined;

  constructor(ports: SimulatedDiskPorts) {
    this.#ports = ports;
    const { sync, folder, dice } = ports;
    if (sync === 'relaxed' && folder !== undefined) this.#ahead = new SimulatedAhead(folder, dice);
  }

  /** The store of a new process; `thread` is the one that writes. */
  open(thread: VirtualThread): Store {
    const content = this.content();
    if (this.#ahead === undefined) return new SimulatedStore(this, new MemoryStore({ content }), thread);
    const store = this.#ahead.open(this.#behindFile());
    if (content !== undefined) this.#compare(content, this.#database.snapshot());
    return new SimulatedStore(this, store, thread);
  }

  /** Nobody uses it any more. */
  close(): void {
    this.#ahead?.close();
  }

  /** Everything that is on the disk. */
  content(): StoreContent | undefined {
    const store = new MemoryStore({ content: this.#flushed });
    for (const list of this.#unflushed) {
      for (const one of list.writes) if (one.kind === 'removeLog') this.#trim(store, one.position);
      store.commit((writes) => list.writeTo(writes));
    }
    this.#flushed = store.snapshot();
    this.#unflushed = [];
    return this.#flushed;
  }

  /** The power fails: of what was not flushed, the first part is there. Returns how many commits are lost. */
  loseUnflushed(): number {
    if (this.#ports.sync === 'group') return 0;
    const kept = Math.floor(this.#ports.dice.next() * (this.#unflushed.length + 1));
    const lost = this.#unflushed.length - kept;
    this.#ahead?.failPower(kept);
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

  /** Rows that are no longer in the log, in order. */
  get trimmed(): readonly LogRow[] {
    return this.#trimmed;
  }

  /** Whether the disk has failed since this was last asked: then the process that used it is of no use. */
  takeFailure(): boolean {
    const failed = this.#failure;
    this.#failure = false;
    return failed;
  }

  /** One commit of `store`, with what may happen to it. */
  commit(store: Store, thread: VirtualThread, write: (writes: StoreWrites) => void): void {
    const { dice } = this.#ports;
    const list = new WriteList();
    write(list);
    if (dice.strikes('clockJump')) this.#ports.clockJump(dice.spanMs('clockJumpMs') * (dice.next() < 0.5 ? -1 : 1));
    if (dice.strikes('wrongDate')) this.#ports.wrongDate(dice.spanMs('wrongDateMs') * (dice.next() < 0.5 ? -1 : 1));
    this.#assertRoom(thread);
    if (dice.strikes('slowDisk')) thread.stall(dice.spanMs('slowDiskMs'));
    const storesImages = list.writes.some(
      (one) => one.kind === 'image' || (one.kind === 'meta' && one.name === 'checkpoint'),
    );
    const crashInCheckpoint = storesImages && dice.strikes('crashDuringCheckpoint');
    const beforehand = crashInCheckpoint && dice.next() < 0.5;
    if (beforehand || dice.strikes('crashBeforeCommit')) {
      if (this.#ahead !== undefined && dice.next() < 0.5) {
        store.commit((writes) => list.writeTo(writes));
        this.#ahead.cutWrite();
      }
      this.#ports.crash('before a commit');
    }
    const failure = dice.strikes('failedDisk');
    if (failure) this.#failure = true;
    if (failure && dice.next() < 0.5) throw new StorageError('the simulated disk failed: nothing was written');
    store.commit((writes) => list.writeTo(writes));
    this.#unflushed.push(list);
    this.#ahead?.committed();
    this.#ports.note(`commit ${list.writes.map(describe).join(' ')}`);
    if (failure) throw new StorageError('the simulated disk failed: everything was written');
    if (crashInCheckpoint || dice.strikes('crashAfterCommit')) this.#ports.crash('after a commit');
  }

  /** The database, as the store in front of it sees it: what it is given is flushed. */
  #behindFile(): Store {
    const database = this.#database;
    return new Proxy(database, {
      get: (target, name) => {
        if (name === 'commit')
          return (write: (writes: StoreWrites) => void) => {
            target.commit(write);
            this.content();
            this.#ahead?.flushed();
          };
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
      },
    });
  }

  /** What the store has found is what the disk held. */
  #compare(expected: StoreContent, found: StoreContent): void {
    const positions = ({ log }: StoreContent): string => log.map(({ position }) => position).join();
    const rows = ({ images, letters }: StoreContent): string => [...images.keys(), '|', ...letters.keys()].join();
    if (positions(expected) !== positions(found) || rows(expected) !== rows(found)) {
      const what = `${expected.log.length} batches up to ${expected.log.at(-1)?.position}`;
      this.#ports.violated(
        'torn',
        `the disk held ${what}; ${found.log.length} up to ${found.log.at(-1)?.position} were found`,
      );
    }
  }

  #trim(store: MemoryStore, position: number): void {
    const row = store.logAt(position);
    if (row?.position !== position) return;
    const checkpoint = store.meta('checkpoint') ?? 0;
    const end = position + new BatchReader(row.bytes).turns;
    if (end > checkpoint)
      this.#ports.violated('trim', `turns up to ${end} were removed, the checkpoint is ${checkpoint}`);
    this.#trimmed.push(row);
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
  readonly #memory: Store;
  readonly #thread: VirtualThread;

  constructor(disk: SimulatedDisk, memory: Store, thread: VirtualThread) {
    this.#disk = disk;
    this.#memory = memory;
    this.#thread = thread;
  }

  commit(write: (writes: StoreWrites) => void): void {
    this.#disk.commit(this.#memory, this.#thread, write);
  }

  flush(): void {
    this.#memory.flush();
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

  async close(): Promise<void> {
    this.#disk.close();
  }
}
