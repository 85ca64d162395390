/** The broker's contract on servers: the same cases that the embedded broker passes. */
import { describe, test } from 'vitest';
import { brokerContract } from '../../../contract/broker.ts';
import { dropStreams, NATS_URL, noNats } from '../../../support/nats-server.ts';
import { dropKeys, noRedis, REDIS_URL } from '../../../support/redis-server.ts';
import { inServerWorld } from '../../../support/server-world.ts';

const SERVERS = [
  { kind: 'redis', url: REDIS_URL, drop: (name: string) => dropKeys(REDIS_URL, name), missing: noRedis },
  { kind: 'nats', url: NATS_URL, drop: (name: string) => dropStreams(NATS_URL, name), missing: noNats },
];

for (const { kind, url, drop, missing } of SERVERS) {
  const title = missing === undefined ? kind : `${kind} [skipped: ${missing}]`;
  describe.skipIf(missing !== undefined)(title, () => {
    test.each(brokerContract)('$name', ({ run }) => inServerWorld(url, drop, run));
  });
}
