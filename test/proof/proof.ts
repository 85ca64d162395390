/**
 * What a proof is: a way of breaking the runtime, a check that nothing came of it, and controls that show the check sees.
 *
 * Owns: the contract. What is broken is in the folders beside; who runs them, and at what size, is `run.ts` and `test-proof.ts`.
 *
 * Invariants:
 * PF1. A proof's cases follow from its seed and their number: the same seed breaks in the same way, as far as a machine can.
 * PF2. A control plants one fault that the proof exists to find. A control that finds nothing fails the run.
 */

/** `ci` in `npm run test:proofs`, which `.ci/run` runs; the others on command. */
export type Size = 'quick' | 'ci' | 'full';

export interface ProofRun {
  readonly size: Size;
  /** How many cases, in the proof's own unit. */
  readonly amount: number;
  readonly seed: number;
  /** Only this case of the run; undefined for all of them. */
  readonly only: number | undefined;
  /** A folder on a real disk, empty at the start and removed at the end. */
  readonly scratch: string;
  readonly say: (line: string) => void;
}

export interface ProofOutcome {
  /** Cases that were run. */
  readonly cases: number;
  /** What must not have happened, each with what repeats it. Empty: the proof holds. */
  readonly faults: readonly string[];
  /** What was seen on the way, for the table and the sceptic. */
  readonly figures: Readonly<Record<string, number | string>>;
}

export interface Control {
  readonly name: string;
  /** What is broken on purpose. */
  readonly what: string;
  /** Cases it gets at most, at every size. */
  readonly amount: number;
  readonly run: (run: ProofRun) => Promise<ProofOutcome>;
}

export interface Proof {
  /** One word or a few with hyphens: the name in commands and files. */
  readonly name: string;
  readonly title: string;
  /** What is done to the runtime, and what is checked; a sentence or two for the table. */
  readonly what: string;
  /** What is counted: kills, states, frames. */
  readonly unit: string;
  readonly sizes: Readonly<Record<Size, number>>;
  readonly run: (run: ProofRun) => Promise<ProofOutcome>;
  readonly controls: readonly [Control, ...Control[]];
  /** Why it cannot be run on this machine; undefined when it can. */
  readonly missing?: (() => string | undefined) | undefined;
}
