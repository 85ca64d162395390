import { threadDeathProof } from '../threads/thread-death-proof.ts';
import { testProof } from './test-proof.ts';

testProof(threadDeathProof);
