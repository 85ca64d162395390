/** A `BrokerWorld` on a server: brokers of one name, which is dropped at the end. */
import { MessageBroker } from '../../runtime/broker/message-broker.ts';
import type { BrokerWorld } from '../contract/broker-case.ts';
import { ownName } from './adapter-bench.ts';

export async function inServerWorld(
  url: string,
  drop: (broker: string) => Promise<void>,
  run: (world: BrokerWorld) => Promise<void>,
): Promise<void> {
  const name = ownName('world');
  let brokers: MessageBroker[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(brokers.map((broker) => broker.close()));
    brokers = [];
  };
  try {
    await run({
      hasPast: true,
      // On NATS one consumer has all messages, where order is held.
      sharedOrder: url.startsWith('nats') ? 'pass' : 'hold',
      start: async (options) => {
        const broker = await MessageBroker.start({ name, url, env: {}, ...options });
        brokers.push(broker);
        return broker;
      },
      restart: close,
    });
  } finally {
    await close();
    await drop(name);
  }
}
