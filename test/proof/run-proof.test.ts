import { expect, test } from 'vitest';
import type { Proof, ProofOutcome, ProofRun } from './proof.ts';
import { runProof, verdictOf } from './run-proof.ts';

function proofThat(run: (order: ProofRun) => ProofOutcome): Proof & { readonly controlled: () => number } {
  let controlled = 0;
  return {
    name: 'example',
    title: 'Example',
    what: 'nothing is broken',
    unit: 'cases',
    sizes: { quick: 10, ci: 100, full: 1_000 },
    run: (order) => Promise.resolve(run(order)),
    controls: [
      {
        name: 'planted',
        what: 'one fault',
        amount: 1,
        run: () => Promise.resolve({ cases: ++controlled, faults: ['found'], figures: {} }),
      },
    ],
    controlled: () => controlled,
  };
}

const quiet = { size: 'quick', seed: 7, say: () => {} } as const;

test('without minutes there is one round', async () => {
  const report = await runProof(
    proofThat(({ amount }) => ({ cases: amount, faults: [], figures: {} })),
    quiet,
  );
  expect(report).toMatchObject({ amount: 10, cases: 10, seed: 7 });
  expect(report.rounds).toBeUndefined();
});

test('with minutes, rounds with cases of their own follow each other until the time is over; controls run once', async () => {
  const seeds: number[] = [];
  const proof = proofThat(({ seed, amount }) => {
    seeds.push(seed);
    const endMs = performance.now() + 20;
    while (performance.now() < endMs);
    return { cases: amount, faults: seeds.length === 2 ? ['broken'] : [], figures: { round: seeds.length } };
  });
  const report = await runProof(proof, { ...quiet, minutes: 50 / 60_000 });
  expect(seeds.length).toBeGreaterThan(1);
  expect(seeds).toEqual(seeds.map((_, round) => 7 + round * 10));
  expect(report.cases).toBe(seeds.length * 10);
  expect(report.rounds?.map(({ seed }) => seed)).toEqual(seeds);
  expect(report.figures).toEqual({ round: seeds.length });
  expect(report.faults).toEqual(['seed 17: broken']);
  expect(verdictOf(report)).toHaveLength(1);
  expect(proof.controlled()).toBe(1);
});
