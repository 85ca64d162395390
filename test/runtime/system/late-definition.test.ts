/** Messages for an actor whose module a run of the system does not list: they wait for it, over checkpoints, stops and crashes. */
import { expect, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import { earlyKnown } from '../../support/actors/early-known.ts';
import { lateKnown } from '../../support/actors/late-known.ts';
import { crashCopy } from '../../support/crash-copy.ts';
import { tmpDir } from '../../support/tmp-dir.ts';
import { codeOf } from '../../support/until.ts';

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
