import { simulationProof } from '../simulation/proof.ts';
import { testProof } from './test-proof.ts';

testProof(simulationProof);
