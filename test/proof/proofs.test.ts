/**
 * Every proof, with its controls: small in `npm test`, in full CI size with CB_PROOF_SIZE=ci.
 *
 *     CB_PROOF_SEED=123 npx vitest run test/proof      the same cases again
 */
import { expect, test } from 'vitest';
import { PROOFS } from './proof-list.ts';
import { runProof, verdictOf } from './run-proof.ts';

const SIZE = process.env['CB_PROOF_SIZE'] === 'ci' ? 'ci' : 'quick';
const SEED = Number(process.env['CB_PROOF_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const LONGEST_MS = 20 * 60_000;

test('every proof has a name of its own', () => {
  const names = PROOFS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

for (const proof of PROOFS) {
  const missing = proof.missing?.();
  const why = missing === undefined ? '' : ` [skipped: no ${missing}]`;
  test.skipIf(missing !== undefined)(
    `${proof.title}, ${proof.sizes[SIZE]} ${proof.unit} (seed ${SEED})${why}`,
    async () => {
      const report = await runProof(proof, { size: SIZE, seed: SEED, say: () => {} });
      expect(verdictOf(report)).toEqual([]);
    },
    LONGEST_MS,
  );
}
