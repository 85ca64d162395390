/** Many ids, few in memory: actors are unloaded and come back as they were. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import { ManualClock } from '../../../runtime/testing/manual-clock.ts';
import { counter, virtualCounter } from '../../support/actors/basic.ts';
import { reminder } from '../../support/actors/charts.ts';
import { vault, type VaultState } from '../../support/actors/vault.ts';
import { tmpDir } from '../../support/tmp-dir.ts';
import { until } from '../../support/until.ts';

const ACTORS = [
  new URL('../../support/actors/basic.ts', import.meta.url),
  new URL('../../support/actors/charts.ts', import.meta.url),
];

const residents = async (system: ActorSystem): Promise<number> =>
  (await system.stats()).hosts.reduce((sum, host) => sum + host.cells, 0);

test('20,000 ids with room for 100: each has its own state, and memory stays bounded', async () => {
  await using folder = await tmpDir('passivation');
  const ids = 20_000;
  {
    await using system = await ActorSystem.start({
      dataDir: folder.at('data'),
      threads: 0,
      actors: ACTORS,
      residentCellsLimit: 100,
      sync: 'relaxed',
    });
    for (let from = 0; from < ids; from += 2_000) {
      await Promise.all(
        Array.from({ length: 2_000 }, (_, i) =>
          system.ref(virtualCounter, `v${from + i}`).ask({ type: 'ADD', by: from + i }),
        ),
      );
    }
    await until('the idle ones to be unloaded', async () => (await residents(system)) <= 200);
    const some = Array.from({ length: 500 }, (_, i) => (i * 7_919) % ids);
    const answers = await Promise.all(some.map((i) => system.ref(virtualCounter, `v${i}`).ask({ type: 'ADD', by: 1 })));
    expect(answers).toEqual(some.map((i) => i + 1));
  }
  await using system = await ActorSystem.start({
    dataDir: folder.at('data'),
    threads: 1,
    actors: ACTORS,
    residentCellsLimit: 100,
  });
  const others = Array.from({ length: 300 }, (_, i) => (i * 7_919 + 3) % ids);
  const answers = await Promise.all(others.map((i) => system.ref(virtualCounter, `v${i}`).ask({ type: 'ADD', by: 0 })));
  const touched = new Set(Array.from({ length: 500 }, (_, i) => (i * 7_919) % ids));
  expect(answers).toEqual(others.map((i) => (touched.has(i) ? i + 1 : i)));
});

test('an unloaded actor keeps its timer, its keys and its order', async () => {
  await using folder = await tmpDir('passivation');
  await using system = await ActorSystem.start({
    dataDir: folder.at('data'),
    threads: 0,
    actors: ACTORS,
    residentCellsLimit: 2,
  });
  const timed = await system.spawn(reminder, { id: 'r', input: { ms: 400 } });
  const ref = await system.spawn(counter, { id: 'one' });
  expect(await ref.ask({ type: 'ADD', by: 1 }, { idempotencyKey: 'k' })).toBe(1);
  const crowd = Array.from({ length: 60 }, (_, i) => system.ref(virtualCounter, `c${i}`));
  let n = 1;
  for (let round = 0; round < 5; round++) {
    await Promise.all(crowd.map((each) => each.tell({ type: 'ADD', by: 1 })));
    await until('most to be unloaded', async () => (await residents(system)) <= 20);
    // In order, while it is being brought back.
    const asked = [1, 2, 3].map((by) => ref.ask({ type: 'ADD', by }));
    expect(await Promise.all(asked)).toEqual([n + 1, n + 3, n + 6]);
    n += 6;
    expect(await ref.ask({ type: 'ADD', by: 1 }, { idempotencyKey: 'k' })).toBe(1);
  }
  const fired = await timed.waitFor((s) => (s.view as { value: string }).value === 'late');
  const { context } = fired.view as { context: { setAt: number; firedAt: number } };
  expect(context.firedAt - context.setAt).toBeGreaterThanOrEqual(400);
  for (const each of crowd) expect(await each.ask({ type: 'ADD', by: 0 })).toBe(5);
});

test('an observed actor stays; one that is let go of may leave', async () => {
  await using system = await ActorSystem.start({ threads: 0, actors: ACTORS, residentCellsLimit: 1 });
  const ref = await system.spawn(counter, { id: 'one' });
  const seen: number[] = [];
  const controller = new AbortController();
  const watching = (async () => {
    for await (const { view } of ref.changes({ signal: controller.signal })) seen.push((view as { n: number }).n);
  })();
  await until('the first view', () => seen.length > 0);
  for (let i = 0; i < 200; i++) await system.ref(virtualCounter, `c${i}`).tell({ type: 'ADD', by: 1 });
  await ref.tell({ type: 'ADD', by: 7 });
  await until('the change to be seen', () => seen.includes(7));
  controller.abort();
  await watching;
  for (let i = 0; i < 200; i++) await system.ref(virtualCounter, `c${i}`).tell({ type: 'ADD', by: 1 });
  expect(await ref.ask({ type: 'GET' })).toMatchObject({ n: 7 });
});

test.each([0, 1])('an actor that waits for its commit, or for its effect, stays (threads: %i)', async (threads) => {
  await using folder = await tmpDir('passivation');
  const module = new URL('../../support/actors/vault.ts', import.meta.url);
  await using system = await ActorSystem.start({
    dataDir: folder.at('data'),
    threads,
    actors: [module],
    residentCellsLimit: 1,
  });
  const count = 200;
  const sink = folder.at('sink');
  const refs = await Promise.all(
    Array.from({ length: count }, (_, i) => system.spawn(vault, { id: `v${i}`, input: { sink }, timeoutMs: 20_000 })),
  );
  await Promise.all(refs.map((ref) => ref.tell({ type: 'MOVE' })));
  const done = async (ref: (typeof refs)[number]): Promise<VaultState | undefined> => {
    const state = await ref.ask<VaultState>({ type: 'GET' });
    return state.moves.done + state.moves.unknown.length + state.moves.failed.length > 0 ? state : undefined;
  };
  for (const ref of refs)
    expect(await until(`${ref.key} to be done`, () => done(ref))).toMatchObject({
      moves: { started: 1, done: 1, unknown: [] },
    });
  expect(readFileSync(sink, 'utf8').trim().split('\n')).toHaveLength(count);
});

test('a host without work unloads what has grown old', async () => {
  const clock = new ManualClock();
  await using system = await ActorSystem.startWith({ threads: 0, actors: ACTORS }, { clock });
  const ref = await system.spawn(counter, { id: 'one' });
  await ref.tell({ type: 'ADD', by: 1 });
  expect(await residents(system)).toBe(1);
  await clock.advance(30_000);
  expect(await residents(system)).toBe(1);
  await clock.advance(60_000);
  expect(await residents(system)).toBe(0);
  expect(await ref.ask({ type: 'ADD', by: 1 })).toBe(2);
});
