import { queueSoak } from '../soak/queue-soak.ts';
import { testProof } from './test-proof.ts';

testProof(queueSoak);
