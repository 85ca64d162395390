/** AT_MOST_ONCE over a connection that is lost after the server has the message, and before its answer is back. */
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { NatsAdapter } from '../../../../runtime/broker/adapters/nats/nats-adapter.ts';
import { RedisAdapter } from '../../../../runtime/broker/adapters/redis/redis-adapter.ts';
import type { BrokerAdapter } from '../../../../runtime/broker/broker-adapter.ts';
import { carried, ownName, Told } from '../../../support/adapter-bench.ts';
import { dropStreams, NATS_URL, noNats } from '../../../support/nats-server.ts';
import { dropKeys, noRedis, REDIS_URL } from '../../../support/redis-server.ts';
import { until } from '../../../support/until.ts';

interface Relay {
  readonly port: number;
  /** Answers are kept back from the moment at which `word` goes by. */
  holdAnswersTo(word: string): { held(): boolean };
  /** Ends all connections, with what was kept back. */
  cut(): void;
  close(): void;
}

async function relayTo(port: number): Promise<Relay> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let word: string | undefined;
  let isHeld = false;
  const cut = (): void => {
    word = undefined;
    isHeld = false;
    for (const pair of pairs) for (const socket of pair) socket.destroy();
    pairs.clear();
  };
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    const pair = [client, upstream] as const;
    pairs.add(pair);
    client.on('data', (data) => {
      isHeld ||= word !== undefined && data.includes(word);
      upstream.write(data);
    });
    upstream.on('data', (data) => void (isHeld || client.write(data)));
    for (const socket of pair) socket.on('error', () => {}).on('close', () => pair.forEach((one) => one.destroy()));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    holdAnswersTo(held) {
      word = held;
      return { held: () => isHeld };
    },
    cut,
    close() {
      cut();
      server.close();
    },
  };
}

const KINDS = [
  {
    kind: 'redis',
    port: 6_379,
    url: REDIS_URL,
    missing: noRedis,
    make: (name: string, url: string): BrokerAdapter => new RedisAdapter({ name, url }),
    clean: (name: string) => dropKeys(REDIS_URL, name),
  },
  {
    kind: 'nats',
    port: 4_222,
    url: NATS_URL,
    missing: noNats,
    make: (name: string, url: string): BrokerAdapter => new NatsAdapter({ name, url }),
    clean: (name: string) => dropStreams(NATS_URL, name),
  },
];

for (const { kind, port, url, missing, make, clean } of KINDS) {
  const title = missing === undefined ? kind : `${kind} [skipped: ${missing}]`;
  const asked = { subject: '$query.shop.price', kind: 'QUERY', delivery: 'AT_MOST_ONCE' } as const;

  test.skipIf(missing !== undefined)(`${title}: what was heard is not sent again`, async () => {
    const name = ownName('lost');
    const relay = await relayTo(port);
    const told = new Told();
    const [sender, listener] = [make(name, url.replace(/:\d+$/, `:${relay.port}`)), make(name, url)];
    try {
      await sender.open(told);
      await listener.open(new Told());
      const heard: string[] = [];
      await listener.listen('$query.shop.price', undefined, ({ header }) => void heard.push(header.id));
      const answers = relay.holdAnswersTo('once-only');
      const sent = sender.broadcast(carried('once-only', asked));
      await until('it is heard', () => heard.length === 1 && answers.held());
      relay.cut();
      expect(await sent).toBeUndefined();
      await until('the connection', () => told.connections.at(-1) === 'up');
      await sender.broadcast(carried('after', asked));
      await until('the next is heard', () => heard.includes('after'));
      expect(heard).toEqual(['once-only', 'after']);
    } finally {
      await Promise.all([sender.close(), listener.close()]);
      relay.close();
      await clean(name);
    }
  });

  test.skipIf(missing !== undefined)(`${title}: what is sent while there is no connection waits for it`, async () => {
    const name = ownName('lost');
    const relay = await relayTo(port);
    const told = new Told();
    const [sender, listener] = [make(name, url.replace(/:\d+$/, `:${relay.port}`)), make(name, url)];
    try {
      await sender.open(told);
      await listener.open(new Told());
      const heard: string[] = [];
      await listener.listen('news', undefined, ({ header }) => void heard.push(header.id));
      relay.cut();
      await until('it is known', () => told.connections.at(-1) === 'down');
      await sender.broadcast(carried('m1', { subject: 'news', delivery: 'AT_MOST_ONCE' }));
      await until('it is heard', () => heard.length > 0);
      expect(heard).toEqual(['m1']);
    } finally {
      await Promise.all([sender.close(), listener.close()]);
      relay.close();
      await clean(name);
    }
  });
}
