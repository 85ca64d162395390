/**
 * A broker's messages on NATS JetStream, server 2.9 or later.
 *
 * Owns: putting the parts together: the session, the table, the outbox, consumers, listeners, receipts, dead letters, records. What is
 * kept where is in `nats-names.ts`.
 *
 * What is promised: what `accept` and `settle` have resolved for is in the server's files, safe from a killed process. JetStream gives
 * them to the disk every two minutes (`sync_interval`; servers from 2.10 know `always`): a machine without power loses up to that on a
 * single server. A killed server may forget acknowledgements of its last moments and deliver again: for EXACTLY_ONCE the durable receipt
 * is looked up then, others may be handled twice, as AT_LEAST_ONCE says.
 *
 * Order (`order: 'hold'`): per key over all processes, also through retries and takeover, because one consumer of a subscription at a time
 * has its messages, and the others stand by; JetStream itself gives messages to any who ask, and knows no keys. With `order: 'pass'` all of
 * them have messages beside each other.
 *
 * Takeover: when nobody listens in the name of a process any more, which the server says at once, its messages are another's after
 * `reconnectGraceMs`; with `pass`, when the server has heard nothing of a message for `ack_wait`.
 *
 * What expires while nobody asks for it is set aside by the process that has accepted it, as long as that lives; else when it is asked for.
 */
import type { ConsumerConfig } from '@nats-io/jetstream';
import { systemClock } from '../../../kernel/clock.ts';
import { BrokerClosedError } from '../../../kernel/errors.ts';
import { systemRandom } from '../../../kernel/random.ts';
import type {
  Accepted,
  AdapterConsumer,
  AdapterEvents,
  AdapterRecords,
  BrokerAdapter,
  CarriedMessage,
  DeadLetterQuery,
  DeadLetterRecord,
  HandOut,
  SubscriptionSpec,
} from '../../broker-adapter.ts';
import type { RetainedPositions } from '../../contract/broker-contract.ts';
import type { ReceiptState } from '../../contract/receipt.ts';
import { matchesSubject } from '../../subjects.ts';
import {
  assertName,
  CALL_TIMEOUT_MS,
  type NameRule,
  otherPattern,
  RECONNECT_GRACE_MS,
  type ServerAdapterOptions,
} from '../server-adapter.ts';
import { NatsConsumer } from './nats-consumer.ts';
import { NatsDeadLetters } from './nats-dead-letters.ts';
import { NatsExpiry } from './nats-expiry.ts';
import { decodeFrame } from './nats-frame.ts';
import { consumerName, nameOf, NatsNames, tokenOf } from './nats-names.ts';
import { NatsOutbox } from './nats-outbox.ts';
import { NatsReceipts } from './nats-receipts.ts';
import { type NatsConnectionLike, natsSource, NatsSession } from './nats-session.ts';
import { NatsSweeper } from './nats-sweeper.ts';
import { NatsTable } from './nats-table.ts';

export interface NatsAdapterOptions extends ServerAdapterOptions {
  /** `nats://user:password@host:4222`, `nats://token@host:4222`, or `tls://`. */
  readonly url?: string;
  /** Instead of the URL: a connection of `@nats-io/transport-node`. It is used, and stays yours to close. */
  readonly client?: NatsConnectionLike;
  /** How long a message's id and idempotency key are known after it was accepted. Default 2 minutes, as in JetStream. */
  readonly dedupWindowMs?: number;
  /** How long durable receipts are kept. Default 1 hour. */
  readonly receiptTtlMs?: number;
}

const DEDUP_WINDOW_MS = 120_000;
const RECEIPT_TTL_MS = 3_600_000;
const NANOS = 1_000_000;
const ACK_PENDING_LIMIT = 50_000;
const NAMES: NameRule = {
  server: 'NATS',
  most: 120,
  forbidden: /\p{Cc}/u,
  without: 'none of them a control character',
};

