/**
 * What expires while nobody asks for it.
 *
 * Owns: the messages with an expiry that this process has accepted. When it is over and a consumer has not been given the message, it
 * is written among the dead letters and its sender learns; the consumer that meets it later finds its receipt and passes on. The letter
 * has the name that the consumer would give it, so that both write one.
 */
import type { Wait } from '../../../kernel/clock.ts';
import type { CarriedMessage, DeadLetterNotice } from '../../broker-adapter.ts';
import { EXPIRED } from '../carried-bytes.ts';
import type { NatsDeadLetters } from './nats-dead-letters.ts';
import { consumerName } from './nats-names.ts';
import type { NatsReceipts, Word } from './nats-receipts.ts';
import type { NatsSession } from './nats-session.ts';

interface Watched {
  readonly message: CarriedMessage;
  readonly sequence: number;
  readonly subscriptions: readonly string[];
  readonly expiresAtMs: number;
}

const LOOK_MS = 250;
const WATCHED_LIMIT = 100_000;

export class NatsExpiry {
  readonly #session: NatsSession;
  readonly #receipts: NatsReceipts;
  readonly #letters: NatsDeadLetters;
  readonly #dead: (notice: DeadLetterNotice) => void;
  readonly #failed: (error: Error) => void;
  readonly #watched = new Set<Watched>();
  #look: Wait | undefined;
  #closed = false;

  constructor(
    session: NatsSession,
    receipts: NatsReceipts,
    letters: NatsDeadLetters,
    dead: (notice: DeadLetterNotice) => void,
    failed: (error: Error) => void,
  ) {
    this.#session = session;
    this.#receipts = receipts;
    this.#letters = letters;
    this.#dead = dead;
    this.#failed = failed;
  }

  watch(message: CarriedMessage, sequence: number, subscriptions: readonly string[]): void {
    const { expiresAtMs } = message.header;
    if (expiresAtMs === undefined || subscriptions.length === 0 || this.#watched.size >= WATCHED_LIMIT) return;
    this.#watched.add({ message, sequence, subscriptions, expiresAtMs });
    this.#plan();
  }

  close(): void {
    this.#closed = true;
    this.#look?.cancel();
    this.#watched.clear();
  }

  #plan(): void {
    if (this.#look !== undefined || this.#closed || this.#watched.size === 0) return;
    this.#look = this.#session.clock.wait(LOOK_MS, () => {
      const done = this.#session.isUp ? this.#expire() : Promise.resolve();
      void done
        .catch((error: unknown) => this.#failed(error as Error))
        .then(() => {
          this.#look = undefined;
          this.#plan();
        });
    });
  }

  async #expire(): Promise<void> {
    const nowMs = this.#session.clock.now();
    const delivered = new Map<string, number>();
    for (const watched of this.#watched) {
      if (watched.expiresAtMs > nowMs) continue;
      this.#watched.delete(watched);
      for (const name of watched.subscriptions) {
        if (!delivered.has(name)) delivered.set(name, await this.#deliveredTo(name));
        if (watched.sequence > (delivered.get(name) as number)) await this.#bury(watched, name);
      }
    }
  }

  async #deliveredTo(name: string): Promise<number> {
    try {
      const info = await this.#session.manager.consumers.info(this.#session.names.stream, consumerName(name, 'main'));
      return info.delivered.stream_seq;
    } catch {
      // Nothing waits for a subscription that has ended.
      return Number.POSITIVE_INFINITY;
    }
  }

  async #bury({ message, sequence }: Watched, subscription: string): Promise<void> {
    const { header, payload } = message;
    const deadMs = this.#session.clock.now();
    const facts = { reason: 'expired', error: EXPIRED, attempts: 0 } as const;
    const kept = { header, id: header.id, subject: header.subject, ...facts, firstDeliveredMs: 0, deadMs, redrives: 0 };
    const once = `${consumerName(subscription, 'main')}-${sequence}`;
    const id = await this.#letters.write(subscription, kept, payload, once);
    const word: Word = { id: header.id, subscription, status: 'dead', atMs: deadMs, attempt: 0, error: EXPIRED };
    await this.#receipts.keep(word);
    this.#receipts.learn(word);
    if (id !== undefined) this.#dead({ id, messageId: header.id, subscription, ...facts });
  }
}
