/** The embedded broker under every fault that the simulation knows; and that its rules find a disk which loses what it acknowledged. */
import { describe, expect, test } from 'vitest';
import { PLANS, runSeed } from './seeds.ts';
import { broker } from './workloads/broker.ts';

describe.each(Object.keys(PLANS))('%s', (plan) => {
  test.each([1, 2, 3])('seed %i', async (seed) => {
    const { violations } = await runSeed(seed, { workload: broker, plan });
    expect(violations).toEqual([]);
  });
});

test('planted: a disk that loses the last commits which it acknowledged is found out', async () => {
  const found: string[] = [];
  for (let seed = 1; seed <= 12 && !found.includes('broker'); seed++) {
    const { violations } = await runSeed(seed, { workload: broker, plan: 'crashes', seams: { lyingDisk: 3 } });
    found.push(...violations.map(({ rule }) => rule));
  }
  expect(found).toContain('broker');
});
