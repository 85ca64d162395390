/**
 * One consumer of a durable subscription on JetStream.
 *
 * Owns: pulling as many messages as were requested, handing them out, settling them in batches, and keeping what it has alive. Order and
 * holding back are `nats-lanes.ts`.
 *
 * Invariants:
 * NC1. No more is handed out than was requested.
 * NC2. An outcome is durable before its message is acknowledged: receipts and dead letters are stored first.
 * NC3. What is settled here is not handed out again here, if the server should deliver it again; for EXACTLY_ONCE not anywhere, as the
 *      durable receipt is looked up whenever a delivery may be a second one.
 * NC4. What is no message of ours is set aside as `undecodable` without its subscriber hearing of it.
 */
import type { Wait } from '../../../kernel/clock.ts';
import type { EncodedError } from '../../../kernel/errors.ts';
import type {
  AdapterConsumer,
  DeadLetterNotice,
  DeadReason,
  HandOut,
  Outcome,
  SubscriptionSpec,
} from '../../broker-adapter.ts';
import { EXPIRED, strayMessage, undecodable } from '../carried-bytes.ts';
import type { NatsDeadLetters } from './nats-dead-letters.ts';
import { acknowledge, acknowledged, type Delivery, giveBack, stillWorking } from './nats-delivery.ts';
import { decodeFrame } from './nats-frame.ts';
import { NatsLanes, type Owned } from './nats-lanes.ts';
import { consumerName } from './nats-names.ts';
import { NatsPull } from './nats-pull.ts';
import type { NatsReceipts, Word } from './nats-receipts.ts';
import type { NatsSession } from './nats-session.ts';

export interface NatsConsumerOptions {
  readonly spec: SubscriptionSpec;
  /** What is not retained and not after it is not for this subscription. */
  readonly born: number;
  readonly deliver: (handOuts: readonly HandOut[]) => void;
  readonly dead: (notice: DeadLetterNotice) => void;
  readonly failed: (error: Error) => void;
  readonly missing: () => void;
  readonly closed: () => void;
}

/** Sequences of settled messages that are remembered. */
const SETTLED_LIMIT = 50_000;
/** What may be delivered and held back; beyond it nothing more is pulled. */
const OWNED_LIMIT = 20_000;
const ACK_TIMEOUT_MS = 5_000;

export class NatsConsumer implements AdapterConsumer {
  readonly #session: NatsSession;
  readonly #receipts: NatsReceipts;
  readonly #letters: NatsDeadLetters;
  readonly #options: NatsConsumerOptions;
  readonly #lanes: NatsLanes;
  readonly #main: NatsPull;
  readonly #again: NatsPull;
  readonly #settled = new Set<string>();
  #demand = 0;
  /** What is delivered waits its turn while something before it is looked up. */
  #arriving: Promise<void> | undefined;
  /** Delivered, and waiting its turn so. */
  #lookedUp = 0;
  #planned = false;
  #due: Wait | undefined;
  #tick: Wait | undefined;
  #acks: { readonly delivery: Delivery; readonly resolve: () => void; readonly reject: (error: unknown) => void }[] =
    [];
  #acksPlanned = false;
  #upSinceMs: number;
  #closed = false;

  constructor(session: NatsSession, receipts: NatsReceipts, letters: NatsDeadLetters, options: NatsConsumerOptions) {
    this.#session = session;
    this.#receipts = receipts;
    this.#letters = letters;
    this.#options = options;
    this.#lanes = new NatsLanes(options.spec.order);
    this.#upSinceMs = session.clock.now();
    const pull = (lane: 'main' | 'again'): NatsPull =>
      new NatsPull(session, consumerName(options.spec.name, lane), {
        delivered: (delivery) => this.#arrive(delivery, lane),
        ended: () => this.#plan(),
        missing: () => options.missing(),
        failed: options.failed,
      });
    this.#main = pull('main');
    this.#again = pull('again');
    this.#planTick();
  }

  request(count: number): void {
    this.#demand += count;
    this.#plan();
  }

