/** The embedded broker keeps the broker's contract: on the calling thread, on one host, on two. */
import { describe, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import { MessageBroker } from '../../../runtime/broker/message-broker.ts';
import { brokerContract } from '../../contract/broker.ts';
import type { BrokerWorld } from '../../contract/broker-case.ts';
import { tmpDir } from '../../support/tmp-dir.ts';

const inWorld = async (threads: number, run: (world: BrokerWorld) => Promise<void>): Promise<void> => {
  await using dir = await tmpDir('broker');
  const open = (): Promise<ActorSystem> => ActorSystem.start({ dataDir: dir.path, threads });
  let system = await open();
  let brokers: MessageBroker[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(brokers.map((broker) => broker.close()));
    brokers = [];
    await system.stop();
  };
  try {
    await run({
      hasPast: true,
      sharedOrder: 'hold',
      start: async (options) => {
        const broker = await MessageBroker.start({ system, env: {}, ...options });
        brokers.push(broker);
        return broker;
      },
      restart: async () => {
        await close();
        system = await open();
      },
    });
  } finally {
    await close();
  }
};

describe.each([0, 1, 2])('threads: %i', (threads) => {
  test.each(brokerContract)('$name', ({ run }) => inWorld(threads, run));
});
