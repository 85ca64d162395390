/** kill -9 at any time: every run is over in the end, what failed is undone, and no actor was sent a command twice. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seededRandom } from '../../../runtime/kernel/random.ts';
import { runThroughKills } from '../../support/killed-script.ts';
import { tmpDir } from '../../support/tmp-dir.ts';

const RUNS = 60;
const KILLS = 4;

interface Report {
  readonly outcomes: readonly string[];
  readonly own: readonly { readonly booked: readonly string[]; readonly asked: readonly string[] }[];
  readonly adapted: readonly { readonly what: string; readonly figures: Readonly<Record<string, number>> }[];
  readonly shared: { readonly booked: readonly string[]; readonly asked: readonly string[] };
}

test('runs survive kills of the process', { timeout: 120_000 }, async () => {
  await using folder = await tmpDir('saga-kill');
  const random = seededRandom(7, 7);
  const report = await runThroughKills<Report>(
    join(import.meta.dirname, 'killed-process.ts'),
    [folder.at('data'), String(RUNS)],
    { times: KILLS, afterMs: () => random.next() * 60 },
  );
  expect(report).toBeDefined();
  const { outcomes, own, shared, adapted } = report as Report;
  const fails = (i: number): boolean => i % 4 === 1;
  expect(outcomes).toEqual(Array.from({ length: RUNS }, (_, i) => (fails(i) ? 'WORKFLOW_FAILED' : 'completed')));
  expect(own.map(({ booked }) => booked)).toEqual(
    Array.from({ length: RUNS }, (_, i) => (fails(i) ? [] : ['own', 'last'])),
  );
  const kept = Array.from({ length: RUNS }, (_, i) => i)
    .filter((i) => !fails(i))
    .flatMap((i) => [`r${i} left`, `r${i} right`]);
  expect([...shared.booked].sort()).toEqual(kept.sort());
  for (const { asked } of [...own, shared]) expect(new Set(asked).size, 'each command came once').toBe(asked.length);
  const applied = adapted.filter(({ what }) => what === 'applied');
  expect(applied.length, 'runs that a rule has adapted').toBeGreaterThan(0);
  for (const { figures } of applied) expect(figures['actors.desk.calls']).toBeGreaterThanOrEqual(30);
  // Undone in reverse order: `own` after `left` and `right` of the same run were.
  expect(shared.asked.filter((line) => line.startsWith('UNBOOK'))).toHaveLength(
    2 * outcomes.filter((one) => one !== 'completed').length,
  );
});
