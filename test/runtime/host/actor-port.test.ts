/** Effects talk to actors on any host: asked, told, spawned, followed; refused by name, and never in the journal for good. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import { placementOf } from '../../../runtime/kernel/address.ts';
import { type CountMessage, counted, envoy, type Errand } from '../../support/actors/envoy.ts';
import { saboteur } from '../../support/actors/saboteur.ts';
import { type TmpDir, tmpDir } from '../../support/tmp-dir.ts';
import { errorOf, until } from '../../support/until.ts';

const actors = [new URL('../../support/actors/envoy.ts', import.meta.url)];

let dir: TmpDir;
let system: ActorSystem;

const start = (threads: number): Promise<ActorSystem> =>
  ActorSystem.start({ dataDir: dir.at('data'), threads, actors, sync: 'relaxed' });

/** An id whose actor lives on `slot`. */
const idOn = (definition: string, slot: number, hosts: number): string => {
  for (let n = 0; ; n++) if (placementOf(`${definition}/i${n}`, Math.max(1, hosts)) === slot) return `i${n}`;
};

describe.each([0, 1, 2])('threads: %i', (threads) => {
  beforeEach(async () => {
    dir = await tmpDir('actor-port');
    system = await start(threads);
  });
  afterEach(async () => {
    await system.stop();
    await dir[Symbol.asyncDispose]();
  });

  const setUp = async (): Promise<{ run: <T>(errand: Errand) => Promise<T>; key: string }> => {
    const asking = await system.spawn(envoy, { id: idOn('envoy', 0, threads) });
    const target = await system.spawn(counted, { id: idOn('counted', Math.max(0, threads - 1), threads), input: {} });
    return { run: (errand) => asking.ask(errand), key: target.key };
  };

  test('an ask is answered after its commit; a tell and an ask of one effect arrive in order', async () => {
    const { run, key } = await setUp();
    expect(await run({ type: 'ASK', key, message: { type: 'ADD', by: 3 } satisfies CountMessage })).toBe(3);
    await run({ type: 'TELL', key, message: { type: 'ADD', by: 4 } });
    expect(await run({ type: 'ASK', key, message: { type: 'GET' } })).toBe(7);
  });

  test('spawn attaches, or is refused as from outside', async () => {
    const { run } = await setUp();
    const id = idOn('counted', threads > 1 ? 1 : 0, threads);
    expect(await run({ type: 'SPAWN', id: `${id}x`, sum: 5 })).toBe(`counted/${id}x`);
    expect(await run({ type: 'ASK', key: `counted/${id}x`, message: { type: 'GET' } })).toBe(5);
    expect(await run({ type: 'SPAWN', id: `${id}x`, sum: 9, ifExists: 'attach' })).toBe(`counted/${id}x`);
    expect(await run({ type: 'ASK', key: `counted/${id}x`, message: { type: 'GET' } })).toBe(5);
    const error = await errorOf(run({ type: 'SPAWN', id: `${id}x`, sum: 9 }));
    expect(error.code).toBe('ACTOR_ALREADY_EXISTS');
  });

  test('what cannot be asked says why: nobody there, no definition, no answer in time', async () => {
    const { run, key } = await setUp();
    expect((await errorOf(run({ type: 'ASK', key: 'counted/nobody', message: {} }))).code).toBe('ACTOR_NOT_FOUND');
    expect((await errorOf(run({ type: 'ASK', key: 'unheard-of/1', message: {} }))).code).toBe('UNKNOWN_DEFINITION');
    const late = await errorOf(run({ type: 'ASK', key, message: { type: 'KEEP' }, timeoutMs: 30 }));
    expect(late).toMatchObject({ code: 'ASK_TIMEOUT' });
    expect(late.message).toContain(key);
  });

  test('states and events are followed, as committed', async () => {
    const { run, key } = await setUp();
    const followed = run<{ sums: number[]; events: { sum: number }[] }>({ type: 'FOLLOW', key, until: 30 });
    // Until the follower is there, its events go past it.
    const told = (async () => {
      for (let i = 0; i < 30; i++) await system.refOf(key).tell({ type: 'ADD', by: 1 });
    })();
    const { sums, events } = await followed;
    await told;
    expect(sums.at(-1)).toBe(30);
    expect(sums).toEqual([...sums].sort((a, b) => a - b));
    expect(events.map(({ sum }) => sum)).toEqual([...events.map(({ sum }) => sum)].sort((a, b) => a - b));
    expect(await run({ type: 'SNAPSHOT', key })).toMatchObject({ status: 'running', view: { sum: 30 } });
  });

  test('the address of a port is no actor, to those who try', async () => {
    await setUp();
    for (let slot = 0; slot < Math.max(1, threads); slot++) {
      for (let n = 0; n < 3; n++) {
        const port = system.refOf(`$host/${slot}-${n}`);
        expect((await errorOf(port.tell(['sight', 'counted/x', 1, 'running', {}]))).code).toBe('UNKNOWN_DEFINITION');
        expect((await errorOf(port.ask(['event']))).code).toBe('UNKNOWN_DEFINITION');
      }
    }
  });

  test('a stop ends the actor', async () => {
    const { run, key } = await setUp();
    await run({ type: 'STOP', key });
    expect((await errorOf(system.refOf(key).tell({ type: 'GET' }))).code).toBe('ACTOR_STOPPED');
  });

  test('answers to effects are not kept for a next run', async () => {
    const { run, key } = await setUp();
    for (let i = 0; i < 5; i++) await run({ type: 'ASK', key, message: { type: 'ADD', by: 1 } });
    await system.stop();
    system = await start(threads);
    expect(await system.refOf(key).ask({ type: 'GET' })).toBe(5);
    expect(await system.deadLetters.list()).toEqual([]);
    expect([...system.blocked()]).toEqual([]);
  });
});

test('a follower goes on when the host of the followed actor is replaced', async () => {
  await using folder = await tmpDir('actor-port');
  const bombs = new URL('../../support/actors/saboteur.ts', import.meta.url);
  await using two = await ActorSystem.start({
    dataDir: folder.at('data'),
    threads: 2,
    actors: [...actors, bombs],
    sync: 'relaxed',
  });
  const asking = await two.spawn(envoy, { id: idOn('envoy', 0, 2) });
  const target = await two.spawn(counted, { id: idOn('counted', 1, 2), input: {} });
  const followed = asking.ask<{ sums: number[] }>({ type: 'FOLLOW', key: target.key, until: 2 });
  await target.tell({ type: 'ADD', by: 1 });
  const replaced = new Promise((resolve) => two.on('host_replaced', resolve));
  const bomb = await two.spawn(saboteur, { id: idOn('saboteur', 1, 2) });
  bomb.send({ type: 'DIE', way: 'exit', flag: folder.at('flag') });
  await replaced;
  await until('the counter is back', () => target.ask({ type: 'GET' }).then((sum) => sum === 1));
  await target.tell({ type: 'ADD', by: 1 });
  expect((await followed).sums.at(-1)).toBe(2);
});
