/** Stopping: what is under way is finished, the states are stored, nothing is left, and it does not take for ever. */
import { expect, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import { ManualClock } from '../../../runtime/testing/manual-clock.ts';
import { counter, puppet, virtualCounter } from '../../support/actors/basic.ts';
import { tmpDir } from '../../support/tmp-dir.ts';
import { codeOf } from '../../support/until.ts';

const ACTORS = [new URL('../../support/actors/basic.ts', import.meta.url)];

test('a quiet system needs no wait of seconds to store its states and stop', async () => {
  await using folder = await tmpDir('stop');
  const clock = new ManualClock();
  const system = await ActorSystem.startWith({ dataDir: folder.at('data'), threads: 0, actors: ACTORS }, { clock });
  const ref = await system.spawn(counter, { id: 'one' });
  expect(await ref.ask({ type: 'ADD', by: 1 })).toBe(1);
  const startMs = clock.now();
  let stopped = false;
  const stopping = system.stop().then(() => (stopped = true));
  while (!stopped && clock.now() < startMs + 1_000) await clock.advance(1);
  expect(stopped).toBe(true);
  await stopping;
});

test.each([0, 2])('calls under way are finished, calls after it are refused (threads: %i)', async (threads) => {
  await using folder = await tmpDir('stop');
  const options = { dataDir: folder.at('data'), threads, actors: ACTORS };
  const system = await ActorSystem.start(options);
  const refs = Array.from({ length: 20 }, (_, i) => system.ref(virtualCounter, `v${i}`));
  const tells = refs.flatMap((ref) => Array.from({ length: 20 }, () => codeOf(ref.tell({ type: 'ADD', by: 1 }))));
  const open = await system.spawn(puppet, { id: 'p' });
  const never = codeOf(open.ask({ type: 'TAKE' }, { timeoutMs: 60_000 }));
  const stopping = system.stop();
  expect(await codeOf(open.tell({ type: 'UNSTASH' }))).toBe('SYSTEM_STOPPED');
  await stopping;
  expect(new Set(await Promise.all(tells))).toEqual(new Set([undefined]));
  expect(await never).toBe('SYSTEM_STOPPED');
  await using again = await ActorSystem.start(options);
  expect(again.opened.tailTurns).toBeLessThan(10);
  for (const ref of refs) expect(await again.refOf(ref.key).ask({ type: 'GET' })).toMatchObject({ n: 20 });
});

test.each([0, 1])('`await using` stops; the folder is free at once (threads: %i)', async (threads) => {
  await using folder = await tmpDir('stop');
  for (let run = 1; run <= 3; run++) {
    await using system = await ActorSystem.start({ dataDir: folder.at('data'), threads, actors: ACTORS });
    expect(system.opened.run).toBe(run);
  }
});
