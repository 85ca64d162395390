/**
 * Data folders that cannot be used: refused with what is wrong and what to do, left exactly as they were, and usable once it is mended.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import { counter } from '../../support/actors/basic.ts';
import { settledCrashCopy } from '../../support/crash-copy.ts';
import { smallDisk } from '../../support/small-disk.ts';
import { type TmpDir, tmpDir } from '../../support/tmp-dir.ts';
import { codeOf, errorOf, recordEvents, until } from '../../support/until.ts';

const MODULE = new URL('../../support/actors/basic.ts', import.meta.url);
const HOLDER = fileURLToPath(new URL('../../support/hold-folder.ts', import.meta.url));
const NO_MOUNT = 'this process may not mount a small disk (needs root)';

const start = (dataDir: string, threads: number): Promise<ActorSystem> =>
  ActorSystem.start({ dataDir, threads, actors: [MODULE] });

/** Three actors with 1, 2 and 3 in them. */
const fill = async (dataDir: string, before: () => Promise<unknown> = () => Promise.resolve()): Promise<void> => {
  await using system = await start(dataDir, 0);
  for (const by of [1, 2, 3]) {
    const ref = await system.spawn(counter, { id: `c${by}` });
    await ref.tell({ type: 'ADD', by });
  }
  await before();
};

const fingerprint = (folder: string): string => {
  const hash = createHash('sha256');
  for (const name of readdirSync(folder).sort()) hash.update(name).update(readFileSync(join(folder, name)));
  return hash.digest('hex');
};

const expectAllThere = async (dataDir: string): Promise<void> => {
  await using system = await start(dataDir, 0);
  for (const n of [1, 2, 3]) expect(await system.ref(counter, `c${n}`).ask({ type: 'GET' })).toMatchObject({ n });
};

