/** Code that no longer fits the past: the actor is blocked with a diagnosis, keeps everything, and goes on once the code is mended. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import { crashCopy } from '../../support/crash-copy.ts';
import { type TmpDir, tmpDir } from '../../support/tmp-dir.ts';
import { codeOf, errorOf, recordEvents, until } from '../../support/until.ts';

const module = (name: string): URL => new URL(`../../support/modules/${name}.ts`, import.meta.url);
const FIRST = module('shop-first');
const BROKEN = module('shop-broken');
const SECOND = module('shop-second');
const UNMIGRATED = module('shop-unmigrated');

let folder: TmpDir;
let copies = 0;

beforeEach(async () => {
  folder = await tmpDir('blocked');
});
afterEach(async () => {
  delete (globalThis as { shopMigrates?: boolean }).shopMigrates;
  await folder[Symbol.asyncDispose]();
});

const start = (actors: readonly URL[], dataDir = folder.at('data'), threads = 0): Promise<ActorSystem> =>
  ActorSystem.start({ dataDir, threads, actors });

/** Turns in the log that no image covers: a crash, not a stop. */
const soldThree = async (): Promise<string> => {
  await using system = await start([FIRST], folder.at('first'));
  const { shop } = (await import('../../support/modules/shop-first.ts')) as {
    shop: Parameters<typeof system.spawn>[0];
  };
  const ref = await system.spawn(shop, { id: 's' });
  for (let i = 0; i < 3; i++) await ref.tell({ type: 'SELL' });
  copies += 1;
  return crashCopy(folder.at('first'), folder.at(`copy${copies}`));
};

test('a behavior that asks for something else when it is repeated: which turn, what differs; mended code takes it up', async () => {
  const dataDir = await soldThree();
  {
    await using system = await start([BROKEN], dataDir);
    const blocked = recordEvents(system, 'blocked');
    const ref = system.ref('shop', 's');
    const error = await errorOf(ref.ask({ type: 'SELL' }));
    expect(error).toMatchObject({ code: 'ACTOR_BLOCKED', details: { key: 'shop/s', sequence: 1 } });
    expect(error.message).toMatch(/turn 2 \(SELL\).*event\.n differs/s);
    expect(error.message).toContain('without a new version');
    await until('the event', () => blocked.length > 0);
    expect(blocked).toMatchObject([{ key: 'shop/s', error: { code: 'ACTOR_BLOCKED' } }]);
    expect([...system.blocked().keys()]).toEqual(['shop/s']);
    expect(await ref.snapshot()).toMatchObject({ status: 'blocked', view: undefined });
    expect(await codeOf(ref.tell({ type: 'SELL' }))).toBe('ACTOR_BLOCKED');
    expect((await system.stats()).hosts[0]).toMatchObject({ blocked: 1 });
    // Nothing has changed: it stays as it is, also over a checkpoint and a stop in peace.
    expect(await system.unblock(ref)).toBe(false);
    await system.checkpoint();
    expect(await codeOf(ref.ask({ type: 'SELL' }))).toBe('ACTOR_BLOCKED');
  }
  {
    await using system = await start([BROKEN], dataDir);
    expect(await codeOf(system.ref('shop', 's').ask({ type: 'SELL' }))).toBe('ACTOR_BLOCKED');
  }
  await using mended = await start([FIRST], dataDir);
  expect(await mended.ref('shop', 's').ask({ type: 'SELL' })).toBe(4);
  expect(mended.blocked().size).toBe(0);
});

test('a new version with a migrate takes over a stored state; one without blocks; an older one too', async () => {
  {
    await using system = await start([FIRST]);
    const { shop } = await import('../../support/modules/shop-first.ts');
    const ref = await system.spawn(shop, { id: 's' });
    for (let i = 0; i < 3; i++) await ref.tell({ type: 'SELL' });
  }
  {
    await using system = await start([UNMIGRATED]);
    const error = await errorOf(system.ref('shop', 's').ask({ type: 'SELL' }));
    expect(error.code).toBe('ACTOR_BLOCKED');
    expect(error.message).toMatch(/version 1.*version 3.*migrate/);
  }
  {
    await using system = await start([SECOND]);
    expect(await system.ref('shop', 's').ask({ type: 'SELL' })).toEqual({ sold: 4, currency: 'EUR since version 1' });
  }
  await using system = await start([FIRST]);
  const error = await errorOf(system.ref('shop', 's').ask({ type: 'SELL' }));
  expect(error.code).toBe('ACTOR_BLOCKED');
  expect(error.message).toMatch(/version 2.*version 1.*newer/);
});

