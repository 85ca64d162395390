/** Every store keeps the store's contract. */
import { describe, test } from 'vitest';
import { openLmdbStore } from '../../runtime/journal/lmdb-store.ts';
import { MemoryStore, type StoreContent } from '../../runtime/journal/memory-store.ts';
import { openAheadStore } from '../../runtime/journal/ahead-store.ts';
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
