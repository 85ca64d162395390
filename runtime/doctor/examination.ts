/**
 * The examination: what is in a data folder, and what is wrong with it, without a system and without a byte written.
 *
 * Owns: the findings. Repairing is `repair.ts`.
 *
 * Invariants:
 * EX1. A folder that a system would refuse, block an actor of, or report, has a finding; and the other way round.
 * EX2. A folder that a living process has is refused: what it holds changes while one looks.
 */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { CellKey } from '../kernel/address.ts';
import { systemClock } from '../kernel/clock.ts';
import { BlocksError, DataDamagedError, DataFormatError, StorageError } from '../kernel/errors.ts';
import { blockedIn } from '../cell/carry.ts';
import { assertNotInUse, checkFormat } from '../journal/data-folder.ts';
import { JournalRecovery } from '../journal/journal-recovery.ts';
import { LogReader } from '../journal/log-reader.ts';
import { decodeImage, decodeLetter } from '../journal/row-codec.ts';
import { FolderStore } from './folder-store.ts';

/** Something damaged: where, what, and whose it is. */
export interface DamageFinding {
  /** `file`, `FORMAT`, `ahead`, or the table of the journal: `log`, `image`, `letter`, `meta`, `damage`. */
  readonly table: string;
  readonly reason: string;
  readonly page?: number | undefined;
  readonly position?: number | undefined;
  /** Actors that lost something by it. Undefined: cannot be said, or nobody. */
  readonly actors?: readonly CellKey[] | undefined;
}

export interface BlockedFinding {
  readonly key: CellKey;
  readonly code: string;
  readonly reason: string;
}

/** What is in a data folder. Counts are of what can be read. */
export interface Examination {
  readonly path: string;
  readonly databaseBytes: number;
  /** Of the file in front of the database. */
  readonly aheadBytes: number;
  /** How often the folder was opened by a system. */
  readonly run: number | undefined;
  /** Where recovery begins. */
  readonly checkpoint: number | undefined;
  /** Below it no turns are kept. */
  readonly trimmed: number;
  /** Position of the next turn. */
  readonly end: number;
  readonly batches: number;
  readonly turns: number;
  readonly actors: number;
  readonly letters: number;
  readonly blocked: readonly BlockedFinding[];
  readonly damage: readonly DamageFinding[];
}

/**
 * Looks through a whole data folder. Reads everything in it, and writes nothing.
 *
 * @throws StorageError (no data folder), DataFormatError (of another version), DataFolderLockedError (in use)
 * @example const { damage, blocked } = examineDataFolder('./data')
 */
export function examineDataFolder(dataDir: string): Examination {
  const format = openable(dataDir);
  const store = new FolderStore(dataDir);
  try {
    return new Examiner(store, format).run();
  } finally {
    void store.close();
    // One that came while we looked has changed what we have seen.
    assertNotInUse(dataDir, systemClock);
  }
}

/** The finding about the FORMAT file, if there is one. Throws when there is nothing to look at, or nobody may. */
export function openable(dataDir: string): DamageFinding | undefined {
  const stat = statSync(dataDir, { throwIfNoEntry: false });
  if (stat === undefined) throw new StorageError(`there is no folder ${dataDir}`, { details: { path: dataDir } });
  if (!stat.isDirectory()) throw new StorageError(`${dataDir} is not a folder`, { details: { path: dataDir } });
  const hasFormat = existsSync(join(dataDir, 'FORMAT'));
  if (!hasFormat && !existsSync(join(dataDir, 'data.mdb'))) {
    throw new StorageError(`${dataDir} is no data folder: it has neither FORMAT nor data.mdb in it`, {
      details: { path: dataDir },
    });
  }
  assertNotInUse(dataDir, systemClock);
  try {
    checkFormat(dataDir);
    return undefined;
  } catch (error) {
    // Of another version, and says so; anything else is damage.
    if (!(error instanceof DataFormatError) || error.details['format'] !== undefined) throw error;
    return { table: 'FORMAT', reason: error.message };
  }
}

/** What a row is whose key does not come back from being text. */
const NO_BYTES = new Uint8Array(0);

