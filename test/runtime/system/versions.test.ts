/** New code on what a killed process has left: each version repeats its own turns, or the actor is blocked by name; history too. */
import { spawn } from 'node:child_process';
import { cpSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import { crashCopy } from '../../support/crash-copy.ts';
import { type TmpDir, tmpDir } from '../../support/tmp-dir.ts';
import { codeOf, errorOf, until } from '../../support/until.ts';

const module = (name: string): URL => new URL(`../../support/modules/${name}.ts`, import.meta.url);
const FIRST = [module('shop-first'), module('lamp-first')];
const WITHOUT = [module('shop-second')];
const KNOWING = [module('shop-knowing'), module('lamp-second')];
const SELLER = fileURLToPath(new URL('../../support/sell-until-killed.ts', import.meta.url));

let folder: TmpDir;
let copies = 0;

/** Three sales and three presses by version 1, and a process that was killed. */
beforeAll(async () => {
  folder = await tmpDir('versions');
  const child = spawn(process.execPath, [SELLER, folder.at('killed')], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`the seller ended with ${code}`)));
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
});
afterAll(() => folder[Symbol.asyncDispose]());

const killed = (): string => {
  copies += 1;
  return crashCopy(folder.at('killed'), folder.at(`copy${copies}`));
};

const start = (actors: readonly URL[], dataDir: string, threads = 0): Promise<ActorSystem> =>
  ActorSystem.start({ dataDir, threads, actors });

/** The same past, but stopped in peace by the code that ran. */
const stopped = async (): Promise<string> => {
  const dataDir = killed();
  const system = await start(FIRST, dataDir);
  await system.stop();
  return dataDir;
};

test.each([0, 1])(
  'with previous: what a stop and a start of the new code would give (threads: %i)',
  async (threads) => {
    const answers: unknown[] = [];
    for (const dataDir of [killed(), await stopped()]) {
      await using system = await start(KNOWING, dataDir, threads);
      const shop = system.ref('shop', 's');
      const lamp = system.ref('lamp', 'l');
      const before = await lamp.snapshot();
      const answer = await shop.ask({ type: 'SELL' });
      await lamp.tell({ type: 'PRESS' });
      const turns = await system.history(shop).turns();
      answers.push([answer, before, await lamp.snapshot(), turns.map((turn) => ({ ...turn, timeMs: 0 }))]);
    }
    expect(answers[0]).toEqual(answers[1]);
    expect(answers[0]).toMatchObject([
      { sold: 4, currency: 'EUR since version 1' },
      { view: { value: 'bright', context: { pressed: 20, lit: 2 } } },
      { view: { value: 'off', context: { pressed: 20, lit: 2 } } },
      [{ version: 1 }, { version: 1 }, { version: 1 }, { version: 1 }, { version: 2, sequence: 5 }],
    ]);
  },
);

test('without previous: blocked with the versions and the remedies, never another state; either remedy helps', async () => {
  const dataDir = killed();
  {
    await using system = await start(WITHOUT, dataDir);
    const shop = system.ref('shop', 's');
    const error = await errorOf(shop.ask({ type: 'SELL' }));
    expect(error).toMatchObject({ code: 'ACTOR_BLOCKED', details: { key: 'shop/s', version: 1, present: 2 } });
    expect(error.message).toMatch(/version 1 of "shop".*version 2.*previous: add it, or start the code that ran last/);
    expect(await codeOf(system.history(shop).at(2))).toBe('ACTOR_BLOCKED');
    await system.checkpoint();
    expect(await errorOf(system.history(shop).at(4))).toMatchObject({ details: { version: 1, present: 2 } });
    expect(await codeOf(shop.tell({ type: 'SELL' }))).toBe('ACTOR_BLOCKED');
  }
  const other = folder.at(`copy${++copies}`);
  cpSync(dataDir, other, { recursive: true });
  {
    await using system = await start(KNOWING, dataDir);
    expect(await system.ref('shop', 's').ask({ type: 'SELL' })).toMatchObject({ sold: 4 });
  }
  {
    const system = await start(FIRST, other);
    await system.stop();
  }
  await using system = await start(WITHOUT, other);
  expect(await system.ref('shop', 's').ask({ type: 'SELL' })).toMatchObject({ sold: 4 });
});

