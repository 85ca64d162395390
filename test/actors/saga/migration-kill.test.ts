/** kill -9 amid the migration of many runs: each is moved once, whole, and goes on under the new definition. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seededRandom } from '../../../runtime/kernel/random.ts';
import { runThroughKills } from '../../support/killed-script.ts';
import { tmpDir } from '../../support/tmp-dir.ts';

const RUNS = 60;
const KILLS = 3;

interface Report {
  readonly refused: readonly unknown[];
  readonly asked: readonly string[];
  readonly runs: readonly { readonly version: number; readonly moves: number }[];
}

test('runs are moved once, whatever is killed', { timeout: 120_000 }, async () => {
  await using folder = await tmpDir('migration-kill');
  const random = seededRandom(11, 5);
  const report = await runThroughKills<Report>(
    join(import.meta.dirname, 'migrating-process.ts'),
    [folder.at('data'), String(RUNS)],
    { times: KILLS, afterMs: () => 10 + random.next() * 80 },
  );
  expect(report?.refused).toEqual([]);
  expect(report?.runs).toEqual(Array.from({ length: RUNS }, () => ({ version: 2, moves: 1 })));
  const expected = Array.from({ length: RUNS }, (_, i) =>
    ['one', 'beside', 'fresh'].map((what) => `BOOK r${i} ${what}`),
  ).flat();
  const what = (report?.asked ?? []).map((line) => line.replace(/^(BOOK \S+ \S+).*$/, '$1'));
  expect([...what].sort()).toEqual(expected.sort());
});
