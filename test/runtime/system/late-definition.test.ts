/** Messages for an actor whose module a run of the system does not list: they wait for it, over checkpoints, stops and crashes. */
import { expect, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import { type Clock, systemClock } from '../../../runtime/kernel/clock.ts';
import { DEFINITION_GRACE_MS } from '../../../runtime/kernel/limits.ts';
import { ManualClock } from '../../../runtime/testing/manual-clock.ts';
import { earlyKnown } from '../../support/actors/early-known.ts';
import { lateKnown } from '../../support/actors/late-known.ts';
import { crashCopy } from '../../support/crash-copy.ts';
import { tmpDir } from '../../support/tmp-dir.ts';
import { codeOf, recordEvents, until } from '../../support/until.ts';

const BOTH = [earlyKnown.module, lateKnown.module];
const start = (dataDir: string, actors: string[]): Promise<ActorSystem> =>
  ActorSystem.start({ dataDir, threads: 0, actors });

test.each([
  { past: 'none', runs: 1, checkpoint: false },
  { past: 'none', runs: 1, checkpoint: true },
  { past: 'none', runs: 3, checkpoint: true },
  { past: 'turns', runs: 2, checkpoint: true },
  { past: 'image', runs: 2, checkpoint: true },
])('past: $past, $runs runs without it, checkpoint: $checkpoint', async ({ past, runs, checkpoint }) => {
  await using dir = await tmpDir('late-definition');
  let sum = 7;
  {
    await using system = await start(dir.at('0'), BOTH);
    if (past !== 'none') {
      await system.ref(lateKnown, 'x').tell({ type: 'ADD', add: 1 });
      sum += 1;
    }
    if (past === 'image') await system.checkpoint();
    const early = await system.spawn(earlyKnown, { id: 'x' });
    await early.tell({ type: 'GO', add: 7 });
    // Sent, and not handled yet.
    crashCopy(dir.at('0'), dir.at('1'));
  }
  for (let run = 1; run <= runs; run++) {
    await using system = await start(dir.at(String(run)), [earlyKnown.module]);
    // Which of the two depends on whether it was found before its journal was read.
    const code = await codeOf(system.refOf('late-known/x').ask({ type: 'GET' }));
    expect(['ACTOR_BLOCKED', 'UNKNOWN_DEFINITION']).toContain(code);
    expect((await system.refOf('late-known/x').snapshot()).status).toBe('blocked');
    if (checkpoint) await system.checkpoint();
    crashCopy(dir.at(String(run)), dir.at(String(run + 1)));
  }
  // As a stop has left it, and as a crash would have.
  for (const last of [runs, runs + 1]) {
    await using system = await start(dir.at(String(last)), BOTH);
    expect(await system.ref(lateKnown, 'x').ask({ type: 'GET' }), String(last)).toBe(sum);
    expect(await system.deadLetters.list()).toEqual([]);
  }
});

/** A folder in which a message waits for an actor of `late-known`, whose module this run has not loaded yet. */
const waiting = async (dataDir: string, copy: string): Promise<void> => {
  await using system = await start(dataDir, BOTH);
  const early = await system.spawn(earlyKnown, { id: 'x' });
  await early.tell({ type: 'GO', add: 7 });
  crashCopy(dataDir, copy);
};

test.each([0, 2])(
  'threads: %i: a definition that comes a moment later is no event; calls go on at once',
  async (threads) => {
    await using dir = await tmpDir('late-definition');
    await waiting(dir.at('0'), dir.at('1'));
    // However long it takes on this machine: whoever is still waited for when the system stops would be told of then.
    const clock: Clock = {
      ...systemClock,
      wait: (ms, fire) => systemClock.wait(ms === DEFINITION_GRACE_MS ? Number.POSITIVE_INFINITY : ms, fire),
    };
    await using system = await ActorSystem.startWith(
      { dataDir: dir.at('1'), threads, actors: [earlyKnown.module] },
      { clock },
    );
    const events = recordEvents(system, 'blocked');
    await until('it is found without its definition', () => system.blocked().has('late-known/x'));
    // All at once: who asks second does not overtake the loading.
    const refs = await Promise.all(['a', 'b', 'x'].map((id) => system.spawn(lateKnown, { id, ifExists: 'attach' })));
    expect(await Promise.all(refs.map((ref) => ref.ask({ type: 'GET' })))).toEqual([0, 0, 7]);
    expect(system.blocked().size).toBe(0);
    expect((await system.stats()).hosts.map(({ blocked }) => blocked)).toEqual(Array(Math.max(1, threads)).fill(0));
    await system.stop();
    expect(events).toEqual([]);
  },
);

test.each([false, true])(
  'what it is sent while it waits for its definition is handled, once; checkpoint: %s',
  async (checkpoint) => {
    await using dir = await tmpDir('late-definition');
    await waiting(dir.at('0'), dir.at('1'));
    await using system = await start(dir.at('1'), [earlyKnown.module]);
    await until('it is found', () => system.blocked().has('late-known/x'));
    const early = system.ref(earlyKnown, 'x');
    await early.tell({ type: 'GO', add: 10 });
    if (checkpoint) await system.checkpoint();
    await early.tell({ type: 'GO', add: 100 });
    // Still without it: it is loaded again, and keeps what it has.
    expect(await system.unblock(system.refOf('late-known/x'))).toBe(false);
    await early.tell({ type: 'GO', add: 1_000 });
    if (checkpoint) await system.checkpoint();
    const late = await system.spawn(lateKnown, { id: 'x', ifExists: 'attach' });
    expect(await late.ask({ type: 'GET' })).toBe(1_117);
  },
);

test('a definition that does not come is told of, after a while', async () => {
  await using dir = await tmpDir('late-definition');
  await waiting(dir.at('0'), dir.at('1'));
  const clock = new ManualClock();
  await using system = await ActorSystem.startWith(
    { dataDir: dir.at('1'), threads: 0, actors: [earlyKnown.module] },
    { clock },
  );
  const events = recordEvents(system, 'blocked');
  await until('it is found', () => system.blocked().has('late-known/x'));
  await clock.advance(DEFINITION_GRACE_MS - 1);
  expect(events).toEqual([]);
  await clock.advance(1);
  expect(events).toMatchObject([{ key: 'late-known/x', error: { code: 'ACTOR_BLOCKED' } }]);
});

test('a system that is stopped before says so at once', async () => {
  await using dir = await tmpDir('late-definition');
  await waiting(dir.at('0'), dir.at('1'));
  await using system = await start(dir.at('1'), [earlyKnown.module]);
  const events = recordEvents(system, 'blocked');
  await until('it is found', () => system.blocked().has('late-known/x'));
  await system.stop();
  expect(events).toMatchObject([{ key: 'late-known/x' }]);
});
