/** What a real disk does: it fills up, it is read-only, its bytes rot, it belongs to a newer version. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { describe, expect, test } from 'vitest';
import { FORMAT_VERSION } from '../../../runtime/journal/batch-layout.ts';
import { openDataFolder } from '../../../runtime/journal/data-folder.ts';
import { createInlineJournal } from '../../../runtime/journal/inline-journal.ts';
import { openLmdbStore } from '../../../runtime/journal/lmdb-store.ts';
import { openAheadStore } from '../../../runtime/journal/ahead-store.ts';
import type { Store } from '../../../runtime/journal/store.ts';
import { systemClock } from '../../../runtime/kernel/clock.ts';
import type { SyncMode } from '../../../runtime/journal/journal-control.ts';
import { StorageError, StorageFullError } from '../../../runtime/kernel/errors.ts';
import { tmpDir } from '../../support/tmp-dir.ts';
import { imageRow, Rig, turn } from './journal-rig.ts';

const isRoot = process.getuid?.() === 0;

/** A tmpfs at `path`, unmounted before the folder around it is removed; undefined when it cannot be mounted. */
const mountTmpfs = (path: string, options: string): Disposable | undefined => {
  if (!isRoot) return undefined;
  mkdirSync(path, { recursive: true });
  try {
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  return { [Symbol.dispose]: () => void execFileSync('/bin/umount', ['-l', path], { stdio: 'ignore' }) };
};
const NO_MOUNT = 'needs root and the right to mount a tmpfs';

describe('a full disk', () => {
  test.for([300, 2_000, 200_000])(
    'batches of %i bytes are held, nothing is lost, and it goes on',
    async (size, context) => {
      await using dir = await tmpDir('full');
      using disk = mountTmpfs(dir.at('disk'), 'size=6m');
      if (disk === undefined) return context.skip(NO_MOUNT);
      const unhandled: unknown[] = [];
      const listener = (error: unknown): unknown => unhandled.push(error);
      process.on('unhandledRejection', listener);
      writeFileSync(dir.at('disk', 'ballast'), Buffer.alloc(2 << 20));
      mkdirSync(dir.at('disk', 'data'));
      const rig = await Rig.open({}, openLmdbStore(dir.at('disk', 'data')));
      const host = rig.host();
      const write = (sequence: number): void =>
        host.write(turn('cell/a', sequence, { envelope: { to: 'cell/a', message: 'x'.repeat(size) } }));
      let sequence = 0;
      while (host.of('storage').length === 0) write(++sequence);
      const acknowledged = host.of('committed').length;
      expect(acknowledged).toBeLessThan(sequence);
      write(++sequence);
      rig.clock.advance(2_000);
      expect(host.of('committed')).toHaveLength(acknowledged);
      expect(rig.failures).toEqual([]);
      // What was acknowledged can be read meanwhile.
      expect(await rig.settle(rig.control.turns('cell/a', { limit: 1e6 }))).toHaveLength(acknowledged);

      writeFileSync(dir.at('disk', 'ballast'), '');
      rig.clock.advance(2_000);
      expect(host.of('storage')).toEqual([
        ['storage', 'full'],
        ['storage', 'ok'],
      ]);
      expect(host.of('committed')).toHaveLength(sequence);
      await rig.control.close();
      const again = await Rig.open({}, openLmdbStore(dir.at('disk', 'data')));
      expect(again.report).toMatchObject({ tailTurns: sequence, damaged: [] });
      await again.control.close();
      process.off('unhandledRejection', listener);
      expect(unhandled).toEqual([]);
    },
  );

  test('relaxed: the same', async (context) => {
    await using dir = await tmpDir('full');
    using disk = mountTmpfs(dir.at('disk'), 'size=6m');
    if (disk === undefined) return context.skip(NO_MOUNT);
    writeFileSync(dir.at('disk', 'ballast'), Buffer.alloc(2 << 20));
    const data = dir.at('disk', 'data');
    mkdirSync(data);
    const store = openAheadStore(openLmdbStore(data), data, 'relaxed');
    let position = 1;
    const write = (): void => store.commit((writes) => writes.log(position, Buffer.alloc(30_000, position)));
    expect(() => {
      for (;;) {
        write();
        position++;
        if (position % 7 === 0) store.flush();
      }
    }).toThrowError(StorageFullError);
    writeFileSync(dir.at('disk', 'ballast'), '');
    write();
    store.flush();
    expect([...store.logFrom(0)].map((row) => row.position)).toEqual(Array.from({ length: position }, (_, i) => i + 1));
    await store.close();
  });
});

describe('the folder', () => {
  test('T3: a newer format is refused, and nothing is written over', async () => {
    await using dir = await tmpDir('format');
    writeFileSync(dir.at('FORMAT'), 'collaborative-blocks 99\n');
    writeFileSync(dir.at('data.mdb'), 'of the future');
    expect(() => openDataFolder(dir.path, systemClock)).toThrowError(
      new RegExp(`format 99, this version reads format ${FORMAT_VERSION}`),
    );
    expect(readdirSync(dir.path).sort()).toEqual(['FORMAT', 'data.mdb']);
    expect(readFileSync(dir.at('data.mdb'), 'utf8')).toBe('of the future');
  });

  test('T3: a database that is not ours, and a FORMAT that is none', async () => {
    await using dir = await tmpDir('format');
    writeFileSync(dir.at('data.mdb'), 'somebody else');
    expect(() => openDataFolder(dir.path, systemClock)).toThrowError(/not ours/);
    writeFileSync(dir.at('FORMAT'), 'hello');
    expect(() => openDataFolder(dir.path, systemClock)).toThrowError(/does not say a format: "hello"/);
  });

  test('a file in its place, and a folder that cannot be written', async (context) => {
    await using dir = await tmpDir('read-only');
    writeFileSync(dir.at('file'), '');
    expect(() => openDataFolder(dir.at('file'), systemClock)).toThrowError(/is not a folder/);
    const readOnly = dir.at('disk');
    // Root may write anywhere, save where the file system itself refuses.
    using disk = mountTmpfs(readOnly, 'ro');
    if (disk === undefined) {
      if (isRoot) return context.skip(NO_MOUNT);
      mkdirSync(readOnly);
      chmodSync(readOnly, 0o500);
    }
    for (const path of [readOnly, dir.at('disk', 'below')]) {
      expect(() => openDataFolder(path, systemClock)).toThrowError(
        expect.objectContaining({ code: 'DATA_FOLDER_READ_ONLY' }),
      );
    }
  });

  test('a failed open leaves no lock behind', async () => {
    await using dir = await tmpDir('format');
    openDataFolder(dir.path, systemClock).release();
    writeFileSync(dir.at('data.mdb'), Buffer.alloc(40_000, 7));
    const options = {
      sync: 'group',
      retention: 'keep',
      checkpointEveryTurns: 1e9,
      checkpointEveryBytes: 1e12,
      hosts: 1,
    } as const;
    const journal = createInlineJournal({ ...options, dataDir: dir.path }, { clock: systemClock, failed: () => {} });
    await expect(journal.control.open()).rejects.toMatchObject({ code: 'DATA_DAMAGED' });
    expect(existsSync(dir.at('LOCK'))).toBe(false);
  });
});

describe('rotten bytes', () => {
  test('a flipped byte of a value is found, and named; the rest is served', async () => {
    await using dir = await tmpDir('rot');
    const rig = await Rig.open({}, openLmdbStore(dir.path));
    const host = rig.host();
    const marker = (name: string): string => `${name}-`.repeat(20);
    host.write(turn('cell/a', 1, { envelope: { to: 'cell/a', message: marker('first') } }), turn('cell/b', 1));
    host.write(turn('cell/c', 1, { envelope: { to: 'cell/c', message: marker('second') } }));
    host.image('cell/d', 1, { body: marker('image') });
    host.image('cell/e', 1, { body: 'whole' });
    await rig.control.close();

    const file = readFileSync(dir.at('data.mdb'));
    for (const name of ['first', 'image']) {
      // Old pages of the same row may lie about: all of them rot.
      for (let at = file.indexOf(marker(name)); at !== -1; at = file.indexOf(marker(name), at + 1))
        (file[at + 3] as number) ^= 4;
    }
    writeFileSync(dir.at('data.mdb'), file);

    const after = await Rig.open({}, openLmdbStore(dir.path));
    expect(after.report.damaged).toMatchObject([
      { position: 1, error: { code: 'DATA_DAMAGED', details: { table: 'log', turns: [1], cells: ['cell/a'] } } },
    ]);
    const cells = after.host(0, 2).load('cell/a', 'cell/b', 'cell/c', 'cell/d', 'cell/e');
    expect(cells.map((cell) => cell.damage?.details?.['table'])).toEqual([
      'log',
      undefined,
      undefined,
      'image',
      undefined,
    ]);
    expect(cells[4]?.image?.body).toBe('whole');
    await after.control.close();
  });

  test('MF1: a file that is no database, or no longer, is refused by name and left alone', async () => {
    await using dir = await tmpDir('rot');
    const file = dir.at('data.mdb');
    await openLmdbStore(dir.path).close();
    const good = readFileSync(file);
    const changed = (at: number, value: number): Buffer => {
      const copy = Buffer.from(good);
      copy[at] = value;
      return copy;
    };
    const bad = [
      Buffer.alloc(0),
      Buffer.alloc(100_000, 0x5a),
      Buffer.alloc(100_000),
      good.subarray(0, 100),
      good.subarray(0, 5_000 - 4_096 + 100),
      changed(24, 0),
      changed(4_096 + 26, 0),
      changed(28, 9),
      changed(48, 3),
      changed(18, 0),
      changed(141, 0x7f),
      changed(4_096 + 151, 0x7f),
    ];
    for (const bytes of bad) {
      writeFileSync(file, bytes);
      expect(() => openLmdbStore(dir.path)).toThrowError(expect.objectContaining({ code: 'DATA_DAMAGED' }));
      expect(Buffer.compare(readFileSync(file), bytes)).toBe(0);
    }
    writeFileSync(file, good);
    await openLmdbStore(dir.path).close();
  });

  test('MF2: a file that lost its end does not end the process: what it lost is named', async () => {
    await using dir = await tmpDir('rot');
    const whole = dir.at('whole');
    const rig = await Rig.open({}, openLmdbStore(whole));
    const host = rig.host();
    for (let i = 1; i <= 40; i++) {
      host.write(turn('cell/a', i, { envelope: { to: 'cell/a', message: 'x'.repeat(i % 2 === 0 ? 100 : 20_000) } }));
      host.image(`cell/${i}`, 1, { body: 'y'.repeat(300) });
    }
    await rig.control.close();
    const file = readFileSync(dir.at('whole', 'data.mdb'));
    for (const pages of [1, 5, 15, 30, 60, 100]) {
      const cut = dir.at(`cut-${pages}`);
      mkdirSync(cut);
      writeFileSync(`${cut}/data.mdb`, file.subarray(0, file.length - pages * 4_096));
      try {
        const after = await Rig.open({}, openLmdbStore(cut));
        expect(after.report.damaged.length).toBeGreaterThan(0);
        expect(after.host(0, 2).load('cell/a')[0]?.damage?.code).toBe('DATA_DAMAGED');
        await after.control.close();
      } catch (error) {
        expect(error).toMatchObject({ code: 'DATA_DAMAGED' });
      }
    }
  });
});

describe('the file ahead', () => {
  const FILE_HEADER = 16;
  const FRAMES = 10;
  const OTHER_START = '11111111-2222-3333-4444-555555555555';

  /** A file of ten frames that a killed process has left, and what comes of changed copies of it. */
  const killed = async (sync: SyncMode) => {
    const dir = await tmpDir('ahead');
    const store = openAheadStore(openLmdbStore(dir.path), dir.path, sync);
    for (let i = 1; i <= FRAMES; i++) store.commit((writes) => writes.log(i, Buffer.alloc(100, i)));
    const ahead = readFileSync(dir.at('AHEAD'));
    const frame = (ahead.length - FILE_HEADER) / FRAMES;
    let copies = 0;
    return {
      ahead,
      /** Where frame `n` begins, from 0 on. */
      start: (n: number): number => FILE_HEADER + frame * n,
      /** Rows that come back, and whether some were said to be missing; undefined when the store does not open. `boot`: in which start of the machine it is opened. */
      async reopen(bytes: Uint8Array, boot?: string): Promise<{ rows: number; isReported: boolean } | undefined> {
        const path = dir.at(`copy-${copies++}`);
        mkdirSync(path);
        copyFileSync(dir.at('data.mdb'), `${path}/data.mdb`);
        writeFileSync(`${path}/AHEAD`, bytes);
        const below = openLmdbStore(path);
        let again: ReturnType<typeof openAheadStore>;
        try {
          again = openAheadStore(below, path, sync, boot);
        } catch (error) {
          expect(error).toMatchObject({ code: 'DATA_DAMAGED', details: { table: 'ahead' } });
          expect(readFileSync(`${path}/AHEAD`).equals(bytes)).toBe(true);
          await below.close();
          return undefined;
        }
        const rows = [...again.logFrom(0)];
        expect(rows.every((row, i) => row.position === i + 1 && row.bytes.every((byte) => byte === i + 1))).toBe(true);
        expect(statSync(`${path}/AHEAD`).size).toBe(FILE_HEADER);
        const isReported = again.faults.length > 0;
        expect(existsSync(`${path}/AHEAD.damaged`)).toBe(isReported);
        await again.close();
        return { rows: rows.length, isReported };
      },
      flipped(at: number): Uint8Array {
        const bytes = Uint8Array.from(ahead);
        (bytes[at] as number) ^= 1;
        return bytes;
      },
      async [Symbol.asyncDispose]() {
        await store.close();
        await dir[Symbol.asyncDispose]();
      },
    };
  };

  test('AF1, AF4, relaxed: a torn tail ends the file, what is before it is kept; a rotten one is damage', async () => {
    await using file = await killed('relaxed');
    const { ahead, start, reopen, flipped } = file;
    const hole = Buffer.concat([ahead.subarray(0, start(3)), ahead.subarray(start(4))]);
    expect(await reopen(ahead)).toEqual({ rows: 10, isReported: false });
    // Killed within a write.
    expect(await reopen(ahead.subarray(0, ahead.length - 1))).toEqual({ rows: 9, isReported: false });
    expect(await reopen(ahead.subarray(0, 5))).toEqual({ rows: 0, isReported: false });
    // No power failure came between: what does not fit was damaged.
    for (const at of [start(4) + 20, start(9), start(9) + 1, start(9) + 9, start(9) + 30]) {
      expect(await reopen(flipped(at))).toBeUndefined();
      expect(await reopen(flipped(at), OTHER_START)).toEqual({ rows: at < start(5) ? 4 : 9, isReported: true });
    }
    expect(await reopen(flipped(9))).toEqual({ rows: 10, isReported: false });
    // A frame in the middle that never reached the disk.
    expect(await reopen(hole)).toBeUndefined();
    expect(await reopen(hole, OTHER_START)).toEqual({ rows: 3, isReported: true });
  });

  test.each([undefined, OTHER_START])(
    'AF1, AF3, group: the last frame may have been cut off, and is reported; behind any other one stands a later one, and that is damage (%s)',
    async (boot) => {
      await using file = await killed('group');
      const { ahead, start, reopen, flipped } = file;
      expect(await reopen(ahead, boot)).toEqual({ rows: 10, isReported: false });
      // The process was killed within a write; or the power was cut, if the machine was started anew.
      expect(await reopen(ahead.subarray(0, ahead.length - 1), boot)).toEqual({
        rows: 9,
        isReported: boot !== undefined,
      });
      for (const at of [start(9), start(9) + 1, start(9) + 9, start(9) + 30])
        expect(await reopen(flipped(at), boot)).toEqual({ rows: 9, isReported: true });
      const zeroed = Buffer.from(ahead).fill(0, start(9) + 10);
      expect(await reopen(zeroed, boot)).toEqual({ rows: 9, isReported: true });
      for (const at of [start(0) + 30, start(4), start(4) + 9, start(8) + 20])
        expect(await reopen(flipped(at), boot)).toBeUndefined();
      expect(
        await reopen(Buffer.concat([ahead.subarray(0, start(3)), ahead.subarray(start(4))]), boot),
      ).toBeUndefined();
      expect(await reopen(Buffer.from(ahead).fill(0, start(2), start(5)), boot)).toBeUndefined();
    },
  );

  test('N3: rows one by one, images and numbers are read from what is ahead; other reads take it into the database', async () => {
    await using dir = await tmpDir('ahead');
    const database = openLmdbStore(dir.path);
    const store = openAheadStore(database, dir.path, 'group');
    for (const position of [3, 5, 9])
      store.commit((writes) => {
        writes.log(position, Buffer.alloc(10, position));
        writes.image('a/b', Buffer.alloc(8, position), undefined);
        writes.meta('checkpoint', position);
      });
    const rows = (): unknown[] => [2, 3, 4, 8, 100].map((at) => store.logAt(at)?.position);
    expect(rows()).toEqual([undefined, 3, 3, 5, 9]);
    expect([store.image('a/b')?.[0], store.meta('checkpoint')]).toEqual([9, 9]);
    expect([store.letterIds({ limit: 9 }), store.damages()]).toEqual([[], []]);
    expect(database.meta('frame')).toBeUndefined();
    expect(store.imageKeys({ limit: 9 })).toEqual(['a/b']);
    expect(database.meta('frame')).toBe(3);
    expect(rows()).toEqual([undefined, 3, 3, 5, 9]);
    await store.close();
  });

  test('group: a large commit goes into the database at once, behind what is ahead of it', async () => {
    await using dir = await tmpDir('ahead');
    const database = openLmdbStore(dir.path);
    const store = openAheadStore(database, dir.path, 'group');
    store.commit((writes) => writes.log(1, Buffer.alloc(10, 1)));
    store.commit((writes) => writes.log(2, Buffer.alloc(300_000, 2)));
    expect(database.meta('frame')).toBe(1);
    expect(database.logAt(9)?.position).toBe(2);
    store.commit((writes) => writes.log(3, Buffer.alloc(10, 3)));
    expect(database.logAt(9)?.position).toBe(2);
    expect(() => store.commit((writes) => writes.log(3, Buffer.alloc(300_000, 3)))).toThrowError(StorageError);
    // As a process that is killed now leaves it.
    const copy = dir.at('copy');
    mkdirSync(copy);
    for (const name of ['data.mdb', 'AHEAD']) copyFileSync(dir.at(name), `${copy}/${name}`);
    await store.close();
    const again = openAheadStore(openLmdbStore(copy), copy, 'group');
    expect([...again.logFrom(0)].map(({ position, bytes }) => [position, bytes.length])).toEqual([
      [1, 10],
      [2, 300_000],
      [3, 10],
    ]);
    await again.close();
  });

  test.each(['group', 'relaxed'] as const)('%s: it begins anew when it has grown', async (sync) => {
    await using dir = await tmpDir('ahead');
    const store = openAheadStore(openLmdbStore(dir.path), dir.path, sync);
    const limitBytes = (sync === 'group' ? 4 : 16) << 20;
    const row = Buffer.alloc(100_000);
    const sizes = Array.from({ length: Math.ceil((limitBytes * 2.5) / row.length) }, (_, position) => {
      store.commit((writes) => writes.log(position, row));
      return statSync(dir.at('AHEAD')).size;
    });
    expect(Math.max(...sizes)).toBeLessThan(limitBytes);
    expect(sizes.filter((size) => size === FILE_HEADER)).toHaveLength(2);
    expect(store.logPositions(0, 1_000)).toHaveLength(sizes.length);
    await store.close();
  });

  test('AF2: a frame of a past that a power cut took back is not taken behind a new one', async () => {
    await using dir = await tmpDir('relaxed');
    const [first, second, third] = [dir.at('first'), dir.at('second'), dir.at('third')];
    const boot = (n: number): string => `${n}`.repeat(32);
    const ahead = (path: string): Buffer => readFileSync(`${path}/AHEAD`);
    const commit = (store: Store, position: number, fill: number): void =>
      store.commit((writes) => writes.log(position, Buffer.alloc(100, fill)));
    const next = (from: string, to: string, bytes: Buffer): void => {
      mkdirSync(to);
      copyFileSync(`${from}/data.mdb`, `${to}/data.mdb`);
      writeFileSync(`${to}/AHEAD`, bytes);
    };
    mkdirSync(first);
    const store = openAheadStore(openLmdbStore(first), first, 'relaxed', boot(1));
    for (const position of [1, 2]) commit(store, position, 1);
    const old = ahead(first);
    const start = 16 + (old.length - 16) / 2;

    // The power is cut: the first frame is torn, and nothing of this is in the database.
    const torn = Buffer.from(old);
    (torn[60] as number) ^= 1;
    next(first, second, torn);
    await store.close();
    const again = openAheadStore(openLmdbStore(second), second, 'relaxed', boot(2));
    commit(again, 1, 2);
    expect(ahead(second)).toHaveLength(start);

    // And cut again: the new frame is on the disk, the cutting of the file before it is not.
    next(second, third, Buffer.concat([ahead(second), old.subarray(start)]));
    await again.close();
    const last = openAheadStore(openLmdbStore(third), third, 'relaxed', boot(3));
    expect([...last.logFrom(0)].map(({ position, bytes }) => [position, bytes[0]])).toEqual([[1, 2]]);
    await last.close();
  });

  test.each(['group', 'relaxed'] as const)(
    '%s: frames that are in the database already are not taken twice',
    async (sync) => {
      await using dir = await tmpDir('ahead');
      const store = openAheadStore(openLmdbStore(dir.path), dir.path, sync);
      for (let i = 1; i <= 3; i++) store.commit((writes) => writes.log(i, Buffer.alloc(10, i)));
      const before = readFileSync(dir.at('AHEAD'));
      store.flush();
      store.commit((writes) => writes.log(4, Buffer.alloc(10, 4)));
      const after = readFileSync(dir.at('AHEAD'));
      await store.close();
      // As if the cutting of the file had not reached the disk. In the group mode it stands so anyway.
      const both = Buffer.concat([before, after.subarray(sync === 'group' ? before.length : FILE_HEADER)]);
      if (sync === 'group') expect(both).toEqual(after);
      writeFileSync(dir.at('AHEAD'), both);
      const again = openAheadStore(openLmdbStore(dir.path), dir.path, sync);
      expect([...again.logFrom(0)].map((row) => row.position)).toEqual([1, 2, 3, 4]);
      expect(again.meta('frame')).toBe(4);
      await again.close();
    },
  );
});

test('a backup is a data folder of its own, taken while commits go on', async () => {
  await using dir = await tmpDir('backup');
  const data = dir.at('data');
  mkdirSync(data);
  const rig = await Rig.open({}, openLmdbStore(data));
  const host = rig.host();
  for (let i = 1; i <= 50; i++) host.write(turn('cell/a', i));
  host.image('cell/a', 50, { wakeAtMs: 5 });
  const backup = rig.control.backup(dir.at('copy'));
  for (let i = 51; i <= 80; i++) host.write(turn('cell/a', i));
  await backup;
  await expect(rig.control.backup(dir.at('copy'))).rejects.toThrowError(/not empty/);
  await rig.control.close();
  const folder = openDataFolder(dir.at('copy'), systemClock);
  const copy = await Rig.open({}, openLmdbStore(folder.path));
  expect(copy.report.tailTurns).toBeGreaterThanOrEqual(50);
  expect(copy.report.damaged).toEqual([]);
  expect(await copy.control.image('cell/a')).toEqual(imageRow('cell/a', 50, { wakeAtMs: 5 }));
  await copy.control.close();
  folder.release();
});
