import { machineFaults } from '../machine/machine-faults.ts';
import { testProof } from './test-proof.ts';

testProof(machineFaults);
