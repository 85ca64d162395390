/** The journal in its thread, on a real disk: hosts over ports, kills, locks. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { connectHostJournal, type JournalPort } from '../../../runtime/journal/host-journal-port.ts';
import type { HostJournal, HostJournalEvents } from '../../../runtime/journal/host-journal.ts';
import type { SyncMode } from '../../../runtime/journal/journal-control.ts';
import { JournalThread, type JournalThreadOptions } from '../../../runtime/journal/journal-thread.ts';
import { systemClock } from '../../../runtime/kernel/clock.ts';
import { DataFolderLockedError, SystemStoppedError } from '../../../runtime/kernel/errors.ts';
import { tmpDir } from '../../support/tmp-dir.ts';
import { imageRow, send, turn } from './journal-rig.ts';

const CHILD = fileURLToPath(new URL('./journal-child.ts', import.meta.url));

const makeThread = (dataDir: string | undefined, options: Partial<JournalThreadOptions> = {}): JournalThread =>
  new JournalThread({
    dataDir,
    sync: 'group',
    retention: 'keep',
    checkpointEveryTurns: 1e9,
    checkpointEveryBytes: 1e12,
    hosts: 1,
    clock: systemClock,
    onFailure: (error) => {
      throw error;
    },
    ...options,
  });

const connect = async (
  thread: JournalThread,
  run: number,
  events: Partial<HostJournalEvents> = {},
): Promise<HostJournal> =>
  connectHostJournal(
    (await thread.connect(0)) as unknown as JournalPort,
    { slot: 0, epoch: 1, run },
    { accepted() {}, committed() {}, fenced() {}, wake() {}, storage() {}, checkpoint() {}, ...events },
  );

/** Waits until `done`, at most ten seconds. */
const until = async (done: () => boolean): Promise<void> => {
  for (let i = 0; i < 1_000 && !done(); i++) await sleep(10);
  expect(done()).toBe(true);
};

const exited = async (child: ChildProcess): Promise<void> => {
  await once(child, 'exit');
};

test('append, load, checkpoint, query, close, open again', async () => {
  await using dir = await tmpDir('journal');
  const first = makeThread(dir.path);
  const report = await first.open();
  expect(report).toMatchObject({ run: 1, end: 1 });
  await first.fence(0, 1);
  const committed: [number, number][] = [];
  const host: HostJournal = await connect(first, report.run, {
    committed: (number, position) => committed.push([number, position]),
    checkpoint: (round) => {
      const batch = host.newBatch();
      batch.image(imageRow('cell/a', 100));
      host.append(101 + round, batch.seal());
      host.clean(round);
    },
  });
  const batch = host.newBatch();
  for (let i = 1; i <= 100; i++) {
    batch.turn(turn('cell/a', i, { intents: [send('cell/b', i)] }));
    host.append(i, batch.seal());
  }
  await until(() => committed.length === 100);
  expect(committed).toEqual(Array.from({ length: 100 }, (_, i) => [i + 1, i + 1]));
  expect((await first.recover(0)).wake).toEqual(['cell/b']);
  const cells = await new Promise<unknown>((resolve) => {
    host.load(['cell/a', 'cell/b'], resolve);
  });
  expect(cells).toMatchObject([{ key: 'cell/a' }, { key: 'cell/b', pending: { length: 100 } }]);
  batch.turn(turn('cell/b', 1));
  host.append(101, batch.seal());
  await until(() => committed.length === 101);
  expect(await first.checkpoint()).toBe(102);
  expect(await first.turns('cell/a', { limit: 3 })).toHaveLength(3);
  expect(await first.image('cell/a')).toMatchObject({ sequence: 100 });
  host.close();
  await first.close();
  await first.close();
  await expect(first.stats()).rejects.toThrowError(SystemStoppedError);
  expect(existsSync(dir.at('LOCK'))).toBe(false);

  const second = makeThread(dir.path);
  expect(await second.open()).toMatchObject({ run: 2, end: 102, checkpoint: 102, tailTurns: 0 });
  await second.close();
});

test('P5: who forwards is told of the acceptance, before the commit', async () => {
  await using dir = await tmpDir('journal');
  const thread = makeThread(dir.path);
  const report = await thread.open();
  await thread.fence(0, 1);
  const heard: string[] = [];
  const host: HostJournal = await connect(thread, report.run, {
    accepted: (number, position) => heard.push(`accepted ${number} at ${position}`),
    committed: (number, position) => heard.push(`committed ${number} at ${position}`),
  });
  const batch = host.newBatch();
  for (const [number, forwards] of [
    [1, true],
    [2, false],
    [3, true],
  ] as const) {
    batch.turn(turn('cell/a', number));
    host.append(number, batch.seal(), forwards);
    await until(() => heard.includes(`committed ${number} at ${number}`));
  }
  expect(heard).toEqual([
    'accepted 1 at 1',
    'committed 1 at 1',
    'committed 2 at 2',
    'accepted 3 at 3',
    'committed 3 at 3',
  ]);
  host.close();
  await thread.close();
});

