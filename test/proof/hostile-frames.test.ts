import { hostileFrames } from '../hostile/hostile-frames.ts';
import { testProof } from './test-proof.ts';

testProof(hostileFrames);
