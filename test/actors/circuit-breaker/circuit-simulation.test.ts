/** Breakers in simulation: several hosts, faults of every kind, the general rules (replay among them) and the circuits' own. */
import { expect, test } from 'vitest';
import { PLANS, runSeed } from '../../simulation/seeds.ts';
import { circuits } from '../../simulation/workloads/circuits.ts';

test.each(Object.keys(PLANS))('%s', async (plan) => {
  for (let seed = 1; seed <= 4; seed++) {
    const { violations } = await runSeed(seed, { workload: circuits, plan });
    expect(violations.map(({ rule, what }) => `seed ${seed}: ${rule}: ${what}`)).toEqual([]);
  }
});

test('the same seed is the same run', async () => {
  const [first, second] = [
    await runSeed(3, { workload: circuits, plan: 'everything' }),
    await runSeed(3, { workload: circuits, plan: 'everything' }),
  ];
  expect(second.digest).toBe(first.digest);
});