  async settle(handOut: HandOut, outcome: Outcome): Promise<void> {
    const { owned, turn } = handOut.token as Token;
    if (owned.state !== 'in hands' || owned.turn !== turn || this.#closed) return;
    switch (outcome.kind) {
      case 'handled':
        return this.#handled(owned, outcome.reply);
      case 'retry':
        return this.#retry(owned, outcome.delayMs, outcome.error);
      case 'dead':
        await this.#bury(owned, outcome.reason, outcome.error, owned.attempt);
        return;
      case 'released':
        this.#lanes.add(owned);
        // Whoever gives back may do so at once again: the event loop must turn between.
        this.#session.clock.defer(() => this.#plan());
    }
  }

  /** The connection is there again. */
  recover(): void {
    this.#upSinceMs = this.#session.clock.now();
    this.#main.reset();
    this.#again.reset();
    this.#keepAlive();
    this.#plan();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#due?.cancel();
    this.#tick?.cancel();
    this.#main.close();
    this.#again.close();
    await this.#arriving;
    const left = [...this.#lanes.all].filter(({ state }) => state !== 'over');
    try {
      if (this.#session.isUp) {
        await this.#sendAcks();
        await Promise.all(left.map((owned) => this.#recordTries(owned)));
        for (const { delivery } of left) giveBack(this.#session.connection, delivery);
        await this.#session.connection.flush();
      }
    } catch (error) {
      // It is delivered again when its acknowledgement is overdue.
      this.#options.failed(error as Error);
    }
    this.#options.closed();
  }

  #plan(): void {
    if (this.#planned || this.#closed) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      this.#work();
    });
  }

  #work(): void {
    if (this.#closed) return;
    this.#handOut();
    const { all } = this.#lanes;
    if (this.#demand <= 0 || all.size >= OWNED_LIMIT) return;
    const wanted = this.#demand - this.#main.asked - this.#lookedUp;
    if (wanted > 0 && this.#main.isReady) this.#main.ask(wanted);
    if (this.#again.asked === 0 && this.#again.isReady) this.#again.ask(1);
  }

  #handOut(): void {
    const handOuts: HandOut[] = [];
    const nowMs = this.#session.clock.now();
    while (this.#demand > 0) {
      const owned = this.#lanes.take();
      if (owned === undefined) break;
      if (owned.firstDeliveredMs === 0) owned.firstDeliveredMs = nowMs;
      const { message, attempt, firstDeliveredMs } = owned;
      if (this.#expires(owned, nowMs)) continue;
      const token: Token = { owned, turn: ++owned.turn };
      handOuts.push({ message, attempt, redrives: owned.facts.redrives ?? 0, firstDeliveredMs, token });
      this.#demand -= 1;
      if (message.header.delivery === 'EXACTLY_ONCE') this.#tell(owned, { status: 'delivered', attempt });
    }
    if (handOuts.length > 0) this.#options.deliver(handOuts);
  }

  #expires(owned: Owned, nowMs: number): boolean {
    const { expiresAtMs } = owned.message.header;
    // Whoever sends an expired one again wants it handled.
    if (expiresAtMs === undefined || expiresAtMs > nowMs || (owned.facts.redrives ?? 0) > 0) return false;
    this.#setAside(owned, 'expired', EXPIRED, owned.attempt - 1);
    return true;
  }

  #setAside(owned: Owned, reason: DeadReason, error: EncodedError, attempts: number): void {
    this.#bury(owned, reason, error, attempts).then(
      (id) => {
        const { name: subscription } = this.#options.spec;
        this.#options.dead({ id, messageId: owned.message.header.id, subscription, reason, error, attempts });
      },
      (fault: unknown) => this.#options.failed(fault as Error),
    );
  }

  #arrive(delivery: Delivery, lane: 'main' | 'again'): void {
    if (this.#closed) return giveBack(this.#session.connection, delivery);
    // The usual one: new, and nothing before it is being looked up.
    const isUsual = delivery.deliveries === 1 && delivery.storedMs > this.#upSinceMs;
    if (isUsual && this.#arriving === undefined) {
      this.#take(delivery, lane, undefined);
      return this.#plan();
    }
    if (lane === 'main') this.#lookedUp += 1;
    const arriving = (this.#arriving ?? Promise.resolve())
      .then(() => this.#lookUp(delivery, lane, isUsual))
      .catch((error: unknown) => this.#options.failed(error as Error))
      .then(() => {
        if (lane === 'main') this.#lookedUp -= 1;
        if (this.#arriving === arriving) this.#arriving = undefined;
        this.#plan();
      });
    this.#arriving = arriving;
  }

  /** It may have been delivered before: was it settled, how often was it tried? */
  async #lookUp(delivery: Delivery, lane: 'main' | 'again', isUsual: boolean): Promise<void> {
    if (isUsual) return this.#take(delivery, lane, undefined);
    const { name } = this.#options.spec;
    const frame = decodeFrame(delivery.data);
    const { delivery: guarantee, expiresAtMs } = frame?.message.header ?? {};
    if (guarantee === 'EXACTLY_ONCE' || (expiresAtMs !== undefined && lane === 'main')) {
      const word = await this.#receipts.keptAt(frame?.message.header.id ?? '', name);
      if (word?.status === 'handled' || word?.status === 'dead') return acknowledge(this.#session.connection, delivery);
    }
    const { names } = this.#session;
    const kept =
      delivery.deliveries === 1
        ? null
        : await this.#session.last(names.table, names.tries(name, lane, delivery.sequence));
    this.#take(delivery, lane, kept === null || kept.data.length === 0 ? undefined : kept.json<Tries>());
  }

  #take(delivery: Delivery, lane: 'main' | 'again', tries: Tries | undefined): void {
    const { connection, names, clock } = this.#session;
    if (this.#settled.has(placeIn(delivery, lane))) return acknowledge(connection, delivery);
    // One that was delivered again although we have it, because the server heard nothing of us for a while.
    for (const old of delivery.deliveries > 1 ? this.#lanes.all : [])
      if (old.delivery.sequence === delivery.sequence && old.lane === lane) this.#lanes.remove(old);
    if (lane === 'main' && delivery.sequence <= this.#options.born && !names.isRetained(delivery.subject))
      return acknowledge(connection, delivery);
    const frame = decodeFrame(delivery.data);
    const subject = lane === 'main' ? names.subjectOf(delivery.subject) : 'undecodable';
    const id = `stream-${delivery.sequence}`;
    const message = frame?.message ?? strayMessage(id, subject, delivery.storedMs, delivery.data);
    const { key, source, notBeforeMs } = message.header;
    const owned: Owned = {
      delivery,
      lane,
      message,
      facts: frame?.facts ?? {},
      key: key ?? source,
      attempt: tries === undefined ? delivery.deliveries : tries.attempt + (delivery.deliveries - tries.deliveries - 1),
      firstDeliveredMs: tries?.firstDeliveredMs ?? 0,
      dueMs: 0,
      state: 'ready',
      holds: false,
      turn: 0,
    };
    if (frame === undefined) {
      owned.firstDeliveredMs = clock.now();
      this.#setAside(owned, 'undecodable', undecodable(`message ${delivery.sequence} of ${delivery.subject}`), 1);
    } else if (notBeforeMs !== undefined && notBeforeMs > clock.now() && owned.attempt === 1) {
      this.#lanes.wait(owned, notBeforeMs, false);
      this.#planDue();
    } else this.#lanes.add(owned);
  }

  async #handled(owned: Owned, reply: Uint8Array | undefined): Promise<void> {
    const word = this.#wordOf(owned, {
      status: 'handled',
      ...(reply === undefined ? {} : { reply: Buffer.from(reply).toString('base64') }),
    });
    this.#end(owned);
    if (reply !== undefined || owned.message.header.delivery === 'EXACTLY_ONCE') await this.#receipts.keep(word);
    await this.#acknowledge(owned.delivery);
    this.#tell(owned, word);
  }

  async #retry(owned: Owned, delayMs: number, error: EncodedError): Promise<void> {
    this.#tell(owned, { status: 'delivered', attempt: owned.attempt, error });
    owned.attempt += 1;
    // It is not due before it is settled: whoever waits for that would give it back again and again.
    this.#lanes.wait(owned, Number.POSITIVE_INFINITY, true);
    try {
      await this.#recordTries(owned);
    } finally {
      owned.dueMs = this.#session.clock.now() + delayMs;
      this.#planDue();
    }
  }

  async #bury(owned: Owned, reason: DeadReason, error: EncodedError, attempts: number): Promise<string> {
    const { message, facts, delivery, lane } = owned;
    const { name } = this.#options.spec;
    this.#end(owned);
    const stray = reason === 'undecodable';
    const kept = {
      ...(stray ? {} : { header: message.header }),
      id: message.header.id,
      subject: message.header.subject,
      ...(facts.process === undefined ? {} : { process: facts.process }),
      reason,
      error,
      attempts,
      firstDeliveredMs: owned.firstDeliveredMs,
      deadMs: this.#session.clock.now(),
      redrives: facts.redrives ?? 0,
    };
    const once = `${consumerName(name, lane)}-${delivery.sequence}`;
    const id = await this.#letters.write(name, kept, message.payload, once);
    const word = this.#wordOf(owned, { status: 'dead', attempt: attempts, error });
    if (!stray) await this.#receipts.keep(word);
    await this.#acknowledge(delivery);
    if (!stray) this.#tell(owned, word);
    return id;
  }

  #end(owned: Owned): void {
    this.#lanes.remove(owned);
    this.#settled.add(placeIn(owned.delivery, owned.lane));
    if (this.#settled.size > SETTLED_LIMIT) {
      const [oldest] = this.#settled;
      this.#settled.delete(oldest as string);
    }
    // It had a record of its tries: nobody needs it any more.
    if (owned.attempt > 1 && this.#session.isUp) {
      const { names, manager } = this.#session;
      const filter = names.tries(this.#options.spec.name, owned.lane, owned.delivery.sequence);
      manager.streams.purge(names.table, { filter }).catch((error: unknown) => this.#options.failed(error as Error));
    }
    this.#plan();
  }

  /** Resolves when the server has it; one confirmation is asked for all of a turn. */
  #acknowledge(delivery: Delivery): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#acks.push({ delivery, resolve, reject });
      if (this.#acksPlanned) return;
      this.#acksPlanned = true;
      this.#session.clock.defer(() => {
        this.#acksPlanned = false;
        void this.#sendAcks();
      });
    });
  }

  async #sendAcks(): Promise<void> {
    const acks = this.#acks;
    if (acks.length === 0) return;
    this.#acks = [];
    try {
      await this.#session.again(async () => {
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

  async #recordTries(owned: Owned): Promise<void> {
    const { names } = this.#session;
    const { delivery, lane, attempt, firstDeliveredMs } = owned;
    const tries: Tries = { deliveries: delivery.deliveries, attempt, firstDeliveredMs };
    const subject = names.tries(this.#options.spec.name, lane, delivery.sequence);
    await this.#session.again(() => this.#session.client.publish(subject, JSON.stringify(tries)));
  }

  #wordOf(owned: Owned, word: Partial<Word> & Pick<Word, 'status'>): Word {
    const { id } = owned.message.header;
    return {
      id,
      subscription: this.#options.spec.name,
      atMs: this.#session.clock.now(),
      attempt: owned.attempt,
      ...word,
    };
  }

  #tell(owned: Owned, word: Partial<Word> & Pick<Word, 'status'>): void {
    const { process } = owned.facts;
    if (process !== undefined) this.#receipts.tell(process, this.#wordOf(owned, word));
  }

