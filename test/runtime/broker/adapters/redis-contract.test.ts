/** The adapter's contract on Redis, by each of the two clients. */
import { createClient } from '@redis/client';
import { RedisAdapter } from '../../../../runtime/broker/adapters/redis/redis-adapter.ts';
import { adapterSuite } from '../../../contract/adapter-suite.ts';
import { dropKeys, noRedis, REDIS_URL } from '../../../support/redis-server.ts';

const clean = (broker: string): Promise<void> => dropKeys(REDIS_URL, broker);

adapterSuite('ioredis', { make: (name) => new RedisAdapter({ name, url: REDIS_URL }), clean }, noRedis);
adapterSuite(
  'node-redis',
  { make: (name) => new RedisAdapter({ name, client: createClient({ url: REDIS_URL }) }), clean },
  noRedis,
);
