/** Random workflows whose steps are done by a desk of the run's own: which there are, for the processes and for the test. */
import { seededRandom } from '../../../runtime/kernel/random.ts';
import { type Case, randomCase } from './random-run.ts';

export interface NumberedCase extends Case {
  readonly runId: string;
  /** Somebody cancels the run soon after its start. */
  readonly isCancelled: boolean;
}

/** The cases from a seed on. There is no bound on what is under way, as in the reference. */
export function randomCases(seed: number, count: number): readonly NumberedCase[] {
  return Array.from({ length: count }, (_, i) => {
    const runId = `w${i}`;
    const target = { actor: { definition: 'dice-desk', id: runId }, parameters: {} };
    return { ...randomCase(seededRandom(seed, i), 1_000, { target, id: runId }), runId, isCancelled: i % 7 === 3 };
  });
}
