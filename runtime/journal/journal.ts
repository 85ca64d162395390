/**
 * The journal: the single writer's core. Runs in the journal thread, on the calling thread with `threads: 0`, and in simulation.
 *
 * Owns: group commit and the full disk. Positions are `batch-line.ts`, who is connected is `host-sessions.ts`, recovery is `journal-recovery.ts`,
 * looking into the past is `journal-queries.ts`; bytes are decoded by whoever asked. Knows nothing of threads and ports.
 *
 * Invariants:
 * J5. All batches that wait when a commit begins are accepted: they get their positions in that order, without a gap, and are one transaction,
 *     or part of a later one.
 * J6. `committed` is said after the transaction returned, once a batch, in the order of the host's appends; `accepted` before it begins, to
 *     hosts with something to forward.
 * J7. Nothing of an epoch below the slot's is ever accepted after `fence` returned. What a host was told is accepted, and what is before it,
 *     is committed, whoever dies, and before any slot is recovered: others may have acted on it.
 * J8. A full disk holds batches, it does not refuse them: the same batches are committed when there is room, in the same order.
 * J9. Any other failure of the store ends the journal: nothing is committed after it, for what is on the disk is not known.
 */
import type { CellKey } from '../kernel/address.ts';
import type { Wait } from '../kernel/clock.ts';
import { StorageError, StorageFullError, SystemStoppedError } from '../kernel/errors.ts';
import { BatchLine, type Written } from './batch-line.ts';
import { encodeParcels } from './cell-parcel.ts';
import { Checkpoint } from './checkpoint.ts';
import { type HostLink, HostSessions, type Session } from './host-sessions.ts';
import type { JournalStats, OpenReport } from './journal-control.ts';
import type { HostSession, JournalSettings } from './journal-ports.ts';
import { JournalQueries } from './journal-queries.ts';
import { JournalRecovery, type RawRecovery, type Reach } from './journal-recovery.ts';
import { LogTrim } from './log-trim.ts';
import { encodeDamage, wakeAtOf } from './row-codec.ts';
import type { Store, StoreWrites } from './store.ts';
import { WakeWatch } from './wake-watch.ts';

/** How long a full disk is left alone before the next try. */
const RETRY_FULL_MS = 500;

/** Something that comes after the batches which its host appended before it. */
interface WaitingCall {
  readonly session: Session;
  readonly run: () => void;
}

interface Extra {
  readonly write: (writes: StoreWrites) => void;
  readonly done: () => void;
}

type State =
  | { readonly kind: 'new' }
  | { readonly kind: 'open' }
  | { readonly kind: 'full'; readonly retry: Wait }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'closed' };

export class Journal {
  readonly queries: JournalQueries;
  readonly #settings: JournalSettings;
  readonly #store: Store;
  readonly #recovery: JournalRecovery;
  readonly #sessions: HostSessions;
  readonly #checkpoint: Checkpoint;
  readonly #trim: LogTrim;
  readonly #wakes: WakeWatch;
  readonly #line = new BatchLine();
  /** The write of what was accepted, when there is time in between. */
  #write: Wait | undefined;
  /** Waiting for what was accepted to be on the disk. */
  #roomWaiters: (() => void)[] = [];
  #calls: WaitingCall[] = [];
  #extras: Extra[] = [];
  #checkpointWaiters: (() => void)[] = [];
  #state: State = { kind: 'new' };
  #run = 0;
  #checkpointAt = 1;
  #bytesSinceCheckpoint = 0;
  #commits = 0;
  #scheduled = false;
  #flush: Wait | undefined;

