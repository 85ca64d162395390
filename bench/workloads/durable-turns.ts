/** Durable turns of reducer actors: journaled, synced, on two hosts. */
import type { ActorRef } from '../../runtime/index.ts';
import { lmdbBatches, lmdbPuts } from '../baselines/lmdb-put.ts';
import { journaledCounter } from '../actors/counter.ts';
import { order, sizeOf } from '../actors/messages.ts';
import { relay, relayHome, type RelayRun } from '../actors/relay.ts';
import { type Contender, TURNS, type Workload } from '../contract.ts';
import { drivenLoad } from '../driven-load.ts';
import { redisStreams } from '../peers/redis-streams.ts';
import { keyOf } from '../../runtime/kernel/address.ts';
import { idOn, idsOn, startSystem } from '../own-system.ts';
import { inFlight, Pace } from '../pace.ts';

const HOSTS = 2;
/** Actors a host. */
const WIDTH = 32;
/** Tells from outside under way. */
const TELLS = 10_000;
const TOKENS = 4_096;

/** The application tells; each promise resolves when its turn is on disk. */
export const turnsFromOutsideWith = (width: number): Contender => ({
  name: 'outside',
  kind: 'ours',
  label: 'await ref.tell from the application',
  beside: ['lmdb-puts', 'redis-streams', 'bullmq', 'restate', 'dbos'],
  note: `${width.toLocaleString('en-US')} under way`,
  async open({ dir, sampleMs }) {
    const system = await startSystem({ threads: HOSTS, dataDir: dir });
    const ids = [0, 1].flatMap((slot) => idsOn(slot, HOSTS, journaledCounter.name, WIDTH));
    const refs = await Promise.all(ids.map((id) => system.spawn(journaledCounter, { id })));
    let told = 0;
    const pace = new Pace(
      sampleMs,
      async (size) => {
        await inFlight(size, width, (i) => (refs[i % refs.length] as ActorRef).tell(order(i)));
        told += size;
        return size;
      },
      { first: width, most: 500_000 },
    );
    await pace.warmUp();
    return {
      sample: async () => ({ rate: await pace.rate() }),
      async close() {
        const handled = await Promise.all(refs.map((ref) => ref.ask<number>({ type: 'REPORT' })));
        await system.stop();
        const sum = handled.reduce((a, b) => a + b, 0);
        if (sum !== told) throw new Error(`${sum} handled of ${told} told`);
      },
    };
  },
});

export const turnsFromOutside: Contender = turnsFromOutsideWith(TELLS);

/** Drivers in the hosts, in memory, tell durable actors. */
const inHost: Contender = {
  name: 'in-host',
  kind: 'ours',
  label: 'tell inside the hosts',
  beside: ['lmdb-puts', 'lmdb-batches'],
  open: (setting) =>
    drivenLoad(
      {
        system: { threads: HOSTS, dataDir: setting.dir },
        target: journaledCounter,
        kind: 'order',
        width: WIDTH,
        routes: [
          [0, 0],
          [1, 1],
        ],
      },
      setting,
    ),
};

/** Durable actors hand tokens on: each turn consumes a message and sends one, half of them to the other host. */
const relays: Contender = {
  name: 'relay',
  kind: 'ours',
  label: 'durable actor to durable actor',
  beside: ['lmdb-puts'],
  note: `${TOKENS.toLocaleString('en-US')} messages under way`,
  async open({ dir, sampleMs }) {
    const system = await startSystem({ threads: HOSTS, dataDir: dir });
    const ids = ringOf(idsOn(0, HOSTS, relay.name, WIDTH), idsOn(1, HOSTS, relay.name, WIDTH));
    const keys = ids.map((id) => keyOf(relay.name, id));
    await Promise.all(
      ids.map((id, i) => system.spawn(relay, { id, input: { next: keys[(i + 1) % keys.length] as string } })),
    );
    const home = await system.spawn(relayHome, { id: idOn(0, HOSTS, relayHome.name) });
    const pace = new Pace(
      sampleMs,
      async (size) => {
        const hops = Math.max(1, Math.round(size / TOKENS));
        await home.ask({ type: 'START', relays: keys, tokens: TOKENS, hops } satisfies RelayRun);
        return hops * TOKENS;
      },
      { first: TOKENS * 4 },
    );
    await pace.warmUp();
    return { sample: async () => ({ rate: await pace.rate() }), close: () => system.stop() };
  },
};

/** Two of the one, two of the other, and so on: every second step goes to the other host. */
function ringOf(one: readonly string[], other: readonly string[]): string[] {
  const ring: string[] = [];
  for (let i = 0; i < one.length; i += 2) ring.push(...one.slice(i, i + 2), ...other.slice(i, i + 2));
  return ring;
}

export const durableTurns: Workload = {
  name: 'durable-turns',
  title: 'Durable turns, reducers',
  what: 'Each message is a turn: journaled, synced, then acknowledged. 64 actors on two hosts.',
  conditions: { durability: 'journal, fsync', messageBytes: sizeOf('order'), concurrency: '64 actors', hosts: HOSTS },
  metrics: [TURNS],
  contenders: [turnsFromOutside, inHost, relays, lmdbPuts, lmdbBatches, redisStreams],
};
