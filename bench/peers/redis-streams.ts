/**
 * Redis Streams with a consumer group: added, read, handled, acknowledged.
 *
 * Owns: the fastest plain way that we know: commands pipelined, 1,000 entries a read, one acknowledgement a read.
 */
import { type Order, order } from '../actors/messages.ts';
import { NOTHING, tally } from '../actors/tally.ts';
import type { Contender } from '../contract.ts';
import { inFlight, Pace, roundTrips } from '../pace.ts';
import { latencies } from '../statistics.ts';
import { versioned } from './packages.ts';
import { missingRedis, type RedisClient, startRedis } from './redis.ts';

const STREAM = 'orders';
const GROUP = 'handlers';
const UNDER_WAY = 5_000;
const READ = 1_000;

/** Entries handled and acknowledged a second. */
export const redisStreams: Contender = {
  name: 'redis-streams',
  kind: 'baseline',
  label: 'Redis Streams',
  note: `XADD with ${UNDER_WAY.toLocaleString('en-US')} under way, XREADGROUP ${READ.toLocaleString('en-US')}, one XACK a read`,
  missing: missingRedis,
  async open({ dir, sampleMs }) {
    const redis = await startRedis(dir);
    const [adding, reading, acking] = [redis.client(), redis.client(), redis.client()];
    await adding.call('XGROUP', 'CREATE', STREAM, GROUP, '$', 'MKSTREAM');
    let state = NOTHING;
    let added = 0;
    const pace = new Pace(
      sampleMs,
      async (size) => {
        const handled = handle(reading, acking, size, (message) => {
          state = tally(state, message);
        });
        await inFlight(size, UNDER_WAY, (i) => adding.call('XADD', STREAM, '*', 'order', JSON.stringify(order(i))));
        await handled;
        added += size;
        if (state.handled !== added) throw new Error(`${state.handled} handled of ${added} added`);
        // What is acknowledged is of no more use to a queue.
        await adding.call('XTRIM', STREAM, 'MAXLEN', 0);
        return size;
      },
      { first: READ, most: 200_000 },
    );
    await pace.warmUp();
    return {
      note: `${versioned('ioredis')}, ${redis.note}`,
      sample: async () => ({ rate: await pace.rate() }),
      async close() {
        for (const client of [adding, reading, acking]) client.disconnect();
        await redis.stop();
      },
    };
  },
};

/** From adding one entry until it is handled and acknowledged. */
export const redisStreamsTrip: Contender = {
  name: 'redis-streams',
  kind: 'baseline',
  label: 'Redis Streams: XADD, XREADGROUP, XACK',
  missing: missingRedis,
  async open({ dir, sampleMs }) {
    const redis = await startRedis(dir);
    const [adding, reading, acking] = [redis.client(), redis.client(), redis.client()];
    await adding.call('XGROUP', 'CREATE', STREAM, GROUP, '$', 'MKSTREAM');
    let id = 0;
    const trip = async (): Promise<void> => {
      const handled = handle(reading, acking, 1, () => {});
      await adding.call('XADD', STREAM, '*', 'order', JSON.stringify(order(id++)));
      await handled;
    };
    await roundTrips(sampleMs, 50, trip);
    return {
      note: `${versioned('ioredis')}, ${redis.note}`,
      sample: async () => latencies(await roundTrips(sampleMs, 50, trip)),
      async close() {
        for (const client of [adding, reading, acking]) client.disconnect();
        await redis.stop();
      },
    };
  },
};

type Entry = readonly [id: string, fields: readonly string[]];

/** Handles and acknowledges the next `count` entries. */
async function handle(
  reading: RedisClient,
  acking: RedisClient,
  count: number,
  each: (message: Order) => void,
): Promise<void> {
  const acks: Promise<unknown>[] = [];
  for (let left = count; left > 0; ) {
    const read = await reading.call(
      ...(['XREADGROUP', 'GROUP', GROUP, 'one', 'COUNT', READ, 'BLOCK', 1_000, 'STREAMS', STREAM, '>'] as const),
    );
    const entries = (read as readonly [string, readonly Entry[]][] | null)?.[0]?.[1] ?? [];
    if (entries.length === 0) continue;
    for (const [, [, json = '']] of entries) each(JSON.parse(json) as Order);
    left -= entries.length;
    acks.push(acking.call('XACK', STREAM, GROUP, ...entries.map(([id]) => id)));
  }
  await Promise.all(acks);
}
