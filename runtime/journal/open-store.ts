/**
 * Which store the options mean.
 *
 * Owns: the choice. LMDB is loaded only when there is a data folder: a system in memory needs no native code.
 */
import type { SyncMode } from './journal-control.ts';
import { MemoryStore } from './memory-store.ts';
import type { Store } from './store.ts';

export async function openStore(dataDir: string | undefined, sync: SyncMode): Promise<Store> {
  if (dataDir === undefined) return new MemoryStore();
  const { openLmdbStore } = await import('./lmdb-store.ts');
  const { openRelaxedStore, takeAhead } = await import('./relaxed-store.ts');
  const store = openLmdbStore(dataDir);
  try {
    if (sync === 'relaxed') return openRelaxedStore(store, dataDir);
    // The last run may have been a relaxed one, and killed.
    takeAhead(store, dataDir);
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}
