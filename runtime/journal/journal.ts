/**
 * The journal: the single writer's core. Runs in the journal thread, on the calling thread with `threads: 0`, and in simulation.
 *
 * Owns: positions, group commit, fencing, the full disk, and what a host is told. Knows nothing of threads and ports; recovery is
 * `journal-recovery.ts`, looking into the past is `journal-queries.ts`, bytes are decoded by whoever asked.
 *
 * Invariants:
 * J5. All batches that wait when a commit begins are one transaction; positions are given in that order, without a gap.
 * J6. `committed` is said after the transaction returned, once a batch, in the order of the host's appends.
 * J7. Nothing of an epoch below the slot's is ever committed after `fence` returned.
 * J8. A full disk holds batches, it does not refuse them: the same batches are committed when there is room, in the same order.
 * J9. Any other failure of the store ends the journal: nothing is committed after it, for what is on the disk is not known.
 */
import { type CellKey, placementOf } from '../kernel/address.ts';
import type { Clock, Wait } from '../kernel/clock.ts';
import { StorageError, StorageFullError, SystemStoppedError } from '../kernel/errors.ts';
import { BatchReader } from './batch-reader.ts';
import { encodeParcels } from './cell-parcel.ts';
import { Checkpoint } from './checkpoint.ts';
import type { JournalStats, OpenReport, Retention } from './journal-control.ts';
import { JournalQueries } from './journal-queries.ts';
import { JournalRecovery, type RawRecovery, type Reach } from './journal-recovery.ts';
import { LogTrim } from './log-trim.ts';
import { encodeDamage, wakeAtOf } from './row-codec.ts';
import type { Store, StoreWrites } from './store.ts';
import { WakeWatch } from './wake-watch.ts';

/** How long a full disk is left alone before the next try. */
const RETRY_FULL_MS = 500;
/** Keys in one `wake`. */
const WAKE_CHUNK = 10_000;

export interface JournalSettings {
  readonly store: Store;
  readonly clock: Clock;
  readonly hosts: number;
  readonly retention: Retention;
  readonly checkpointEveryTurns: number;
  readonly checkpointEveryBytes: number;
  /** Flush the store this long after a commit; undefined: every commit flushes by itself. */
  readonly flushAfterMs?: number | undefined;
  /** Asks the driver to call `pump` soon. */
  readonly schedule: () => void;
  /** The store failed for good (J9). */
  readonly failed: (error: unknown) => void;
}

/** What the journal tells a host, still as bytes. */
export interface HostLink {
  committed(number: number, position: number): void;
  loaded(request: number, parcels: Uint8Array): void;
  fenced(): void;
  wake(keys: readonly CellKey[]): void;
  storage(state: 'full' | 'ok'): void;
  checkpoint(round: number, target: number): void;
}

/** A host's end of the journal. */
export interface HostSession {
  append(number: number, bytes: Uint8Array): void;
  load(request: number, keys: readonly CellKey[]): void;
  clean(round: number): void;
  close(): void;
}

interface Session {
  readonly slot: number;
  readonly epoch: number;
  readonly link: HostLink;
  state: 'open' | 'fenced' | 'closed';
  nextNumber: number | undefined;
  waiting: number;
}

interface WaitingBatch {
  readonly session: Session;
  readonly number: number;
  readonly batch: BatchReader;
}

interface WaitingLoad {
  readonly session: Session;
  readonly request: number;
  readonly keys: readonly CellKey[];
}

interface Extra {
  readonly write: (writes: StoreWrites) => void;
  readonly done: () => void;
}

export class Journal {
  readonly #settings: JournalSettings;
  readonly #store: Store;
  readonly #recovery: JournalRecovery;
  readonly #checkpoint: Checkpoint;
  readonly #trim: LogTrim;
  readonly #wakes: WakeWatch;
  readonly queries: JournalQueries;
  readonly #sessions = new Map<number, Session>();
  readonly #epochs = new Map<number, number>();
  /** Slots that have had a host in this run. */
  readonly #hadHost = new Set<number>();
  readonly #unsentWakes = new Map<number, Set<CellKey>>();
  #batches: WaitingBatch[] = [];
  #loads: WaitingLoad[] = [];
  #extras: Extra[] = [];
  #checkpointWaiters: (() => void)[] = [];
  #state: 'new' | 'open' | 'full' | 'failed' | 'closed' = 'new';
  #failure: unknown;
  #run = 0;
  #end = 1;
  #checkpointAt = 1;
  #bytesSinceCheckpoint = 0;
  #commits = 0;
  #batchCount = 0;
  #bytes = 0;
  #scheduled = false;
  #retry: Wait | undefined;
  #flush: Wait | undefined;

