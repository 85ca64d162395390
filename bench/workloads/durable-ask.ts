/** A durable question, one at a time: the answer comes when the turn is on disk. */
import { lmdbOnePut } from '../baselines/lmdb-put.ts';
import { journaledEcho } from '../actors/echo.ts';
import { order, sizeOf } from '../actors/messages.ts';
import { type Contender, P50, P99, type Workload } from '../contract.ts';
import { startSystem } from '../own-system.ts';
import { roundTrips } from '../pace.ts';
import { latencies } from '../statistics.ts';

export const askFromOutside: Contender = {
  name: 'outside',
  kind: 'ours',
  label: 'application → host → journal → application',
  async open({ dir, sampleMs }) {
    const system = await startSystem({ threads: 1, dataDir: dir });
    const target = await system.spawn(journaledEcho, { id: 'e' });
    let i = 0;
    const trip = (): Promise<unknown> => target.ask(order(i++));
    await roundTrips(sampleMs, 100, trip);
    return {
      sample: async () => latencies(await roundTrips(sampleMs, 100, trip)),
      close: () => system.stop(),
    };
  },
};

export const durableAsk: Workload = {
  name: 'durable-ask',
  title: 'Durable ask, round trip',
  what: 'The application asks a journaled actor; the next question follows the answer.',
  conditions: { durability: 'journal, fsync', messageBytes: sizeOf('order'), concurrency: '1 under way', hosts: 1 },
  metrics: [P50, P99],
  contenders: [askFromOutside, lmdbOnePut],
};
