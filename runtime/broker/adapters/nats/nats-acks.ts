/**
 * Acknowledgements of one consumer.
 *
 * Owns: sending those of one turn of the event loop together, with one confirmation for all; and giving back, at the server, what
 * whoever had the subscription before did not settle.
 */
import { acknowledge, acknowledged, type Delivery, tokenFor } from './nats-delivery.ts';
import type { LeaseStanding } from './nats-lease.ts';
import { consumerName } from './nats-names.ts';
import type { NatsSession } from './nats-session.ts';

interface Ack {
  readonly delivery: Delivery;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const ACK_TIMEOUT_MS = 5_000;
/** Given back before the server is asked whether it keeps up. */
const GIVE_BACK_AT_ONCE = 5_000;

export class NatsAcks {
  readonly #session: NatsSession;
  /** Whether the messages are still those of this consumer. */
  readonly #standing: () => LeaseStanding;
  #acks: Ack[] = [];
  #isPlanned = false;

  constructor(session: NatsSession, standing: () => LeaseStanding) {
    this.#session = session;
    this.#standing = standing;
  }

  /** Resolves when the server has it, or when the message is another's by now. One confirmation is asked for all of a turn. */
  add(delivery: Delivery): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#acks.push({ delivery, resolve, reject });
      if (this.#isPlanned) return;
      this.#isPlanned = true;
      this.#session.clock.defer(() => {
        this.#isPlanned = false;
        void this.send();
      });
    });
  }

  async send(): Promise<void> {
    const acks = this.#acks;
    if (acks.length === 0) return;
    this.#acks = [];
    try {
      await this.#session.again(async () => {
        const standing = this.#standing();
        if (standing === 'away') return;
        if (standing === 'unsure')
          throw new Error('the connection was lost, and who has the subscription now is not known');
        const { connection } = this.#session;
        // Of each of the two consumers the last one is confirmed: the server does them in order.
        const last = new Map<string, Delivery>();
        for (const { delivery } of acks) last.set(consumerOf(delivery), delivery);
        const confirmed = new Set(last.values());
        for (const { delivery } of acks) if (!confirmed.has(delivery)) acknowledge(connection, delivery);
        await Promise.all([...confirmed].map(({ reply }) => acknowledged(connection, reply, ACK_TIMEOUT_MS)));
      });
      for (const { resolve } of acks) resolve();
    } catch (error) {
      for (const { reject } of acks) reject(error);
    }
  }

  /**
   * Makes the server forget requests whose askers are gone, which it does when asked for its state, before something is given back. Seen
   * on 2.9.10: what is given back while such a request is the only one is taken from the queue for it and is lost until its
   * acknowledgement is overdue, and the last message is delivered again as if it were new.
   */
  async forgetPulls(subscription: string): Promise<void> {
    const { names, manager } = this.#session;
    for (const lane of ['main', 'again'] as const)
      await this.#session.again(() => manager.consumers.info(names.stream, consumerName(subscription, lane)));
  }

  /** Has everything that is not settled delivered again, in its order, before anything new. */
  async giveBackAll(subscription: string, lane: 'main' | 'again'): Promise<void> {
    const { names, manager } = this.#session;
    const consumer = consumerName(subscription, lane);
    const { num_ack_pending, ack_floor, delivered } = await this.#session.again(() =>
      manager.consumers.info(names.stream, consumer),
    );
    if (num_ack_pending === 0) return;
    const { connection } = this.#session;
    const tokenOf = (sequence: number): string => tokenFor(names.stream, consumer, sequence, delivered.consumer_seq);
    for (let sequence = ack_floor.stream_seq + 1; sequence < delivered.stream_seq; sequence++) {
      connection.publish(tokenOf(sequence), '-NAK');
      if (sequence % GIVE_BACK_AT_ONCE === 0) await connection.flush();
    }
    // Done when this is answered, and with it what was before.
    await connection.request(tokenOf(delivered.stream_seq), '-NAK', { timeout: ACK_TIMEOUT_MS });
  }
}

/** `$JS.ACK.<stream>.<consumer>`, whatever is before the numbers. */
const consumerOf = ({ reply }: Delivery): string => reply.slice(0, reply.search(/\.\d+\.\d+\.\d+\.\d+\.\d+/));
