/** TLS to Redis and NATS, with a CA that Node does not know. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { connect } from '@nats-io/transport-node';
import { createClient } from '@redis/client';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { NatsAdapter } from '../../../../runtime/broker/adapters/nats/nats-adapter.ts';
import { RedisAdapter } from '../../../../runtime/broker/adapters/redis/redis-adapter.ts';
import type { BrokerAdapter } from '../../../../runtime/broker/broker-adapter.ts';
import { carried, handled, specOf, Taker, Told } from '../../../support/adapter-bench.ts';
import { noNatsServer, OwnNats } from '../../../support/nats-server.ts';
import { noRedisServer, OwnRedis } from '../../../support/redis-server.ts';
import { noOpenssl, type TestCertificates, testCertificates } from '../../../support/test-certificates.ts';
import { tmpDir } from '../../../support/tmp-dir.ts';
import { errorOf } from '../../../support/until.ts';

const PROCESS = fileURLToPath(new URL('../../../support/adapter-process.ts', import.meta.url));

interface Secure {
  readonly url: string;
  readonly port: number;
  kill(): Promise<void>;
}

interface Kind {
  readonly kind: string;
  readonly missing: string | undefined;
  start(dir: string, certificates: TestCertificates): Promise<Secure>;
  /** As its URL says. */
  byUrl(url: string): BrokerAdapter;
  /** With clients that know the CA, and what closes them. */
  byClient(port: number, ca: string): Promise<readonly (readonly [BrokerAdapter, () => unknown])[]>;
}

const KINDS: readonly Kind[] = [
  {
    kind: 'redis',
    missing: noRedisServer ?? noOpenssl,
    async start(dir, { ca, cert, key }) {
      const tls = { 'tls-cert-file': cert, 'tls-key-file': key, 'tls-ca-cert-file': ca, 'tls-auth-clients': 'no' };
      const server = await OwnRedis.start(dir, { ...tls, port: '0' }, 'tls-port');
      return { url: `rediss://127.0.0.1:${server.port}`, port: server.port, kill: () => server.kill() };
    },
    byUrl: (url) => new RedisAdapter({ name: 'secret', url, callTimeoutMs: 5_000 }),
    async byClient(port, ca) {
      const ioredis = new Redis({ host: '127.0.0.1', port, tls: { ca }, lazyConnect: true });
      const nodeRedis = createClient({ socket: { host: '127.0.0.1', port, tls: true, ca } });
      return [ioredis, nodeRedis].map((client) => [new RedisAdapter({ name: 'secret', client }), () => {}] as const);
    },
  },
  {
    kind: 'nats',
    missing: noNatsServer ?? noOpenssl,
    async start(dir, { cert, key }) {
      const server = await OwnNats.start(dir, `tls { cert_file: "${cert}", key_file: "${key}" }`);
      return { url: `tls://localhost:${server.port}`, port: server.port, kill: () => server.kill() };
    },
    byUrl: (url) => new NatsAdapter({ name: 'secret', url, callTimeoutMs: 5_000 }),
    async byClient(port, ca) {
      const client = await connect({ servers: `localhost:${port}`, tls: { ca } });
      return [[new NatsAdapter({ name: 'secret', client }), () => client.close()]];
    },
  },
];

for (const { kind, missing, start, byUrl, byClient } of KINDS) {
  const it = (name: string, body: (server: Secure, certificates: TestCertificates) => Promise<void>): void => {
    const title = `${kind}: ${name}${missing === undefined ? '' : ` [skipped: ${missing}]`}`;
    test.skipIf(missing !== undefined)(title, async () => {
      await using dir = await tmpDir(`tls-${kind}`);
      const certificates = await testCertificates(dir.path);
      const server = await start(dir.path, certificates);
      try {
        await body(server, certificates);
      } finally {
        await server.kill();
      }
    });
  };

  it('a certificate of an unknown CA is a fault of configuration, with the remedy', async ({ url }) => {
    const adapter = byUrl(url);
    const error = await errorOf(adapter.open(new Told()));
    await adapter.close();
    expect(error.code).toBe('BROKER_CONFIGURATION');
    expect(error.message).toContain('NODE_EXTRA_CA_CERTS');
  });

  it('by a client that knows the CA', async ({ port }, { ca }) => {
    for (const [adapter, close] of await byClient(port, readFileSync(ca, 'utf8'))) {
      await adapter.open(new Told());
      const taker = await Taker.join(adapter, specOf('a'));
      await adapter.accept(carried(`m${Math.random()}`));
      await taker.settle(await taker.next(), handled);
      await adapter.close();
      await close();
    }
  });

  it('by URL in a process that was told of the CA', async ({ url }, { ca }) => {
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: ca };
    const child = spawn(process.execPath, [PROCESS, kind, url, 'secret', 'publish', '3'], {
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.on('data', (data: Buffer) => (said += data.toString()));
    child.stdin.write('go\n');
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(said).toBe('ready\n3\n');
  });
}
