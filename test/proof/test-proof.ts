/**
 * A proof as a test, at the size for CI: `npm run test:proofs`.
 *
 *     CB_PROOF_SEED=123 npx vitest run test/proof/sigkill      the same cases again
 *     CB_PROOF_SIZE=quick npm run test:proofs                  few cases of each
 *
 * Owns: size, seed, and the verdict. Every proof has a file of its own beside this one, so that they run beside each other;
 * `vitest.config.ts` says in which order.
 */
import { expect, test } from 'vitest';
import type { Proof } from './proof.ts';
import { runProof, verdictOf } from './run-proof.ts';

const SIZE = process.env['CB_PROOF_SIZE'] === 'quick' ? 'quick' : 'ci';
const SEED = Number(process.env['CB_PROOF_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const LONGEST_MS = 20 * 60_000;

export function testProof(proof: Proof): void {
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
