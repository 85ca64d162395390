/** Workflows in the simulation: crashes, deaths of hosts, lost frames, full disks, jumping clocks, each plan several times. */
import { expect, test } from 'vitest';
import { PLANS, runSeed } from '../../simulation/seeds.ts';
import { sagas } from '../../simulation/workloads/sagas.ts';

const SEEDS = 5;

test.each(Object.keys(PLANS))('runs are over and right: %s', { timeout: 120_000 }, async (plan) => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const report = await runSeed(seed, { workload: sagas, plan });
    expect(report.violations, `seed ${seed}: ${report.tail.slice(-5).join('\n')}`).toEqual([]);
    expect(report.turns).toBeGreaterThan(100);
  }
});
