/** What a machine asks of other actors: an answer, and word of their end. */
import { setup } from 'xstate';
import { expect, test } from 'vitest';
import { ask, machineBehavior, refTo, unwatch, watch } from '../../actors/index.ts';
import { ActorSystem } from '../../runtime/index.ts';
import { train, traveller } from '../support/actors/travellers.ts';
import { crashCopy } from '../support/crash-copy.ts';
import { tmpDir } from '../support/tmp-dir.ts';
import { TurnHarness } from '../support/turn-harness.ts';
import { until } from '../support/until.ts';

const MODULE = new URL('../support/actors/travellers.ts', import.meta.url);
const start = (dataDir: string | undefined, threads = 0): Promise<ActorSystem> =>
  ActorSystem.start({ threads, actors: [MODULE], ...(dataDir === undefined ? {} : { dataDir }) });

const heardBy = (system: ActorSystem): Promise<string[]> =>
  system.ref(traveller, 't').ask<string[]>({ type: 'GET' } as never);
const heard = (system: ActorSystem, count: number): Promise<string[]> =>
  until(`${count} events`, async () => {
    const list = await heardBy(system);
    return list.length >= count && list;
  });

test.each([0, 2])('an answer comes as reply.<id>, an end as terminated (threads: %i)', async (threads) => {
  await using system = await start(undefined, threads);
  const ice = await system.spawn(train, { id: 'ice' });
  const one = await system.spawn(traveller, { id: 't', input: { train: refTo('train', 'ice') } });
  await one.tell({ type: 'WATCH' });
  await one.tell({ type: 'BOARD' });
  expect(await heard(system, 1)).toEqual(['seat 1']);
  await ice.tell({ type: 'LEAVE' });
  expect(await heard(system, 2)).toEqual(['seat 1', 'train/ice: normal']);
  await one.tell({ type: 'BOARD' });
  expect(await heard(system, 3)).toContain('no seat: ActorStoppedError');
});

test('nobody there: told of at once, refused by name; after unwatch nothing is heard', async () => {
  await using system = await start(undefined);
  const one = await system.spawn(traveller, { id: 't', input: { train: refTo('train', 'ghost') } });
  await one.tell({ type: 'WATCH' });
  expect(await heard(system, 1)).toEqual(['train/ghost: error']);
  await one.tell({ type: 'BOARD' });
  expect(await heard(system, 2)).toEqual(['train/ghost: error', 'no seat: ActorNotFoundError']);
  const ghost = await system.spawn(train, { id: 'ghost' });
  await one.tell({ type: 'WATCH' });
  await one.tell({ type: 'UNWATCH' });
  // The train has answered after it heard of both, so nobody watches it any more when it leaves.
  await one.tell({ type: 'BOARD' });
  await heard(system, 3);
  await ghost.tell({ type: 'LEAVE' });
  await one.tell({ type: 'BOARD' });
  expect(await heard(system, 4)).toEqual([
    'train/ghost: error',
    'no seat: ActorNotFoundError',
    'seat 1',
    'no seat: ActorStoppedError',
  ]);
});

test('a request that is under way when the process dies is answered in the next one, once', async () => {
  await using dir = await tmpDir('asks');
  {
    await using system = await start(dir.at('first'));
    await system.spawn(train, { id: 'slow', input: { slow: true } });
    const one = await system.spawn(traveller, { id: 't', input: { train: refTo('train', 'slow') } });
    await one.tell({ type: 'WATCH' });
    await one.tell({ type: 'BOARD' });
    await until('the question', async () => (await system.ref(train, 'slow').snapshot()).view.seats === 1);
    crashCopy(dir.at('first'), dir.at('second'));
  }
  await using system = await start(dir.at('second'));
  const slow = system.ref(train, 'slow');
  expect((await slow.snapshot()).view.seats).toBe(1);
  await slow.tell({ type: 'ANSWER' });
  const [first] = await heard(system, 1);
  // The deadline of 400 ms runs through the crash: either the answer or the deadline, never both.
  expect(['seat 1', 'no seat: AskTimeoutError']).toContain(first);
  await slow.tell({ type: 'LEAVE' });
  expect(await heard(system, 2)).toEqual([first, 'train/slow: normal']);
});

test('what is no actor is refused by name, and nothing is sent', () => {
  const machine = setup({}).createMachine({
    on: {
      ASK: { actions: ask({ key: 'train/ice' } as never, { type: 'SEAT' }, { id: 'seat' }) },
      WATCH: { actions: watch(undefined as never) },
      UNWATCH: { actions: unwatch(null as never) },
    },
  });
  const harness = new TurnHarness();
  const key = harness.spawn(machineBehavior(machine) as never, {});
  for (const [type, said] of [
    ['ASK', 'ask() was given object instead of an actor'],
    ['WATCH', 'watch() was given undefined instead of an actor'],
    ['UNWATCH', 'unwatch() was given null instead of an actor'],
  ] as const) {
    expect(() => harness.tell(key, { type })).toThrow(said);
  }
});