test('in memory, nothing touches the disk', async () => {
  const thread = makeThread(undefined);
  const report = await thread.open();
  const host = await connect(thread, report.run);
  const batch = host.newBatch();
  batch.turn(turn('cell/a', 1));
  host.append(1, batch.seal());
  await until(() => true);
  await thread.putImage(imageRow('cell/b', 1));
  expect(await thread.keys({})).toEqual(['cell/b']);
  await thread.close();
});

test('a batch appended just before the host closes is committed', async () => {
  await using dir = await tmpDir('journal');
  const thread = makeThread(dir.path);
  const report = await thread.open();
  const host = await connect(thread, report.run);
  const batch = host.newBatch();
  batch.turn(turn('cell/a', 1));
  host.append(1, batch.seal());
  host.close();
  await until(() => true);
  for (let i = 0; i < 100 && (await thread.stats()).end < 2; i++) await sleep(5);
  expect(await thread.turns('cell/a')).toHaveLength(1);
  await thread.close();
});

test('T1: a second system on the folder is refused, by whatever path; afterwards it is free', async () => {
  await using dir = await tmpDir('journal');
  await using links = await tmpDir('links');
  symlinkSync(dir.path, links.at('link'));
  const first = makeThread(dir.path);
  await first.open();
  for (const path of [dir.path, links.at('link')]) {
    const refused = makeThread(path).open();
    await expect(refused).rejects.toThrowError(DataFolderLockedError);
    await expect(refused).rejects.toMatchObject({ code: 'DATA_FOLDER_LOCKED', details: { pid: process.pid } });
  }
  await first.close();
  const next = makeThread(links.at('link'));
  await next.open();
  await next.close();
});

describe('another process', () => {
  const start = (dataDir: string, ackFile: string, sync: SyncMode, size: number): ChildProcess =>
    spawn(process.execPath, [CHILD, dataDir, ackFile, sync, String(size)], { stdio: 'inherit' });
  const lastAck = (file: string): number =>
    Number(existsSync(file) ? (readFileSync(file, 'utf8').split('\n').at(-2) ?? 0) : 0);

  test('T1, T2: a living owner is named and respected, a dead one is replaced', async () => {
    await using dir = await tmpDir('journal');
    const child = start(dir.at('data'), dir.at('acks'), 'group', 1);
    await until(() => lastAck(dir.at('acks')) > 10);
    await expect(makeThread(dir.at('data')).open()).rejects.toMatchObject({
      code: 'DATA_FOLDER_LOCKED',
      details: { pid: child.pid },
    });
    child.kill('SIGKILL');
    await exited(child);
    expect(existsSync(dir.at('data', 'LOCK'))).toBe(true);
    const heir = makeThread(dir.at('data'));
    await heir.open();
    await heir.close();
  });

  test('the lock of an earlier process with the same number is stale', async () => {
    await using dir = await tmpDir('journal');
    const thread = makeThread(dir.path);
    await thread.open();
    const lock = JSON.parse(readFileSync(dir.at('LOCK'), 'utf8')) as object;
    await thread.close();
    writeFileSync(dir.at('LOCK'), JSON.stringify({ ...lock, started: '1' }));
    await makeThreadAndClose(dir.path);
    writeFileSync(dir.at('LOCK'), JSON.stringify({ ...lock, boot: 'another boot' }));
    await makeThreadAndClose(dir.path);
    // Of another machine, and touched just now.
    writeFileSync(dir.at('LOCK'), JSON.stringify({ ...lock, host: 'elsewhere' }));
    await expect(makeThread(dir.path).open()).rejects.toThrowError(/on elsewhere/);
  });

  test.each(['group', 'relaxed'] as const)(
    'kill -9, sync %s: every acknowledged turn is there, without a gap',
    async (sync) => {
      await using dir = await tmpDir('journal');
      let runs = 0;
      // Kills at every point, in far greater number: test/crash, with `npm run test:proofs`.
      for (const size of [1, 300]) {
        const before = lastAck(dir.at('acks'));
        const child = start(dir.at('data'), dir.at('acks'), sync, size);
        await until(() => lastAck(dir.at('acks')) > before + 10 * size);
        await sleep(Math.random() * 30);
        child.kill('SIGKILL');
        await exited(child);
        runs++;
        const thread = makeThread(dir.at('data'), { sync });
        const report = await thread.open();
        // The child's run, and this one.
        expect(report.run).toBe(2 * runs);
        expect(report.damaged).toEqual([]);
        expect(report.end - 1).toBeGreaterThanOrEqual(lastAck(dir.at('acks')));
        const turns = await thread.turns('cell/a', { limit: 1e9 });
        expect(turns.length).toBe(report.end - 1);
        expect(turns.every((one, i) => one.sequence === i + 1 && one.position === i + 1)).toBe(true);
        await thread.close();
      }
    },
  );

  const makeThreadAndClose = async (path: string): Promise<void> => {
    const thread = makeThread(path);
    await thread.open();
    await thread.close();
  };
});
