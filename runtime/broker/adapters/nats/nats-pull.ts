/**
 * Pull requests to one JetStream consumer: as many messages as were asked for, and no standing order for more.
 *
 * Owns: how many are on their way, and that one asks again for what did not come. One inbox for all requests: a client's own `fetch`
 * makes a subscription for each.
 */
import type { Msg, Subscription } from '@nats-io/transport-node';
import type { Wait } from '../../../kernel/clock.ts';
import { type Delivery, deliveryOf } from './nats-delivery.ts';
import type { NatsSession } from './nats-session.ts';

const EXPIRES_MS = 20_000;
const NANOS = 1_000_000;
/** After an answer that says no, before asking again. */
const AGAIN_MS = 100;
const SILENCE_MS = 5_000;

export interface PullEvents {
  delivered(delivery: Delivery): void;
  /** What was asked for is not on its way any more. */
  ended(): void;
  missing(): void;
  failed(error: Error): void;
}

export class NatsPull {
  readonly #session: NatsSession;
  readonly #consumer: string;
  readonly #events: PullEvents;
  readonly #inbox: string;
  /** How many are on their way, by what was asked for, what came, and what the server said will not come. */
  #asked = 0;
  #heard: Subscription | undefined;
  #again: Wait | undefined;
  #silence: Wait | undefined;

  constructor(session: NatsSession, consumer: string, events: PullEvents) {
    this.#session = session;
    this.#consumer = consumer;
    this.#events = events;
    this.#inbox = `_INBOX.${session.newToken()}`;
    this.#heard = session.connection.subscribe(this.#inbox, {
      callback: (error, message) => (error === null ? this.#hear(message) : events.failed(error)),
    });
  }

  get asked(): number {
    return this.#asked;
  }

  /** Whether asking makes sense now. */
  get isReady(): boolean {
    return this.#again === undefined && this.#heard !== undefined && this.#session.isUp;
  }

  ask(count: number): void {
    this.#asked += count;
    const subject = `$JS.API.CONSUMER.MSG.NEXT.${this.#session.names.stream}.${this.#consumer}`;
    const request = JSON.stringify({ batch: count, expires: EXPIRES_MS * NANOS });
    this.#session.connection.publish(subject, request, { reply: this.#inbox });
    this.#watch();
  }

  /** After a lost connection the server has forgotten all requests. */
  reset(): void {
    this.#asked = 0;
    this.#silence?.cancel();
  }

  close(): void {
    this.reset();
    this.#again?.cancel();
    this.#heard?.unsubscribe();
    this.#heard = undefined;
  }

  #hear(message: Msg): void {
    const delivery = deliveryOf(message);
    if (delivery !== undefined) {
      this.#asked = Math.max(0, this.#asked - 1);
      this.#events.delivered(delivery);
      return;
    }
    const { code = 0, description = '' } = message.headers ?? {};
    if (code === 0 || code === 100) return;
    const left = Number(message.headers?.get('Nats-Pending-Messages') || this.#asked);
    this.#asked = Math.max(0, this.#asked - left);
    if (code === 404 || code === 408) this.#events.ended();
    else if (code === 409 && /deleted/i.test(description)) this.#events.missing();
    else if (code === 503) this.#later(() => this.#events.missing());
    else {
      if (code === 400) this.#events.failed(new Error(`NATS refuses a pull request: ${description}`));
      this.#later(() => this.#events.ended());
    }
  }

  /** The server says when a request is over. If that is lost, nothing comes any more. */
  #watch(): void {
    this.#silence?.cancel();
    this.#silence = this.#session.clock.wait(EXPIRES_MS + SILENCE_MS, () => {
      this.#asked = 0;
      this.#events.ended();
    });
  }

  #later(act: () => void): void {
    if (this.#heard === undefined) return;
    this.#again ??= this.#session.clock.wait(AGAIN_MS, () => {
      this.#again = undefined;
      act();
    });
  }
}
