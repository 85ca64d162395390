/** The broker's adapter for NATS beside a loop written by hand. */
import { NatsAdapter } from '../../runtime/broker/adapters/nats/nats-adapter.ts';
import { sizeOf } from '../actors/messages.ts';
import { jetstreamLoop, missingNatsServer, ownNats } from '../baselines/jetstream-loop.ts';
import { RATE, type Workload } from '../contract.ts';
import { throughAdapter, UNDER_WAY } from './broker-server.ts';

export const brokerNats: Workload = {
  name: 'broker-nats',
  title: 'Broker on NATS JetStream',
  what:
    'From accepting the first message until the last one is handled and settled: stored by the server, its acknowledgement answered. ' +
    'All deduplicate by message id.',
  conditions: {
    durability: 'files, synced every 2 minutes',
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
      beside: ['confirmed-loop'],
      missing: missingNatsServer,
      async open(setting) {
        const { port, note, stop } = await ownNats(setting.dir);
        return throughAdapter(new NatsAdapter({ name: 'bench', url: `nats://127.0.0.1:${port}` }), setting, note, stop);
      },
    },
    {
      name: 'confirmed-loop',
      kind: 'baseline',
      label: 'publish, consume, ackAck by hand',
      missing: missingNatsServer,
      open: (setting) => jetstreamLoop(setting, true),
    },
    {
      name: 'unconfirmed-loop',
      kind: 'baseline',
      label: 'publish, consume, ack by hand',
      note: 'acknowledgements are not answered',
      missing: missingNatsServer,
      open: (setting) => jetstreamLoop(setting, false),
    },
  ],
};
