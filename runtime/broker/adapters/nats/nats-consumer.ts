/**
 * One consumer of a durable subscription on JetStream.
 *
 * Owns: pulling as many messages as were requested, handing them out, settling them, and keeping what it has alive. Order and holding back
 * are `nats-lanes.ts`; whether it may have anything is its lease (`nats-lease.ts`), where order is held.
 *
 * Invariants:
 * NC1. No more is handed out than was requested; and nothing beside a message that was lost often. Before that one is handed out,
 *      the records say that nothing else is in hands.
 * NC2. An outcome is durable before its message is acknowledged: receipts and dead letters are stored first.
 * NC3. What is settled here is not handed out again here, if the server should deliver it again; for EXACTLY_ONCE not anywhere, as the
 *      durable receipt is looked up whenever a delivery may be a second one.
 * NC4. What is no message of ours is set aside as `undecodable` without its subscriber hearing of it.
 */
import type { Wait } from '../../../kernel/clock.ts';
import type { EncodedError } from '../../../kernel/errors.ts';
import {
  type AdapterConsumer,
  type DeadLetterNotice,
  type DeadReason,
  type HandOut,
  type Outcome,
  type SubscriptionSpec,
  SUSPECT_AFTER_LOST,
} from '../../broker-adapter.ts';
import { EXPIRED, strayMessage, undecodable } from '../carried-bytes.ts';
import { NatsAcks } from './nats-acks.ts';
import type { NatsDeadLetters } from './nats-dead-letters.ts';
import { acknowledge, type Delivery, giveBack, stillWorking } from './nats-delivery.ts';
import { decodeFrame } from './nats-frame.ts';
import { NatsLanes, type Owned } from './nats-lanes.ts';
import { NatsLease } from './nats-lease.ts';
import { consumerName } from './nats-names.ts';
import { NatsPull } from './nats-pull.ts';
import type { NatsReceipts, Word } from './nats-receipts.ts';
import type { NatsSession } from './nats-session.ts';
import { FIRST_TRY, NatsTries, type Tries } from './nats-tries.ts';

export interface NatsConsumerOptions {
  readonly spec: SubscriptionSpec;
  /** The process that it is in. */
  readonly process: string;
  readonly graceMs: number;
  /** After this without a word the server gives a message to another. */
  readonly ackWaitMs: number;
  /** What is not retained and not after it is not for this subscription. */
  readonly born: number;
  readonly deliver: (handOuts: readonly HandOut[]) => void;
  readonly dead: (notice: DeadLetterNotice) => void;
  readonly failed: (error: Error) => void;
  readonly missing: () => void;
  readonly closed: () => void;
}

/** What may be delivered and held back; beyond it nothing more is pulled. */
const OWNED_LIMIT = 20_000;

export class NatsConsumer implements AdapterConsumer {
  readonly #session: NatsSession;
  readonly #receipts: NatsReceipts;
  readonly #letters: NatsDeadLetters;
  readonly #options: NatsConsumerOptions;
  readonly #lanes: NatsLanes;
  readonly #tries: NatsTries;
  readonly #acks: NatsAcks;
  /** With `pass` all consumers have messages beside each other. */
  readonly #lease: NatsLease | undefined;
  /** Was lost often, and is in hands, alone. */
  #suspect: Owned | undefined;
  /** The records say that nothing but this is in hands. */
  #alone: Owned | undefined;
  #isIsolating = false;
  readonly #main: NatsPull;
  readonly #again: NatsPull;
  #demand = 0;
  /** What is delivered waits its turn while something before it is looked up. */
  #arriving: Promise<void> | undefined;
  /** Delivered, and waiting its turn so. */
  #lookedUp = 0;
  #planned = false;
  #due: Wait | undefined;
  #tick: Wait | undefined;
  #upSinceMs: number;
  #closed = false;

