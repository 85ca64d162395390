/** Every store keeps the store's contract. */
import { describe, expect, test } from 'vitest';
import { openLmdbStore } from '../../runtime/journal/lmdb-store.ts';
import { MemoryStore, type StoreContent } from '../../runtime/journal/memory-store.ts';
import { openAheadStore } from '../../runtime/journal/ahead-store.ts';
import type { Store } from '../../runtime/journal/store.ts';
import { StorageFullError } from '../../runtime/kernel/errors.ts';
import { type StoreFixture, storeContract } from '../../runtime/testing/store-contract.ts';
import { tmpDir } from '../support/tmp-dir.ts';

const memory = (): StoreFixture => {
  let content: StoreContent | undefined;
  return {
    open: async () => {
      const store = new MemoryStore({ content });
      const close = store.close.bind(store);
      store.close = () => {
        content = store.snapshot();
        return close();
      };
      return store;
    },
  };
};

describe('memory', () => {
  test.each(storeContract)('$name', ({ run }) => run(memory()));
});

describe('lmdb', () => {
  test.each(storeContract)('$name', async ({ run }) => {
    await using dir = await tmpDir('store');
    await run({ open: async () => openLmdbStore(dir.path) });
  });
});

describe.each(['group', 'relaxed'] as const)('a file ahead of lmdb, %s', (sync) => {
  test.each(storeContract)('$name', async ({ run }) => {
    await using dir = await tmpDir('store');
    await run({ open: async () => openAheadStore(openLmdbStore(dir.path), dir.path, sync) });
  });
});

/** The database has no room as long as something is read: it is merged from both. */
describe('a file ahead of a database without room', () => {
  const READS = ['logFrom', 'logPositions', 'logAt', 'imageKeys', 'wakes', 'letter', 'letterIds', 'damages'] as const;

  test.each(storeContract)('$name', async ({ run }) => {
    await using dir = await tmpDir('store');
    let refused = 0;
    const open = async (): Promise<Store> => {
      let full = false;
      const database = openLmdbStore(dir.path);
      const commit = database.commit.bind(database);
      database.commit = (write) => {
        if (full) refused += 1;
        if (full) throw new StorageFullError('the database has no room (a fault of the test)');
        commit(write);
      };
      const store = openAheadStore(database, dir.path, 'group');
      for (const name of READS) {
        const read = store[name].bind(store) as (...args: readonly unknown[]) => unknown;
        const whileFull = (...args: readonly unknown[]): unknown => {
          full = true;
          try {
            return read(...args);
          } finally {
            full = false;
          }
        };
        Object.assign(store, { [name]: whileFull });
      }
      return store;
    };
    await run({ open });
    reads += refused;
  });

  let reads = 0;
  test('that is what happened', () => {
    expect(reads).toBeGreaterThan(20);
  });
});
