/** Starting actors: from the application and by an actor, in memory and journaled. */
import type { ActorRef } from '../../runtime/index.ts';
import type { Definition } from '../../runtime/kernel/definition.ts';
import { erlang } from '../baselines/erlang.ts';
import { lmdbPuts } from '../baselines/lmdb-put.ts';
import { xstateSpawn } from '../baselines/bare-xstate.ts';
import { counter, journaledCounter } from '../actors/counter.ts';
import { spawner, type SpawnRun } from '../actors/driver.ts';
import type { Contender, Metric, Workload } from '../contract.ts';
import { nactSpawn } from '../peers/nact.ts';
import { startSystem } from '../own-system.ts';
import { inFlight, Spawning } from '../pace.ts';

const HOSTS = 2;
const SPAWNS_UNDER_WAY = 2_000;
const RATE: Metric = { name: 'rate', unit: 'spawns/s', better: 'higher' };

const fromOutside = (name: string, label: string, definition: Definition, durable: boolean): Contender => ({
  name,
  kind: 'ours',
  label,
  ...(durable ? {} : { beside: ['xstate-start'] }),
  note: `${SPAWNS_UNDER_WAY.toLocaleString('en-US')} under way`,
  async open(setting) {
    const system = await startSystem({ threads: HOSTS, ...(durable ? { dataDir: setting.dir } : {}) });
    const spawning = new Spawning(setting, async (count, round) => {
      const refs: ActorRef[] = [];
      const startMs = performance.now();
      await inFlight(count, SPAWNS_UNDER_WAY, async (i) => {
        refs[i] = await system.spawn(definition, { id: `${round}-${i}` });
      });
      const tookMs = performance.now() - startMs;
      await inFlight(count, SPAWNS_UNDER_WAY, (i) => (refs[i] as ActorRef).stop());
      return tookMs;
    });
    await spawning.rate();
    return { sample: async () => ({ rate: await spawning.rate() }), close: () => system.stop() };
  },
});

const byActor = (name: string, label: string, definition: Definition, durable: boolean): Contender => ({
  name,
  kind: 'ours',
  label,
  note: 'each answers a question',
  async open(setting) {
    const system = await startSystem({ threads: 1, ...(durable ? { dataDir: setting.dir } : {}) });
    const spawning = new Spawning(setting, async (count, round) => {
      const parent = await system.spawn(spawner, { id: `s-${round}` });
      const ids = Array.from({ length: count }, (_, i) => `${round}-${i}`);
      const startMs = performance.now();
      const spawned = await parent.ask<number>({
        type: 'SPAWN',
        definition: definition.name,
        ids,
      } satisfies SpawnRun);
      const tookMs = performance.now() - startMs;
      if (spawned !== count) throw new Error(`${spawned} spawned of ${count}`);
      // Takes its children along.
      await parent.stop();
      return tookMs;
    });
    await spawning.rate();
    return { sample: async () => ({ rate: await spawning.rate() }), close: () => system.stop() };
  },
});

export const spawnInMemory: Workload = {
  name: 'spawn',
  title: 'Spawn, in memory',
  what: 'Actors started and running; stopping them is not measured.',
  conditions: { durability: 'in memory', messageBytes: 0, concurrency: 'reducer actors', hosts: HOSTS },
  metrics: [RATE],
  contenders: [
    fromOutside('outside', 'await system.spawn from the application, 2 hosts', counter, false),
    byActor('by-actor', 'turn.spawn in a host', counter, false),
    xstateSpawn,
    erlang('spawn', 1, 'Erlang spawn, each answers a question'),
    nactSpawn,
  ],
};

export const spawnDurable: Workload = {
  name: 'spawn-durable',
  title: 'Spawn, durable',
  what: 'Journaled actors started and on disk; stopping them is not measured.',
  conditions: { durability: 'journal, fsync', messageBytes: 0, concurrency: 'reducer actors', hosts: HOSTS },
  metrics: [RATE],
  contenders: [
    fromOutside('outside', 'await system.spawn from the application, 2 hosts', journaledCounter, true),
    byActor('by-actor', 'turn.spawn in a host', journaledCounter, true),
    lmdbPuts,
  ],
};
