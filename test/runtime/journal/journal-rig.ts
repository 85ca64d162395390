/** A journal without threads, on a clock that is moved by hand, with hosts that write down what they hear. */
import { createInlineJournal, type InlineJournal } from '../../../runtime/journal/inline-journal.ts';
import type { BatchBuilder, HostJournal } from '../../../runtime/journal/host-journal.ts';
import type { JournalOptions, OpenReport } from '../../../runtime/journal/journal-control.ts';
import { MemoryStore, type StoreContent, type StoreFaults } from '../../../runtime/journal/memory-store.ts';
import type { Store } from '../../../runtime/journal/store.ts';
import type { DeadLetter, ImageRow, LoadedCell, TurnRecord, Watermark } from '../../../runtime/journal/turn-record.ts';
import { type CellKey, placementOf } from '../../../runtime/kernel/address.ts';
import type { Clock } from '../../../runtime/kernel/clock.ts';
import type { Intent } from '../../../runtime/kernel/intent.ts';
import type { MessageId } from '../../../runtime/kernel/message.ts';

export class HandClock implements Clock {
  #nowMs = 1_000_000;
  /** How far the wall clock was set ahead of the one on which waits are. */
  #aheadMs = 0;
  #deferred: (() => void)[] = [];
  #waits: { readonly atMs: number; readonly fire: () => void }[] = [];

  now(): number {
    return this.#nowMs + this.#aheadMs;
  }

