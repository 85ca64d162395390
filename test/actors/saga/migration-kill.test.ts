/** kill -9 amid the migration of many runs: each is moved once, whole, and goes on under the new definition. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { seededRandom } from '../../../runtime/kernel/random.ts';
import { tmpDir } from '../../support/tmp-dir.ts';

const RUNS = 60;
const KILLS = 3;

interface Report {
  readonly refused: readonly unknown[];
  readonly asked: readonly string[];
  readonly runs: readonly { readonly version: number; readonly moves: number }[];
}

async function runProcess(dataDir: string, killAfterMs: number | undefined): Promise<Report | undefined> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'migrating-process.ts'), dataDir, String(RUNS)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let report: Report | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'up' && killAfterMs !== undefined) void pause(killAfterMs).then(() => child.kill('SIGKILL'));
    if (line.startsWith('{')) report = JSON.parse(line) as Report;
  }
  await ended;
  return report;
}

test('runs are moved once, whatever is killed', { timeout: 120_000 }, async () => {
  await using folder = await tmpDir('migration-kill');
  const random = seededRandom(11, 5);
  let cutOff = 0;
  for (let kills = 0; kills < KILLS; kills++) {
    if ((await runProcess(folder.at('data'), 10 + random.next() * 80)) === undefined) cutOff++;
  }
  expect(cutOff, 'processes killed amid their work').toBeGreaterThan(0);
  const report = await runProcess(folder.at('data'), undefined);
  expect(report?.refused).toEqual([]);
  expect(report?.runs).toEqual(Array.from({ length: RUNS }, () => ({ version: 2, moves: 1 })));
  const expected = Array.from({ length: RUNS }, (_, i) =>
    ['one', 'beside', 'fresh'].map((what) => `BOOK r${i} ${what}`),
  ).flat();
  const what = (report?.asked ?? []).map((line) => line.replace(/^(BOOK \S+ \S+).*$/, '$1'));
  expect([...what].sort()).toEqual(expected.sort());
});
