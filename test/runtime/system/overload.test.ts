/** A system with more work than it can do: operators get through, slow is not hung, and nothing is lost without a word. */
import { expect, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import { narrow, sluggish } from '../../support/actors/slow.ts';
import { recordEvents, until } from '../../support/until.ts';

const MODULE = new URL('../../support/actors/slow.ts', import.meta.url);

test.each([0, 1])(
  'threads: %i: with all calls under way an actor can be looked at, spawned and stopped',
  async (threads) => {
    await using system = await ActorSystem.start({ threads, actors: [MODULE], callsLimit: 20, drainTimeoutMs: 0 });
    const ref = await system.spawn(sluggish, { id: 'one' });
    const calls = Array.from({ length: 20 }, () => ref.tell({ spinMs: 5 }));
    const settled = Promise.allSettled(calls);
    await expect(ref.tell({ spinMs: 1 })).rejects.toMatchObject({ code: 'MAILBOX_FULL' });
    const [snapshot, other] = await Promise.all([ref.snapshot(), system.spawn(narrow, { id: 'two' })]);
    expect(snapshot.status).toBe('running');
    await other.stop();
    await settled;
  },
);

test('slow turns one after another are not a hung host', async () => {
  await using system = await ActorSystem.start({ threads: 1, actors: [MODULE], hangAfterMs: 500 });
  const lost = recordEvents(system, 'host_lost');
  const ref = await system.spawn(sluggish, { id: 'one' });
  await Promise.all(Array.from({ length: 60 }, () => ref.tell({ spinMs: 30 })));
  expect(lost).toEqual([]);
});

test('sends that find no room until their deadline are counted', async () => {
  await using system = await ActorSystem.start({ threads: 1, actors: [MODULE], tellTimeoutMs: 50 });
  const busy = await system.spawn(sluggish, { id: 'one' });
  const full = await system.spawn(narrow, { id: 'two' });
  const work = busy.tell({ spinMs: 400 }, { timeoutMs: 20_000 });
  for (let n = 1; n <= 100; n++) full.send({ type: 'ADD', n });
  await until('sends are given up', async () => (await system.stats()).callsUnderWay === 0);
  await work;
  expect((await system.stats()).sendsLost).toBeGreaterThan(0);
});
