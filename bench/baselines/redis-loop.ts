/**
 * What a message costs on Redis Streams without a broker: XADD, XREADGROUP, XACK and XDEL, written by hand.
 *
 * Owns: a Redis of its own with `appendfsync always`, and the loop: commands pipelined, 1,000 entries a read, one acknowledgement a read.
 * It has no duplicates, no receipts, no retries and no dead letters.
 */
import { Redis } from 'ioredis';
import { type Order, order } from '../actors/messages.ts';
import { NOTHING, tally } from '../actors/tally.ts';
import type { Contestant, Setting } from '../contract.ts';
import { inFlight, Pace } from '../pace.ts';
import { answers, freePort, onPath, Server } from '../peers/server.ts';
import { FIRST_BATCH, MOST_A_BATCH, UNDER_WAY } from '../workloads/broker-server.ts';

const READ = 1_000;

export const missingRedisServer = (): string | undefined =>
  onPath('redis-server') ? undefined : 'redis-server is not on the PATH';

export async function ownRedis(dir: string): Promise<{ port: number; note: string; stop: () => Promise<void> }> {
  const port = await freePort();
  const options = { port: String(port), bind: '127.0.0.1', dir, appendonly: 'yes', appendfsync: 'always', save: '' };
  const server = await Server.start({
    command: 'redis-server',
    args: Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]),
    dir,
    ready: () => answers(port),
  });
  const asking = new Redis(port);
  const version = /redis_version:(\S+)/.exec(await asking.info('server'))?.[1] ?? 'of unknown version';
  asking.disconnect();
  return { port, note: `Redis ${version}, appendfsync always, ioredis`, stop: () => server.stop() };
}

type Read = readonly (readonly [string, readonly (readonly [string, readonly string[]])[]])[] | null;

export async function redisLoop({ dir, sampleMs }: Setting): Promise<Contestant> {
  const redis = await ownRedis(dir);
  const [adding, reading, acking] = [new Redis(redis.port), new Redis(redis.port), new Redis(redis.port)];
  await adding.xgroup('CREATE', 'orders', 'handlers', '$', 'MKSTREAM');
  let state = NOTHING;
  let added = 0;
  const handle = async (count: number): Promise<void> => {
    const acks: Promise<unknown>[] = [];
    for (let left = count; left > 0; ) {
      const read = (await reading.xreadgroup(
        ...(['GROUP', 'handlers', 'one', 'COUNT', READ, 'BLOCK', 1_000, 'STREAMS', 'orders', '>'] as const),
      )) as Read;
      const entries = read?.[0]?.[1] ?? [];
      if (entries.length === 0) continue;
      for (const [, [, json = '']] of entries) state = tally(state, JSON.parse(json) as Order);
      left -= entries.length;
      const ids = entries.map(([id]) => id);
      acks.push(acking.xack('orders', 'handlers', ...ids), acking.xdel('orders', ...ids));
    }
    await Promise.all(acks);
  };
  const pace = new Pace(
    sampleMs,
    async (size) => {
      const settled = handle(size);
      await inFlight(size, UNDER_WAY, (i) => adding.xadd('orders', '*', 'order', JSON.stringify(order(i))));
      await settled;
      added += size;
      if (state.handled !== added) throw new Error(`${state.handled} handled of ${added} added`);
      return size;
    },
    { first: FIRST_BATCH, most: MOST_A_BATCH },
  );
  await pace.warmUp();
  return {
    note: redis.note,
    sample: async () => ({ rate: await pace.rate() }),
    async close() {
      for (const client of [adding, reading, acking]) client.disconnect();
      await redis.stop();
    },
  };
}
