/**
 * Accepting messages on JetStream.
 *
 * Owns: publishing with deduplication, the room that subscriptions have, and sending again, in order, what a lost connection cut off.
 *
 * Invariants:
 * NO1. Messages are stored in the order of their `accept` calls, also after a lost connection: then nothing new is sent until what was
 *      under way has been sent again, one after another.
 * NO2. A message that is sent again is told from a duplicate by its token: of what is stored under its id, that decides.
 */
import type { Wait } from '../../../kernel/clock.ts';
import {
  BrokerClosedError,
  BrokerUnavailableError,
  MessageTooLargeError,
  QueueFullError,
} from '../../../kernel/errors.ts';
import type { Accepted, CarriedMessage } from '../../broker-adapter.ts';
import type { NatsExpiry } from './nats-expiry.ts';
import { consumerName } from './nats-names.ts';
import { decodeFrame, encodeFrame } from './nats-frame.ts';
import type { NatsReceipts } from './nats-receipts.ts';
import type { NatsSession } from './nats-session.ts';
import type { KnownSubscription, NatsTable } from './nats-table.ts';

const UNDER_WAY_LIMIT = 4_096;
const LOOK_MS = 250;
/** How full a subscription may be by reckoning before the server is asked how full it is. */
const RECKONED = 0.5;

interface Publishing {
  readonly message: CarriedMessage;
  readonly subject: string;
  readonly bytes: Uint8Array;
  readonly token: number;
  readonly msgID: string;
  readonly endMs: number;
  readonly resolve: (stored: Stored) => void;
  readonly reject: (error: unknown) => void;
  tries: number;
}

interface Stored {
  readonly sequence: number;
  readonly duplicateOf: string | undefined;
}

export class NatsOutbox {
  readonly #session: NatsSession;
  readonly #table: NatsTable;
  readonly #receipts: NatsReceipts;
  readonly #expiry: NatsExpiry;
  readonly #process: string;
  readonly #timeoutMs: number;
  #queue: Publishing[] = [];
  /** Cut off, in order. */
  #again: Publishing[] = [];
  #underWay = 0;
  #repeating = false;
  #looking: Wait | undefined;
  #closed = false;
  #tokens = 0;

  constructor(
    session: NatsSession,
    table: NatsTable,
    receipts: NatsReceipts,
    expiry: NatsExpiry,
    process: string,
    timeoutMs: number,
  ) {
    this.#expiry = expiry;
    this.#session = session;
    this.#table = table;
    this.#receipts = receipts;
    this.#process = process;
    this.#timeoutMs = timeoutMs;
  }

  async accept(message: CarriedMessage): Promise<Accepted> {
    if (this.#closed) throw new BrokerClosedError('the broker is closed');
    const { header } = message;
    const { id, subject } = header;
    let targets = this.#table.matching(subject);
    if (targets.length === 0) {
      await this.#table.catchUp();
      targets = this.#table.matching(subject);
    }
    for (const target of targets)
      if (target.since + target.waiting >= target.waitingLimit * RECKONED) await this.#room(target);
    for (const target of targets) target.since += 1;
    this.#receipts.sending(id);
    const bytes = this.#encode(message);
    const { sequence, duplicateOf } = await this.#publish(message, bytes);
    const names = targets.map(({ name }) => name);
    if (duplicateOf !== undefined) return { duplicate: true, id: duplicateOf, subscriptions: names, listeners: 0 };
    const atMs = this.#session.clock.now();
    this.#receipts.sent(id, sequence, names, atMs);
    if (header.expiresAtMs !== undefined) this.#expiry.watch(message, sequence, names);
    // Not by its own subject, where a duplicate would be heard too.
    const listeners = names.length === 0 ? await this.#tellListeners(header, bytes) : undefined;
    if (names.length > 0 && this.#session.isUp)
      this.#session.connection.publish(this.#session.names.broadcast(subject), bytes);
    if (header.delivery === 'EXACTLY_ONCE') await this.#receipts.keepAccepted(id, sequence, names, atMs);
    return { duplicate: false, subscriptions: names, ...(listeners === undefined ? {} : { listeners }) };
  }

  async broadcast(message: CarriedMessage): Promise<number | undefined> {
    return this.#tellListeners(message.header, encodeFrame(message, {}));
  }

  /**
   * 0 when the server says that nobody listens; it is asked about what somebody must take. Sent once: after a lost connection those who
   * have heard it would hear it twice.
   */
  async #tellListeners({ kind, subject }: CarriedMessage['header'], bytes: Uint8Array): Promise<number | undefined> {
    const to = this.#session.names.broadcast(subject);
    // What the client is given while it has no connection, it drops.
    await this.#session.whenUp();
    const { connection } = this.#session;
    if (kind === 'EVENT' || kind === 'RESPONSE') {
      connection.publish(to, bytes);
      return undefined;
    }
    const reply = `_INBOX.${this.#session.newToken()}`;
    let nobody = false;
    const heard = connection.subscribe(reply, {
      callback: (_error, message) => {
        nobody ||= message.headers?.code === 503;
      },
    });
    try {
      connection.publish(to, bytes, { reply });
      await connection.flush();
    } catch (error) {
      if (!isPassing(error)) throw error;
    } finally {
      heard.unsubscribe();
    }
    return nobody ? 0 : undefined;
  }

  /** The connection is there again. */
  resume(): void {
    this.#send();
  }

  close(): void {
    this.#closed = true;
    this.#looking?.cancel();
    for (const { reject } of [...this.#again, ...this.#queue])
      reject(new BrokerClosedError('the broker was closed before the message was accepted'));
    this.#again = [];
    this.#queue = [];
  }

  /** @throws QueueFullError */
  async #room(target: KnownSubscription): Promise<void> {
    const { names } = this.#session;
    const info = await this.#session.again(() =>
      this.#session.manager.consumers.info(names.stream, consumerName(target.name, 'main')),
    );
    target.waiting = info.num_pending;
    target.since = 0;
    if (target.waiting < target.waitingLimit) return;
    const quoted = JSON.stringify(target.name);
    throw new QueueFullError(`as many messages wait for subscription ${quoted} as may: ${target.waitingLimit}`, {
      details: { subscription: target.name, waitingLimit: target.waitingLimit },
    });
  }

  #encode(message: CarriedMessage): Uint8Array {
    const bytes = encodeFrame(message, { process: this.#process, token: ++this.#tokens });
    const most = this.#session.connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
    if (bytes.length > most - 1_024) {
      throw new MessageTooLargeError(
        `message ${message.header.id} has ${bytes.length} bytes, NATS takes ${most - 1_024}: raise max_payload, or send a reference`,
        { details: { bytes: bytes.length, limitBytes: most - 1_024 } },
      );
    }
    return bytes;
  }

  #publish(message: CarriedMessage, bytes: Uint8Array): Promise<Stored> {
    const token = this.#tokens;
    const { subject, idempotencyKey, id } = message.header;
    return new Promise((resolve, reject) => {
      this.#queue.push({
        message,
        subject: this.#session.names.message(subject, this.#table.isRetained(subject)),
        bytes,
        token,
        msgID: Buffer.from(idempotencyKey === undefined ? `i:${id}` : `k:${idempotencyKey}`).toString('base64url'),
        endMs: this.#session.clock.monotonicMs() + this.#timeoutMs,
        resolve,
        reject,
        tries: 0,
      });
      this.#send();
      if (this.#queue.length > 0) this.#look();
    });
  }

