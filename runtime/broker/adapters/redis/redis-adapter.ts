/**
 * A broker's messages on Redis Streams, version 6.2 or later.
 *
 * Owns: putting the parts together: the session, the outbox, consumers, listeners, receipts, dead letters, records. What is kept where
 * is in `redis-keys.ts`; what happens to it is in the scripts.
 *
 * What is promised: what `accept` and `settle` have resolved for is as durable as the server is: with `appendonly yes` and `appendfsync
 * always` on disk, with `everysec` (Redis's default) safe from a killed server and short of up to two seconds after a power cut, with
 * `appendonly no` lost with the server. `durability` says which. A replica takes over without what it has not received: Redis
 * replicates asynchronously.
 *
 * Order: per key over all processes that consume a subscription, also through retries and takeover (`order: 'hold'`).
 *
 * Takeover: a process that is killed loses its connections at once, which the server tells the others; after `reconnectGraceMs` without one
 * its messages are theirs.
 */
import { systemClock, type Wait } from '../../../kernel/clock.ts';
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
import {
  assertName,
  CALL_TIMEOUT_MS,
  type NameRule,
  otherPattern,
  RECONNECT_GRACE_MS,
  type ServerAdapterOptions,
  uniqueToken,
} from '../server-adapter.ts';
import { AGE_SCRIPT, RENEW_SCRIPT } from './expiry-scripts.ts';
import { type RedisClientLike, redisSource } from './redis-client.ts';
import { RedisConsumer } from './redis-consumer.ts';
import { expireOn, readDeadLetters } from './redis-dead-letters.ts';
import { keyPrefix, messageChannel, presenceChannel, workChannel } from './redis-keys.ts';
import { isPassing, listOf, type RedisReply, textOf } from './redis-link.ts';
import { noticeOf, RedisListeners } from './redis-listeners.ts';
import { RedisOutbox } from './redis-outbox.ts';
import { RedisReceipts } from './redis-receipts.ts';
import { type RedisDurability, RedisSession } from './redis-session.ts';
import { pairsOf } from './subscription-table.ts';
import {
  PURGE_SCRIPT,
  REDRIVE_SCRIPT,
  RETAIN_SCRIPT,
  RETAINED_SCRIPT,
  SUBSCRIBE_SCRIPT,
  SUBSCRIPTIONS_SCRIPT,
  UNSUBSCRIBE_SCRIPT,
} from './table-scripts.ts';

export interface RedisAdapterOptions extends ServerAdapterOptions {
  /** `redis://user:password@host:6379/0`, or `rediss://` for TLS. */
  readonly url?: string;
  /** Instead of the URL: a client of ioredis or redis, connected or not. Connections are made like it; itself it is left alone. */
  readonly client?: RedisClientLike;
  /**
   * How long a message's id and idempotency key are known after it was accepted, at least. They are dropped many at a time: none is
   * known for more than twice as long. Of all processes of a broker the longest holds. Default 10 minutes.
   */
  readonly dedupWindowMs?: number;
  /** How long a receipt is kept after the message is settled everywhere, and its id known, at least. Default: `dedupWindowMs`. */
  readonly receiptTtlMs?: number;
}

const DEDUP_WINDOW_MS = 600_000;
const EXPIRY_LOOK_MS = 500;
const NAMES: NameRule = {
  server: 'Redis',
  most: 200,
  forbidden: /[\p{Cc},{}]/u,
  without: 'no commas, braces or control characters',
};

export class RedisAdapter implements BrokerAdapter {
  readonly kind = 'redis';
  readonly records: AdapterRecords;
  readonly #options: RedisAdapterOptions;
  readonly #session: RedisSession;
  readonly #outbox: RedisOutbox;
  readonly #listeners: RedisListeners;
  readonly #receipts: RedisReceipts;
  readonly #process: string;
  readonly #consumers = new Set<RedisConsumer>();
  /** Told when there is work for a subscription, by name. */
  readonly #work = new Map<
    string,
    { readonly consumers: Set<RedisConsumer>; readonly stop: Promise<() => Promise<void>> }
  >();
  #events: AdapterEvents = { dead() {}, connection() {}, failed() {} };
  #durability: RedisDurability | undefined;
  #names = 0;
  #expiry: Wait | undefined;
  #closed = false;