  constructor(settings: JournalSettings) {
    this.#settings = settings;
    this.#store = settings.store;
    this.#recovery = new JournalRecovery(settings.store, settings.hosts);
    this.queries = new JournalQueries(settings.store, this.#recovery.log);
    this.#trim = new LogTrim(settings.store, this.#recovery.log);
    this.#sessions = new HostSessions(settings.hosts, (slot, epoch) => {
      this.#line.giveUp(slot, epoch);
      this.#checkpoint.disconnected();
    });
    this.#wakes = new WakeWatch(settings.store, settings.clock, {
      deliver: (keys) => this.#sessions.wake(keys),
      failed: (error) => this.#fail(error),
    });
    this.#checkpoint = new Checkpoint({
      slots: settings.hosts,
      allReady: () => this.#sessions.allReady,
      ask: (slot, round, target) => this.#sessions.get(slot)?.link.checkpoint(round, target),
      behind: (slot) => this.#recovery.behind(slot, this.#checkpointAt),
      wake: (keys) => this.#sessions.wake(keys),
      commit: (target) => this.#commitCheckpoint(target),
    });
  }

  get run(): number {
    return this.#run;
  }

  /** Reads the tail and begins a new run. The first call. Throws when turns are lost and whose they were cannot be said. */
  open(): OpenReport {
    const store = this.#store;
    this.#run = (store.meta('run') ?? 0) + 1;
    this.#checkpointAt = store.meta('checkpoint') ?? 1;
    this.#line.beginAt(Math.max(this.#recovery.log.end(), this.#checkpointAt, store.meta('accepted') ?? 1));
    const tail = this.#recovery.open(this.#reach);
    store.commit((writes) => writes.meta('run', this.#run));
    this.#bytesSinceCheckpoint = tail.bytes;
    this.#state = { kind: 'open' };
    this.#wakes.start();
    return {
      run: this.#run,
      end: this.#line.end,
      checkpoint: this.#checkpointAt,
      tailTurns: tail.turns,
      damaged: [
        ...tail.faults.map(({ position, error }) => ({ position, error: error.toJSON() })),
        ...(this.#settings.faults ?? []).map((error) => ({ position: this.#line.end, error: error.toJSON() })),
      ],
    };
  }

  /** A host of `epoch` takes over `slot`; one of a lower epoch is fenced. It hears nothing before this call has returned. */
  connect(slot: number, epoch: number, link: HostLink): HostSession {
    this.#assertUsable();
    const session = this.#sessions.connect(slot, epoch, link);
    this.#settings.clock.defer(() => {
      if (session.state !== 'open') return;
      if (this.#state.kind === 'full') link.storage('full');
      this.#sessions.sendKept(slot);
      this.#checkpoint.ready(this.#line.end);
    });
    return {
      append: (number, bytes, forwards) => this.#append(session, number, bytes, forwards),
      load: (request, keys) => this.#call(session, () => this.#load(session, request, keys)),
      clean: (round) => this.#call(session, () => this.#checkpoint.clean(slot, round)),
      close: () => {
        // One that was fenced has a successor, which answers for itself.
        if (session.state !== 'open') return;
        this.#sessions.close(session);
        this.#checkpoint.disconnected();
      },
    };
  }

  fence(slot: number, epoch: number): void {
    this.#sessions.fence(slot, epoch);
  }

  /** Waits while what was accepted has no room on the disk: what a dead host's messages have set off is part of what is to be recovered. */
  async recover(slot: number): Promise<RawRecovery> {
    this.#assertUsable();
    for (this.settle(); this.#line.hasAccepted; this.settle()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#roomWaiters.push(resolve);
      await promise;
      this.#assertUsable();
    }
    const died = this.#sessions.recovered(slot);
    const recovery = this.#recovery.recover(slot, this.#reach, this.#wakes.deliveredMs, died);
    this.#settings.clock.defer(() => this.#checkpoint.ready(this.#line.end));
    return recovery;
  }

  /** Commits everything that waits, then answers what waited for it. The driver calls it after `schedule`. */
  pump(): void {
    this.#scheduled = false;
    if (this.#state.kind === 'open' && this.#write === undefined) this.#commit();
    this.#answer();
  }

  /** The same without time between: unless the disk is full, everything appended so far is on it then. */
  settle(): void {
    this.#writeNow();
    if (this.#state.kind === 'open') this.#commit();
    this.#writeNow();
    this.#answer();
  }

  /** Tries a full disk again, now. */
  retry(): void {
    if (this.#state.kind !== 'full') return;
    this.#state.retry.cancel();
    this.#commit();
    this.#answer();
  }

  /** Writes something that no host has sent. Resolves when it is durable. */
  write(write: (writes: StoreWrites) => void): Promise<void> {
    this.#assertUsable();
    return new Promise((resolve) => {
      this.#extras.push({ write, done: resolve });
      this.#schedule();
    });
  }

  async putImage(key: CellKey, row: Uint8Array): Promise<void> {
    const wakeAtMs = wakeAtOf(row);
    await this.write((writes) => {
      writes.image(key, row, wakeAtMs);
      writes.removeDamage(key);
    });
    this.#recovery.repaired(key);
    this.#wakes.noted(key, wakeAtMs);
  }

  /** Moves the checkpoint as far as it goes; the new one is the answer. Without all hosts it stays where it is. */
  async checkpoint(): Promise<number> {
    this.#assertUsable();
    this.settle();
    if (this.#line.end > this.#checkpointAt && this.#sessions.allReady) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#checkpointWaiters.push(resolve);
      this.#checkpoint.start(this.#line.end);
      await promise;
    }
    return this.#checkpointAt;
  }

  stats(): JournalStats {
    return {
      end: this.#line.end,
      checkpoint: this.#checkpointAt,
      commits: this.#commits,
      ...this.#line.written,
      fileBytes: this.#store.fileBytes(),
      storage: this.#state.kind === 'full' ? 'full' : 'ok',
    };
  }

  async close(): Promise<void> {
    if (this.#state.kind === 'closed' || this.#state.kind === 'new') return;
    this.retry();
    this.settle();
    const last = this.#state;
    this.#state = { kind: 'closed' };
    if (last.kind === 'full') last.retry.cancel();
    this.#flush?.cancel();
    this.#wakes.stop();
    this.#releaseWaiters();
    try {
      if (last.kind !== 'failed') this.#store.flush();
    } catch (error) {
      // What could not be flushed is kept where the next opening looks for it.
      if (!(error instanceof StorageFullError)) throw error;
    } finally {
      await this.#store.close();
    }
  }

  get #reach(): Reach {
    return { checkpoint: this.#checkpointAt, end: this.#line.end, run: this.#run };
  }

  #append(session: Session, number: number, bytes: Uint8Array, forwards = false): void {
    if (session.state !== 'open') return;
    // A host that has lost count of its own batches, or its senses, must not write on.
    if (this.#line.add(session, number, bytes, forwards)) this.#schedule();
    else this.#sessions.shutOut(session);
  }

  #call(session: Session, run: () => void): void {
    if (session.state !== 'open') return;
    this.#calls.push({ session, run });
    this.#schedule();
  }

  #load(session: Session, request: number, keys: readonly CellKey[]): void {
    session.link.loaded(request, encodeParcels(keys.map((key) => this.#recovery.load(key, this.#checkpointAt))));
    for (const key of keys) this.#checkpoint.loaded(session.slot, key);
  }

  #commit(): void {
    if (this.#line.isEmpty && this.#extras.length === 0 && !this.#trim.isBehind(this.#checkpointAt)) {
      // What the disk had no room for died with its hosts: the next one will find out whether it has any.
      this.#becomeOk();
      return;
    }
    // Nobody is to act on what has no room.
    const isAwaited = this.#line.accept(this.#state.kind === 'open');
    const { writeLater } = this.#settings;
    if (writeLater === undefined || !isAwaited) this.#writeAccepted();
    else
      this.#write = writeLater(() => {
        this.#writeNow();
        this.#answer();
      });
  }

  /** If there is a write to come, it comes now. */
  #writeNow(): void {
    const write = this.#write;
    if (write === undefined) return;
    write.cancel();
    this.#write = undefined;
    this.#writeAccepted();
    if (this.#line.hasWaiting) this.#schedule();
  }

  #writeAccepted(): void {
    const extras = this.#extras;
    let written: Written | undefined;
    try {
      this.#store.commit((writes) => {
        written = this.#line.writeTo(writes);
        for (const extra of extras) extra.write(writes);
        this.#trim.step(writes, this.#checkpointAt);
      });
    } catch (error) {
      if (error instanceof StorageFullError) this.#becomeFull();
      else this.#fail(error);
      return;
    }
    const { bytes = 0, images = [] } = written ?? {};
    this.#extras = [];
    const hosts = this.#line.committed();
    this.#commits++;
    this.#bytesSinceCheckpoint += bytes;
    this.#becomeOk();
    this.#armFlush();
    this.#trim.committed();

    hosts.tell();
    this.#releaseRoomWaiters();
    for (const extra of extras) extra.done();
    for (const [key, wakeAtMs] of images) this.#wakes.noted(key, wakeAtMs);
    this.#startCheckpointIfDue();
    if (this.#trim.isBehind(this.#checkpointAt)) this.#schedule();
  }

  /** P4: a call comes after the batches that its host appended before it; they wait only while the disk is full. */
  #answer(): void {
    if (this.#calls.length === 0 || (this.#state.kind !== 'open' && this.#state.kind !== 'full')) return;
    const calls = this.#calls;
    this.#calls = [];
    for (const call of calls) {
      if (call.session.state !== 'open') continue;
      if (call.session.waiting > 0) {
        this.#calls.push(call);
        continue;
      }
      try {
        call.run();
      } catch (error) {
        this.#fail(error);
        return;
      }
    }
  }

  #startCheckpointIfDue(): void {
    const { checkpointEveryTurns, checkpointEveryBytes } = this.#settings;
    const turns = this.#line.end - this.#checkpointAt;
    if (turns < checkpointEveryTurns && this.#bytesSinceCheckpoint < checkpointEveryBytes) return;
    if (turns > 0 && this.#checkpoint.isIdle) this.#checkpoint.start(this.#line.end);
  }

  #commitCheckpoint(target: number): void {
    const damaged = this.#recovery.noteDamage();
    const write = (writes: StoreWrites): void => {
      writes.meta('checkpoint', target);
      for (const [key, damage] of damaged) writes.damage(key, encodeDamage(key, damage));
    };
    const done = (): void => {
      // A share of the bytes by turns: near enough for when to begin the next one.
      this.#bytesSinceCheckpoint *= (this.#line.end - target) / (this.#line.end - this.#checkpointAt);
      this.#checkpointAt = target;
      this.#recovery.checkpointed(target);
      this.#checkpoint.committed();
      this.#trim.allow(this.#settings.retention);
      this.#releaseCheckpointWaiters();
    };
    this.#extras.push({ write, done });
    this.#schedule();
  }

  #releaseWaiters(): void {
    this.#releaseCheckpointWaiters();
    this.#releaseRoomWaiters();
  }

  #releaseRoomWaiters(): void {
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const waiter of waiters) waiter();
  }

  #releaseCheckpointWaiters(): void {
    const waiters = this.#checkpointWaiters;
    this.#checkpointWaiters = [];
    for (const waiter of waiters) waiter();
  }

  #schedule(): void {
    const { kind } = this.#state;
    if (this.#scheduled || (kind !== 'open' && kind !== 'full')) return;
    this.#scheduled = true;
    this.#settings.schedule();
  }

  #becomeFull(): void {
    this.#line.takeBack();
    const wasOk = this.#state.kind === 'open';
    this.#state = { kind: 'full', retry: this.#settings.clock.wait(RETRY_FULL_MS, () => this.retry()) };
    if (wasOk) this.#sessions.storage('full');
  }

  #becomeOk(): void {
    if (this.#state.kind !== 'full') return;
    this.#state = { kind: 'open' };
    this.#sessions.storage('ok');
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
    if (this.#state.kind === 'failed') return;
    this.#state = { kind: 'failed', error };
    this.#write?.cancel();
    this.#write = undefined;
    this.#releaseWaiters();
    this.#settings.failed(error);
  }

  #assertUsable(): void {
    const state = this.#state;
    if (state.kind === 'failed')
      throw new StorageError('the journal has failed and writes nothing more', { cause: state.error });
    if (state.kind === 'closed' || state.kind === 'new') throw new SystemStoppedError('the journal is not open');
  }
}
