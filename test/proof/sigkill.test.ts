import { sigkillProof } from '../crash/sigkill-proof.ts';
import { testProof } from './test-proof.ts';

testProof(sigkillProof);