  constructor(options: RedisAdapterOptions) {
    this.#options = options;
    assertName(NAMES, 'broker', options.name);
    const { clock = systemClock, random = systemRandom, callTimeoutMs = CALL_TIMEOUT_MS } = options;
    this.#process = uniqueToken(clock, random);
    this.#session = new RedisSession(
      {
        source: redisSource(options.url, options.client),
        prefix: keyPrefix(options.name),
        callTimeoutMs,
        clock,
        random,
      },
      {
        up: () => this.#up(),
        down: (error) => this.#events.connection('down', error),
        failed: (error) => this.#events.failed(error),
      },
    );
    const failed = (error: Error): void => this.#events.failed(error);
    this.#outbox = new RedisOutbox(this.#session, this.#process, callTimeoutMs);
    this.#listeners = new RedisListeners(this.#session, failed);
    this.#receipts = new RedisReceipts(this.#session, this.#process, failed);
    this.records = recordsOn(this.#session);
  }

  /** What the server keeps through which failure; undefined before `open`. */
  get durability(): RedisDurability | undefined {
    return this.#durability;
  }

  async open(events: AdapterEvents): Promise<void> {
    this.#events = events;
    this.#durability = await this.#session.open();
    await this.#session.run(AGE_SCRIPT, [String(this.#ttlMs)]);
    // Nothing is said there: that somebody listens is the word.
    await this.#session.subscribe(presenceChannel(this.#session.prefix, this.#process), () => {});
    this.#planExpiry();
  }

  accept(message: CarriedMessage): Promise<Accepted> {
    return this.#outbox.accept(message);
  }

