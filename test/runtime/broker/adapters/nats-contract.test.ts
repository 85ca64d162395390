/** The adapter's contract on NATS JetStream, and what it promises instead of sharing keys among processes. */
import { expect, test } from 'vitest';
import { NatsAdapter } from '../../../../runtime/broker/adapters/nats/nats-adapter.ts';
import { adapterSuite } from '../../../contract/adapter-suite.ts';
import { carried, handled, ownName, retryIn, specOf, Taker, Told } from '../../../support/adapter-bench.ts';
import { dropStreams, NATS_URL, noNats } from '../../../support/nats-server.ts';

adapterSuite(
  'nats',
  {
    make: (name) => new NatsAdapter({ name, url: NATS_URL }),
    clean: (broker) => dropStreams(NATS_URL, broker),
    without: ['keys over processes'],
  },
  noNats,
);

test.skipIf(noNats !== undefined)(
  'with "hold" one consumer has all messages, and the next one goes on in order',
  async () => {
    const name = ownName('lease');
    const [one, two] = [new NatsAdapter({ name, url: NATS_URL }), new NatsAdapter({ name, url: NATS_URL })];
    try {
      for (const adapter of [one, two]) await adapter.open(new Told());
      const left = await Taker.join(one, specOf('a'));
      for (let i = 0; i < 6; i++) await one.accept(carried(`m${i}`, { key: 'k' }));
      left.request(2);
      await left.at(1);
      const right = await Taker.join(two, specOf('a'));
      right.request(6);
      // Two more that the first one asks for: the second one had all the time to get them.
      left.request(2);
      await left.at(3);
      await left.settle(await left.at(0), handled);
      await left.settle(await left.at(1), retryIn(0));
      left.request(2);
      await left.settle(await left.at(4), handled);
      expect([left.ids, right.ids]).toEqual([['m0', 'm1', 'm2', 'm3', 'm1', 'm2'], []]);
      await left.consumer.close();
      await right.at(3);
      expect(right.ids).toEqual(['m2', 'm3', 'm4', 'm5']);
      expect(right.handOuts.map(({ lost }) => lost)).toEqual([0, 0, 0, 0]);
    } finally {
      await Promise.all([one.close(), two.close()]);
      await dropStreams(NATS_URL, name);
    }
  },
);