class Examiner {
  readonly #store: FolderStore;
  readonly #damage: DamageFinding[] = [];
  readonly #blocked = new Map<CellKey, BlockedFinding>();

  constructor(store: FolderStore, format: DamageFinding | undefined) {
    this.#store = store;
    if (format !== undefined) this.#damage.push(format);
    for (const { table, page, reason } of store.faults) this.#damage.push({ table, page, reason });
  }

  run(): Examination {
    const store = this.#store;
    this.#numbers();
    const checkpoint = store.readableMeta('checkpoint');
    const trimmed = store.readableMeta('trimmed') ?? 1;
    const log = new LogReader(store);
    const end = Math.max(log.end(), checkpoint ?? 1, store.readableMeta('accepted') ?? 1);
    let batches = 0;
    let turns = 0;
    for (const row of log.rows(trimmed, Number.POSITIVE_INFINITY, true, ({ position, error, cells }) =>
      this.#note({ table: 'log', reason: error.message, position, actors: cells }),
    )) {
      batches += 1;
      turns += row.batch?.turns ?? 0;
    }
    const actors = this.#actors(checkpoint ?? trimmed, end);
    const letters = this.#letters();
    return {
      path: store.path,
      databaseBytes: store.databaseBytes,
      aheadBytes: store.aheadBytes,
      run: store.readableMeta('run'),
      checkpoint,
      trimmed,
      end,
      batches,
      turns,
      actors,
      letters,
      blocked: [...this.#blocked.values()].sort((a, b) => (a.key < b.key ? -1 : 1)),
      damage: this.#damage,
    };
  }

  #note(finding: DamageFinding): void {
    this.#damage.push(finding);
  }

  #numbers(): void {
    for (const name of ['run', 'checkpoint', 'trimmed', 'frame', 'accepted'] as const) {
      this.#try('meta', undefined, () => this.#store.meta(name));
    }
    for (const name of this.#store.strangeMeta)
      this.#note({ table: 'meta', reason: `no number is called ${JSON.stringify(name)}` });
  }

  /** Every actor as a system would load it. The answer is how many there are. */
  #actors(checkpoint: number, end: number): number {
    const store = this.#store;
    const recovery = new JournalRecovery(store, 1);
    try {
      recovery.open({ checkpoint, end, run: 0 });
    } catch (error) {
      // Lost for somebody, or a note of damage that is damaged itself: the log has told the one, this is the other.
      if (!(error instanceof DataDamagedError)) throw error;
      if (error.details['table'] === 'damage') this.#note({ table: 'damage', reason: error.message });
    }
    const keys = new Set([
      ...store.imageKeys({ limit: Number.POSITIVE_INFINITY }),
      ...recovery.known,
      ...recovery.damaged.keys(),
    ]);
    for (const key of keys) {
      const { damage } = recovery.load(key, checkpoint);
      if (damage === undefined) {
        this.#byCode(key);
        continue;
      }
      this.#blocked.set(key, { key, code: damage.code, reason: damage.message });
      if (damage.details?.['table'] === 'image') this.#note({ table: 'image', reason: damage.message, actors: [key] });
    }
    return keys.size;
  }

  /** One that was blocked when it was last stored keeps what it was loaded with. */
  #byCode(key: CellKey): void {
    this.#try('image', key, () => {
      const row = this.#store.image(key);
      const image = row === undefined ? undefined : decodeImage(key, row);
      const why = image?.wakeAtMs === 0 ? blockedIn(image) : undefined;
      if (why !== undefined) this.#blocked.set(key, { key, code: why.code, reason: why.message });
    });
  }

  #letters(): number {
    const ids = this.#store.letterIds({ limit: Number.POSITIVE_INFINITY });
    for (const id of ids) {
      this.#try('letter', undefined, () => decodeLetter(id, this.#store.letter(id) ?? NO_BYTES));
    }
    return ids.length;
  }

  #try(table: string, actor: CellKey | undefined, read: () => unknown): void {
    try {
      read();
    } catch (error) {
      if (!(error instanceof BlocksError)) throw error;
      this.#note({ table, reason: error.message, ...(actor === undefined ? {} : { actors: [actor] }) });
    }
  }
}
