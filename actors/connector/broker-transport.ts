/**
 * A bridge: a system that is behind another broker, on Redis, on NATS, or on another data folder.
 *
 * Owns: publishing there what comes here. A command is taken over once the other broker has accepted it, or, where somebody waits for a
 * reply, once it was handled; ids are kept, so that the other broker drops what comes twice.
 */
import type { Broker } from '../../runtime/broker/contract/broker-contract.ts';
import type { Message } from '../../runtime/broker/contract/message.ts';
import { type Clock, systemClock } from '../../runtime/kernel/clock.ts';
import { BrokerUnavailableError, ConnectorUnavailableError, InvalidOptionsError } from '../../runtime/kernel/errors.ts';
import { probeBroker } from './broker-probe.ts';
import { republished } from './republished.ts';
import type { ConnectorTransport, DeliverOptions, TransportContext } from './transport.ts';

/**
 * `other` is the broker, or what connects to it (then it is also closed by this transport, when it can be).
 *
 * @example brokerTransport(() => MessageBroker.start({ url: 'nats://eu.example:4222' }))
 */
export function brokerTransport(other: Broker | (() => Promise<Broker>)): ConnectorTransport {
  if (typeof other !== 'function' && typeof (other as Broker | undefined)?.publish !== 'function') {
    throw new InvalidOptionsError('brokerTransport: expected a broker, or a function that resolves with one');
  }
  return new BrokerTransport(other);
}

class BrokerTransport implements ConnectorTransport {
  readonly kind = 'broker';
  readonly #other: Broker | (() => Promise<Broker>);
  #broker: Broker | undefined;
  #clock: Clock = systemClock;

  constructor(other: Broker | (() => Promise<Broker>)) {
    this.#other = other;
  }

  async open({ clock }: TransportContext): Promise<void> {
    this.#clock = clock;
    this.#broker = typeof this.#other === 'function' ? await asConnection(this.#other()) : this.#other;
    await this.check();
  }

  async deliver(message: Message, { signal, replyWithinMs }: DeliverOptions): Promise<unknown> {
    const broker = this.#opened();
    const draft = republished(message, this.#clock.now());
    if (replyWithinMs !== undefined) {
      return asConnection(broker.request(draft, { timeoutMs: replyWithinMs, signal }));
    }
    await asConnection(broker.publish(draft));
    return undefined;
  }

  async check(): Promise<void> {
    await asConnection(probeBroker(this.#opened()));
  }

  async close(): Promise<void> {
    const broker = this.#broker;
    this.#broker = undefined;
    if (typeof this.#other !== 'function' || broker === undefined) return;
    const { close } = broker as { close?: () => Promise<void> };
    await close?.call(broker);
  }

  #opened(): Broker {
    if (this.#broker !== undefined) return this.#broker;
    throw new ConnectorUnavailableError('the other broker is not connected');
  }
}

/** That the other broker's server is away is a matter of the connection, not of the message. */
async function asConnection<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof BrokerUnavailableError)) throw error;
    throw new ConnectorUnavailableError(`the other broker cannot be reached: ${error.message}`, { cause: error });
  }
}
