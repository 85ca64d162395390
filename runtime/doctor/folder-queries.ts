/**
 * Questions to a data folder that no system has open: an actor's turns, the dead letters, a copy.
 *
 * Owns: the answers as plain values. Nothing in the folder is changed.
 */
import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { CellKey } from '../kernel/address.ts';
import { systemClock } from '../kernel/clock.ts';
import { BlocksError, DataDamagedError, type EncodedError, StorageError } from '../kernel/errors.ts';
import { decodeTurns, type PlacedTurn } from '../journal/cell-parcel.ts';
import { assertNotInUse } from '../journal/data-folder.ts';
import { JournalQueries, type TurnRange } from '../journal/journal-queries.ts';
import { LogReader } from '../journal/log-reader.ts';
import { decodeLetter } from '../journal/row-codec.ts';
import { readAtOnce } from '../journal/sliced-reads.ts';
import { openable } from './examination.ts';
import { FolderStore } from './folder-store.ts';

export interface FolderLetter {
  readonly id: string;
  readonly to?: CellKey | undefined;
  readonly reason: string;
  readonly timeMs?: number | undefined;
  readonly attempts?: number | undefined;
  readonly message?: unknown;
  /** Why it was set aside, or why it cannot be read. */
  readonly error: EncodedError;
}

/** An actor's committed turns, oldest first. Throws `DataDamagedError` where one of them is damaged. */
export function turnsIn(dataDir: string, key: CellKey, range: TurnRange): readonly PlacedTurn[] {
  return reading(dataDir, (store) =>
    decodeTurns(readAtOnce(new JournalQueries(store, new LogReader(store)).turns(key, range)), key),
  );
}

/** Dead letters; one that is damaged is told by its id. */
export function lettersIn(
  dataDir: string,
  range: { readonly after?: string | undefined; readonly limit: number },
): readonly FolderLetter[] {
  return reading(dataDir, (store) => store.letterIds(range).map((id) => letterIn(store, id)));
}

/** A copy of the folder's files. Throws `DataDamagedError` unless the database is whole: a backup of damage would be taken for one. */
export function copyFolder(dataDir: string, target: string): void {
  if (existsSync(target) && readdirSync(target).length > 0)
    throw new StorageError(`${target} is not empty: a backup needs a folder of its own`, { details: { path: target } });
  reading(dataDir, (store) => {
    if (store.faults.length > 0) {
      throw new DataDamagedError(`${dataDir} is damaged and is not copied: ${store.faults[0]?.reason}`, {
        details: { path: dataDir, faults: store.faults },
      });
    }
    mkdirSync(target, { recursive: true });
    for (const name of ['FORMAT', 'data.mdb', 'AHEAD']) {
      if (existsSync(join(dataDir, name))) cpSync(join(dataDir, name), join(target, name));
    }
  });
}

function letterIn(store: FolderStore, id: string): FolderLetter {
  try {
    const { envelope, reason, timeMs, attempts, error } = decodeLetter(id, store.letter(id) ?? new Uint8Array(0));
    const message: unknown = envelope.control === undefined ? envelope.message : { control: envelope.control };
    return { id, to: envelope.to, reason, timeMs, attempts, message, error };
  } catch (error) {
    if (!(error instanceof BlocksError)) throw error;
    return { id, reason: 'damaged', error: error.toJSON() };
  }
}

function reading<T>(dataDir: string, read: (store: FolderStore) => T): T {
  const damaged = openable(dataDir);
  if (damaged !== undefined)
    throw new DataDamagedError(damaged.reason, { details: { table: damaged.table, path: dataDir } });
  const store = new FolderStore(dataDir);
  try {
    const answer = read(store);
    assertNotInUse(dataDir, systemClock);
    return answer;
  } finally {
    void store.close();
  }
}
