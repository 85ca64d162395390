/** The adapter's contract on NATS JetStream. */
import { NatsAdapter } from '../../../../runtime/broker/adapters/nats/nats-adapter.ts';
import { adapterSuite } from '../../../contract/adapter-suite.ts';
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