  async broadcast(message: CarriedMessage): Promise<number | undefined> {
    const channel = messageChannel(this.#session.prefix, message.header.subject);
    const notice = noticeOf(this.#newName(), message);
    // Sent again, those who have heard it would hear it twice.
    const connections = await this.#session.commandOnce(['PUBLISH', channel, notice]);
    // A pattern lets too much through at the server, and a connection may stand for many: only none is sure.
    return connections === 0 ? 0 : undefined;
  }

  listen(
    pattern: string,
    queue: string | undefined,
    hear: (message: CarriedMessage) => void,
  ): Promise<() => Promise<void>> {
    return this.#listeners.listen(pattern, queue, hear);
  }

  async subscribe(spec: SubscriptionSpec, deliver: (handOuts: readonly HandOut[]) => void): Promise<AdapterConsumer> {
    assertName(NAMES, 'subscription', spec.name);
    await this.#join(spec);
    const consumer: RedisConsumer = new RedisConsumer(this.#session, {
      spec,
      name: this.#newName(),
      graceMs: this.#options.reconnectGraceMs ?? RECONNECT_GRACE_MS,
      deliver,
      dead: (notice) => this.#events.dead(notice),
      failed: (error) => this.#events.failed(error),
      missing: () => this.#rejoin(spec),
      closed: () => void this.#left(spec.name, consumer),
    });
    this.#consumers.add(consumer);
    await this.#listenForWork(spec.name, consumer);
    return consumer;
  }

  async unsubscribe(name: string): Promise<void> {
    await this.#session.run(UNSUBSCRIBE_SCRIPT, [name]);
  }

  async subscriptions(): Promise<ReadonlyMap<string, { pattern: string; waiting: number; dead: number }>> {
    const list = listOf(await this.#session.run(SUBSCRIPTIONS_SCRIPT, []));
    const found = new Map<string, { pattern: string; waiting: number; dead: number }>();
    for (let i = 0; i + 3 < list.length; i += 4) {
      const [waiting, dead] = [Number(list[i + 2]), Number(textOf(list[i + 3]))];
      found.set(textOf(list[i]), { pattern: textOf(list[i + 1]), waiting, dead });
    }
    return found;
  }

  receipt(id: string): Promise<ReceiptState | undefined> {
    for (const consumer of this.#consumers) consumer.flush();
    return this.#receipts.read(id);
  }

  settled(id: string, signal: AbortSignal | undefined): Promise<ReceiptState> {
    return this.#receipts.settled(id, signal);
  }

  deadLetters(query: DeadLetterQuery): Promise<readonly DeadLetterRecord[]> {
    return readDeadLetters(this.#session, query);
  }

  async redrive(ids: readonly string[], redrivesLimit: number): Promise<number> {
    return Number(await this.#session.run(REDRIVE_SCRIPT, [String(redrivesLimit), ...ids.filter(isEntryId)]));
  }

  async purge(ids: readonly string[]): Promise<number> {
    return Number(await this.#session.run(PURGE_SCRIPT, ids.filter(isEntryId)));
  }

  async retain(pattern: string, limits: { readonly messages?: number; readonly ageMs?: number }): Promise<void> {
    await this.#session.run(RETAIN_SCRIPT, [pattern, JSON.stringify(limits)]);
  }

  async retained(): Promise<ReadonlyMap<string, RetainedPositions>> {
    const list = listOf(await this.#session.run(RETAINED_SCRIPT, [])).map(textOf);
    const found = new Map<string, RetainedPositions>();
    for (let i = 0; i + 2 < list.length; i += 3) {
      const [pattern, first, next] = list.slice(i, i + 3) as [string, string, string];
      found.set(pattern, { firstPosition: Number(first), nextPosition: Number(next) });
    }
    return found;
  }

  async close(): Promise<void> {
    this.#expiry?.cancel();
    this.#closed = true;
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
    // What nobody looks after any more is to end by itself.
    if (this.#session.isUp) await this.#renew().catch(() => {});
    this.#outbox.close();
    this.#receipts.close();
    this.#session.close();
  }

  get #ttlMs(): number {
    const { receiptTtlMs = 0, dedupWindowMs = DEDUP_WINDOW_MS } = this.#options;
    return Math.max(receiptTtlMs, dedupWindowMs);
  }

  #newName(): string {
    return `${this.#process}-${++this.#names}`;
  }

  async #join(spec: SubscriptionSpec): Promise<void> {
    const { name, pattern, from, waitingLimit, order, ackTimeoutMs } = spec;
    const kept = JSON.stringify({ pattern, waitingLimit, order, ackTimeoutMs });
    const [kind, bound] =
      typeof from === 'string' ? [from, 0] : 'position' in from ? ['position', from.position] : ['time', from.timeMs];
    const answer = textOf(await this.#session.run(SUBSCRIBE_SCRIPT, [name, kept, pattern, kind, String(bound)]));
    if (answer !== 'OK') {
      throw otherPattern(name, answer, pattern);
    }
  }

  /** A server that has nothing of ours any more has lost it: who still listens is there again. Otherwise somebody has ended it. */
  async #rejoin(spec: SubscriptionSpec): Promise<'made' | 'ended'> {
    const version = await this.#session.command(['GET', `${this.#session.prefix}ver`]);
    const known = await this.#session.command(['HEXISTS', `${this.#session.prefix}subs`, spec.name]);
    if (version !== null && known !== 1) return 'ended';
    await this.#join({ ...spec, from: 'now' });
    return 'made';
  }

  async #listenForWork(name: string, consumer: RedisConsumer): Promise<void> {
    let work = this.#work.get(name);
    if (work === undefined) {
      const consumers = new Set<RedisConsumer>();
      const told = (): void => {
        for (const one of consumers) one.look();
      };
      work = { consumers, stop: this.#session.subscribe(workChannel(this.#session.prefix, name), told) };
      this.#work.set(name, work);
    }
    work.consumers.add(consumer);
    await work.stop;
  }

  async #left(name: string, consumer: RedisConsumer): Promise<void> {
    this.#consumers.delete(consumer);
    const work = this.#work.get(name);
    work?.consumers.delete(consumer);
    if (work?.consumers.size !== 0) return;
    this.#work.delete(name);
    // The connection may be gone, and then so is the channel.
    await work.stop.then((stop) => stop()).catch(() => {});
  }

  #planExpiry(): void {
    if (this.#closed) return;
    this.#expiry = this.#session.clock.wait(EXPIRY_LOOK_MS, () => void this.#expire().then(() => this.#planExpiry()));
  }

  /** Also while nobody consumes: its sender is to learn. */
  async #expire(): Promise<void> {
    if (!this.#session.isUp) return;
    try {
      await this.#renew();
      await expireOn(this.#session, (notice) => this.#events.dead(notice));
    } catch (error) {
      if (!isPassing(error)) this.#events.failed(error as Error);
    }
  }

  /** Drops what was kept for long enough: when closed, as far as one call comes. */
  async #renew(): Promise<void> {
    let isPartly: boolean;
    do isPartly = (await this.#session.once(RENEW_SCRIPT, [String(this.#ttlMs)])) === 1;
    while (isPartly && !this.#closed);
  }

  #up(): void {
    this.#events.connection('up');
    for (const consumer of this.#consumers) void consumer.recover();
    this.#outbox.resume();
    this.#receipts.lookAgain();
  }
}

const isEntryId = (id: string): boolean => /^\d+-\d+$/.test(id);

function recordsOn(session: RedisSession): AdapterRecords {
  const keyOf = (kind: string): string => `${session.prefix}t:${kind}`;
  return {
    async put(kind, name, value) {
      await session.command(['HSET', keyOf(kind), name, JSON.stringify(value)]);
    },
    async list(kind) {
      const reply: RedisReply = await session.command(['HGETALL', keyOf(kind)]);
      return new Map([...pairsOf(reply)].map(([name, json]) => [name, JSON.parse(json) as unknown]));
    },
    async delete(kind, name) {
      return (await session.command(['HDEL', keyOf(kind), name])) === 1;
    },
  };
}
