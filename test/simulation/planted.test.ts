/** The planting itself: what is put in place of methods and ports changes nothing when it holds no bug. */
import { expect, test } from 'vitest';
import { PLANTED_BUGS } from './planted/all-bugs.ts';
import { huntFor, type PlantedBug, spoiledStore } from './planted/planted-bug.ts';
import { WORKLOADS } from './seeds.ts';

test('there are at least twenty, each with a name of its own', () => {
  expect(PLANTED_BUGS.length).toBeGreaterThanOrEqual(20);
  expect(new Set(PLANTED_BUGS.map(({ name }) => name)).size).toBe(PLANTED_BUGS.length);
});

test('the same planting without a bug finds nothing', async () => {
  for (const { name } of WORKLOADS) {
    const harmless: PlantedBug = {
      name: 'none',
      what: 'nothing',
      shows: { workload: name, plan: 'crashes' },
      plant: () => ({ ...spoiledStore(() => ({})), rewriteFrame: (bytes) => [bytes] }),
    };
    expect(await huntFor(harmless, 'near', 2)).toEqual({ seeds: 2, found: undefined });
  }
});
