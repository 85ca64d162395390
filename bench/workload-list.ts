/**
 * Every workload, in the order of the table.
 *
 * Owns: the list, and finding a contender in it by name.
 */
import type { Contender, Workload } from './contract.ts';
import { GROWTH } from './growth/growth-list.ts';
import { PEERS } from './peers/peer-list.ts';
import type { Part } from './results-file.ts';
import { breakerCheck } from './workloads/breaker-check.ts';
import { ask } from './workloads/ask.ts';
import { brokerNats } from './workloads/broker-nats.ts';
import { brokerRedis } from './workloads/broker-redis.ts';
import { brokerBacklog, brokerFanOut, brokerRate, brokerTrip } from './workloads/broker.ts';
import { durableAsk } from './workloads/durable-ask.ts';
import { durableMachine } from './workloads/durable-machine.ts';
import { durableTurns } from './workloads/durable-turns.ts';
import { idleHeap } from './workloads/idle-heap.ts';
import { machineStep } from './workloads/machine-step.ts';
import { million } from './workloads/million.ts';
import { replay, restartAll } from './workloads/replay.ts';
import { spawnDurable, spawnInMemory } from './workloads/spawn.ts';
import { subjectMatch } from './workloads/subject-match.ts';
import { tellAcrossHosts } from './workloads/tell-across-hosts.ts';
import { tellInHost } from './workloads/tell-in-host.ts';
import { workflowAsleep, workflowRestart, workflowWake } from './workloads/workflow-left.ts';
import { workflowRate, workflowSaga, workflowTrip } from './workloads/workflow.ts';

export const WORKLOADS: readonly Workload[] = [
  tellInHost,
  tellAcrossHosts,
  ask,
  machineStep,
  durableTurns,
  durableMachine,
  durableAsk,
  workflowRate,
  workflowTrip,
  workflowSaga,
  workflowAsleep,
  workflowWake,
  workflowRestart,
  spawnInMemory,
  spawnDurable,
  replay,
  restartAll,
  idleHeap,
  million,
  breakerCheck,
  subjectMatch,
  brokerRedis,
  brokerNats,
  brokerRate,
  brokerTrip,
  brokerFanOut,
  brokerBacklog,
];

/** Those of each command. */
export const PARTS: Readonly<Record<Part, readonly Workload[]>> = { main: WORKLOADS, peers: PEERS, growth: GROWTH };
export const ALL: readonly Workload[] = Object.values(PARTS).flat();

export function contenderOf(workload: string, name: string): Contender {
  const found = ALL.find((one) => one.name === workload)?.contenders.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no contender ${name} in workload ${workload}`);
  return found;
}
