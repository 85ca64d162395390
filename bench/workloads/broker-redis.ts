/** The broker's adapter for Redis beside a loop written by hand. */
import { RedisAdapter } from '../../runtime/broker/adapters/redis/redis-adapter.ts';
import { sizeOf } from '../actors/messages.ts';
import { missingRedisServer, ownRedis, redisLoop } from '../baselines/redis-loop.ts';
import { RATE, type Workload } from '../contract.ts';
import { throughAdapter, UNDER_WAY } from './broker-server.ts';

export const brokerRedis: Workload = {
  name: 'broker-redis',
  title: 'Broker on Redis Streams',
  what:
    'From accepting the first message until the last one is handled and settled, both on disk. Ours: duplicates known by id, ' +
    'receipts, order per key; the loop has none of them.',
  conditions: {
    durability: 'appendfsync always',
    messageBytes: sizeOf('order'),
    concurrency: `${UNDER_WAY.toLocaleString('en-US')} under way`,
    hosts: 0,
  },
  metrics: [RATE],
  contenders: [
    {
      name: 'adapter',
      kind: 'ours',
      label: 'adapter',
      missing: missingRedisServer,
      async open(setting) {
        const { port, note, stop } = await ownRedis(setting.dir);
        return throughAdapter(
          new RedisAdapter({ name: 'bench', url: `redis://127.0.0.1:${port}` }),
          setting,
          note,
          stop,
        );
      },
    },
    {
      name: 'redis-loop',
      kind: 'baseline',
      label: 'XADD, XREADGROUP, XACK, XDEL by hand',
      missing: missingRedisServer,
      open: redisLoop,
    },
  ],
};
