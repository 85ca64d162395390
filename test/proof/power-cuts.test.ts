import { powerProof } from '../power/power.ts';
import { testProof } from './test-proof.ts';

testProof(powerProof);
