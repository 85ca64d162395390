/** NATS fails, or is not as it must be. */
import { connect } from '@nats-io/transport-node';
import { expect, test } from 'vitest';
import { NatsAdapter } from '../../../../runtime/broker/adapters/nats/nats-adapter.ts';
import { failureSuite } from '../../../contract/failure-suite.ts';
import { Told } from '../../../support/adapter-bench.ts';
import { noNatsServer, OwnNats } from '../../../support/nats-server.ts';
import { tmpDir } from '../../../support/tmp-dir.ts';
import { errorOf } from '../../../support/until.ts';

failureSuite(
  'nats',
  {
    start: (dir) => OwnNats.start(dir),
    make: (url, name, options) => new NatsAdapter({ name, url, ...options }),
    async litter(url, name) {
      const connection = await connect({ servers: url.replace('nats://', '') });
      const subject = `cb.${name}.d.m.orders.eu.placed`;
      connection.publish(subject, 'foo');
      connection.publish(subject, new Uint8Array([0, 0, 0, 200, 1, 2]));
      connection.publish(subject, new Uint8Array(0));
      await connection.flush();
      await connection.close();
      return 3;
    },
  },
  noNatsServer,
);

const it = (name: string, config: string, jetstream: boolean, body: (server: OwnNats) => Promise<void>): void => {
  const title = noNatsServer === undefined ? name : `${name} [skipped: ${noNatsServer}]`;
  test.skipIf(noNatsServer !== undefined)(title, async () => {
    await using dir = await tmpDir('nats');
    const server = await OwnNats.start(dir.path, config, { jetstream });
    try {
      await body(server);
    } finally {
      await server.kill();
    }
  });
};

const refusal = async (url: string): Promise<Error & { code?: string }> => {
  const adapter = new NatsAdapter({ name: 'refused', url, callTimeoutMs: 2_000 });
  try {
    return await errorOf(adapter.open(new Told()));
  } finally {
    await adapter.close();
  }
};

it('a NATS without JetStream is refused, with the remedy', '', false, async ({ url }) => {
  const error = await refusal(url);
  expect(error.code).toBe('BROKER_CONFIGURATION');
  expect(error.message).toContain('-js');
});

it(
  'wrong credentials are a fault of configuration',
  'authorization { user: u, password: s3cret }',
  true,
  async ({ url }) => {
    for (const wrong of [url, url.replace('//', '//u:wr0ng@'), url.replace('//', '//token@')]) {
      const error = await refusal(wrong);
      expect([error.code, error.message.includes('wr0ng')]).toEqual(['BROKER_CONFIGURATION', false]);
    }
    const adapter = new NatsAdapter({ name: 'right', url: url.replace('//', '//u:s3cret@') });
    await adapter.open(new Told());
    await adapter.close();
  },
);

test.each(['http://127.0.0.1:4222', 'nats:', 'not a url', ''])('the URL %o is none of NATS', (url) => {
  expect(() => new NatsAdapter({ name: 'x', url })).toThrow(expect.objectContaining({ code: 'BROKER_CONFIGURATION' }));
});