  #planDue(): void {
    this.#due?.cancel();
    const waiting = [...this.#lanes.all].filter(({ state }) => state === 'waiting');
    if (waiting.length === 0 || this.#closed) return;
    const nextMs = Math.min(...waiting.map(({ dueMs }) => dueMs));
    if (nextMs === Number.POSITIVE_INFINITY) return;
    this.#due = this.#session.clock.wait(Math.max(0, nextMs - this.#session.clock.now()), () => {
      const nowMs = this.#session.clock.now();
      for (const owned of this.#lanes.all)
        if (owned.state === 'waiting' && owned.dueMs <= nowMs) this.#lanes.add(owned);
      this.#plan();
      this.#planDue();
    });
  }

  #planTick(): void {
    this.#tick = this.#session.clock.wait(this.#options.spec.ackTimeoutMs / 3, () => {
      this.#keepAlive();
      this.#plan();
      if (!this.#closed) this.#planTick();
    });
  }

  #keepAlive(): void {
    if (!this.#session.isUp) return;
    for (const { delivery } of this.#lanes.all) stillWorking(this.#session.connection, delivery);
  }
}

/** One hand-out of it: an older one settles nothing. */
interface Token {
  readonly owned: Owned;
  readonly turn: number;
}

/** How often a message was tried, at that delivery. */
interface Tries {
  readonly deliveries: number;
  readonly attempt: number;
  readonly firstDeliveredMs: number;
}

const placeIn = ({ sequence }: Delivery, lane: 'main' | 'again'): string => `${lane}${sequence}`;

/** `$JS.ACK.<stream>.<consumer>`, whatever is before the numbers. */
const consumerOf = ({ reply }: Delivery): string => reply.slice(0, reply.search(/\.\d+\.\d+\.\d+\.\d+\.\d+/));
