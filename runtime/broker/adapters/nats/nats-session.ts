/**
 * The adapter's connection to NATS, and its streams.
 *
 * Owns: connecting, refusing a server that cannot do it, making the streams, and trying again, up to a deadline, what a lost connection
 * has cut off.
 *
 * Invariants:
 * NS1. `again` repeats a call until it has an answer or its deadline is there (`BrokerUnavailableError`): calls must bear it.
 */
import type { JetStreamClient, JetStreamManager, StoredMsg } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Clock } from '../../../kernel/clock.ts';
import {
  BlocksError,
  BrokerClosedError,
  BrokerConfigurationError,
  BrokerUnavailableError,
  MissingPackageError,
} from '../../../kernel/errors.ts';
import type { Random } from '../../../kernel/random.ts';
import { assertAddress, distrustOf, uniqueToken } from '../server-adapter.ts';
import type { NatsNames } from './nats-names.ts';

export interface NatsSource {
  readonly url: string | undefined;
  readonly connection: NatsConnection | undefined;
  readonly where: string;
}

export interface NatsSessionOptions {
  readonly source: NatsSource;
  readonly names: NatsNames;
  readonly callTimeoutMs: number;
  readonly dedupWindowMs: number;
  readonly receiptTtlMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

export interface NatsSessionEvents {
  up(): void;
  down(error: Error | undefined): void;
  failed(error: Error): void;
}

type Jetstream = typeof import('@nats-io/jetstream');

const NANOS = 1_000_000;
const LEAST_VERSION = [2, 9] as const;
const ANSWER_MS = 5_000;
const RECONNECT_WAIT_MS = 100;
const RECONNECT_JITTER_MS = 200;
const READ = 500;

/** A connection of `@nats-io/transport-node`. */
export interface NatsConnectionLike {
  publish(...args: never[]): unknown;
  subscribe(...args: never[]): unknown;
  request(...args: never[]): unknown;
}

/** @throws BrokerConfigurationError for a URL that is none of NATS */
export function natsSource(url: string | undefined, client: NatsConnectionLike | undefined): NatsSource {
  if (client !== undefined) {
    const connection = client as unknown as NatsConnection;
    return { url: undefined, connection, where: 'the given connection' };
  }
  const forms = 'nats://user:password@host:4222, nats://token@host:4222, or tls://';
  return { url, connection: undefined, where: assertAddress(url, ['nats:', 'tls:'], 'NATS', forms) };
}

export class NatsSession {
  readonly names: NatsNames;
  readonly clock: Clock;
  readonly #options: NatsSessionOptions;
  readonly #events: NatsSessionEvents;
  #connection: NatsConnection | undefined;
  #jetstream: Jetstream | undefined;
  #client: JetStreamClient | undefined;
  #manager: JetStreamManager | undefined;
  #state: 'new' | 'up' | 'down' | 'closed' = 'new';

  constructor(options: NatsSessionOptions, events: NatsSessionEvents) {
    this.#options = options;
    this.#events = events;
    this.names = options.names;
    this.clock = options.clock;
  }

