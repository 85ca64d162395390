/**
 * What tests of broker adapters need: messages, a consumer that remembers, and events that are kept.
 */
import type {
  AdapterConsumer,
  AdapterEvents,
  BrokerAdapter,
  CarriedMessage,
  DeadLetterNotice,
  HandOut,
  Outcome,
  SubscriptionSpec,
} from '../../runtime/broker/broker-adapter.ts';
import { until } from './until.ts';

type Header = CarriedMessage['header'];

let made = 0;

/** A name that no other test on this server has. */
export const ownName = (what: string): string => `${what}-${process.pid}-${Date.now().toString(36)}-${++made}`;

export const carried = (id: string, more: Partial<Header> = {}, payload: string | Uint8Array = `payload of ${id}`) =>
  ({
    header: {
      id,
      kind: 'EVENT',
      type: 'order.placed',
      subject: 'orders.eu.placed',
      source: 'shop',
      timeMs: Date.now(),
      correlationId: id,
      delivery: 'AT_LEAST_ONCE',
      ...more,
    },
    payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
  }) satisfies CarriedMessage;

export const specOf = (name: string, more: Partial<SubscriptionSpec> = {}): SubscriptionSpec => ({
  name,
  pattern: 'orders.>',
  from: 'now',
  waitingLimit: 100_000,
  order: 'hold',
  ackTimeoutMs: 30_000,
  ...more,
});

export const failure = { name: 'Error', code: 'FAILED', message: 'it failed' } as const;
export const handled: Outcome = { kind: 'handled' };
export const retryIn = (delayMs: number): Outcome => ({ kind: 'retry', delayMs, error: failure });
export const dead: Outcome = { kind: 'dead', reason: 'attempts', error: failure };

/** Events of an adapter, kept. */
export class Told implements AdapterEvents {
  readonly dead_: DeadLetterNotice[] = [];
  readonly connections: string[] = [];
  readonly faults: Error[] = [];

  dead(notice: DeadLetterNotice): void {
    this.dead_.push(notice);
  }
  connection(state: 'up' | 'down'): void {
    this.connections.push(state);
  }
  failed(error: Error): void {
    this.faults.push(error);
  }
}

/** A consumer that keeps what it is handed. */
export class Taker {
  readonly handOuts: HandOut[] = [];
  #consumer: AdapterConsumer | undefined;
  #onEach: ((handOut: HandOut) => void) | undefined;

  static async join(
    adapter: BrokerAdapter,
    spec: SubscriptionSpec,
    onEach?: (handOut: HandOut) => void,
  ): Promise<Taker> {
    const taker = new Taker();
    taker.#onEach = onEach;
    taker.#consumer = await adapter.subscribe(spec, (handOuts) => {
      taker.handOuts.push(...handOuts);
      if (taker.#onEach !== undefined) for (const handOut of handOuts) taker.#onEach(handOut);
    });
    return taker;
  }

  get ids(): string[] {
    return this.handOuts.map(({ message }) => message.header.id);
  }

  get consumer(): AdapterConsumer {
    if (this.#consumer === undefined) throw new Error('not joined');
    return this.#consumer;
  }

  request(count: number): void {
    this.consumer.request(count);
  }

  /** The `n`th hand-out, from 0, when it is there. */
  async at(n: number): Promise<HandOut> {
    return until(`hand-out ${n}, after ${this.ids.join(', ')}`, () => this.handOuts[n]);
  }

  async next(): Promise<HandOut> {
    const n = this.handOuts.length;
    this.request(1);
    return this.at(n);
  }

  settle(handOut: HandOut, outcome: Outcome): Promise<void> {
    return this.consumer.settle(handOut, outcome);
  }
}
