/** The command line, run as a process: what it says, how it ends, and that it leaves a folder as it was. */
import { execFile, spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FORMAT_VERSION } from '../../runtime/journal/batch-layout.ts';
import { ActorSystem, examineDataFolder, repairDataFolder } from '../../runtime/index.ts';
import { counter } from '../support/actors/basic.ts';
import { settledCrashCopy } from '../support/crash-copy.ts';
import { type TmpDir, tmpDir } from '../support/tmp-dir.ts';
import { codeOf, errorOf } from '../support/until.ts';

const MAIN = fileURLToPath(new URL('../../runtime/cli/main.ts', import.meta.url));
const HOLDER = fileURLToPath(new URL('../support/hold-folder.ts', import.meta.url));
const ACTORS = new URL('../support/actors/basic.ts', import.meta.url);

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const run = (...args: string[]): Promise<Ended> =>
  new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });

const start = (dataDir: string): Promise<ActorSystem> =>
  ActorSystem.start({ dataDir, threads: 0, actors: [ACTORS], onLog: () => {} });

const contents = (folder: string): Record<string, string> =>
  Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(`${folder}/${name}`, 'base64')]));

let dir: TmpDir;

/** Five counters as a killed process leaves them: turns before and after a checkpoint, and a dead letter. */
beforeAll(async () => {
  dir = await tmpDir('doctor');
  await using system = await start(dir.at('alive'));
  for (let n = 1; n <= 5; n++) {
    const ref = await system.spawn(counter, { id: `c${n}` });
    await ref.tell({ type: 'ADD', by: n });
  }
  await codeOf(system.ref(counter, 'c1').ask({ type: 'BOOM' }));
  await system.checkpoint();
  for (let n = 1; n <= 3; n++) await system.ref(counter, `c${n}`).tell({ type: 'ADD', by: 10, data: `marker-${n}` });
  await settledCrashCopy(dir.at('alive'), dir.at('good'));
});
afterAll(() => dir[Symbol.asyncDispose]());

let copies = 0;
/** A copy of the good folder, in which the bytes of the first row that has `marker` in its value are changed. */
const spoiled = (change: (database: Buffer) => void): string => {
  const folder = dir.at(`copy-${++copies}`);
  cpSync(dir.at('good'), folder, { recursive: true });
  const database = readFileSync(`${folder}/data.mdb`);
  change(database);
  writeFileSync(`${folder}/data.mdb`, database);
  return folder;
};

/** Flips bits behind each place where `word` stands. */
const flip = (database: Buffer, word: string, masks: readonly number[]): void => {
  let hits = 0;
  for (let at = database.indexOf(word); at >= 0; at = database.indexOf(word, at + 1)) {
    for (const [i, mask] of masks.entries()) (database[at + 2 + i * 3] as number) ^= mask;
    hits += 1;
  }
  expect(hits).toBeGreaterThan(0);
};

const countsOf = async (folder: string): Promise<unknown[]> => {
  await using system = await start(folder);
  const asks = [1, 2, 3, 4, 5].map(async (n) => {
    try {
      return (await system.ref(counter, `c${n}`).ask<{ n: number }>({ type: 'GET' })).n;
    } catch (error) {
      return (error as { code?: string }).code;
    }
  });
  return Promise.all(asks);
};