  /** How long one answer is waited for before the call is made again. */
  get answerMs(): number {
    return Math.min(ANSWER_MS, this.#options.callTimeoutMs);
  }
  get isUp(): boolean {
    return this.#state === 'up';
  }
  get connection(): NatsConnection {
    return this.#there(this.#connection);
  }
  get client(): JetStreamClient {
    return this.#there(this.#client);
  }
  get manager(): JetStreamManager {
    return this.#there(this.#manager);
  }
  get jetstream(): Jetstream {
    return this.#there(this.#jetstream);
  }

  /** Unlike any other on this server. */
  newToken(): string {
    return uniqueToken(this.clock, this.#options.random);
  }

  async open(): Promise<void> {
    const { source } = this.#options;
    const [transport, jetstream] = await packages();
    this.#jetstream = jetstream;
    try {
      this.#connection = source.connection ?? (await transport.connect(this.#connectOptions(source.url as string)));
      this.#assertVersion(this.#connection.info?.version ?? '');
      this.#client = jetstream.jetstream(this.#connection, { timeout: this.answerMs });
      this.#manager = await jetstream.jetstreamManager(this.#connection, { timeout: this.answerMs, checkAPI: true });
      await this.#makeStreams();
    } catch (error) {
      await this.close();
      throw this.#translated(error);
    }
    this.#state = 'up';
    void this.#watch(this.#connection);
  }

  async close(): Promise<void> {
    this.#state = 'closed';
    // What was handed in stays its owner's.
    if (this.#options.source.connection === undefined) await this.#connection?.close().catch(() => {});
  }

  /** Makes a call until it is answered. @throws BrokerUnavailableError at the deadline */
  async again<T>(call: () => Promise<T>): Promise<T> {
    const endMs = this.clock.monotonicMs() + this.#options.callTimeoutMs;
    for (let attempt = 1; ; attempt++) {
      if (this.#state === 'closed') throw new BrokerClosedError('the connection to NATS is closed');
      try {
        return await call();
      } catch (error) {
        if (!this.#passes(error)) throw this.#translated(error);
        if (this.clock.monotonicMs() > endMs) throw this.#unavailable(error);
        await this.pause(Math.min(1_000, 20 * 2 ** attempt));
      }
    }
  }

  /** @throws BrokerUnavailableError when there is no connection in time */
  async whenUp(): Promise<void> {
    if (this.isUp) return;
    await this.again(async () => {
      if (!this.isUp) throw new Error('no connection');
    });
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.wait(ms, resolve);
    });
  }

  /** The last message of a subject. */
  last(stream: string, subject: string): Promise<StoredMsg | null> {
    return this.again(() => this.manager.streams.getMessage(stream, { last_by_subj: subject }));
  }

  /** Messages of a stream from a sequence on, until `each` says stop or there are no more. */
  async read(
    stream: string,
    filter: string,
    from: { readonly sequence?: number; readonly lastPerSubject?: boolean },
    each: (message: { subject: string; seq: number; data: Uint8Array; time: Date }) => 'go on' | 'stop',
  ): Promise<void> {
    const { DeliverPolicy } = this.jetstream;
    const policy = from.lastPerSubject
      ? { deliver_policy: DeliverPolicy.LastPerSubject }
      : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: from.sequence ?? 1 };
    await this.again(async () => {
      const { state } = await this.manager.streams.info(stream, { subjects_filter: filter });
      if (Object.keys(state.subjects ?? {}).length === 0) return;
      const consumer = await this.client.consumers.get(stream, { filter_subjects: filter, ...policy });
      const { num_pending } = await consumer.info();
      let left = num_pending;
      while (left > 0) {
        const count = Math.min(left, READ);
        let got = 0;
        for await (const message of await consumer.fetch({ max_messages: count, expires: ANSWER_MS })) {
          got += 1;
          left = message.info.pending;
          if (each(message) === 'stop') return;
          if (got === count || left === 0) break;
        }
        if (got === 0) return;
      }
    });
  }

  #there<T>(value: T | undefined): T {
    if (value === undefined || this.#state === 'closed')
      throw new BrokerClosedError('the connection to NATS is closed');
    return value;
  }

  #connectOptions(url: string): Record<string, unknown> {
    const { protocol, host, username, password } = new URL(url);
    const [user, pass] = [decodeURIComponent(username), decodeURIComponent(password)];
    return {
      servers: host,
      ...(pass !== '' ? { user, pass } : user === '' ? {} : { token: user }),
      ...(protocol === 'tls:' ? { tls: {} } : {}),
      name: this.names.stream,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_WAIT_MS,
      reconnectJitter: RECONNECT_JITTER_MS,
      pingInterval: 10_000,
      maxPingOut: 2,
    };
  }

  #assertVersion(version: string): void {
    const [major = 0, minor = 0] = version.split('.').map(Number);
    if (major > LEAST_VERSION[0] || (major === LEAST_VERSION[0] && minor >= LEAST_VERSION[1])) return;
    throw new BrokerConfigurationError(
      `NATS at ${this.#options.source.where} is ${version}: at least ${LEAST_VERSION.join('.')} is needed`,
      { details: { version } },
    );
  }

