/**
 * Which store the options mean.
 *
 * Owns: the choice. LMDB is loaded only when there is a data folder: a system in memory needs no native code.
 */
import type { DataDamagedError } from '../kernel/errors.ts';
import { refusalOf } from './disk-refusals.ts';
import type { JournalOptions } from './journal-control.ts';
import { MemoryStore } from './memory-store.ts';
import type { Store } from './store.ts';

export interface OpenedStore {
  readonly store: Store;
  /** What could not be read, and was left out. */
  readonly faults: readonly DataDamagedError[];
}

export async function openStore({ dataDir, sync, checkPages }: JournalOptions): Promise<OpenedStore> {
  if (dataDir === undefined) return { store: new MemoryStore(), faults: [] };
  const { makeLmdbFile, openLmdbStore } = await import('./lmdb-store.ts');
  const { openAheadStore } = await import('./ahead-store.ts');
  let store: Store | undefined;
  try {
    await makeLmdbFile(dataDir);
    store = openLmdbStore(dataDir, { checkPages });
    const ahead = openAheadStore(store, dataDir, sync);
    return { store: ahead, faults: ahead.faults };
  } catch (error) {
    await store?.close();
    throw refusalOf(error, dataDir, 'opened');
  }
}
