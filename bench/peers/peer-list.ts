/**
 * What users would otherwise pick, on the same work, within one class of durability.
 *
 * Owns: the workloads of `npm run bench -- --peers`. In the durable ones every contender has flushed its log to disk before it says
 * that a message is handled; what each server says of its settings is in its note. In memory means in memory for all.
 */
import { sizeOf } from '../actors/messages.ts';
import { type Contender, P50, P99, type Workload } from '../contract.ts';
import { breakerCheck } from '../workloads/breaker-check.ts';
import { ask } from '../workloads/ask.ts';
import { askFromOutside } from '../workloads/durable-ask.ts';
import { brokerActor, brokerFunction, brokerTripFromOutside } from '../workloads/broker.ts';
import { turnsFromOutside } from '../workloads/durable-turns.ts';
import { spawnInMemory } from '../workloads/spawn.ts';
import { tellInHost } from '../workloads/tell-in-host.ts';
import { underWay, workflowRestart } from '../workloads/workflow-left.ts';
import { engineRate, engineSaga, engineTrip, workflowRate, workflowSaga, workflowTrip } from '../workloads/workflow.ts';
import { bullmq, bullmqTrip } from './bullmq.ts';
import { dbosDeclined, dbosLeft, dbosThree, dbosThreeTrip } from './dbos-workflows.ts';
import { dbos, dbosTrip } from './dbos.ts';
import { redisStreams, redisStreamsTrip } from './redis-streams.ts';
import { restateDeclined, restateThree, restateThreeTrip } from './restate-workflows.ts';
import { restate, restateTrip } from './restate.ts';

const messageBytes = sizeOf('order');

const durableRate: Workload = {
  name: 'peer-durable-rate',
  title: 'Durable messages, handled',
  what:
    'From handing the first message to the product until the last one is handled, with the disk flushed for each step that the ' +
    'product promises to remember. Application and handlers are in one process.',
  conditions: { durability: 'synced to disk', messageBytes, concurrency: 'as said', hosts: 2 },
  metrics: [{ name: 'rate', unit: 'msg/s', better: 'higher' }],
  contenders: [turnsFromOutside, redisStreams, bullmq, restate, dbos],
};

const durableTrip: Workload = {
  name: 'peer-durable-trip',
  title: 'Durable request, one at a time',
  what: 'From handing one message to the product until its result is known and durable; then the next.',
  conditions: { durability: 'synced to disk', messageBytes, concurrency: '1 under way', hosts: 1 },
  metrics: [P50, P99],
  contenders: [askFromOutside, redisStreamsTrip, bullmqTrip, restateTrip, dbosTrip],
};

const brokerRate: Workload = {
  name: 'peer-broker-rate',
  title: 'Messages by way of a broker, handled',
  what: 'From publish until it is known and durable that the message was handled. Application and handlers are in one process.',
  conditions: { durability: 'synced to disk', messageBytes, concurrency: 'as said', hosts: 1 },
  metrics: [{ name: 'rate', unit: 'msg/s', better: 'higher' }],
  contenders: [brokerFunction, brokerActor, redisStreams, bullmq],
};

const brokerTrip: Workload = {
  name: 'peer-broker-trip',
  title: 'A message by way of a broker, one at a time',
  what: 'Ours: from publish until the handler begins. The others: from handing it over until its result is known.',
  conditions: { durability: 'synced to disk', messageBytes, concurrency: '1 under way', hosts: 1 },
  metrics: [P50, P99],
  contenders: [brokerTripFromOutside(1), redisStreamsTrip, bullmqTrip],
};

/** A part of a workload of ours: the contenders that are named. */
const partOf = (workload: Workload, name: string, contenders: readonly string[]): Workload => ({
  ...workload,
  name,
  contenders: workload.contenders.filter((contender) => contenders.includes(contender.name)),
});

/** A workload of ours with other products in it. */
const withPeers = (workload: Workload, contenders: readonly Contender[], what = workload.what): Workload => ({
  ...workload,
  name: `peer-${workload.name}`,
  what,
  conditions: { ...workload.conditions, durability: 'synced to disk' },
  contenders,
});

const steps =
  'From starting a workflow until its result is known and durable. Our steps are commands to a journaled actor on another thread, which ' +
  'commits what it does; those of the others are functions whose results they record.';

export const PEERS: readonly Workload[] = [
  withPeers(workflowRate, [engineRate, restateThree, dbosThree], steps),
  withPeers(workflowTrip, [engineTrip, restateThreeTrip, dbosThreeTrip], `${steps} The next one follows the result.`),
  withPeers(
    workflowSaga,
    [engineSaga, restateDeclined, dbosDeclined],
    `${steps} The third fails, and the first two are undone, in reverse order.`,
  ),
  withPeers(workflowRestart, [underWay, dbosLeft]),
  durableRate,
  durableTrip,
  brokerRate,
  brokerTrip,
  partOf(tellInHost, 'peer-tell', ['thread', 'xstate-send', 'erlang', 'nact']),
  partOf(ask, 'peer-ask', ['in-host', 'erlang', 'nact']),
  partOf(breakerCheck, 'peer-breaker', ['execute', 'cockatiel', 'opossum']),
  partOf(spawnInMemory, 'peer-spawn', ['by-actor', 'xstate-start', 'erlang', 'nact']),
];