describe.each([0, 1])('threads: %i', (threads) => {
  test('a folder below one that makes none, a file, or a folder below a file is refused, and does not hang', async () => {
    await using folder = await tmpDir('folder');
    writeFileSync(folder.at('file'), '');
    for (const [path, code] of [
      ['/proc/collaborative-blocks/data', 'DATA_FOLDER_READ_ONLY'],
      [folder.at('file'), 'STORAGE_FAILED'],
      [folder.at('file', 'data'), 'STORAGE_FAILED'],
    ] as const) {
      const error = await errorOf(start(path, threads));
      expect(error).toMatchObject({ code, details: { path } });
    }
    // Whatever else keeps a file of it from being opened: too many open files, say.
    mkdirSync(folder.at('odd', 'AHEAD'), { recursive: true });
    const odd = await errorOf(start(folder.at('odd'), threads));
    expect(odd).toMatchObject({ code: 'STORAGE_FAILED', details: { path: folder.at('odd') } });
    await using system = await start(folder.at('data'), threads);
    expect(await codeOf(system.backup('/proc/collaborative-blocks/copy'))).toBe('STORAGE_FAILED');
  });

  test.each([
    [99, 'newer version'],
    [1, 'older version'],
  ])('a folder of format %i is left as it is', async (number, version) => {
    await using folder = await tmpDir('folder');
    const dataDir = folder.at('data');
    await fill(dataDir);
    const format = readFileSync(join(dataDir, 'FORMAT'), 'utf8');
    writeFileSync(join(dataDir, 'FORMAT'), `collaborative-blocks ${number}\n`);
    const before = fingerprint(dataDir);
    const error = await errorOf(start(dataDir, threads));
    expect(error).toMatchObject({ code: 'DATA_FORMAT', details: { path: dataDir, format: number } });
    expect(error.message).toContain(version);
    expect(fingerprint(dataDir)).toBe(before);
    writeFileSync(join(dataDir, 'FORMAT'), format);
    await expectAllThere(dataDir);
  });

  test.each([
    ['not ours', (path: string) => writeFileSync(join(path, 'FORMAT'), 'somebody else 1\n')],
    ['a database without a format', (path: string) => rmSync(join(path, 'FORMAT'))],
  ])('a folder that is %s is left as it is', async (_name, spoil) => {
    await using folder = await tmpDir('folder');
    const dataDir = folder.at('data');
    await fill(dataDir);
    spoil(dataDir);
    const before = fingerprint(dataDir);
    const error = await errorOf(start(dataDir, threads));
    expect(error.code).toBe('DATA_FORMAT');
    expect(error.message).toContain(dataDir);
    expect(fingerprint(dataDir)).toBe(before);
  });

  test('a file in place of a folder', async () => {
    await using folder = await tmpDir('folder');
    writeFileSync(folder.at('data'), 'mine');
    const error = await errorOf(start(folder.at('data'), threads));
    expect(error.code).toBe('STORAGE_FAILED');
    expect(error.message).toContain(folder.at('data'));
    expect(readFileSync(folder.at('data'), 'utf8')).toBe('mine');
  });

  test('a folder in use by another process, named by its number, until that process is gone', async () => {
    await using folder = await tmpDir('folder');
    const dataDir = folder.at('data');
    await fill(dataDir);
    const child = spawn(process.execPath, [HOLDER, dataDir], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const error = await errorOf(start(dataDir, threads));
    expect(error).toMatchObject({
      code: 'DATA_FOLDER_LOCKED',
      retryable: true,
      details: { path: dataDir, pid: child.pid },
    });
    expect(error.message).toContain(String(child.pid));
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    await expectAllThere(dataDir);
  });

  test('a folder in use by this process, also by another path to it', async () => {
    await using folder = await tmpDir('folder');
    const dataDir = folder.at('data');
    {
      await using _first = await start(dataDir, threads);
      for (const path of [dataDir, `${folder.path}/../${folder.path.split('/').at(-1)}/data/`]) {
        const error = await errorOf(start(path, threads));
        expect(error).toMatchObject({ code: 'DATA_FOLDER_LOCKED', details: { pid: process.pid } });
      }
    }
    await using _second = await start(dataDir, threads);
  });

  test('a read-only folder is named, and nothing hangs', async (context) => {
    await using disk = await smallDisk(16);
    if (disk === undefined) return context.skip(NO_MOUNT);
    const dataDir = join(disk.path, 'data');
    await fill(dataDir);
    disk.readOnly();
    const error = await errorOf(start(dataDir, threads));
    expect(error.code).toBe('DATA_FOLDER_READ_ONLY');
    expect(error.message).toContain(dataDir);
    const fresh = await errorOf(start(join(disk.path, 'new'), threads));
    expect(fresh.code).toBe('DATA_FOLDER_READ_ONLY');
    expect(existsSync(join(disk.path, 'new'))).toBe(false);
  });

  test('a disk that runs full: calls are refused, nothing acknowledged is lost, and it goes on by itself', async (context) => {
    await using disk = await smallDisk(12);
    if (disk === undefined) return context.skip(NO_MOUNT);
    const dataDir = join(disk.path, 'data');
    let acknowledged = 0;
    {
      await using system = await start(dataDir, threads);
      const storage = recordEvents(system, 'storage');
      const failed = recordEvents(system, 'failed');
      const ref = await system.spawn(counter, { id: 'c' });
      const ballast = join(disk.path, 'ballast');
      writeFileSync(ballast, Buffer.alloc(8 << 20));
      let refusal: (Error & { code?: string }) | undefined;
      for (let i = 0; i < 2_000 && refusal === undefined; i++) {
        try {
          await ref.tell({ type: 'ADD', by: 1, data: 'x'.repeat(20_000) }, { timeoutMs: 2_000 });
          acknowledged += 1;
        } catch (error) {
          refusal = error as Error & { code?: string };
        }
      }
      expect(['STORAGE_FULL', 'TELL_TIMEOUT']).toContain(refusal?.code);
      await until('the system to say so', () => storage.some((event) => event.state === 'full'));
      const error = await errorOf(ref.tell({ type: 'ADD', by: 1_000_000 }));
      expect(error).toMatchObject({ code: 'STORAGE_FULL', retryable: true });
      expect(error.message).toMatch(/nothing acknowledged is lost/);
      rmSync(ballast);
      await until('the system to go on', () => storage.at(-1)?.state === 'ok');
      await ref.tell({ type: 'ADD', by: 1 });
      acknowledged += 1;
      const { n } = await ref.ask<{ n: number }>({ type: 'GET' });
      // The one that was refused while it was under way may have been handled: it was never acknowledged.
      expect([acknowledged, acknowledged + 1]).toContain(n);
      expect(failed).toEqual([]);
      acknowledged = n;
    }
    await using again = await start(dataDir, threads);
    expect(await again.ref(counter, 'c').ask({ type: 'GET' })).toMatchObject({ n: acknowledged });
  });

  test('no room at all for a new folder', async (context) => {
    await using disk = await smallDisk(1);
    if (disk === undefined) return context.skip(NO_MOUNT);
    const ballast = join(disk.path, 'ballast');
    try {
      writeFileSync(ballast, Buffer.alloc(2 << 20));
    } catch {
      // As full as it gets.
    }
    const error = await errorOf(start(join(disk.path, 'data'), threads));
    expect(error).toMatchObject({ code: 'STORAGE_FULL', retryable: true });
    expect(error.message).toContain(disk.path);
  });

  test('no room for what an opening writes: the folder is named, and opens when there is some', async (context) => {
    await using disk = await smallDisk(12);
    if (disk === undefined) return context.skip(NO_MOUNT);
    const dataDir = join(disk.path, 'data');
    await fill(dataDir);
    const ballast = join(disk.path, 'ballast');
    const fd = openSync(ballast, 'w');
    try {
      for (;;) writeSync(fd, Buffer.alloc(4_096));
    } catch {
      // As full as it gets.
    } finally {
      closeSync(fd);
    }
    const error = await errorOf(start(dataDir, threads));
    expect(error).toMatchObject({ code: 'STORAGE_FULL', retryable: true });
    expect(error.message).toContain(disk.path);
    rmSync(ballast);
    await expectAllThere(dataDir);
  });

  test.each([
    ['garbage', (file: string) => writeFileSync(file, Buffer.alloc(100_000, 0x5a))],
    ['cut off within its first page', (file: string) => truncateSync(file, 100)],
    [
      'a first page of zeros',
      (file: string) => writeFileSync(file, Buffer.concat([Buffer.alloc(8_192), readFileSync(file).subarray(8_192)])),
    ],
  ])('a database that is %s is refused, and not written over', async (_name, spoil) => {
    await using folder = await tmpDir('folder');
    const dataDir = folder.at('data');
    await fill(dataDir);
    const file = join(dataDir, 'data.mdb');
    const good = readFileSync(file);
    spoil(file);
    const bad = readFileSync(file);
    const error = await errorOf(start(dataDir, threads));
    expect(error.code).toBe('DATA_DAMAGED');
    expect(error.message).toContain('data.mdb');
    expect(error.message).toMatch(/backup/i);
    expect(readFileSync(file).equals(bad)).toBe(true);
    writeFileSync(file, good);
    await expectAllThere(dataDir);
  });

  // Damage of every kind, in far greater number: test/damage, with `npm run test:proofs`.
  test('flipped bits in what was stored: an actor is right, or blocked and named; never wrong', async () => {
    await using folder = await tmpDir('folder');
    const flips = await flippedFolders(folder, ['ADD', 'spawn'], [1, 8], threads === 0 ? 12 : 3);
    let blocked = 0;
    for (const open of flips) {
      await using system = await start(open(), threads);
      for (const n of [1, 2, 3]) {
        const ref = system.ref(counter, `c${n}`);
        try {
          expect((await ref.ask<{ n: number }>({ type: 'GET' })).n).toBe(n);
        } catch (error) {
          expect(error).toMatchObject({ code: 'ACTOR_BLOCKED' });
          expect((error as Error).message).toMatch(new RegExp(`counter/c${n}.*damaged`));
          expect((await ref.snapshot()).status).toBe('blocked');
          expect(system.blocked().get(ref.key)).toMatchObject({ code: 'ACTOR_BLOCKED' });
          expect(await codeOf(ref.tell({ type: 'ADD', by: 1 }))).toBe('ACTOR_BLOCKED');
          expect(system.opened.damaged.length).toBeGreaterThan(0);
          blocked += 1;
        }
      }
    }
    expect(blocked).toBeGreaterThan(0);
  });

  test('flipped bits where a batch says whose its turns are: its actors are blocked, also the one whose last turn it was', async () => {
    await using folder = await tmpDir('folder');
    const flips = await flippedFolders(folder, ['counter/c'], [1], threads === 0 ? 12 : 3);
    let blocked = 0;
    for (const open of flips) {
      await using system = await start(open(), threads);
      for (const n of [1, 2, 3]) {
        const answer = await errorOrValue(system.ref(counter, `c${n}`).ask<{ n: number }>({ type: 'GET' }));
        if (answer === 'ACTOR_BLOCKED') blocked += 1;
        else expect(answer).toBe(n);
      }
    }
    expect(blocked).toBeGreaterThan(0);
  });
});

const errorOrValue = async (answer: Promise<{ readonly n: number }>): Promise<unknown> => {
  try {
    return (await answer).n;
  } catch (error) {
    return (error as { code?: string }).code;
  }
};

/** Copies of a good folder, each with one bit flipped near an occurrence of one of `words` in the database. */
const flippedFolders = async (
  folder: TmpDir,
  words: readonly string[],
  offsets: readonly number[],
  most: number,
): Promise<(() => string)[]> => {
  // As a killed process leaves it: after a stop in peace the turns are in the states, and nobody reads them.
  await fill(folder.at('data'), () => settledCrashCopy(folder.at('data'), folder.at('good')));
  const good = readFileSync(join(folder.at('good'), 'data.mdb'));
  const places: number[] = [];
  for (const word of words) {
    for (let at = good.indexOf(word, 8_192); at >= 0; at = good.indexOf(word, at + 1)) {
      for (const offset of offsets) places.push(at + offset);
    }
  }
  // A few of many, where each start takes its time.
  const every = Math.ceil(places.length / most);
  return places
    .filter((_, i) => i % every === 0)
    .map((at) => () => {
      const dataDir = folder.at('bad');
      rmSync(dataDir, { recursive: true, force: true });
      mkdirSync(dataDir);
      writeFileSync(join(dataDir, 'FORMAT'), readFileSync(join(folder.at('good'), 'FORMAT')));
      const bytes = Buffer.from(good);
      bytes[at] = (bytes[at] ?? 0) ^ 0x10;
      writeFileSync(join(dataDir, 'data.mdb'), bytes);
      return dataDir;
    });
};