test('two crashes, two versions in one tail; then the older code, which is told to go', async () => {
  const dataDir = killed();
  const next = folder.at(`copy${++copies}`);
  {
    await using system = await start(KNOWING, dataDir);
    await system.ref('shop', 's').ask({ type: 'SELL' });
    crashCopy(dataDir, next);
  }
  const old = crashCopy(next, folder.at(`copy${++copies}`));
  {
    await using system = await start(FIRST, old);
    const error = await errorOf(system.ref('shop', 's').ask({ type: 'SELL' }));
    expect(error).toMatchObject({ code: 'ACTOR_BLOCKED', details: { version: 2, present: 1 } });
    expect(error.message).toMatch(/last run by version 2 of "shop", the code has version 1: deploy the newer code/);
  }
  await using system = await start(KNOWING, next);
  expect(await system.ref('shop', 's').ask({ type: 'SELL' })).toMatchObject({ sold: 5 });
});

test('history: turns of older versions by those versions, moved to the present one; a fork goes on from there', async () => {
  await using system = await start(KNOWING, await stopped());
  const lamp = system.ref('lamp', 'l');
  await lamp.tell({ type: 'PRESS' });
  const history = system.history(lamp);
  const views = await Promise.all([2, 3, 4, 5].map((sequence) => history.at(sequence)));
  expect(views).toMatchObject([
    { view: { value: 'bright', context: { pressed: 10, lit: 1 } } },
    { view: { value: 'off', context: { pressed: 10, lit: 1 } } },
    { view: { value: 'bright', context: { pressed: 20, lit: 2 } } },
    { view: { value: 'off', context: { pressed: 20, lit: 2 } } },
  ]);
  const fork = await history.fork(2, { id: 'm' });
  await fork.tell({ type: 'PRESS' });
  expect(await fork.snapshot()).toMatchObject({ view: { value: 'off', context: { pressed: 10, lit: 1 } } });
});

test('supervisors and child machines are repeated by what they were, too', async () => {
  const dataDir = folder.at('crew');
  const copy = folder.at('crew-copy');
  {
    await using system = await start([module('crew-first')], dataDir);
    const { crew } = await import('../../support/modules/crew-first.ts');
    await system.spawn(crew, { id: 'c' });
    await until('the cook', async () => (await system.ref('hand', 'crew/c/cook').snapshot()).status === 'running');
    for (let i = 0; i < 2; i++) await system.ref('ship', 's').tell({ type: 'KEY' });
    await until('the engine', async () => (await system.refOf('ship/s~engine').snapshot()).sequence === 3);
    crashCopy(dataDir, copy);
  }
  await using system = await start([module('crew-second')], copy);
  const ship = system.ref('ship', 's');
  const engine = system.refOf('ship/s~engine');
  expect(await ship.snapshot()).toMatchObject({ view: { context: { keys: 2 } } });
  await ship.tell({ type: 'KEY' });
  await until('the engine', async () => (await engine.snapshot()).sequence === 6);
  expect(await ship.snapshot()).toMatchObject({ view: { context: { keys: 5 } } });
  expect(await engine.snapshot()).toMatchObject({ view: { context: { turns: 11 } } });
  expect(await system.ref('crew', 'c').snapshot()).toMatchObject({
    view: {
      children: [
        { id: 'pilot', status: 'stopped' },
        { id: 'cook', status: 'running' },
      ],
    },
  });
  expect(system.blocked().size).toBe(0);
});

test('two definitions of one name in a module are refused, unless one knows the other', async () => {
  await expect(start([module('twins')], folder.at('twins'))).rejects.toMatchObject({
    code: 'INVALID_DEFINITION',
    message: expect.stringContaining('two definitions named "twin" (versions 1 and 2)') as string,
  });
});