describe('a sound folder', () => {
  test('doctor, history, letters, blocked, backup: what is there, in words and as JSON, and nothing is changed', async () => {
    const folder = dir.at('good');
    const before = contents(folder);
    const doctor = await run('doctor', folder);
    expect(doctor).toMatchObject({ code: 0, err: '' });
    expect(doctor.out).toMatch(/opened 1 times.*\n\s+actors\s+5\n\s+turns\s+\d+ in \d+ batches/);
    expect(doctor.out).toContain('no damage found');
    const json = JSON.parse((await run('doctor', folder, '--json')).out) as object;
    expect(json).toMatchObject({ run: 1, actors: 5, letters: 1, blocked: [], damage: [] });

    const history = await run('history', folder, 'counter/c1', '--json');
    expect(JSON.parse(history.out)).toMatchObject([
      { sequence: 1, outcome: 'handled' },
      { sequence: 2, envelope: { message: { type: 'ADD', by: 1 } } },
      { sequence: 3, outcome: 'parked' },
      { sequence: 4, envelope: { message: { type: 'ADD', by: 10 } } },
    ]);
    expect((await run('history', folder, 'counter/c1', '--from', '2', '--to', '2')).out).toMatch(/^2 {2}@\d+ .*"by":1/);
    expect((await run('history', folder, 'counter/nobody')).out).toContain('no turns');

    expect((await run('letters', folder)).out).toMatch(/handler_failed after \d attempts {2}to counter\/c1.*BOOM/);
    expect(await run('blocked', folder)).toMatchObject({ code: 0, out: 'no actor is blocked\n' });

    expect(await run('backup', folder, dir.at('backup'))).toMatchObject({ code: 0 });
    expect(await countsOf(dir.at('backup'))).toEqual([11, 12, 13, 4, 5]);
    expect(await run('backup', folder, dir.at('backup'))).toMatchObject({ code: 2, err: /not empty/ });
    expect(contents(folder)).toEqual(before);
  });
});

describe('a damaged folder', () => {
  test('one flipped bit: found and named; mended in the new folder; the old one is left as it is', async () => {
    const folder = spoiled((database) => flip(database, 'marker-2', [1]));
    const before = contents(folder);
    const doctor = await run('doctor', folder);
    expect(doctor.code).toBe(1);
    expect(doctor.out).toMatch(/DAMAGED: 1\n\s+log: .*position \d+.*counter\/c2/);
    expect(doctor.out).toMatch(/blocked: 1\n\s+counter\/c2: DATA_DAMAGED/);
    expect((await run('blocked', folder, '--json')).out).toContain('counter/c2');
    expect(await run('history', folder, 'counter/c2')).toMatchObject({
      code: 2,
      err: expect.stringContaining('DATA_DAMAGED'),
    });
    const repair = await run('doctor', folder, '--repair', dir.at('mended'));
    expect(repair).toMatchObject({ code: 0, out: expect.stringMatching(/mended, one flipped bit each: 1/) });
    expect(contents(folder)).toEqual(before);
    expect(await countsOf(dir.at('mended'))).toEqual([11, 12, 13, 4, 5]);
    expect(await run('doctor', folder, '--repair', dir.at('mended'))).toMatchObject({ code: 2, err: /not empty/ });
  });

  test('a stored state that is lost: rebuilt from the log', async () => {
    // More bits than can be mended, in every image of c4.
    const folder = spoiled((database) => {
      const good = database.toString('latin1');
      for (let at = good.indexOf('counter/c4'); at >= 0; at = good.indexOf('counter/c4', at + 1)) {
        // An image: its prefix, its sum and its format follow the key.
        if (database[at + 10 + 12 + 4] !== FORMAT_VERSION) continue;
        for (const offset of [40, 45, 50]) (database[at + 10 + offset] as number) ^= 0x55;
      }
    });
    expect(examineDataFolder(folder).blocked).toMatchObject([{ key: 'counter/c4', code: 'DATA_DAMAGED' }]);
    expect((await countsOf(spoiled((database) => readFileSync(`${folder}/data.mdb`).copy(database))))[3]).toBe(
      'ACTOR_BLOCKED',
    );
    const repair = await repairDataFolder(folder, dir.at('rebuilt'));
    expect(repair).toMatchObject({ rebuilt: ['counter/c4'], lost: ['image counter/c4'], unaccounted: [], nameless: 0 });
    expect(readdirSync(dir.at('rebuilt', 'QUARANTINE'))).toHaveLength(1);
    expect(repair.after).toMatchObject({ damage: [], blocked: [] });
    expect(await countsOf(dir.at('rebuilt'))).toEqual([11, 12, 13, 4, 5]);
  });

  test('a page of the database that is lost: not opened; what can be read is saved, and what is missing is said', async () => {
    const folder = spoiled((database) => {
      // The root of the main tree, in both of its states: nothing leads to anything any more.
      for (const meta of [0, 4_096])
        database.fill(
          0,
          Number(database.readBigUInt64LE(meta + 136)) * 4_096,
          (Number(database.readBigUInt64LE(meta + 136)) + 1) * 4_096,
        );
    });
    expect(await errorOf(start(folder))).toMatchObject({
      code: 'DATA_DAMAGED',
      message: expect.stringContaining('doctor --repair'),
    });
    const doctor = await run('doctor', folder, '--json');
    expect(doctor.code).toBe(1);
    expect(doctor.out).toMatch(/"table": "main"/);
    const repair = await repairDataFolder(folder, dir.at('saved'));
    expect(repair.unaccounted.length).toBeGreaterThan(0);
    expect(existsSync(dir.at('saved', 'REPAIR.json'))).toBe(true);
    // The log was found page by page, and everybody is made from it.
    expect(await countsOf(dir.at('saved'))).toEqual([11, 12, 13, 4, 5]);
  });
});

