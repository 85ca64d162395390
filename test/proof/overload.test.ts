import { overload } from '../overload/overload-proof.ts';
import { testProof } from './test-proof.ts';

testProof(overload);
