/** Redis fails, or is not as it must be. */
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { RedisAdapter } from '../../../../runtime/broker/adapters/redis/redis-adapter.ts';
import { failureSuite } from '../../../contract/failure-suite.ts';
import { carried, Told } from '../../../support/adapter-bench.ts';
import { noRedisServer, OwnRedis } from '../../../support/redis-server.ts';
import { tmpDir } from '../../../support/tmp-dir.ts';
import { errorOf } from '../../../support/until.ts';

failureSuite(
  'redis',
  {
    start: (dir) => OwnRedis.start(dir),
    make: (url, name, options) => new RedisAdapter({ name, url, ...options }),
    async litter(url, name) {
      const redis = new Redis(url);
      const stream = `cb:{${name}}:q:a`;
      await redis.xadd(stream, '*', 'foo', 'bar');
      await redis.xadd(stream, '*', 'ashop', 'no frame');
      await redis.xadd(stream, '*', 'mshop', Buffer.from('8\n{"id":7}\xff\0', 'latin1'), 'b', 'soon');
      redis.disconnect();
      return 3;
    },
  },
  noRedisServer,
);

const it = (name: string, options: Record<string, string>, body: (server: OwnRedis) => Promise<void>): void => {
  const title = noRedisServer === undefined ? name : `${name} [skipped: ${noRedisServer}]`;
  test.skipIf(noRedisServer !== undefined)(title, async () => {
    await using dir = await tmpDir('redis');
    const server = await OwnRedis.start(dir.path, options);
    try {
      await body(server);
    } finally {
      await server.kill();
    }
  });
};

const refusal = async (url: string): Promise<Error & { code?: string }> => {
  const adapter = new RedisAdapter({ name: 'refused', url, callTimeoutMs: 2_000 });
  try {
    return await errorOf(adapter.open(new Told()));
  } finally {
    await adapter.close();
  }
};

it('a Redis that evicts is refused, with the remedy', { 'maxmemory-policy': 'allkeys-lru' }, async ({ url }) => {
  const error = await refusal(url);
  expect(error).toMatchObject({ code: 'BROKER_CONFIGURATION', details: { maxmemoryPolicy: 'allkeys-lru' } });
  expect(error.message).toContain('maxmemory-policy noeviction');
});

it('wrong credentials are a fault of configuration, and do not show the password', { requirepass: 's3cret' }, async ({
  url,
}) => {
  for (const wrong of [url, url.replace('//', '//default:wr0ng@')]) {
    const error = await refusal(wrong);
    expect([error.code, error.message.includes('wr0ng')]).toEqual(['BROKER_CONFIGURATION', false]);
  }
  const adapter = new RedisAdapter({ name: 'right', url: url.replace('//', '//default:s3cret@') });
  await adapter.open(new Told());
  expect(adapter.durability).toEqual(expect.objectContaining({ appendOnly: true, appendFsync: 'always' }));
  await adapter.close();
});

it('a database that the server has not is refused; one that it has is used', {}, async ({ url }) => {
  for (const none of ['999', '16', '99999999999999999999']) {
    const error = await refusal(`${url}/${none}`);
    expect([none, error.code]).toEqual([none, 'BROKER_CONFIGURATION']);
    expect(error.message).toContain('databases');
  }
  const adapter = new RedisAdapter({ name: 'third', url: `${url}/3` });
  await adapter.open(new Told());
  await adapter.accept(carried('m1'));
  await adapter.close();
  const redis = new Redis(url);
  expect(await redis.dbsize()).toBe(0);
  await redis.select(3);
  expect(await redis.dbsize()).toBeGreaterThan(0);
  redis.disconnect();
});

test.each([
  'redis://127.0.0.1/abc',
  'redis://127.0.0.1/-1',
  'redis://127.0.0.1/1/2',
  'http://127.0.0.1:6379',
  'redis:',
  'not a url',
  '',
])('the URL %o is none of Redis', (url) => {
  expect(() => new RedisAdapter({ name: 'x', url })).toThrow(expect.objectContaining({ code: 'BROKER_CONFIGURATION' }));
});