test.each([0, 1])(
  'a migrate that throws blocks; unblock after the cause is gone, with all that waited (threads: %i)',
  async (threads) => {
    {
      await using system = await start([FIRST]);
      const { shop } = await import('../../support/modules/shop-first.ts');
      const ref = await system.spawn(shop, { id: 's' });
      await ref.tell({ type: 'SELL' });
    }
    // Its own thread does not see this one's globals: there, migrate works at once.
    (globalThis as { shopMigrates?: boolean }).shopMigrates = false;
    await using system = await start([SECOND], undefined, threads);
    const ref = system.ref('shop', 's');
    if (threads === 0) {
      const error = await errorOf(ref.ask({ type: 'SELL' }));
      expect(error).toMatchObject({ code: 'ACTOR_BLOCKED' });
      expect(error.message).toContain('no rate for the currency');
      expect(await system.unblock(ref)).toBe(false);
      (globalThis as { shopMigrates?: boolean }).shopMigrates = true;
      expect(await system.unblock(ref)).toBe(true);
      expect(system.blocked().size).toBe(0);
    }
    expect(await ref.ask({ type: 'SELL' })).toEqual({ sold: 2, currency: 'EUR since version 1' });
  },
);

test('a definition that is not loaded any more: its actors are kept, and named', async () => {
  const dataDir = await soldThree();
  {
    await using system = await start([new URL('../../support/actors/ledger.ts', import.meta.url)], dataDir);
    expect(() => system.ref('shop', 's')).toThrow(expect.objectContaining({ code: 'UNKNOWN_DEFINITION' }));
    expect(await codeOf(system.refOf('shop/s').tell({ type: 'SELL' }))).toMatch(/UNKNOWN_DEFINITION|ACTOR_BLOCKED/);
    await system.checkpoint();
  }
  await using system = await start([FIRST], dataDir);
  expect(await system.ref('shop', 's').ask({ type: 'SELL' })).toBe(4);
});

test.each([0, 1])(
  'wanted before its definition is loaded, an actor comes back when it is, threads: %i',
  async (threads) => {
    const dataDir = await soldThree();
    await using system = await start([new URL('../../support/actors/ledger.ts', import.meta.url)], dataDir, threads);
    const blocked = recordEvents(system, 'blocked');
    expect(await system.refOf('shop/s').snapshot()).toMatchObject({ status: 'blocked' });
    await until('the event', () => blocked.length > 0);
    expect(blocked).toMatchObject([
      {
        key: 'shop/s',
        error: { code: 'ACTOR_BLOCKED', cause: { code: 'UNKNOWN_DEFINITION', details: { name: 'shop' } } },
      },
    ]);
    const { shop } = (await import('../../support/modules/shop-first.ts')) as {
      shop: Parameters<typeof system.spawn>[0];
    };
    await system.spawn(shop, { id: 'other' });
    expect(system.blocked().size).toBe(0);
    expect(await system.ref('shop', 's').ask({ type: 'SELL' })).toBe(4);
  },
);

test('one that is blocked for another reason does not come back because a module is loaded', async () => {
  const dataDir = await soldThree();
  await using system = await start([BROKEN], dataDir);
  expect(await codeOf(system.ref('shop', 's').ask({ type: 'SELL' }))).toBe('ACTOR_BLOCKED');
  const { ledger } = await import('../../support/actors/ledger.ts');
  await system.spawn(ledger, { id: 'l' });
  expect([...system.blocked().keys()]).toEqual(['shop/s']);
});
