/**
 * The real runtime in one thread, on virtual time, from a seed, with every kind of fault; a model checks what came of it. A seed
 * that fails prints how to run it again. `SIMULATION_SEEDS=1000000` runs so many of each workload.
 */
import { describe, expect, test } from 'vitest';
import { runSeed, WORKLOADS } from './seeds.ts';

const SEEDS = Number(process.env['SIMULATION_SEEDS'] ?? 48);
const TIMEOUT_MS = 60_000 + SEEDS * 2_000;

describe('the invariants hold', () => {
  test.each(WORKLOADS.map((workload) => [workload.name, workload] as const))(
    '%s, under all plans in turn',
    async (name, workload) => {
      const broken: string[] = [];
      for (let seed = 1; seed <= SEEDS; seed++) {
        const { violations } = await runSeed(workload, seed);
        for (const { rule, what } of violations) {
          broken.push(`node test/simulation/replay.ts --workload ${name} --seed ${seed}\n  ${rule}: ${what}`);
        }
      }
      expect(broken).toEqual([]);
    },
    TIMEOUT_MS,
  );
});

test('the same seed gives the same trace, byte for byte', { timeout: TIMEOUT_MS }, async () => {
  for (const workload of WORKLOADS) {
    const digests = new Set<string>();
    for (let repeat = 0; repeat < 4; repeat++) {
      digests.add((await runSeed(workload, 7, { plan: 'everything' })).digest);
    }
    expect(digests.size, workload.name).toBe(1);
    expect((await runSeed(workload, 8, { plan: 'everything' })).digest).not.toBe([...digests][0]);
  }
});

test('faults do strike', { timeout: TIMEOUT_MS }, async () => {
  const struck = new Set<string>();
  for (let seed = 1; seed <= 24; seed++) {
    const { faults } = await runSeed(WORKLOADS[0] as (typeof WORKLOADS)[number], seed, { plan: 'everything' });
    for (const [kind, count] of Object.entries(faults)) if (count > 0) struck.add(kind);
  }
  expect([...struck].toSorted()).toEqual(
    expect.arrayContaining(['crashAfterCommit', 'crashBeforeCommit', 'hostDeath']),
  );
});
