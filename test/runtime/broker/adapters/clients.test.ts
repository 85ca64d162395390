/** Which client an adapter takes, whose it is, and servers that are too old. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { connect } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { NatsAdapter } from '../../../../runtime/broker/adapters/nats/nats-adapter.ts';
import { RedisAdapter } from '../../../../runtime/broker/adapters/redis/redis-adapter.ts';
import type { BrokerAdapter } from '../../../../runtime/broker/broker-adapter.ts';
import { carried, handled, ownName, specOf, Taker, Told } from '../../../support/adapter-bench.ts';
import { dropStreams, NATS_URL, noNats } from '../../../support/nats-server.ts';
import { dropKeys, noRedis, REDIS_URL } from '../../../support/redis-server.ts';
import { errorOf, until } from '../../../support/until.ts';

const PROCESS = fileURLToPath(new URL('../../../support/opened-without.ts', import.meta.url));

const openedWithout = async (url: string, packages: string): Promise<Record<string, string>> => {
  const { stdout } = await promisify(execFile)(process.execPath, [PROCESS, url, packages]);
  return JSON.parse(stdout) as Record<string, string>;
};

test('without a client of Redis the packages are named', async () => {
  const { code, message } = await openedWithout(REDIS_URL, 'ioredis,@redis/client,redis');
  expect(code).toBe('MISSING_PACKAGE');
  expect(message).toContain('npm install ioredis');
});

test.each(['@nats-io/transport-node', '@nats-io/jetstream'])('without %s the packages are named', async (missing) => {
  const { code, message } = await openedWithout(NATS_URL, missing);
  expect(code).toBe('MISSING_PACKAGE');
  expect(message).toContain('npm install @nats-io/transport-node @nats-io/jetstream');
});

test.skipIf(noRedis !== undefined).each([
  ['@redis/client', 'ioredis'],
  ['redis', 'ioredis,redis=@redis/client'],
])(
  `%s is taken where it is the one that is installed${noRedis === undefined ? '' : ` [skipped: ${noRedis}]`}`,
  async (_what, packages) => {
    const { opened, message } = await openedWithout(REDIS_URL, packages);
    expect(message).toBeUndefined();
    await dropKeys(REDIS_URL, opened ?? '');
  },
);

const worksOnce = async (adapter: BrokerAdapter): Promise<void> => {
  await adapter.open(new Told());
  const heard: string[] = [];
  await adapter.listen('orders.>', undefined, ({ header }) => void heard.push(header.id));
  const taker = await Taker.join(adapter, specOf('a'));
  await adapter.accept(carried('m1'));
  await taker.settle(await taker.next(), handled);
  expect((await adapter.receipt('m1'))?.status).toBe('handled');
  await until('it is heard', () => heard.includes('m1'));
  await adapter.close();
};

test.skipIf(noRedis !== undefined)(
  'a client of ioredis that is handed in is a pattern, and stays as it is',
  async () => {
    const name = ownName('handed');
    // What would disturb the adapter's own connections: a prefix, a queue while offline, commands that are sent again.
    const client = new Redis(REDIS_URL, { keyPrefix: 'mine:', enableAutoPipelining: true, maxRetriesPerRequest: 3 });
    try {
      await worksOnce(new RedisAdapter({ name, client }));
      expect(await client.ping()).toBe('PONG');
    } finally {
      client.disconnect();
      await dropKeys(REDIS_URL, name);
    }
  },
);

test('what is no client of Redis is refused', () => {
  expect(() => new RedisAdapter({ name: 'x', client: {} as never })).toThrow(
    expect.objectContaining({ code: 'BROKER_CONFIGURATION' }),
  );
});

test.skipIf(noNats !== undefined)('a connection to NATS that is handed in is used, and stays open', async () => {
  const name = ownName('handed');
  const connection = await connect({ servers: NATS_URL.replace('nats://', '') });
  try {
    await worksOnce(new NatsAdapter({ name, client: connection }));
    expect(connection.isClosed()).toBe(false);
    await connection.flush();
    // None of what the adapter had subscribed to is left.
    const subscriptions = (connection as unknown as { protocol: { subscriptions: { size(): number } } }).protocol;
    expect(subscriptions.subscriptions.size()).toBeLessThanOrEqual(1);
  } finally {
    await connection.close();
    await dropStreams(NATS_URL, name);
  }
});

/** Answers each thing that is said to it. */
const serverThat = async (greets: string, answers: (said: string) => string) => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.write(greets);
    socket.on('error', () => {}).on('data', (data) => socket.write(answers(data.toString())));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
};

const refusalOf = async (adapter: BrokerAdapter) => {
  try {
    return await errorOf(adapter.open(new Told()));
  } finally {
    await adapter.close();
  }
};

test('a Redis that is too old is refused, with its version and the one that is needed', async () => {
  const info = 'redis_version:6.0.16\r\nloading:0\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n';
  using server = await serverThat('', (said) =>
    Array.from(said.matchAll(/^\*\d+\r\n\$\d+\r\n(\w+)/gm), ([, command = '']) =>
      /^info$/i.test(command) ? `$${info.length}\r\n${info}\r\n` : '+OK\r\n',
    ).join(''),
  );
  const url = `redis://127.0.0.1:${server.port}`;
  const error = await refusalOf(new RedisAdapter({ name: 'old', url, callTimeoutMs: 5_000 }));
  expect(error).toMatchObject({ code: 'BROKER_CONFIGURATION', details: { version: '6.0.16' } });
  expect(error.message).toContain('at least 6.2');
});

test('a NATS that is too old is refused, with its version and the one that is needed', async () => {
  const info = { server_id: 'old', version: '2.8.4', proto: 1, headers: true, max_payload: 1_048_576, jetstream: true };
  using server = await serverThat(`INFO ${JSON.stringify(info)}\r\n`, (said) =>
    said.includes('PING') ? 'PONG\r\n' : '',
  );
  const url = `nats://127.0.0.1:${server.port}`;
  const error = await refusalOf(new NatsAdapter({ name: 'old', url, callTimeoutMs: 5_000 }));
  expect(error).toMatchObject({ code: 'BROKER_CONFIGURATION', details: { version: '2.8.4' } });
  expect(error.message).toContain('at least 2.9');
});