describe('what cannot be looked at', () => {
  test('no folder, a file, somebody else’s folder, wrong arguments', async () => {
    mkdirSync(dir.at('empty'));
    writeFileSync(dir.at('file'), '');
    const refused = [
      [['doctor', dir.at('nowhere')], /there is no folder/],
      [['doctor', dir.at('file')], /is not a folder/],
      [['doctor', dir.at('empty')], /is no data folder/],
      [['doctor'], /no arguments of a command/],
      [['operate', dir.at('good')], /no such command/],
      [['doctor', dir.at('good'), '--mend'], /--mend/],
      [['history', dir.at('good')], /no arguments of a command/],
      [['history', dir.at('good'), 'counter/c1', '--limit', 'x'], /not a whole number/],
    ] as const;
    const ended = await Promise.all(refused.map(([args]) => run(...args)));
    for (const [i, [args, text]] of refused.entries()) {
      expect([args, ended[i]]).toEqual([args, { code: 2, out: '', err: expect.stringMatching(text) }]);
    }
    expect(existsSync(dir.at('nowhere'))).toBe(false);
    expect(readdirSync(dir.at('empty'))).toEqual([]);
    const json = await run('doctor', dir.at('nowhere'), '--json');
    expect(JSON.parse(json.out)).toMatchObject({ error: { code: 'STORAGE_FAILED' } });
    expect((await run('--help')).out).toContain('doctor  FOLDER --repair NEW');
  });

  test('a newer format, and a folder that a living process has', async () => {
    const folder = spoiled(() => {});
    const child = spawn(process.execPath, [HOLDER, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await new Promise((resolve) => child.stdout.once('data', resolve));
      const { code, err } = await run('doctor', folder);
      expect([code, err]).toEqual([2, expect.stringMatching(new RegExp(`DATA_FOLDER_LOCKED.*process ${child.pid}`))]);
      expect((await run('doctor', folder, '--repair', dir.at('stolen'))).err).toContain('DATA_FOLDER_LOCKED');
      expect(existsSync(dir.at('stolen'))).toBe(false);
    } finally {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    }
    writeFileSync(`${folder}/FORMAT`, 'collaborative-blocks 99\n');
    expect((await run('doctor', folder)).err).toMatch(/DATA_FORMAT.*format 99/);
    writeFileSync(`${folder}/FORMAT`, 'collaborativ');
    expect(await run('doctor', folder)).toMatchObject({ code: 1, out: expect.stringContaining('FORMAT: ') });
  });

  test('a folder that cannot be written is looked at all the same', async () => {
    const folder = spoiled(() => {});
    for (const name of readdirSync(folder)) chmodSync(`${folder}/${name}`, 0o400);
    chmodSync(folder, 0o500);
    expect(await run('doctor', folder)).toMatchObject({ code: 0 });
    chmodSync(folder, 0o700);
  });
});