  constructor(settings: JournalSettings) {
    this.#settings = settings;
    this.#store = settings.store;
    this.#recovery = new JournalRecovery(settings.store, settings.hosts);
    this.queries = new JournalQueries(settings.store, this.#recovery.log);
    this.#trim = new LogTrim(settings.store, this.#recovery.log);
    this.#wakes = new WakeWatch(settings.store, settings.clock, (keys) => this.#wake(keys));
    this.#checkpoint = new Checkpoint({
      slots: settings.hosts,
      allConnected: () => this.#sessions.size === settings.hosts,
      ask: (slot, round, target) => this.#sessions.get(slot)?.link.checkpoint(round, target),
      summon: (slot) => {
        const keys = this.#recovery.behind(slot, this.#checkpointAt);
        if (keys.length > 0) this.#wake(keys);
        return keys;
      },
      commit: (target) => this.#commitCheckpoint(target),
    });
  }

  /** Reads the tail and begins a new run. The first call. */
  open(): OpenReport {
    const { store } = this.#settings;
    this.#run = (store.meta('run') ?? 0) + 1;
    this.#checkpointAt = store.meta('checkpoint') ?? 1;
    store.commit((writes) => writes.meta('run', this.#run));
    this.#end = this.#recovery.log.end();
    const tail = this.#recovery.open(this.#reach);
    this.#bytesSinceCheckpoint = tail.bytes;
    this.#state = 'open';
    this.#wakes.start();
    return {
      run: this.#run,
      end: this.#end,
      checkpoint: this.#checkpointAt,
      tailTurns: tail.turns,
      damaged: tail.faults.map(({ position, error }) => ({ position, error: error.toJSON() })),
    };
  }

  get #reach(): Reach {
    return { checkpoint: this.#checkpointAt, end: this.#end, run: this.#run };
  }

  get run(): number {
    return this.#run;
  }

  /** A host of `epoch` takes over `slot`; one of a lower epoch is fenced. */
  connect(slot: number, epoch: number, link: HostLink): HostSession {
    this.#assertUsable();
    const session: Session = { slot, epoch, link, state: 'open', nextNumber: undefined, waiting: 0 };
    if (epoch < (this.#epochs.get(slot) ?? 0)) {
      this.#shutOut(session);
    } else {
      const before = this.#sessions.get(slot);
      if (before !== undefined) this.#shutOut(before);
      this.#epochs.set(slot, epoch);
      this.#sessions.set(slot, session);
      this.#hadHost.add(slot);
      if (this.#state === 'full') link.storage('full');
      const unsent = this.#unsentWakes.get(slot);
      this.#unsentWakes.delete(slot);
      if (unsent !== undefined) this.#wake([...unsent]);
      this.#checkpoint.connected(this.#end);
    }
    return {
      append: (number, bytes) => this.#append(session, number, bytes),
      load: (request, keys) => {
        if (session.state !== 'open') return;
        this.#loads.push({ session, request, keys });
        this.#schedule();
      },
      clean: (round) => {
        // What the host appended before it must be on the disk before the checkpoint is.
        this.pump();
        if (session.state === 'open') this.#checkpoint.clean(slot, round);
      },
      close: () => this.#disconnect(session, 'closed'),
    };
  }

  fence(slot: number, epoch: number): void {
    if (epoch <= (this.#epochs.get(slot) ?? 0)) return;
    this.#epochs.set(slot, epoch);
    const session = this.#sessions.get(slot);
    if (session !== undefined) this.#shutOut(session);
  }

  recover(slot: number): RawRecovery {
    this.#assertUsable();
    this.pump();
    return this.#recovery.recover(slot, this.#reach, this.#settings.clock.now(), this.#hadHost.has(slot));
  }

  /** Commits everything that waits, then answers loads. The driver calls it after `schedule`. */
  pump(): void {
    this.#scheduled = false;
    if (this.#state === 'open') this.#commit();
    if (this.#state === 'open' || this.#state === 'full') this.#answerLoads();
  }

  /** Tries a full disk again, now. */
  retry(): void {
    if (this.#state !== 'full') return;
    this.#retry?.cancel();
    this.#commit();
    this.#answerLoads();
  }

  /** Writes something that no host has sent. Resolves when it is durable. */
  write(write: (writes: StoreWrites) => void): Promise<void> {
    this.#assertUsable();
    return new Promise((resolve) => {
      this.#extras.push({ write, done: resolve });
      this.#schedule();
    });
  }

  putImage(key: CellKey, row: Uint8Array): Promise<void> {
    const wakeAtMs = wakeAtOf(row);
    const write = (writes: StoreWrites): void => {
      writes.image(key, row, wakeAtMs);
      writes.removeDamage(key);
    };
    return this.write(write).then(() => {
      this.#recovery.repaired(key);
      this.#wakes.noted(key, wakeAtMs);
    });
  }

  /** Moves the checkpoint as far as it goes; the new one is the answer. Without all hosts it stays where it is. */
  async checkpoint(): Promise<number> {
    this.#assertUsable();
    if (this.#end > this.#checkpointAt && this.#sessions.size === this.#settings.hosts) {
      const moved = new Promise<void>((resolve) => this.#checkpointWaiters.push(resolve));
      this.pump();
      this.#checkpoint.start(this.#end);
      await moved;
    }
    return this.#checkpointAt;
  }

  stats(): JournalStats {
    return {
      end: this.#end,
      checkpoint: this.#checkpointAt,
      commits: this.#commits,
      batches: this.#batchCount,
      bytes: this.#bytes,
      fileBytes: this.#store.fileBytes(),
      storage: this.#state === 'full' ? 'full' : 'ok',
    };
  }

  async close(): Promise<void> {
    if (this.#state === 'closed' || this.#state === 'new') return;
    this.pump();
    for (const wait of [this.#retry, this.#flush]) wait?.cancel();
    this.#wakes.stop();
    const failed = this.#state === 'failed';
    this.#state = 'closed';
    this.#releaseCheckpointWaiters();
    if (!failed) this.#store.flush();
    await this.#store.close();
  }

  #append(session: Session, number: number, bytes: Uint8Array): void {
    if (session.state !== 'open') return;
    const batch = new BatchReader(bytes);
    const expected = session.nextNumber ?? number;
    if (number !== expected || batch.slot !== session.slot || batch.epoch !== session.epoch) {
      // A host that has lost count of its own batches must not write on.
      this.#shutOut(session);
      return;
    }
    session.nextNumber = number + 1;
    session.waiting++;
    this.#batches.push({ session, number, batch });
    this.#schedule();
  }

  #commit(): void {
    const batches = this.#batches;
    const extras = this.#extras;
    if (batches.length === 0 && extras.length === 0) return;
    const images: [CellKey, number | undefined][] = [];
    let position = this.#end;
    let bytes = 0;
    try {
      this.#store.commit((writes) => {
        for (const { batch } of batches) {
          if (batch.turns > 0) {
            writes.log(position, batch.bytes.subarray(0, batch.logBytes));
            position += batch.turns;
            bytes += batch.logBytes;
          }
          if (!batch.hasAttached) continue;
          const attached = batch.attached();
          for (const { key, row } of attached.images) {
            const wakeAtMs = wakeAtOf(row);
            writes.image(key, row, wakeAtMs);
            images.push([key, wakeAtMs]);
          }
          for (const { key, row } of attached.letters) writes.letter(key, row);
        }
        for (const extra of extras) extra.write(writes);
        this.#trim.step(writes, this.#checkpointAt);
      });
    } catch (error) {
      if (error instanceof StorageFullError) this.#becomeFull();
      else this.#fail(error);
      return;
    }
    this.#batches = [];
    this.#extras = [];
    const before = this.#end;
    this.#end = position;
    this.#commits++;
    this.#batchCount += batches.length;
    this.#bytes += bytes;
    this.#bytesSinceCheckpoint += bytes;
    if (this.#state === 'full') this.#becomeOk();
    this.#armFlush();
    this.#trim.committed();

    position = before;
    for (const { session, number, batch } of batches) {
      session.waiting--;
      const first = position;
      position += batch.turns;
      if (session.state === 'open') session.link.committed(number, first);
    }
    for (const extra of extras) extra.done();
    for (const [key, wakeAtMs] of images) this.#wakes.noted(key, wakeAtMs);
    this.#startCheckpointIfDue();
    if (this.#trim.isBehind(this.#checkpointAt)) this.#schedule();
  }

  #answerLoads(): void {
    if (this.#loads.length === 0) return;
    // P4: a load waits for the batches that its host appended before it; they wait only while the disk is full.
    const ready = this.#loads.filter(({ session }) => session.waiting === 0 && session.state === 'open');
    this.#loads = this.#loads.filter(({ session }) => session.waiting > 0 && session.state === 'open');
    for (const { session, request, keys } of ready) {
      const cells = keys.map((key) => this.#recovery.load(key, this.#checkpointAt));
      session.link.loaded(request, encodeParcels(cells));
      for (const key of keys) this.#checkpoint.loaded(session.slot, key);
    }
  }

  #startCheckpointIfDue(): void {
    const { checkpointEveryTurns, checkpointEveryBytes } = this.#settings;
    const turns = this.#end - this.#checkpointAt;
    if (turns < checkpointEveryTurns && this.#bytesSinceCheckpoint < checkpointEveryBytes) return;
    if (turns > 0 && this.#checkpoint.isIdle) this.#checkpoint.start(this.#end);
  }

  #commitCheckpoint(target: number): void {
    const damaged = this.#recovery.noteDamage();
    const write = (writes: StoreWrites): void => {
      writes.meta('checkpoint', target);
      for (const [key, damage] of damaged) writes.damage(key, encodeDamage(key, damage));
    };
    const done = (): void => {
      this.#checkpointAt = target;
      this.#recovery.checkpointed(target);
      this.#bytesSinceCheckpoint = this.#recovery.log.bytesFrom(target);
      this.#checkpoint.committed();
      this.#trim.allow(this.#settings.retention);
      this.#releaseCheckpointWaiters();
    };
    this.#extras.push({ write, done });
    this.#schedule();
  }

  #releaseCheckpointWaiters(): void {
    const waiters = this.#checkpointWaiters;
    this.#checkpointWaiters = [];
    for (const waiter of waiters) waiter();
  }

  #wake(keys: readonly CellKey[]): void {
    const bySlot = new Map<number, CellKey[]>();
    for (const key of keys) {
      const slot = placementOf(key, this.#settings.hosts);
      const list = bySlot.get(slot);
      if (list === undefined) bySlot.set(slot, [key]);
      else list.push(key);
    }
    for (const [slot, list] of bySlot) {
      const session = this.#sessions.get(slot);
      if (session === undefined) {
        const unsent = this.#unsentWakes.get(slot) ?? new Set();
        for (const key of list) unsent.add(key);
        this.#unsentWakes.set(slot, unsent);
      } else {
        for (let i = 0; i < list.length; i += WAKE_CHUNK) session.link.wake(list.slice(i, i + WAKE_CHUNK));
      }
    }
  }

  #shutOut(session: Session): void {
    if (session.state !== 'open') return;
    this.#disconnect(session, 'fenced');
    session.link.fenced();
  }

  #disconnect(session: Session, state: 'fenced' | 'closed'): void {
    if (session.state !== 'open') return;
    session.state = state;
    // A host that closed in peace has still appended these; a fenced one has lost the right to.
    if (state === 'fenced') this.#batches = this.#batches.filter((waiting) => waiting.session !== session);
    if (this.#sessions.get(session.slot) !== session) return;
    this.#sessions.delete(session.slot);
    this.#checkpoint.disconnected();
    if (this.#sessions.size === 0) this.#releaseCheckpointWaiters();
  }

  #schedule(): void {
    if (this.#scheduled || this.#state === 'full' || this.#state === 'failed' || this.#state === 'closed') {
      if (this.#state === 'full' && this.#loads.length > 0) this.#settings.clock.defer(() => this.#answerLoads());
      return;
    }
    this.#scheduled = true;
    this.#settings.schedule();
  }

  #becomeFull(): void {
    const wasOk = this.#state === 'open';
    this.#state = 'full';
    this.#retry = this.#settings.clock.wait(RETRY_FULL_MS, () => this.retry());
    if (wasOk) for (const session of this.#sessions.values()) session.link.storage('full');
  }

  #becomeOk(): void {
    this.#state = 'open';
    for (const session of this.#sessions.values()) session.link.storage('ok');
  }

  #armFlush(): void {
    const { flushAfterMs, clock } = this.#settings;
    if (flushAfterMs === undefined || this.#flush !== undefined) return;
    this.#flush = clock.wait(flushAfterMs, () => {
      this.#flush = undefined;
      try {
        this.#store.flush();
      } catch (error) {
        if (error instanceof StorageFullError) this.#armFlush();
        else this.#fail(error);
      }
    });
  }

  #fail(error: unknown): void {
    this.#state = 'failed';
    this.#failure = error;
    this.#settings.failed(error);
  }

  #assertUsable(): void {
    if (this.#state === 'failed') throw new StorageError('the journal has failed and writes nothing more', { cause: this.#failure });
    if (this.#state === 'closed') throw new SystemStoppedError('the journal is closed');
  }
}
