/** The look through LMDB's pages: silent about every file that LMDB has written, and about no file that it would stumble over. */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { checkLmdbPages } from '../../../runtime/journal/lmdb-check.ts';
import { LmdbPages, PageFault } from '../../../runtime/journal/lmdb-pages.ts';
import { openLmdbStore } from '../../../runtime/journal/lmdb-store.ts';
import { seededRandom } from '../../../runtime/kernel/random.ts';
import { tmpDir, type TmpDir } from '../../support/tmp-dir.ts';

const faultsOf = (file: string): readonly unknown[] => {
  let pages: LmdbPages;
  try {
    pages = new LmdbPages(file);
  } catch (error) {
    if (error instanceof PageFault) return [error];
    throw error;
  }
  try {
    return checkLmdbPages(pages).faults;
  } finally {
    pages.close();
  }
};

/** Commits of every kind, with rows that fit a leaf and rows that do not. */
const fill = async (dir: string, seed: number, commits: number): Promise<void> => {
  const { next: random } = seededRandom(seed, 0);
  const upTo = (n: number): number => Math.floor(random() * n);
  const store = openLmdbStore(dir);
  let position = (store.logAt(Number.MAX_SAFE_INTEGER)?.position ?? 0) + 1;
  for (let c = 0; c < commits; c++) {
    store.commit((writes) => {
      for (let i = upTo(3); i > 0; i--) writes.log((position += 1 + upTo(5)), Buffer.alloc(upTo(20_000), c));
      for (let i = upTo(30); i > 0; i--) {
        const wakeAtMs = random() < 0.4 ? upTo(1e6) : undefined;
        writes.image(
          `order/${upTo(500)}-${'x'.repeat(upTo(60))}`,
          Buffer.alloc(upTo(random() < 0.1 ? 9_000 : 400)),
          wakeAtMs,
        );
      }
      writes.letter(`letter-${upTo(50)}`, Buffer.alloc(upTo(200)));
      writes.removeLetter(`letter-${upTo(50)}`);
      for (const old of store.logPositions(0, upTo(3))) writes.removeLog(old);
      writes.meta('checkpoint', position);
    });
  }
  await store.close();
};

const damagedCopy = (dir: TmpDir, spoil: (bytes: Buffer) => void): string => {
  const bytes = readFileSync(dir.at('data.mdb'));
  spoil(bytes);
  writeFileSync(dir.at('bad.mdb'), bytes);
  return dir.at('bad.mdb');
};

test('LC1: a row written twice in one commit, the second time shorter, keeps its pages', async () => {
  await using dir = await tmpDir('check');
  const store = openLmdbStore(dir.path);
  store.commit((writes) => {
    writes.image('order/1', Buffer.alloc(9_000, 1), undefined);
    writes.image('order/1', Buffer.alloc(170, 2), undefined);
  });
  await store.close();
  expect(faultsOf(dir.at('data.mdb'))).toEqual([]);
  const again = openLmdbStore(dir.path);
  expect(again.image('order/1')).toEqual(Buffer.alloc(170, 2));
  await again.close();
});

test('LC1: files that LMDB has written have no fault, after every closing', async () => {
  for (const seed of [1, 2, 3]) {
    await using dir = await tmpDir('check');
    for (let round = 0; round < 4; round++) {
      await fill(dir.path, seed * 10 + round, 15);
      expect(faultsOf(dir.at('data.mdb'))).toEqual([]);
    }
    const store = openLmdbStore(dir.path);
    await store.backup(dir.at('copy'));
    await store.close();
    expect(faultsOf(dir.at('copy', 'data.mdb'))).toEqual([]);
  }
});

test('pages in use that are zeroed, doubled, swapped or cut off', async () => {
  await using dir = await tmpDir('check');
  await fill(dir.path, 7, 25);
  const pageBytes = 4_096;
  const good = readFileSync(dir.at('data.mdb'));
  const isUsed = (page: number): boolean =>
    faultsOf(damagedCopy(dir, (bytes) => bytes.fill(0, page * pageBytes, (page + 1) * pageBytes))).length > 0;
  const pages = good.length / pageBytes;
  const used = Array.from({ length: pages }, (_, page) => page).filter(isUsed);
  expect(used.slice(0, 2)).toEqual([0, 1]);
  expect(used.length).toBeGreaterThan(30);
  for (let i = 1; i < used.length; i++) {
    const [left, right] = [used[i - 1] as number, used[i] as number];
    const at = (page: number): Buffer => good.subarray(page * pageBytes, (page + 1) * pageBytes);
    expect(faultsOf(damagedCopy(dir, (bytes) => void at(left).copy(bytes, right * pageBytes)))).not.toEqual([]);
    const swapped = damagedCopy(dir, (bytes) => {
      at(left).copy(bytes, right * pageBytes);
      at(right).copy(bytes, left * pageBytes);
    });
    expect(faultsOf(swapped)).not.toEqual([]);
  }
  writeFileSync(dir.at('bad.mdb'), good.subarray(0, (used.at(-1) as number) * pageBytes));
  expect(faultsOf(dir.at('bad.mdb'))).not.toEqual([]);
});

test('a list of free pages under transaction 0, at which LMDB would commit nothing more', async () => {
  await using dir = await tmpDir('check');
  await fill(dir.path, 5, 4);
  const pages = new LmdbPages(dir.at('data.mdb'));
  const leaf = pages.treePage(pages.meta.free.root as number);
  const { keyAt } = pages.leafNode(leaf, 0);
  pages.close();
  expect(leaf.kind).toBe('leaf');
  const file = damagedCopy(dir, (bytes) => void bytes.writeBigUInt64LE(0n, leaf.number * pages.pageBytes + keyAt));
  expect(faultsOf(file)).toMatchObject([{ table: 'free', page: leaf.number }]);
});

test('every flipped bit of the first pages that means anything', async () => {
  await using dir = await tmpDir('check');
  await fill(dir.path, 3, 4);
  const good = readFileSync(dir.at('data.mdb'));
  const newer = good.readBigUInt64LE(152) > good.readBigUInt64LE(4_096 + 152) ? 0 : 4_096;
  // Page number, flags, mark, version, trees, transaction; not: pads, the map's address and size, the last page, the boot.
  const meant = [0, 1, 2, 18, 24, 25, 28, 52, 54, 56, 64, 72, 80, 88, 96, 100, 102, 104, 112, 120, 128, 136, 152, 153];
  for (const at of meant) {
    for (let bit = 0; bit < 8; bit++) {
      for (const meta of at < 152 ? [newer] : [newer, 4_096 - newer]) {
        const file = damagedCopy(dir, (bytes) => void ((bytes[meta + at] as number) ^= 1 << bit));
        expect([meta, at, bit, faultsOf(file).length > 0]).toEqual([meta, at, bit, true]);
      }
    }
  }
});
