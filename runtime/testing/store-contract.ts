/**
 * The contract of a store as cases: what the journal relies on, the same for every store.
 *
 * Owns: the cases. Knows no test runner: each case throws when the store breaks its promise.
 */
import assert from 'node:assert/strict';
import { StorageError } from '../kernel/errors.ts';
import type { Store } from '../journal/store.ts';

/** Data of a store that can be opened again and again; one opening at a time. */
export interface StoreFixture {
  open(): Promise<Store>;
}

export interface StoreCase {
  readonly name: string;
  run(fixture: StoreFixture): Promise<void>;
}

const bytes = (text: string): Buffer => Buffer.from(text);
const text = (row: Uint8Array | undefined): string | undefined =>
  row === undefined ? undefined : Buffer.from(row).toString();
const positionsOf = (store: Store, from: number): number[] => [...store.logFrom(from)].map((row) => row.position);

/** Opens, runs, closes. */
async function withStore(fixture: StoreFixture, run: (store: Store) => void | Promise<void>): Promise<void> {
  const store = await fixture.open();
  try {
    await run(store);
  } finally {
    await store.close();
  }
}

export const storeContract: readonly StoreCase[] = [
  {
    name: 'an empty store has nothing',
    run: (fixture) =>
      withStore(fixture, (store) => {
        assert.equal(store.meta('run'), undefined);
        assert.deepEqual(positionsOf(store, 0), []);
        assert.equal(store.logAt(Number.MAX_SAFE_INTEGER), undefined);
        assert.equal(store.image('a/1'), undefined);
        assert.equal(store.letter('x'), undefined);
        assert.deepEqual(store.imageKeys({ limit: 10 }), []);
        assert.deepEqual(store.letterIds({ limit: 10 }), []);
        assert.deepEqual(store.wakes(-1, Number.MAX_SAFE_INTEGER, 10), []);
        assert.deepEqual(store.damages(), []);
      }),
  },
  {
    name: 'S4: what one commit wrote is read after it, in every table',
    run: (fixture) =>
      withStore(fixture, (store) => {
        store.commit((writes) => {
          writes.log(1, bytes('batch'));
          writes.image('a/1', bytes('image'), 500);
          writes.letter('l-1', bytes('letter'));
          writes.meta('checkpoint', 7);
          writes.damage('a/2', bytes('damage'));
        });
        assert.equal(text(store.logAt(1)?.bytes), 'batch');
        assert.equal(text(store.image('a/1')), 'image');
        assert.equal(text(store.letter('l-1')), 'letter');
        assert.equal(store.meta('checkpoint'), 7);
        assert.deepEqual(
          store.damages().map(({ key, bytes: row }) => [key, text(row)]),
          [['a/2', 'damage']],
        );
        assert.deepEqual(store.wakes(-1, 500, 10), [{ atMs: 500, key: 'a/1' }]);
      }),
  },
  {
    name: 'S2: a commit that throws leaves nothing behind',
    run: (fixture) =>
      withStore(fixture, (store) => {
        store.commit((writes) => writes.image('a/1', bytes('old'), 1));
        assert.throws(
          () =>
            store.commit((writes) => {
              writes.log(1, bytes('batch'));
              writes.image('a/1', bytes('new'), undefined);
              writes.meta('run', 3);
              throw new Error('given up');
            }),
          /given up/,
        );
        assert.deepEqual(positionsOf(store, 0), []);
        assert.equal(text(store.image('a/1')), 'old');
        assert.equal(store.meta('run'), undefined);
        assert.equal(store.wakes(-1, 10, 10).length, 1);
        store.commit((writes) => writes.meta('run', 4));
        assert.equal(store.meta('run'), 4);
      }),
  },
  {
    name: 'S2: everything committed is there after opening again',
    async run(fixture) {
      await withStore(fixture, (store) => {
        store.commit((writes) => {
          writes.log(1, bytes('one'));
          writes.log(5, bytes('two'));
          writes.meta('run', 1);
        });
        store.commit((writes) => {
          writes.image('a/1', bytes('image'), 9);
          writes.letter('l', bytes('letter'));
          writes.damage('a/3', bytes('damage'));
          writes.removeLog(1);
        });
        store.flush();
      });
      await withStore(fixture, (store) => {
        assert.deepEqual(positionsOf(store, 0), [5]);
        assert.equal(text(store.logAt(100)?.bytes), 'two');
        assert.equal(store.meta('run'), 1);
        assert.equal(text(store.image('a/1')), 'image');
        assert.deepEqual(store.wakes(-1, 9, 10), [{ atMs: 9, key: 'a/1' }]);
        assert.deepEqual(store.letterIds({ limit: 10 }), ['l']);
        assert.equal(store.damages().length, 1);
      });
    },
  },
  {
    name: 'S5: the log is in the order of positions, also beyond 32 bits',
    run: (fixture) =>
      withStore(fixture, (store) => {
        const positions = [1, 2, 255, 256, 65_536, 4_294_967_295, 4_294_967_296, 9_007_199_254_740_000];
        for (const position of positions) store.commit((writes) => writes.log(position, bytes(String(position))));
        assert.deepEqual(positionsOf(store, 0), positions);
        assert.deepEqual(positionsOf(store, 256), positions.slice(3));
        assert.deepEqual(positionsOf(store, 257), positions.slice(4));
        assert.deepEqual(store.logPositions(3, 2), [255, 256]);
        assert.equal(store.logAt(0), undefined);
        assert.equal(store.logAt(1)?.position, 1);
        assert.equal(store.logAt(300)?.position, 256);
        assert.equal(text(store.logAt(4_294_967_296)?.bytes), '4294967296');
        store.commit((writes) => writes.removeLog(256));
        assert.equal(store.logAt(300)?.position, 255);
      }),
  },
  {
    name: 'a position that is not above the end is refused, with its whole commit',
    async run(fixture) {
      await withStore(fixture, (store) => {
        store.commit((writes) => writes.log(10, bytes('ten')));
        const write = (position: number) => () =>
          store.commit((writes) => {
            writes.meta('run', 99);
            writes.log(position, bytes('wrong'));
          });
        assert.throws(write(10), StorageError);
      });
      await withStore(fixture, (store) => {
        assert.equal(store.meta('run'), undefined);
        assert.equal(text(store.logAt(10)?.bytes), 'ten');
      });
    },
  },
  {
    name: 'an image replaces the one before it, and its time in the table of wakes too',
    run: (fixture) =>
      withStore(fixture, (store) => {
        const put = (row: string, wakeAtMs: number | undefined): void =>
          store.commit((writes) => writes.image('a/1', bytes(row), wakeAtMs));
        put('one', 100);
        put('two', 50);
        assert.deepEqual(store.wakes(-1, 1_000, 10), [{ atMs: 50, key: 'a/1' }]);
        put('three', undefined);
        assert.deepEqual(store.wakes(-1, 1_000, 10), []);
        put('four', 0);
        assert.deepEqual(store.wakes(-1, 1_000, 10), [{ atMs: 0, key: 'a/1' }]);
        store.commit((writes) => {
          writes.image('a/1', bytes('five'), 7);
          writes.image('a/1', bytes('six'), 8);
        });
        assert.deepEqual(store.wakes(-1, 1_000, 10), [{ atMs: 8, key: 'a/1' }]);
        assert.equal(text(store.image('a/1')), 'six');
      }),
  },
  {
    name: 'wakes come in the order of their times, after one and up to another',
    run: (fixture) =>
      withStore(fixture, (store) => {
        store.commit((writes) => {
          for (const [key, atMs] of [
            ['a/3', 3e12],
            ['a/1', 1],
            ['a/0', 0],
            ['a/2b', 2_000],
            ['a/2a', 2_000],
          ] as const)
            writes.image(key, bytes(key), atMs);
        });
        const keys = (afterMs: number, upToMs: number, limit = 10): string[] =>
          store.wakes(afterMs, upToMs, limit).map((row) => row.key);
        assert.deepEqual(keys(-1, 4e12), ['a/0', 'a/1', 'a/2a', 'a/2b', 'a/3']);
        assert.deepEqual(keys(0, 2_000), ['a/1', 'a/2a', 'a/2b']);
        assert.deepEqual(keys(1, 1_999), []);
        assert.deepEqual(keys(2_000, Number.MAX_SAFE_INTEGER, 1), ['a/3']);
      }),
  },
  {
    name: 'S5: keys are listed in the order of their bytes, by prefix, after one, up to a number',
    run: (fixture) =>
      withStore(fixture, (store) => {
        // U+FF5E sorts after U+1F600 as UTF-16, and before it as UTF-8.
        const keys = ['a/1', 'a/10', 'a/2', 'a/2~child', 'a/é', 'a/～', 'a/😀', 'ab/1', 'b/1'];
        store.commit((writes) => {
          for (const key of keys.toReversed()) writes.image(key, bytes(key), undefined);
        });
        const list = (prefix?: string, after?: string, limit = 100): readonly string[] =>
          store.imageKeys({ prefix, after, limit });
        assert.deepEqual(list(), keys);
        assert.deepEqual(list('a/'), keys.slice(0, 7));
        assert.deepEqual(list('a/', 'a/2', 2), ['a/2~child', 'a/é']);
        assert.deepEqual(list('b/', 'a/2'), ['b/1']);
        assert.deepEqual(list('a/', 'b/1'), []);
        assert.deepEqual(list('c/'), []);
      }),
  },
  {
    name: 'letters are listed, replaced and removed',
    run: (fixture) =>
      withStore(fixture, (store) => {
        store.commit((writes) => {
          for (const id of ['c', 'a', 'b']) writes.letter(id, bytes(id));
        });
        store.commit((writes) => {
          writes.letter('b', bytes('again'));
          writes.removeLetter('a');
          writes.removeLetter('never there');
        });
        assert.deepEqual(store.letterIds({ limit: 10 }), ['b', 'c']);
        assert.deepEqual(store.letterIds({ after: 'b', limit: 10 }), ['c']);
        assert.equal(text(store.letter('b')), 'again');
        assert.equal(store.letter('a'), undefined);
      }),
  },
  {
    name: 'damage is kept until it is taken back',
    run: (fixture) =>
      withStore(fixture, (store) => {
        store.commit((writes) => {
          writes.damage('a/1', bytes('x'));
          writes.damage('a/2', bytes('y'));
        });
        store.commit((writes) => writes.removeDamage('a/1'));
        assert.deepEqual(
          store.damages().map((row) => row.key),
          ['a/2'],
        );
      }),
  },
  {
    name: 'rows of megabytes and the longest keys are kept whole',
    run: (fixture) =>
      withStore(fixture, (store) => {
        const large = Buffer.alloc(3 << 20, 0xab);
        const key = `definition/${'k'.repeat(1_900)}`;
        store.commit((writes) => {
          writes.log(1, large);
          writes.image(key, large, 5);
        });
        assert.equal(Buffer.compare(large, store.logAt(1)?.bytes ?? bytes('')), 0);
        assert.equal(Buffer.compare(large, store.image(key) ?? bytes('')), 0);
        assert.deepEqual(store.wakes(-1, 5, 1), [{ atMs: 5, key }]);
        assert.ok(store.fileBytes() >= 2 * large.length);
      }),
  },
  {
    name: 'S6: bytes handed out stay as they are',
    run: (fixture) =>
      withStore(fixture, (store) => {
        store.commit((writes) => writes.image('a/1', bytes('first'), undefined));
        const row = store.image('a/1');
        const rows = [...store.logFrom(0)];
        store.commit((writes) => {
          writes.image('a/1', bytes('other'), undefined);
          for (let i = 1; i <= 50; i++) writes.log(i, Buffer.alloc(2_000, i));
        });
        for (const other of store.logFrom(0)) rows.push(other);
        assert.equal(text(row), 'first');
        assert.deepEqual(
          rows.map((other) => other.bytes[1_999]),
          Array.from({ length: 50 }, (_, i) => i + 1),
        );
      }),
  },
];
