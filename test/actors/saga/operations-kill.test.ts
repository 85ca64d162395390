/** kill -9 amid updates, promises, single cancellations, forks and deletions: each is done once, or not at all and then again. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seededRandom } from '../../../runtime/kernel/random.ts';
import { runThroughKills } from '../../support/killed-script.ts';
import { tmpDir } from '../../support/tmp-dir.ts';

const RUNS = 40;
const KILLS = 2;

interface Report {
  readonly outcomes: readonly unknown[];
  readonly asked: readonly string[];
  readonly listed: readonly string[];
}

test('what is done with runs survives kills of the process', { timeout: 120_000 }, async () => {
  await using folder = await tmpDir('operations-kill');
  const random = seededRandom(11, 7);
  const report = await runThroughKills<Report>(
    join(import.meta.dirname, 'operating-process.ts'),
    [folder.at('data'), String(RUNS)],
    { times: KILLS, afterMs: () => random.next() * 120 },
  );
  expect(report).toBeDefined();
  const { outcomes, asked, listed } = report as Report;
  const all = Array.from({ length: RUNS }, (_, i) => i);
  const resultOf = (i: number): object => ({ n: 1 + i, approved: { by: i } });
  expect(outcomes).toEqual(all.map((i) => [i % 2 === 0 ? 'gone' : resultOf(i), resultOf(i)]));
  // Each run and each fork has booked once, with the updated value.
  const booked = all.flatMap((i) => [`BOOK r${i} ${1 + i} r${i}/book/1`, `BOOK r${i} ${1 + i} f${i}/book/1`]);
  expect([...asked].sort()).toEqual(booked.sort());
  const left = all.flatMap((i) => (i % 2 === 0 ? [`f${i}`] : [`f${i}`, `r${i}`]));
  expect([...listed].sort()).toEqual(left.sort());
});