export class NatsAdapter implements BrokerAdapter {
  readonly kind = 'nats';
  readonly records: AdapterRecords;
  readonly #names: NatsNames;
  readonly #session: NatsSession;
  readonly #table: NatsTable;
  readonly #receipts: NatsReceipts;
  readonly #letters: NatsDeadLetters;
  readonly #outbox: NatsOutbox;
  readonly #expiry: NatsExpiry;
  readonly #sweeper: NatsSweeper;
  readonly #process: string;
  readonly #graceMs: number;
  readonly #consumers = new Set<NatsConsumer>();
  /** Ends what is listened to: a connection that was handed in stays open. */
  readonly #listening = new Set<() => void>();
  #events: AdapterEvents = { dead() {}, connection() {}, failed() {} };

  constructor(options: NatsAdapterOptions) {
    assertName(NAMES, 'broker', options.name);
    const { clock = systemClock, random = systemRandom, callTimeoutMs = CALL_TIMEOUT_MS } = options;
    const { dedupWindowMs = DEDUP_WINDOW_MS, receiptTtlMs = RECEIPT_TTL_MS } = options;
    this.#names = new NatsNames(options.name);
    const source = natsSource(options.url, options.client);
    const failed = (error: Error): void => this.#events.failed(error);
    this.#session = new NatsSession(
      { source, names: this.#names, callTimeoutMs, dedupWindowMs, receiptTtlMs, clock, random },
      { up: () => this.#up(), down: (error) => this.#events.connection('down', error), failed },
    );
    const process = this.#session.newToken();
    this.#process = process;
    this.#graceMs = options.reconnectGraceMs ?? RECONNECT_GRACE_MS;
    this.#table = new NatsTable(this.#session, failed);
    this.#receipts = new NatsReceipts(this.#session, process, failed);
    this.#letters = new NatsDeadLetters(this.#session, this.#receipts);
    this.#expiry = new NatsExpiry(
      this.#session,
      this.#receipts,
      this.#letters,
      (notice) => this.#events.dead(notice),
      failed,
    );
    this.#outbox = new NatsOutbox(this.#session, this.#table, this.#receipts, this.#expiry, process, callTimeoutMs);
    this.#sweeper = new NatsSweeper(this.#session, this.#table, dedupWindowMs, failed);
    this.records = recordsOn(this.#session);
  }

  async open(events: AdapterEvents): Promise<void> {
    this.#events = events;
    await this.#session.open();
    await this.#table.open();
    this.#receipts.open();
    this.#sweeper.start();
    const { connection } = this.#session;
    const there = connection.subscribe(this.#names.presence(this.#process), {
      callback: (_error, message) => void message.respond(),
    });
    this.#listening.add(() => there.unsubscribe());
    await this.#session.again(() => connection.flush());
  }

  accept(message: CarriedMessage): Promise<Accepted> {
    return this.#outbox.accept(message);
  }

  broadcast(message: CarriedMessage): Promise<number | undefined> {
    return this.#outbox.broadcast(message);
  }

