/**
 * One consumer of a durable subscription on Redis.
 *
 * Owns: asking for as many messages as were requested, when there is work; settling in batches; being alive, and taking over from
 * consumers that are not. Who may have which message is the scripts' (`take-script.ts`).
 *
 * Invariants:
 * RN1. No more is handed out than was requested; and nothing beside a message that was lost often.
 * RN2. After a lost connection, what was handed out on its way and never arrived is given back before anything else is asked for.
 * RN3. What is no message of ours is set aside as `undecodable` without its subscriber hearing of it.
 * RN4. A hand-out is settled once: what is settled again, or was given back, is not told to the server.
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
import { EXPIRED, undecodable } from '../carried-bytes.ts';
import { decodeFrame } from './redis-frame.ts';
import { isPassing, listOf, type RedisReply, replyCode, textOf } from './redis-link.ts';
import type { RedisSession } from './redis-session.ts';
import { type Hand, SettleBatch } from './redis-settling.ts';
import { SETTLE_SCRIPT } from './settle-script.ts';
import { TAKE_SCRIPT } from './take-script.ts';
import { GIVE_BACK_SCRIPT, REAP_SCRIPT } from './takeover-scripts.ts';

export interface RedisConsumerOptions {
  readonly spec: SubscriptionSpec;
  /** Unlike that of any other consumer; up to its last hyphen it is the process's. */
  readonly name: string;
  /** A connection that was lost is made again within this, or its consumer is gone. */
  readonly graceMs: number;
  readonly deliver: (handOuts: readonly HandOut[]) => void;
  readonly dead: (notice: DeadLetterNotice) => void;
  readonly failed: (error: Error) => void;
  /** The subscription is not there: the server has lost everything (make it again), or somebody has ended it. */
  readonly missing: () => Promise<'made' | 'ended'>;
  readonly closed: () => void;
}

/** A hand-out without its message. */
interface Facts {
  readonly attempt: number;
  readonly lost: number;
  readonly firstDeliveredMs: number;
  readonly token: Hand;
}

const TAKE_LIMIT = 1_024;
const TAKE_BYTES = 4 << 20;
/** Values in front of the entries of a take, of a fresh entry, of another. */
const FRONT = 4;
const FRESH = 2;
const OTHER = 8;
const TICK_MS_LIMIT = 1_000;

/** Instead of an epoch: nothing is trusted. */
const LOOKED_UP = '';
const SETTLED = Promise.resolve();

export class RedisConsumer implements AdapterConsumer {
  readonly #session: RedisSession;
  readonly #options: RedisConsumerOptions;
  readonly #head: readonly string[];
  /** What is in hands, by entry. */
  readonly #hands = new Map<string, Hand>();
  /** In hands, and lost so often that nothing may be beside it. */
  #suspect: Hand | undefined;
  #epoch = '';
  #demand = 0;
  #settling: SettleBatch | undefined;
  /** `idle`: told when there is work. */
  #state: 'idle' | 'taking' | 'recovering' | 'closed' = 'idle';
  #again = false;
  #bytesEach = 1_000;
  #due: Wait | undefined;
  #tick: Wait | undefined;
  /** A take has failed on its way: the server may think that we have what never came. */
  #mayHaveMore = false;
  #answers: Promise<void> = Promise.resolve();
  #takes: Promise<unknown> = Promise.resolve();

  constructor(session: RedisSession, options: RedisConsumerOptions) {
    this.#session = session;
    this.#options = options;
    this.#head = [options.spec.name, options.name, options.spec.order];
    void this.#reap();
  }

  request(count: number): void {
    this.#demand += count;
    this.look();
  }

