/** The past of an actor: its turns, its state at any of them, a fork from there. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import { History, type HistoryPorts } from '../../../runtime/system/history.ts';
import { counter, counterSnapshot } from '../../support/actors/basic.ts';
import { reminder } from '../../support/actors/charts.ts';
import { type TmpDir, tmpDir } from '../../support/tmp-dir.ts';
import { codeOf, errorOf, until } from '../../support/until.ts';

const ACTORS = [
  new URL('../../support/actors/basic.ts', import.meta.url),
  new URL('../../support/actors/charts.ts', import.meta.url),
];
let folder: TmpDir;

beforeEach(async () => {
  folder = await tmpDir('history');
});
afterEach(() => folder[Symbol.asyncDispose]());

const start = (threads: number): Promise<ActorSystem> =>
  ActorSystem.start({ dataDir: folder.at('data'), threads, actors: ACTORS });

test.each([0, 1])('turns, in order, with what each asked for (threads: %i)', async (threads) => {
  await using system = await start(threads);
  const ref = await system.spawn(counter, { id: 'one' });
  await ref.ask({ type: 'ADD', by: 1 });
  await ref.tell({ type: 'EMIT', event: 'e' });
  await codeOf(ref.tell({ type: 'BOOM' }));
  const turns = await system.history(ref).turns();
  expect(turns).toMatchObject([
    { sequence: 1, outcome: 'handled', message: { control: { kind: 'spawn' } }, intents: ['reply'] },
    { sequence: 2, outcome: 'handled', message: { type: 'ADD', by: 1 }, intents: ['reply'] },
    { sequence: 3, outcome: 'handled', message: { type: 'EMIT' }, intents: ['emit'] },
    { sequence: 4, outcome: 'parked', message: { type: 'BOOM' } },
  ]);
  const positions = turns.map(({ position }) => position);
  expect(positions).toEqual([...positions].sort((a, b) => a - b));
  expect(await system.history(ref).turns({ from: 2, to: 3 })).toEqual(turns.slice(1, 3));
  expect(await system.history(ref).turns({ limit: 1 })).toEqual(turns.slice(0, 1));
  expect(await system.history(system.ref(counter, 'nobody')).turns()).toEqual([]);
});

test.each([
  ['journaled', counter],
  ['with a state in every turn', counterSnapshot],
])('the state after every turn, also behind checkpoints and restarts: %s', async (_name, definition) => {
  const views: unknown[] = [];
  {
    await using system = await start(0);
    const ref = await system.spawn(definition, { id: 'one', input: { start: 1 } });
    for (let i = 0; i < 20; i++) {
      views.push((await ref.snapshot()).view);
      await ref.tell({ type: 'ADD', by: i });
      if (i === 9) await system.checkpoint();
    }
    views.push((await ref.snapshot()).view);
    const history = system.history(ref);
    for (const [i, view] of views.entries())
      expect(await history.at(i + 1)).toEqual({ sequence: i + 1, status: 'running', view });
  }
  await using system = await start(0);
  const history = system.history(system.ref(definition, 'one'));
  for (const [i, view] of views.entries()) expect((await history.at(i + 1)).view).toEqual(view);
  const error = await errorOf(history.at(99));
  expect(error).toMatchObject({ code: 'ACTOR_NOT_FOUND', details: { sequence: 99 } });
  for (const bad of [0, -1, 1.5, Number.NaN, '2' as unknown as number])
    expect(await codeOf(history.at(bad))).toBe('INVALID_OPTIONS');
});

test('the state after a turn that lies far behind what the journal has stored of the state', async () => {
  await using system = await ActorSystem.start({ threads: 0, actors: ACTORS });
  const ref = await system.spawn(counter, { id: 'one' });
  await Promise.all(Array.from({ length: 1_500 }, () => ref.tell({ type: 'ADD', by: 1 })));
  expect((await system.history(ref).at(1_401)).view).toMatchObject({ n: 1_400 });
});

test('a turn that is still in the journal, without those that led to it: not found', async () => {
  // What a trim leaves when it falls between two looks, or when the image is newer than the turn.
  const journal = { image: async () => undefined, turns: async () => [{ sequence: 7 }, { sequence: 8 }] };
  const ports = { journal, definitions: { require: () => counter } } as unknown as HistoryPorts;
  const error = await errorOf(new History('counter/one', ports).at(8));
  expect(error).toMatchObject({ code: 'ACTOR_NOT_FOUND', details: { sequence: 8 } });
});

test('looking at the past does not touch the present', async () => {
  await using system = await start(0);
  const ref = await system.spawn(counter, { id: 'one' });
  for (let i = 0; i < 5; i++) await ref.tell({ type: 'ADD', by: 1 });
  const before = await ref.snapshot();
  for (let i = 1; i <= 6; i++) await system.history(ref).at(i);
  expect(await ref.snapshot()).toEqual(before);
  expect(await ref.ask({ type: 'ADD', by: 1 })).toBe(6);
});

test.each([0, 1])(
  'a fork goes its own way from where it was made, timers too, for good (threads: %i)',
  async (threads) => {
    {
      await using system = await start(threads);
      const ref = await system.spawn(counter, { id: 'one' });
      for (let i = 0; i < 5; i++) await ref.tell({ type: 'ADD', by: 1 });
      const fork = await system.history(ref).fork(3, { id: 'fork' });
      expect(await fork.ask({ type: 'ADD', by: 10 })).toBe(12);
      expect(await ref.ask({ type: 'ADD', by: 1 })).toBe(6);
      expect(await codeOf(system.history(ref).fork(3, { id: 'fork' }))).toBe('ACTOR_ALREADY_EXISTS');
      expect(await codeOf(system.history(ref).fork(3, { id: 'a~b' }))).toBe('INVALID_ADDRESS');
      expect(await codeOf(system.history(ref).fork(99, { id: 'later' }))).toBe('ACTOR_NOT_FOUND');
      const timed = await system.spawn(reminder, { id: 'r', input: { ms: 200 } });
      const forked = await system.history(timed).fork(1, { id: 'r-fork' });
      await forked.waitFor((s) => (s.view as { value: string }).value === 'late');
    }
    await using system = await start(threads);
    expect(await system.ref(counter, 'fork').ask({ type: 'GET' })).toMatchObject({ n: 12 });
    expect(await system.ref(counter, 'one').ask({ type: 'GET' })).toMatchObject({ n: 6 });
    await until(
      'the original to be late too',
      async () => ((await system.ref(reminder, 'r').snapshot()).view as { value: string }).value === 'late',
    );
  },
);