  async listen(
    pattern: string,
    queue: string | undefined,
    hear: (message: CarriedMessage) => void,
  ): Promise<() => Promise<void>> {
    const { connection } = this.#session;
    const heard = connection.subscribe(this.#names.broadcast(pattern), {
      ...(queue === undefined ? {} : { queue: tokenOf(`${queue} ${pattern}`) }),
      callback: (error, { data }) => {
        const frame = error === null ? decodeFrame(data) : undefined;
        if (frame === undefined) this.#events.failed(error ?? new Error(`no message was published to ${pattern}`));
        else if (matchesSubject(pattern, frame.message.header.subject)) hear(frame.message);
      },
    });
    const stop = (): void => {
      this.#listening.delete(stop);
      heard.unsubscribe();
    };
    this.#listening.add(stop);
    await this.#session.again(() => connection.flush());
    return () => Promise.resolve(stop());
  }

  async subscribe(spec: SubscriptionSpec, deliver: (handOuts: readonly HandOut[]) => void): Promise<AdapterConsumer> {
    assertName(NAMES, 'subscription', spec.name);
    await this.#table.catchUp();
    const known = this.#table.subscriptions.get(spec.name);
    if (known !== undefined && known.pattern !== spec.pattern) {
      throw otherPattern(spec.name, known.pattern, spec.pattern);
    }
    const born = known?.born ?? (await this.#make(spec));
    if (known !== undefined && known.waitingLimit !== spec.waitingLimit) await this.#put(spec, born);
    const ackWaitMs = await this.#ackWaitOf(spec);
    const consumer: NatsConsumer = new NatsConsumer(this.#session, this.#receipts, this.#letters, {
      spec,
      born,
      process: this.#process,
      graceMs: this.#graceMs,
      ackWaitMs,
      deliver,
      dead: (notice) => this.#events.dead(notice),
      failed: (error) => this.#events.failed(error),
      missing: () => void this.#missing(spec, consumer),
      closed: () => this.#consumers.delete(consumer),
    });
    this.#consumers.add(consumer);
    return consumer;
  }

  async unsubscribe(name: string): Promise<void> {
    const { manager } = this.#session;
    await this.#table.deleteSubscription(name);
    await this.#session.again(() => this.#session.client.publish(this.#names.lease(name), ''));
    for (const lane of ['main', 'again'] as const)
      await this.#session
        .again(() => manager.consumers.delete(this.#names.stream, consumerName(name, lane)))
        .catch((error: unknown) => {
          if (!/not found/i.test((error as Error).message)) throw error;
        });
    await this.#session.again(() => manager.streams.purge(this.#names.stream, { filter: this.#names.again(name) }));
    this.#receipts.forget(name);
  }

  async subscriptions(): Promise<ReadonlyMap<string, { pattern: string; waiting: number; dead: number }>> {
    await this.#table.catchUp();
    const found = new Map<string, { pattern: string; waiting: number; dead: number }>();
    for (const { name, pattern } of this.#table.subscriptions.values()) {
      let waiting = 0;
      for (const lane of ['main', 'again'] as const) {
        const consumer = consumerName(name, lane);
        const info = await this.#session.again(() =>
          this.#session.manager.consumers.info(this.#names.stream, consumer),
        );
        waiting += info.num_pending + info.num_ack_pending;
      }
      found.set(name, { pattern, waiting, dead: await this.#letters.count(name) });
    }
    return found;
  }

  receipt(id: string): Promise<ReceiptState | undefined> {
    return this.#receipts.read(id);
  }

  settled(id: string, signal: AbortSignal | undefined): Promise<ReceiptState> {
    return this.#receipts.settled(id, signal);
  }

  deadLetters(query: DeadLetterQuery): Promise<readonly DeadLetterRecord[]> {
    return this.#letters.list(query);
  }

  redrive(ids: readonly string[], redrivesLimit: number): Promise<number> {
    return this.#letters.redrive(ids, redrivesLimit);
  }

  purge(ids: readonly string[]): Promise<number> {
    return this.#letters.purge(ids);
  }

  async retain(pattern: string, limits: { readonly messages?: number; readonly ageMs?: number }): Promise<void> {
    await this.#table.putKeep({ pattern, ...limits });
  }

  async retained(): Promise<ReadonlyMap<string, RetainedPositions>> {
    const { streams } = this.#session.manager;
    const { stream } = this.#names;
    await this.#table.catchUp();
    const { state } = await this.#session.again(() => streams.info(stream));
    const nextPosition = state.last_seq + 1;
    const positions = [...this.#table.keeps.keys()].map(async (pattern) => {
      const asked = { seq: 1, next_by_subj: this.#names.message(pattern, true) };
      const first = await this.#session.again(() => streams.getMessage(stream, asked));
      // It may be one that came after the question for the last one.
      return [pattern, { firstPosition: Math.min(first?.seq ?? nextPosition, nextPosition), nextPosition }] as const;
    });
    return new Map(await Promise.all(positions));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
    for (const stop of this.#listening) stop();
    this.#expiry.close();
    this.#sweeper.close();
    this.#outbox.close();
    this.#receipts.close();
    this.#table.close();
    await this.#session.close();
  }

  /** Makes a subscription that is new: its consumers first, so that nobody publishes to one that gets nothing. */
  async #make(spec: SubscriptionSpec): Promise<number> {
    const { DeliverPolicy, AckPolicy, ReplayPolicy } = this.#session.jetstream;
    const { manager } = this.#session;
    const { from, name } = spec;
    const { state } = await this.#session.again(() => manager.streams.info(this.#names.stream));
    const begins: Partial<ConsumerConfig> =
      from === 'now'
        ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: state.last_seq + 1 }
        : from === 'beginning'
          ? { deliver_policy: DeliverPolicy.All }
          : 'position' in from
            ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: Math.max(1, from.position) }
            : { deliver_policy: DeliverPolicy.StartTime, opt_start_time: new Date(from.timeMs).toISOString() };
    const common = {
      ack_policy: AckPolicy.Explicit,
      replay_policy: ReplayPolicy.Instant,
      ack_wait: (spec.order === 'hold' ? spec.ackTimeoutMs : Math.min(spec.ackTimeoutMs, 3 * this.#graceMs)) * NANOS,
      max_ack_pending: ACK_PENDING_LIMIT,
      max_deliver: -1,
    };
    const add = async (lane: 'main' | 'again', config: Partial<ConsumerConfig>): Promise<void> => {
      const durable = consumerName(name, lane);
      try {
        await this.#session.again(() =>
          manager.consumers.add(this.#names.stream, { durable_name: durable, ...common, ...config }),
        );
      } catch (error) {
        // Somebody else has just made it.
        if (!/already in use|already exists|can not be updated/i.test((error as Error).message)) throw error;
      }
    };
    await add('main', { filter_subject: this.#names.filter(spec.pattern), ...begins });
    await add('again', { filter_subject: this.#names.again(name), deliver_policy: DeliverPolicy.All });
    await this.#put(spec, state.last_seq);
    return state.last_seq;
  }

  /** Whoever made it has said how long. */
  async #ackWaitOf({ name, ackTimeoutMs }: SubscriptionSpec): Promise<number> {
    const { manager } = this.#session;
    try {
      const { config } = await this.#session.again(() =>
        manager.consumers.info(this.#names.stream, consumerName(name, 'main')),
      );
      return config.ack_wait === undefined ? ackTimeoutMs : config.ack_wait / NANOS;
    } catch (error) {
      // The server has lost it: it is made again when something is asked of it.
      if (/not found/i.test((error as Error).message)) return ackTimeoutMs;
      throw error;
    }
  }

  async #put({ name, pattern, waitingLimit }: SubscriptionSpec, born: number): Promise<void> {
    await this.#table.putSubscription(name, { pattern, waitingLimit, born });
  }

  /** The server has lost its consumer: who still listens makes it again; or somebody has ended it. */
  async #missing(spec: SubscriptionSpec, consumer: NatsConsumer): Promise<void> {
    if (!this.#consumers.has(consumer)) return;
    try {
      const kept = await this.#session.last(this.#names.table, this.#names.entry('sub', spec.name));
      if (kept !== null && kept.data.length === 0) return await consumer.close();
      await this.#make({ ...spec, from: 'now' });
      consumer.recover();
    } catch (error) {
      if (!(error instanceof BrokerClosedError)) this.#events.failed(error as Error);
    }
  }

  #up(): void {
    this.#events.connection('up');
    for (const consumer of this.#consumers) consumer.recover();
    this.#outbox.resume();
    const failed = (error: unknown): void => {
      if (!(error instanceof BrokerClosedError)) this.#events.failed(error as Error);
    };
    this.#table.load().catch(failed);
    this.#receipts.lookAgain().catch(failed);
  }
}

function recordsOn(session: NatsSession): AdapterRecords {
  const put = async (kind: string, name: string, text: string): Promise<void> => {
    await session.again(() => session.client.publish(session.names.record(kind, name), text));
  };
  return {
    put: (kind, name, value) => put(kind, name, JSON.stringify(value)),
    async list(kind) {
      const { names } = session;
      const found = new Map<string, unknown>();
      const filter = names.record(kind, '').replace(/\.$/, '.*');
      await session.read(names.table, filter, { lastPerSubject: true }, ({ subject, data }) => {
        const text = Buffer.from(data).toString();
        const name = nameOf(subject.slice(subject.lastIndexOf('.') + 1));
        if (text !== '') found.set(name, JSON.parse(text) as unknown);
        return 'go on';
      });
      return found;
    },
    async delete(kind, name) {
      const { names } = session;
      const kept = await session.last(names.table, names.record(kind, name));
      if (kept === null || kept.data.length === 0) return false;
      await put(kind, name, '');
      return true;
    },
  };
}