  /** Rejects what has waited too long for a connection, as long as anything waits for one. */
  #look(): void {
    this.#looking ??= this.#session.clock.wait(Math.min(LOOK_MS, this.#timeoutMs), () => {
      this.#looking = undefined;
      const nowMs = this.#session.clock.monotonicMs();
      const late = this.#queue.filter(({ endMs }) => endMs <= nowMs);
      this.#queue = this.#queue.filter(({ endMs }) => endMs > nowMs);
      for (const { reject } of late)
        reject(
          new BrokerUnavailableError('NATS could not be reached within the time a message may take to be accepted'),
        );
      if (this.#queue.length > 0 && !this.#closed) this.#look();
    });
  }

  #send(): void {
    if (!this.#session.isUp || this.#closed || this.#again.length > 0) return;
    let count = 0;
    while (count < this.#queue.length && this.#underWay < UNDER_WAY_LIMIT)
      void this.#call(this.#queue[count++] as Publishing);
    if (count > 0) this.#queue.splice(0, count);
  }

  async #call(one: Publishing): Promise<void> {
    this.#underWay += 1;
    try {
      one.resolve(await this.#store(one));
    } catch (error) {
      if (isPassing(error)) this.#again.push(one);
      else one.reject(error);
    }
    this.#underWay -= 1;
    if (this.#again.length > 0) {
      if (this.#underWay === 0) void this.#repeat();
    } else if (this.#queue.length > 0) this.#send();
  }

  /** One after another, in the order in which they were asked for. */
  async #repeat(): Promise<void> {
    if (this.#repeating) return;
    this.#repeating = true;
    this.#again.sort((a, b) => a.token - b.token);
    while (this.#again.length > 0 && !this.#closed) {
      const one = this.#again[0] as Publishing;
      try {
        one.resolve(await this.#store(one));
      } catch (error) {
        if (isPassing(error) && this.#session.clock.monotonicMs() < one.endMs) {
          await this.#session.pause(Math.min(500, 20 * 2 ** one.tries));
          continue;
        }
        one.reject(
          isPassing(error)
            ? new BrokerUnavailableError('NATS has not stored the message in time', { cause: error })
            : error,
        );
      }
      this.#again.shift();
    }
    this.#repeating = false;
    this.#send();
  }

  async #store(one: Publishing): Promise<Stored> {
    one.tries += 1;
    const { client, names } = this.#session;
    const ack = await client.publish(one.subject, one.bytes, {
      msgID: one.msgID,
      timeout: this.#session.answerMs,
      retries: 1,
    });
    const { id } = one.message.header;
    if (!ack.duplicate) return { sequence: ack.seq, duplicateOf: undefined };
    const first = await this.#session.again(() =>
      this.#session.manager.streams.getMessage(names.stream, { seq: ack.seq }),
    );
    const frame = first === null ? undefined : decodeFrame(first.data);
    const isOurs =
      one.tries > 1 &&
      (frame === undefined || (frame.facts.process === this.#process && frame.facts.token === one.token));
    return { sequence: ack.seq, duplicateOf: isOurs ? undefined : (frame?.message.header.id ?? id) };
  }
}

/** Publishing was cut off, or the server is not ready: anything but an answer that says no. */
const isPassing = (error: unknown): boolean =>
  error instanceof Error &&
  /timeout|no responders|disconnect|connection|not available|draining/i.test(`${error.name} ${error.message}`);