  /** Sets the wall clock. */
  set(nowMs: number): void {
    this.#aheadMs = nowMs - this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wait(ms: number, fire: () => void): { cancel(): void } {
    const wait = { atMs: this.#nowMs + Math.max(0, ms), fire };
    this.#waits.push(wait);
    return { cancel: () => (this.#waits = this.#waits.filter((other) => other !== wait)) };
  }

  defer(run: () => void): void {
    this.#deferred.push(run);
  }

  /** Runs everything deferred, and what that defers. */
  run(): void {
    for (let run = this.#deferred.shift(); run !== undefined; run = this.#deferred.shift()) run();
  }

  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      this.run();
      const next = this.#waits.filter((wait) => wait.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#waits = this.#waits.filter((wait) => wait !== next);
      this.#nowMs = next.atMs;
      next.fire();
    }
    this.#nowMs = untilMs;
    this.run();
  }
}

export class RigHost {
  readonly heard: unknown[][] = [];
  readonly journal: HostJournal;
  readonly batch: BatchBuilder;
  readonly #run: () => void;
  #number = 1;
  /** What the host does when asked for a checkpoint; default: answers at once. */
  onCheckpoint: (round: number, target: number) => void = (round) => this.journal.clean(round);
  onWake: (keys: readonly CellKey[]) => void = () => {};

  constructor(inline: InlineJournal, slot: number, epoch: number, run: () => void) {
    this.#run = run;
    this.journal = inline.connect(
      { slot, epoch },
      {
        accepted: (number, position) => this.heard.push(['accepted', number, position]),
        committed: (number, position) => this.heard.push(['committed', number, position]),
        fenced: () => this.heard.push(['fenced']),
        storage: (state) => this.heard.push(['storage', state]),
        wake: (keys) => {
          this.heard.push(['wake', ...keys]);
          this.onWake(keys);
        },
        checkpoint: (round, target) => {
          this.heard.push(['checkpoint', round, target]);
          this.onCheckpoint(round, target);
        },
      },
    );
    this.batch = this.journal.newBatch();
  }

  /** Hands the batch over without waiting for anything. */
  append(forwards = false): number {
    const number = this.#number++;
    this.journal.append(number, this.batch.seal(), forwards);
    return number;
  }

  /** A batch of these turns, committed. */
  write(...turns: TurnRecord[]): void {
    for (const one of turns) this.batch.turn(one);
    this.append();
    this.#run();
  }

  image(
    key: CellKey,
    sequence: number,
    options: { wakeAtMs?: number; received?: Watermark[]; body?: unknown } = {},
  ): void {
    this.batch.image(imageRow(key, sequence, options));
    this.append();
    this.#run();
  }

  letter(letter: DeadLetter): void {
    this.batch.deadLetter(letter);
    this.append();
    this.#run();
  }

  load(...keys: CellKey[]): (LoadedCell & { readonly turns: readonly TurnRecord[] })[] {
    let found: readonly LoadedCell[] | undefined;
    this.journal.load(keys, (cells) => (found = cells));
    this.#run();
    if (found === undefined) throw new Error(`no answer to load(${keys.join()})`);
    return found.map((cell) => ({ ...cell, turns: [...cell.turns] }));
  }

  of(kind: string): unknown[][] {
    return this.heard.filter((event) => event[0] === kind);
  }
}

export class Rig {
  readonly clock = new HandClock();
  readonly store: Store;
  readonly failures: unknown[] = [];
  readonly inline: InlineJournal;
  report!: OpenReport;

  /** `writeMs`: how long batches that hosts know of are under way to the disk. */
  constructor(options: Partial<JournalOptions> = {}, store: Store = new MemoryStore(), writeMs?: number) {
    this.store = store;
    this.inline = createInlineJournal(
      {
        dataDir: undefined,
        sync: 'group',
        retention: 'keep',
        checkpointEveryTurns: 1_000_000,
        checkpointEveryBytes: 1 << 30,
        hosts: 1,
        ...options,
      },
      {
        clock: this.clock,
        store,
        failed: (error) => this.failures.push(error),
        writeLater: writeMs === undefined ? undefined : (write) => this.clock.wait(writeMs, write),
      },
    );
  }

  static async open(options: Partial<JournalOptions> = {}, store?: Store, writeMs?: number): Promise<Rig> {
    const rig = new Rig(options, store, writeMs);
    rig.report = await rig.inline.control.open();
    return rig;
  }

  get control(): InlineJournal['control'] {
    return this.inline.control;
  }

  host(slot = 0, epoch = 1): RigHost {
    const host = new RigHost(this.inline, slot, epoch, () => this.clock.run());
    this.clock.run();
    return host;
  }

  /** The same store after a crash of the process, with a new journal. */
  async crash(options: Partial<JournalOptions> = {}, faults?: StoreFaults): Promise<Rig> {
    return Rig.open(options, new MemoryStore({ content: this.content(), faults }));
  }

  content(): StoreContent {
    return (this.store as MemoryStore).snapshot();
  }

  /** Runs what is deferred until `promise` has an answer. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    void promise.then(
      () => (settled = true),
      () => (settled = true),
    );
    for (let i = 0; i < 1_000 && !settled; i++) {
      this.clock.run();
      await Promise.resolve();
    }
    if (!settled) throw new Error('the promise does not settle');
    return promise;
  }
}

/** Keys of `definition/…` that live on `slot`. */
export function keysOn(slot: number, hosts: number, count: number): CellKey[] {
  const keys: CellKey[] = [];
  for (let i = 0; keys.length < count; i++) if (placementOf(`cell/${i}`, hosts) === slot) keys.push(`cell/${i}`);
  return keys;
}

export function turn(
  key: CellKey,
  sequence: number,
  options: Partial<TurnRecord> & { id?: MessageId } = {},
): TurnRecord {
  const { id, ...rest } = options;
  return {
    key,
    sequence,
    timeMs: 5,
    envelope: { to: key, message: { type: 'DO', n: sequence }, ...(id === undefined ? {} : { id }) },
    outcome: 'handled',
    intents: [],
    version: 1,
    obliged: false,
    ...rest,
  };
}

export function send(to: CellKey, message: unknown, durable = true): Intent {
  return { kind: 'send', envelope: { to, message }, durable };
}

export function imageRow(
  key: CellKey,
  sequence: number,
  options: { wakeAtMs?: number | undefined; received?: readonly Watermark[]; body?: unknown } = {},
): ImageRow {
  return {
    key,
    sequence,
    received: options.received ?? [],
    wakeAtMs: options.wakeAtMs,
    body: options.body ?? { at: sequence },
  };
}
