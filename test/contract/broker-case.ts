/**
 * A case of the brokers' contract, and the world that it is run in.
 *
 * A `BrokerWorld` is one place that messages are kept in; brokers are started in it, end, and are started again.
 */
import type { MessageBroker } from '../../runtime/broker/message-broker.ts';
import type { MessageBrokerOptions } from '../../runtime/broker/broker-options.ts';

export interface BrokerWorld {
  start(options?: Partial<MessageBrokerOptions>): Promise<MessageBroker>;
  /** Everything ends as if the process had ended in peace, and can be started again. */
  restart(): Promise<void>;
  /** The adapter's name for a kept message's place in the past, if it has any. */
  readonly hasPast: boolean;
  /** The order with which consumers of one subscription work beside each other. */
  readonly sharedOrder: 'hold' | 'pass';
}

export interface BrokerCase {
  readonly name: string;
  readonly run: (world: BrokerWorld) => Promise<void>;
}

/** Tries that follow each other at once. */
export const QUICK = { initialMs: 1, maxMs: 5 } as const;

/** A promise and what settles it. */
export const gate = (): { readonly opened: Promise<void>; readonly open: () => void } => {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
};

export const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
