/**
 * The journal's control side as plain calls: one table of methods, called directly with `threads: 0` and by messages otherwise.
 *
 * Owns: opening the store, and the methods. Arguments and answers are plain data and bytes; `journal-control-client.ts` gives
 * them their types back.
 *
 * Invariants:
 * I1. `open` is the first call, and is made once.
 */
import type { CellKey } from '../kernel/address.ts';
import type { Clock } from '../kernel/clock.ts';
import { SystemStoppedError } from '../kernel/errors.ts';
import type { HostLink } from './host-sessions.ts';
import { Journal } from './journal.ts';
import type { HostSession, JournalSettings } from './journal-ports.ts';
import type { JournalOptions, JournalStats, OpenReport, SyncMode } from './journal-control.ts';
import type { TurnRange } from './journal-queries.ts';
import type { RawRecovery } from './journal-recovery.ts';
import { openStore } from './open-store.ts';
import { SlicedReads } from './sliced-reads.ts';
import type { KeyRange, Store } from './store.ts';

/**
 * How long after a commit the database is given what is ahead of it. `relaxed`: what a power failure can cost. `group`: what is on the
 * disk already, and has to be read again after a crash.
 */
const FLUSH_AFTER_MS: Readonly<Record<SyncMode, number>> = { relaxed: 200, group: 1_000 };

export interface RawLetter {
  readonly id: string;
  readonly row: Uint8Array;
}

/** What can be asked of the journal. */
export interface RawJournalControl {
  open(): Promise<OpenReport>;
  fence(slot: number, epoch: number): void;
  recover(slot: number): Promise<RawRecovery>;
  turns(key: CellKey, range: TurnRange | undefined): Promise<Uint8Array>;
  image(key: CellKey): Uint8Array | undefined;
  putImage(key: CellKey, row: Uint8Array): Promise<void>;
  keys(range: Partial<KeyRange>): readonly CellKey[];
  letters(range: { readonly after?: string; readonly limit?: number } | undefined): readonly RawLetter[];
  removeLetters(ids: readonly string[]): Promise<number>;
  checkpoint(): Promise<number>;
  backup(targetDir: string): Promise<void>;
  stats(): JournalStats;
  close(): Promise<void>;
}

export interface ServicePorts {
  readonly clock: Clock;
  /** Asks for `pump` soon. */
  readonly schedule: () => void;
  readonly failed: (error: unknown) => void;
  readonly writeLater?: JournalSettings['writeLater'];
  /** In place of what the options name: for the testkit. */
  readonly store?: Store | undefined;
}

export class JournalService implements RawJournalControl {
  readonly #options: JournalOptions;
  readonly #ports: ServicePorts;
  readonly #reads: SlicedReads;
  #journal: Journal | undefined;
  #store: Store | undefined;

  constructor(options: JournalOptions, ports: ServicePorts) {
    this.#options = options;
    this.#ports = ports;
    this.#reads = new SlicedReads(ports.clock);
  }

  async open(): Promise<OpenReport> {
    const { sync, dataDir } = this.#options;
    const given = this.#ports.store;
    const { store, faults } = given === undefined ? await openStore(this.#options) : { store: given, faults: [] };
    this.#store = store;
    this.#journal = new Journal({
      ...this.#options,
      ...this.#ports,
      store,
      faults,
      flushAfterMs: sync === 'group' && dataDir === undefined ? undefined : FLUSH_AFTER_MS[sync],
    });
    try {
      return this.#journal.open();
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  connect(slot: number, epoch: number, link: HostLink): HostSession {
    return this.#opened.connect(slot, epoch, link);
  }

  /** Number of this run. */
  get run(): number {
    return this.#opened.run;
  }

  pump(): void {
    this.#journal?.pump();
  }

  fence(slot: number, epoch: number): void {
    this.#opened.fence(slot, epoch);
  }

  recover(slot: number): Promise<RawRecovery> {
    return this.#opened.recover(slot);
  }

  async turns(key: CellKey, range: TurnRange | undefined): Promise<Uint8Array> {
    const slices = this.#current.queries.turns(key, range);
    return this.#reads.run(slices, () => void this.#opened);
  }

  image(key: CellKey): Uint8Array | undefined {
    return this.#current.queries.image(key);
  }

  putImage(key: CellKey, row: Uint8Array): Promise<void> {
    return this.#opened.putImage(key, row);
  }

  keys(range: Partial<KeyRange>): readonly CellKey[] {
    return this.#current.queries.keys(range);
  }

  letters(range: { readonly after?: string; readonly limit?: number } | undefined): readonly RawLetter[] {
    return this.#current.queries.letters(range);
  }

  async removeLetters(ids: readonly string[]): Promise<number> {
    const journal = this.#current;
    const known = [...new Set(ids)].filter((id) => journal.queries.hasLetter(id));
    if (known.length > 0) {
      await journal.write((writes) => {
        for (const id of known) writes.removeLetter(id);
      });
    }
    return known.length;
  }

  checkpoint(): Promise<number> {
    return this.#opened.checkpoint();
  }

  backup(targetDir: string): Promise<void> {
    void this.#current;
    return (this.#store as Store).backup(targetDir);
  }

  stats(): JournalStats {
    return this.#opened.stats();
  }

  async close(): Promise<void> {
    const journal = this.#journal;
    this.#journal = undefined;
    await journal?.close();
  }

  get #opened(): Journal {
    if (this.#journal === undefined) throw new SystemStoppedError('the journal is not open');
    return this.#journal;
  }

  /** The journal with everything appended so far committed: what was acknowledged nowhere yet may be read too. */
  get #current(): Journal {
    const journal = this.#opened;
    journal.settle();
    return journal;
  }
}