  async #makeStreams(): Promise<void> {
    const { names } = this;
    const { dedupWindowMs, receiptTtlMs } = this.#options;
    const { prefix } = names;
    const file = {
      storage: this.jetstream.StorageType.File,
      retention: this.jetstream.RetentionPolicy.Limits,
    } as const;
    const window = dedupWindowMs * NANOS;
    const add = async (config: { name: string; subjects: string[] } & Record<string, unknown>): Promise<void> => {
      try {
        await this.manager.streams.add({ ...file, ...config });
      } catch (error) {
        // It is there, made with other limits: those of whoever was first hold.
        if (!/already in use/.test((error as Error).message)) throw error;
      }
    };
    const subjects = ['d', 's', 'q'].map((part) => `${prefix}.${part}.>`);
    await add({ name: names.stream, subjects, duplicate_window: window });
    await add({ name: names.table, subjects: [`${prefix}.t.>`], max_msgs_per_subject: 1 });
    await add({
      name: names.receipts,
      subjects: [`${prefix}.r.>`],
      max_msgs_per_subject: 1,
      max_age: receiptTtlMs * NANOS,
      duplicate_window: Math.min(window, receiptTtlMs * NANOS),
    });
    await add({ name: names.dead, subjects: [`${prefix}.x.>`], duplicate_window: window });
  }

  async #watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (this.#state === 'closed') return;
      if (status.type === 'disconnect' && this.#state === 'up') {
        this.#state = 'down';
        this.#events.down(undefined);
      } else if (status.type === 'reconnect' && this.#state === 'down') {
        this.#state = 'up';
        this.#events.up();
      } else if (status.type === 'error') this.#events.failed(status.error);
    }
    if ((this.#state as string) !== 'closed') this.#events.down(new Error('the connection was closed'));
  }

  /** A fault of the connection or of a server that is starting, not of what was asked. */
  #passes(error: unknown): boolean {
    if (this.#state === 'closed' || !(error instanceof Error) || error instanceof BlocksError) return false;
    if (this.#state === 'down') return true;
    const words = `${error.name} ${error.message} ${(error.cause as Error | undefined)?.message ?? ''}`;
    return /timeout|no responders|disconnect|connection|not available|draining/i.test(words);
  }

  #unavailable(cause: unknown): BrokerUnavailableError {
    const why = cause instanceof Error ? `: ${cause.message}` : '';
    return new BrokerUnavailableError(`NATS at ${this.#options.source.where} does not answer${why}`, { cause });
  }

  #translated(error: unknown): unknown {
    if (!(error instanceof Error) || error instanceof BlocksError) return error;
    const { where } = this.#options.source;
    const distrust = distrustOf(error, where);
    if (distrust !== undefined) return distrust;
    const words = `${error.name} ${error.message}`;
    if (/authorization|authentication|permissions? violation/i.test(words)) {
      return new BrokerConfigurationError(
        `NATS at ${where} refuses the credentials: ${error.message}. Give user and password, or a token, in the URL`,
        { cause: error },
      );
    }
    if (
      /jetstream.*not enabled|JetStreamNotEnabled/i.test(words) ||
      (/no responders/i.test(words) && this.#state === 'new')
    ) {
      return new BrokerConfigurationError(
        `NATS at ${where} has no JetStream: start it with -js, or with a jetstream block in its configuration`,
        { cause: error },
      );
    }
    if (this.#passes(error) || /refused|ENOTFOUND|ETIMEDOUT|EHOSTUNREACH|closed/i.test(words))
      return this.#unavailable(error);
    return error;
  }
}

async function packages(): Promise<[typeof import('@nats-io/transport-node'), Jetstream]> {
  try {
    return await Promise.all([import('@nats-io/transport-node'), import('@nats-io/jetstream')]);
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new MissingPackageError(
      'a broker on NATS needs its client: npm install @nats-io/transport-node @nats-io/jetstream',
      { cause: error, details: { packages: ['@nats-io/transport-node', '@nats-io/jetstream'] } },
    );
  }
}