  constructor(session: NatsSession, receipts: NatsReceipts, letters: NatsDeadLetters, options: NatsConsumerOptions) {
    this.#session = session;
    this.#receipts = receipts;
    this.#letters = letters;
    this.#options = options;
    const { name: subscription, order, ackTimeoutMs } = options.spec;
    this.#lanes = new NatsLanes(order);
    this.#tries = new NatsTries(session, subscription, options.failed);
    this.#acks = new NatsAcks(session, () => this.#lease?.standing ?? 'held');
    if (order === 'hold')
      this.#lease = new NatsLease(session, {
        subscription,
        member: session.newToken(),
        process: options.process,
        graceMs: options.graceMs,
        goneMs: ackTimeoutMs,
        taken: async () => {
          for (const lane of ['main', 'again'] as const) await this.#acks.giveBackAll(subscription, lane);
        },
        held: () => this.#plan(),
        lost: () => this.#lanes.clear(),
        failed: options.failed,
      });
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
    this.#lease?.want();
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
    this.#lease?.recover();
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
        await this.#acks.send();
        await Promise.all(left.map((owned) => this.#tries.keep(owned, 'kept back')));
        if (left.length > 0) await this.#acks.forgetPulls(this.#options.spec.name);
        for (const { delivery } of left) giveBack(this.#session.connection, delivery);
        await this.#session.connection.flush();
      }
      await this.#lease?.close();
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

  get #isActive(): boolean {
    return this.#lease === undefined || this.#lease.standing === 'held';
  }

  #work(): void {
    if (this.#closed || !this.#isActive) return;
    this.#handOut();
    const { all } = this.#lanes;
    if (this.#demand <= 0 || all.size >= OWNED_LIMIT) return;
    const wanted = this.#demand - this.#main.asked - this.#lookedUp;
    if (wanted > 0 && this.#main.isReady) this.#main.ask(wanted);
    if (this.#again.asked === 0 && this.#again.isReady) this.#again.ask(1);
  }

  #handOut(): void {
    if (this.#suspect?.state === 'in hands' || this.#isIsolating) return;
    const handOuts: HandOut[] = [];
    const nowMs = this.#session.clock.now();
    for (let next = this.#lanes.next; next !== undefined && this.#demand > 0; next = this.#lanes.next) {
      const isSuspect = next.lost >= SUSPECT_AFTER_LOST;
      if (isSuspect && (handOuts.length > 0 || this.#alone !== next || this.#lanes.hasInHands)) {
        if (handOuts.length === 0 && !this.#lanes.hasInHands) void this.#isolate(next);
        break;
      }
      const owned = this.#lanes.take() as Owned;
      if (owned.firstDeliveredMs === 0) owned.firstDeliveredMs = nowMs;
      const { message, attempt, lost, firstDeliveredMs } = owned;
      if (this.#expires(owned, nowMs)) continue;
      const token: Token = { owned, turn: ++owned.turn };
      handOuts.push({ message, attempt, lost, redrives: owned.facts.redrives ?? 0, firstDeliveredMs, token });
      this.#demand -= 1;
      if (message.header.delivery === 'EXACTLY_ONCE') this.#tell(owned, { status: 'delivered', attempt });
      if (isSuspect) {
        this.#suspect = owned;
        this.#alone = undefined;
        break;
      }
    }
    if (handOuts.length > 0) this.#options.deliver(handOuts);
  }

  /** Nothing but this dies with its process. */
  async #isolate(suspect: Owned): Promise<void> {
    this.#isIsolating = true;
    try {
      const others = [...this.#lanes.all].filter((owned) => owned !== suspect && !owned.isRecorded);
      await Promise.all([
        ...others.map((owned) => this.#tries.keep(owned, 'kept back')),
        this.#tries.keep(suspect, 'in hands'),
      ]);
      this.#alone = suspect;
    } catch (error) {
      if (!this.#closed) this.#options.failed(error as Error);
    } finally {
      this.#isIsolating = false;
      this.#plan();
    }
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
        if (id === undefined) return;
        const { name: subscription } = this.#options.spec;
        this.#options.dead({ id, messageId: owned.message.header.id, subscription, reason, error, attempts });
      },
      (fault: unknown) => this.#options.failed(fault as Error),
    );
  }

  #arrive(delivery: Delivery, lane: 'main' | 'again'): void {
    if (this.#closed || !this.#isActive) return giveBack(this.#session.connection, delivery);
    // The usual one: new, and nothing before it is being looked up.
    const isUsual = delivery.deliveries === 1 && delivery.storedMs > this.#upSinceMs;
    if (isUsual && this.#arriving === undefined) {
      this.#take(delivery, lane, FIRST_TRY);
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
    if (isUsual) return this.#take(delivery, lane, FIRST_TRY);
    const { name } = this.#options.spec;
    const frame = decodeFrame(delivery.data);
    const { delivery: guarantee, expiresAtMs } = frame?.message.header ?? {};
    if (guarantee === 'EXACTLY_ONCE' || (expiresAtMs !== undefined && lane === 'main')) {
      const word = await this.#receipts.keptAt(frame?.message.header.id ?? '', name);
      if (word?.status === 'handled' || word?.status === 'dead') return acknowledge(this.#session.connection, delivery);
    }
    this.#take(delivery, lane, await this.#tries.of(delivery, lane));
  }

  #take(delivery: Delivery, lane: 'main' | 'again', known: Tries): void {
    const { connection, names, clock } = this.#session;
    if (this.#lanes.hasEnded(delivery, lane)) return acknowledge(connection, delivery);
    let tries = known;
    // One that was delivered again although we have it, because the server heard nothing of us for a while: nobody died.
    for (const old of delivery.deliveries > 1 ? this.#lanes.all : []) {
      if (old.delivery.sequence !== delivery.sequence || old.lane !== lane) continue;
      this.#lanes.remove(old);
      tries = old;
    }
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
      attempt: tries.attempt,
      lost: tries.lost,
      isRecorded: tries.isRecorded,
      firstDeliveredMs: tries.firstDeliveredMs,
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
    await this.#acks.add(owned.delivery);
    this.#tell(owned, word);
  }

  async #retry(owned: Owned, delayMs: number, error: EncodedError): Promise<void> {
    this.#tell(owned, { status: 'delivered', attempt: owned.attempt, error });
    owned.attempt += 1;
    // It is not due before it is settled: whoever waits for that would give it back again and again.
    this.#lanes.wait(owned, Number.POSITIVE_INFINITY, true);
    try {
      await this.#tries.keep(owned, 'in hands');
    } finally {
      owned.dueMs = this.#session.clock.now() + delayMs;
      this.#planDue();
    }
  }

  async #bury(owned: Owned, reason: DeadReason, error: EncodedError, attempts: number): Promise<string | undefined> {
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
    await this.#acks.add(delivery);
    if (!stray) this.#tell(owned, word);
    return id;
  }

  #end(owned: Owned): void {
    this.#lanes.end(owned);
    this.#tries.forget(owned);
    this.#plan();
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
    this.#tick = this.#session.clock.wait(this.#options.ackWaitMs / 3, () => {
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
