import { damageProof } from '../damage/damage-proof.ts';
import { testProof } from './test-proof.ts';

testProof(damageProof);
