/** How cost grows: the workloads of `npm run bench -- --growth`, each one a plot. */
import type { Workload } from '../contract.ts';
import { actors } from './actors.ts';
import { hosts } from './hosts.ts';
import { memory } from './memory.ts';
import { messageSize } from './message-size.ts';
import { recovery } from './recovery.ts';
import { runMemory, runTime } from './run-size.ts';
import { underWay } from './under-way.ts';

export const GROWTH: readonly Workload[] = [messageSize, underWay, actors, hosts, memory, recovery, runTime, runMemory];
