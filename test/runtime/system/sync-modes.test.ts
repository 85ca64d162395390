/** One data folder, opened in one sync mode after the other. */
import { cpSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import { ledger } from '../../support/actors/ledger.ts';
import { tmpDir } from '../../support/tmp-dir.ts';

const MODULE = new URL('../../support/actors/ledger.ts', import.meta.url);
const start = (dataDir: string, sync: 'group' | 'relaxed'): Promise<ActorSystem> =>
  ActorSystem.start({ dataDir, sync, threads: 0, actors: [MODULE] });

test('what a relaxed system acknowledged and had not flushed is there for a group one', async () => {
  await using folder = await tmpDir('sync-modes');
  const relaxed = await start(folder.at('data'), 'relaxed');
  const ref = await relaxed.spawn(ledger, { id: 'l' });
  for (let n = 1; n <= 20; n++) await ref.tell({ type: 'ADD', n });
  // As a process that is killed now would leave it.
  cpSync(folder.at('data'), folder.at('killed'), { recursive: true, filter: (source) => !source.endsWith('LOCK') });
  await relaxed.stop();
  for (const sync of ['group', 'relaxed', 'group'] as const) {
    await using system = await start(folder.at('killed'), sync);
    expect(await system.ref(ledger, 'l').ask({ type: 'GET' })).toMatchObject({ n: 20, gaps: 0, doubles: 0 });
  }
});

test('modes may change at every start', async () => {
  await using folder = await tmpDir('sync-modes');
  let n = 0;
  for (const sync of ['relaxed', 'group', 'relaxed', 'relaxed', 'group', 'group', 'relaxed'] as const) {
    await using system = await start(folder.at('data'), sync);
    const ref = await system.spawn(ledger, { id: 'l', ifExists: 'attach' });
    expect(await ref.ask({ type: 'GET' })).toMatchObject({ n, gaps: 0, doubles: 0 });
    for (let i = 0; i < 10; i++) await ref.tell({ type: 'ADD', n: (n += 1) });
  }
});
