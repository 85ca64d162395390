/** Every proof, in the order of the table. */
import { sigkillProof } from '../crash/sigkill-proof.ts';
import { damageProof } from '../damage/damage-proof.ts';
import { hostileFrames } from '../hostile/hostile-frames.ts';
import { machineFaults } from '../machine/machine-faults.ts';
import { overload } from '../overload/overload-proof.ts';
import { powerProof } from '../power/power.ts';
import { simulationProof } from '../simulation/proof.ts';
import { queueSoak } from '../soak/queue-soak.ts';
import { threadDeathProof } from '../threads/thread-death-proof.ts';
import type { Proof } from './proof.ts';

export const PROOFS: readonly Proof[] = [
  simulationProof,
  sigkillProof,
  threadDeathProof,
  hostileFrames,
  powerProof,
  damageProof,
  overload,
  queueSoak,
  machineFaults,
];

export function proofOf(name: string): Proof | undefined {
  return PROOFS.find((proof) => proof.name === name);
}
