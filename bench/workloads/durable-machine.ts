/** Durable turns of XState machines, beside the same machines in memory. */
import { xstateMachine } from '../baselines/bare-xstate.ts';
import { breaker, journaledBreaker } from '../actors/breaker.ts';
import { sizeOf } from '../actors/messages.ts';
import { type Contender, TURNS, type Workload } from '../contract.ts';
import { drivenLoad } from '../driven-load.ts';

const HOSTS = 2;
const WIDTH = 32;
const BOTH = [
  [0, 0],
  [1, 1],
] as const;

const durable: Contender = {
  name: 'durable',
  kind: 'ours',
  label: 'journaled machines',
  open: (setting) =>
    drivenLoad(
      {
        system: { threads: HOSTS, dataDir: setting.dir },
        target: journaledBreaker,
        kind: 'breaker',
        width: WIDTH,
        routes: BOTH,
      },
      setting,
    ),
};

/** Ours too, but what durability costs is read off the distance to it. */
const inMemory: Contender = {
  name: 'in-memory',
  kind: 'baseline',
  label: 'the same machines here, durability: none',
  open: (setting) =>
    drivenLoad({ system: { threads: HOSTS }, target: breaker, kind: 'breaker', width: WIDTH, routes: BOTH }, setting),
};

export const durableMachine: Workload = {
  name: 'durable-machine',
  title: 'Durable turns, XState machines',
  what: 'On each of two hosts one actor sends events to 32 journaled circuit breakers.',
  conditions: {
    durability: 'journal, fsync',
    messageBytes: sizeOf('breaker'),
    concurrency: '64 machines',
    hosts: HOSTS,
  },
  metrics: [TURNS],
  contenders: [durable, inMemory, xstateMachine(WIDTH)],
};