  /** There may be work. */
  look(): void {
    if (this.#state === 'taking' || this.#state === 'recovering') this.#again = true;
    else if (this.#state === 'idle' && this.#demand > 0 && this.#suspect === undefined && this.#session.isUp)
      this.#takes = this.#take();
  }

  settle(handOut: HandOut, outcome: Outcome): Promise<void> {
    const batch = this.#enqueue(handOut as HandOut & Facts, handOut.message.header.id, outcome)?.batch;
    return batch === undefined ? SETTLED : (batch.done as Promise<unknown> as Promise<void>);
  }

  /** What is settled is on its way, before anything that is asked after this. */
  flush(): void {
    void this.#sendSettled();
  }

  /** The connection is there again. */
  async recover(): Promise<void> {
    if (this.#state === 'closed' || this.#state === 'recovering') return;
    // From here on nothing is taken: what is given back below is what has not come by then.
    this.#state = 'recovering';
    await this.#takes;
    this.#mayHaveMore = false;
    try {
      await this.#session.run(GIVE_BACK_SCRIPT, [...this.#head, 'stay', ...this.#hands.keys()]);
    } catch (error) {
      if (replyCode(error) !== 'NOGROUP') this.#options.failed(error as Error);
    }
    // Closed while it waited.
    if ((this.#state as string) !== 'recovering') return;
    this.#state = 'idle';
    this.look();
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#due?.cancel();
    this.#tick?.cancel();
    await this.#takes;
    await this.#sendSettled();
    this.#options.closed();
    try {
      await this.#session.run(GIVE_BACK_SCRIPT, [...this.#head, 'leave']);
    } catch (error) {
      // It is taken over when it has not been seen for a while.
      if (!isPassing(error) && replyCode(error) !== 'NOGROUP') this.#options.failed(error as Error);
    }
  }

  async #take(): Promise<void> {
    this.#state = 'taking';
    this.#again = false;
    let more = false;
    try {
      const limit = Math.max(1, Math.min(TAKE_LIMIT, Math.floor(TAKE_BYTES / this.#bytesEach)));
      const count = Math.min(this.#demand, limit);
      const taken = this.#session.once(TAKE_SCRIPT, [...this.#head, String(count)]);
      await this.#inOrder(taken, (answer) => {
        const reply = listOf(answer);
        this.#planDue(textOf(reply[0]));
        more = this.#handOut(reply) === count || textOf(reply[1]) === '1';
      });
    } catch (error) {
      if (replyCode(error) === 'NOGROUP') await this.#missing();
      else {
        this.#mayHaveMore = true;
        if (!isPassing(error)) this.#options.failed(error as Error);
      }
    }
    if (this.#state !== 'taking') return;
    this.#state = 'idle';
    if (more || this.#again) this.look();
  }

  /**
   * Answers are taken up in the order in which the server gave them: whoever has failed with a message gives back what comes of its key
   * until it hears that this is settled. What was taken before is to come before that, and what was taken after it, after.
   */
  #inOrder<T>(answer: Promise<T>, take: (answer: T) => void | Promise<void>): Promise<void> {
    answer.catch(() => {});
    const taken = this.#answers.then(() => answer).then(take);
    this.#answers = taken.catch(() => {});
    return taken;
  }

  /** Returns how many entries there were. */
  #handOut(reply: readonly RedisReply[]): number {
    const handOuts: HandOut[] = [];
    const nowMs = Number(textOf(reply[2]));
    this.#epoch = textOf(reply[3]);
    let bytes = 0;
    let count = 0;
    for (let at = FRONT; at < reply.length; count++) {
      const entry = textOf(reply[at]);
      const first = reply[at + 1] as Uint8Array;
      const isFresh = first.length > 0;
      const frame = isFresh ? first : (reply[at + OTHER - 1] as Uint8Array);
      bytes += frame.length;
      const { header, payload } = decodeFrame(frame);
      const key = header?.key ?? header?.source ?? '';
      const facts = isFresh ? freshFacts(entry, key, this.#epoch, nowMs) : otherFacts(entry, key, reply, at);
      const redrives = isFresh ? 0 : Number(textOf(reply[at + 6]));
      at += isFresh ? FRESH : OTHER;
      this.#hands.set(entry, facts.token);
      if (facts.lost >= SUSPECT_AFTER_LOST) this.#suspect = facts.token;
      const expiresAtMs = header?.expiresAtMs;
      // Whoever sends an expired one again wants it handled.
      const mayExpire = redrives === 0 && expiresAtMs !== undefined;
      if (header === undefined) this.#setAside(facts, '', 'undecodable', undecodable(`entry ${entry}`));
      else if (mayExpire && expiresAtMs <= this.#session.clock.now())
        this.#setAside({ ...facts, attempt: facts.attempt - 1 }, header.id, 'expired', EXPIRED);
      else handOuts.push({ message: { header, payload }, redrives, ...facts });
    }
    this.#demand -= handOuts.length;
    if (handOuts.length === 0) return count;
    this.#bytesEach = Math.max(this.#bytesEach / 2, bytes / handOuts.length, 1);
    this.#options.deliver(handOuts);
    return count;
  }

  /** Without a word to the subscriber: what is no message, and what has expired. Strays have no id. */
  #setAside(facts: Facts, id: string, reason: DeadReason, error: EncodedError): void {
    const { batch, letter } = this.#enqueue(facts, id, { kind: 'dead', reason, error }) ?? {};
    batch?.done.then(
      (letters) => {
        const written = letters[letter ?? -1] ?? '';
        if (written === '') return;
        const subscription = this.#options.spec.name;
        this.#options.dead({ id: written, messageId: id, subscription, reason, error, attempts: facts.attempt });
      },
      (fault: unknown) => this.#options.failed(fault as Error),
    );
  }

  #enqueue(
    { token, attempt, firstDeliveredMs }: Facts,
    id: string,
    outcome: Outcome,
  ): { readonly batch: SettleBatch; readonly letter: number } | undefined {
    if (token.isSettled) return undefined;
    token.isSettled = true;
    let batch = this.#settling;
    if (batch === undefined) {
      batch = new SettleBatch(this.#epoch);
      this.#settling = batch;
      this.#session.clock.defer(() => {
        if (this.#settling === batch) void this.#sendSettled();
      });
    }
    const letter = batch.add({ hand: token, id, attempt, firstDeliveredMs, outcome });
    if (batch.isFull) void this.#sendSettled();
    return { batch, letter };
  }

  async #sendSettled(): Promise<void> {
    const batch = this.#settling;
    if (batch === undefined) return;
    this.#settling = undefined;
    const args = batch.arguments();
    const settled = this.#session.run(SETTLE_SCRIPT, [...this.#head, batch.epoch, ...args], () => [
      ...this.#head,
      LOOKED_UP,
      ...args,
    ]);
    try {
      await this.#inOrder(settled, (answer) => {
        const [due = '', ...letters] = listOf(answer).map(textOf);
        for (const hand of batch.hands) this.#over(hand);
        this.#planDue(due);
        batch.resolve(letters);
        if (!batch.hasRetry) return;
        // Until whoever waits for it has heard of it.
        return new Promise<void>((resolve) => {
          this.#session.clock.defer(resolve);
        });
      });
    } catch (error) {
      for (const hand of batch.hands) this.#over(hand);
      if (replyCode(error) === 'NOGROUP') batch.resolve([]);
      else {
        // Nobody knows whether it is settled: what is not is handed out again.
        this.#mayHaveMore = true;
        batch.reject(error);
      }
    }
    if (this.#suspect === undefined) this.look();
  }

  /** It may have been handed out again by now. */
  #over(hand: Hand): void {
    if (this.#hands.get(hand.entry) === hand) this.#hands.delete(hand.entry);
    if (this.#suspect === hand) this.#suspect = undefined;
  }

  async #missing(): Promise<void> {
    try {
      if ((await this.#options.missing()) === 'made') this.#again = true;
      else await this.close();
    } catch (error) {
      this.#options.failed(error as Error);
    }
  }

  #planDue(dueMs: string): void {
    this.#due?.cancel();
    if (dueMs === '' || this.#state === 'closed') return;
    this.#due = this.#session.clock.wait(Number(dueMs) + 1, () => this.look());
  }

  /** Says that it is there, also before it wants anything. */
  async #reap(): Promise<void> {
    if (this.#state === 'closed') return;
    const { graceMs, spec } = this.#options;
    const { ackTimeoutMs } = spec;
    const tickMs = Math.min(TICK_MS_LIMIT, ackTimeoutMs / 4, graceMs / 3);
    try {
      if (this.#session.isUp && this.#mayHaveMore) await this.recover();
      if (this.#session.isUp) {
        const args = [...this.#head, String(ackTimeoutMs), String(graceMs)];
        this.#planDue(textOf(await this.#session.once(REAP_SCRIPT, args)));
      }
    } catch (error) {
      if (!isPassing(error) && replyCode(error) !== 'NOGROUP') this.#options.failed(error as Error);
    }
    // Also asked for without being told: what tells us may have been lost.
    this.look();
    if ((this.#state as string) === 'closed') return;
    this.#tick = this.#session.clock.wait(tickMs, () => void this.#reap());
  }
}

function freshFacts(entry: string, key: string, epoch: string, nowMs: number): Facts {
  const token: Hand = { entry, deliveries: '1', key, epoch, lost: 0, isSettled: false };
  return { attempt: 1, lost: 0, firstDeliveredMs: nowMs, token };
}

function otherFacts(entry: string, key: string, reply: readonly RedisReply[], at: number): Facts {
  const [deliveries, attempt, first, lost] = [2, 3, 4, 5].map((i) => textOf(reply[at + i]));
  const token: Hand = {
    entry,
    deliveries: deliveries ?? '',
    key,
    epoch: undefined,
    lost: Number(lost),
    isSettled: false,
  };
  return { attempt: Number(attempt), lost: Number(lost), firstDeliveredMs: Number(first), token };
}
