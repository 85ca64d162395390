/**
 * One consumer of a durable subscription on Redis.
 *
 * Owns: asking for as many messages as were requested, when there is work; settling in batches; being alive, and taking over from
 * consumers that are not. Who may have which message is the scripts' (`delivery-scripts.ts`).
 *
 * Invariants:
 * RN1. No more is handed out than was requested.
 * RN2. After a lost connection, what was handed out on its way and never arrived is given back before anything else is asked for.
 * RN3. What is no message of ours is set aside as `undecodable` without its subscriber hearing of it.
 */
import type { Wait } from '../../../kernel/clock.ts';
import type { EncodedError } from '../../../kernel/errors.ts';
import type {
  AdapterConsumer,
  CarriedMessage,
  DeadLetterNotice,
  DeadReason,
  HandOut,
  Outcome,
  SubscriptionSpec,
} from '../../broker-adapter.ts';
import { decodeHeader, EXPIRED, undecodable } from '../carried-bytes.ts';
import { GIVE_BACK_SCRIPT, REAP_SCRIPT, SETTLE_SCRIPT, TAKE_SCRIPT } from './delivery-scripts.ts';
import { isPassing, listOf, type RedisArgument, type RedisReply, replyCode, textOf } from './redis-link.ts';
import type { RedisSession } from './redis-session.ts';

export interface RedisConsumerOptions {
  readonly spec: SubscriptionSpec;
  /** Unlike that of any other consumer. */
  readonly name: string;
  readonly receiptTtlMs: number;
  readonly deliver: (handOuts: readonly HandOut[]) => void;
  readonly dead: (notice: DeadLetterNotice) => void;
  readonly failed: (error: Error) => void;
  /** The subscription is not there: the server has lost everything (make it again), or somebody has ended it. */
  readonly missing: () => Promise<'made' | 'ended'>;
  readonly closed: () => void;
}

interface Token {
  readonly entry: string;
  readonly deliveries: string;
  readonly key: string;
  /** How its receipt begins, of one that is handed out for the first time and has one subscription. */
  readonly head?: RedisArgument;
}

interface Settling {
  readonly entry: string;
  readonly deliveries: string;
  readonly kind: OutcomeKind;
  readonly args: readonly RedisArgument[];
  /** Its arguments are the four of what was simply handled. */
  readonly isPlain: boolean;
  readonly resolve: (letter: string) => void;
  readonly reject: (error: unknown) => void;
}

const TAKE_LIMIT = 1_024;
const TAKE_BYTES = 4 << 20;
const SETTLE_LIMIT = 1_024;
/** Values in front of the entries of a take, of a fresh entry, of another. */
const FRONT = 3;
const FRESH = 5;
const OTHER = 9;
const TICK_MS_LIMIT = 2_000;

export class RedisConsumer implements AdapterConsumer {
  readonly #session: RedisSession;
  readonly #options: RedisConsumerOptions;
  readonly #head: readonly string[];
  /** What is in hands: entries, and which delivery of them. */
  readonly #outstanding = new Map<string, string>();
  #demand = 0;
  #settling: Settling[] = [];
  #settlingPlanned = false;
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
    this.#planTick();
  }

  request(count: number): void {
    this.#demand += count;
    this.look();
  }

  /** There may be work. */
  look(): void {
    if (this.#state === 'taking' || this.#state === 'recovering') this.#again = true;
    else if (this.#state === 'idle' && this.#demand > 0 && this.#session.isUp) this.#takes = this.#take();
  }

  async settle(handOut: HandOut, outcome: Outcome): Promise<void> {
    await this.#enqueue(handOut, handOut.message.header.id, outcome);
  }

  /** What is settled is on its way, before anything that is asked after this. */
  flush(): void {
    void this.#sendSettled();
  }

  /** The connection is there again. */
  async recover(): Promise<void> {
    if (this.#state === 'closed') return;
    await this.#takes;
    this.#state = 'recovering';
    this.#mayHaveMore = false;
    try {
      await this.#session.run(GIVE_BACK_SCRIPT, [...this.#head, 'stay', ...this.#outstanding.keys()]);
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
    let bytes = 0;
    let count = 0;
    for (let at = FRONT; at < reply.length; count++) {
      const entry = textOf(reply[at]);
      const deliveries = textOf(reply[at + 1]);
      const isFresh = deliveries === '';
      const headerText = textOf(reply[isFresh ? at + 2 : at + 4]);
      const payload = reply[isFresh ? at + 3 : at + 5] as Uint8Array;
      bytes += headerText.length + payload.length;
      const header = decodeHeader(headerText);
      const { facts, id, redrives } = isFresh
        ? freshFacts(entry, header, reply[at + 4] as Uint8Array, nowMs)
        : otherFacts(entry, deliveries, reply, at);
      at += isFresh ? FRESH : OTHER;
      this.#outstanding.set(entry, facts.token.deliveries);
      const expiresAtMs = header?.expiresAtMs;
      // Whoever sends an expired one again wants it handled.
      const mayExpire = redrives === '0' && expiresAtMs !== undefined;
      if (header === undefined) this.#setAside(facts, id, 'undecodable', undecodable(`entry ${entry}`));
      else if (mayExpire && expiresAtMs <= this.#session.clock.now())
        this.#setAside({ ...facts, attempt: facts.attempt - 1 }, id, 'expired', EXPIRED);
      else handOuts.push({ message: { header, payload }, redrives: Number(redrives), ...facts });
    }
    this.#demand -= handOuts.length;
    if (handOuts.length === 0) return count;
    this.#bytesEach = Math.max(this.#bytesEach / 2, bytes / handOuts.length, 1);
    this.#options.deliver(handOuts);
    return count;
  }

  /** Without a word to the subscriber: what is no message, and what has expired. Strays have no id. */
  #setAside(handOut: Omit<HandOut, 'message'>, id: string, reason: DeadReason, error: EncodedError): void {
    this.#enqueue(handOut, id, { kind: 'dead', reason, error }).then(
      (letter) => {
        if (letter === '') return;
        const subscription = this.#options.spec.name;
        this.#options.dead({ id: letter, messageId: id, subscription, reason, error, attempts: handOut.attempt });
      },
      (fault: unknown) => this.#options.failed(fault as Error),
    );
  }

  #enqueue(handOut: Omit<HandOut, 'message'>, id: string, outcome: Outcome): Promise<string> {
    const { entry, deliveries, key, head } = handOut.token as Token;
    const [kind, more] = encodeOutcome(outcome);
    const isPlain = head !== undefined && kind === 'h' && more === '';
    const args = isPlain
      ? [entry, key, id, head]
      : [entry, deliveries, kind, key, id, String(handOut.attempt), String(handOut.firstDeliveredMs), more];
    return new Promise((resolve, reject) => {
      this.#settling.push({ entry, deliveries, kind, args, isPlain, resolve, reject });
      if (this.#settling.length >= SETTLE_LIMIT) void this.#sendSettled();
      else if (!this.#settlingPlanned) {
        this.#settlingPlanned = true;
        this.#session.clock.defer(() => {
          this.#settlingPlanned = false;
          void this.#sendSettled();
        });
      }
    });
  }

  async #sendSettled(): Promise<void> {
    const batch = this.#settling;
    if (batch.length === 0) return;
    this.#settling = [];
    const plain = batch.filter(({ isPlain }) => isPlain);
    const others = batch.filter(({ isPlain }) => !isPlain);
    const settled = this.#session.run(SETTLE_SCRIPT, [
      ...this.#head,
      String(this.#options.receiptTtlMs),
      ...rangeOf(batch.map(({ entry }) => entry)),
      String(plain.length),
      ...plain.flatMap(({ args }) => args),
      ...others.flatMap(({ args }) => args),
    ]);
    try {
      await this.#inOrder(settled, (answer) => {
        const [due = '', ...letters] = listOf(answer).map(textOf);
        for (const { entry, deliveries } of batch) this.#over(entry, deliveries);
        this.#planDue(due);
        for (const { kind, resolve } of batch) resolve(kind === 'x' ? (letters.shift() ?? '') : '');
        if (!batch.some(({ kind }) => kind === 'r')) return;
        // Until whoever waits for it has heard of it.
        return new Promise<void>((resolve) => {
          this.#session.clock.defer(resolve);
        });
      });
    } catch (error) {
      if (replyCode(error) === 'NOGROUP') for (const { resolve } of batch) resolve('');
      else for (const { reject } of batch) reject(error);
    }
  }

  /** It may have been handed out again by now. */
  #over(entry: string, deliveries: string): void {
    if (this.#outstanding.get(entry) === deliveries) this.#outstanding.delete(entry);
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

  #planTick(): void {
    this.#tick = this.#session.clock.wait(
      Math.min(TICK_MS_LIMIT, this.#options.spec.ackTimeoutMs / 4),
      () => void this.#reap(),
    );
  }

  async #reap(): Promise<void> {
    if (this.#state === 'closed') return;
    try {
      if (this.#session.isUp && this.#mayHaveMore) await this.recover();
      if (this.#session.isUp) {
        const args = [...this.#head, String(this.#options.spec.ackTimeoutMs)];
        this.#planDue(textOf(await this.#session.once(REAP_SCRIPT, args)));
      }
    } catch (error) {
      if (!isPassing(error) && replyCode(error) !== 'NOGROUP') this.#options.failed(error as Error);
    }
    // Also asked for without being told: what tells us may have been lost.
    this.look();
    if ((this.#state as string) !== 'closed') this.#planTick();
  }
}

/** The first and the last of entry ids, which are two numbers each. */
function rangeOf(ids: readonly string[]): readonly [string, string] {
  const isBefore = (a: string, b: string): boolean => {
    const [aMs = 0, aSeq = 0] = a.split('-').map(Number);
    const [bMs = 0, bSeq = 0] = b.split('-').map(Number);
    return aMs < bMs || (aMs === bMs && aSeq < bSeq);
  };
  let [low = '', high = ''] = [ids[0], ids[0]];
  for (const id of ids) {
    if (isBefore(id, low)) low = id;
    else if (isBefore(high, id)) high = id;
  }
  return [low, high];
}

interface TakenFacts {
  readonly facts: { readonly attempt: number; readonly firstDeliveredMs: number; readonly token: Token };
  readonly id: string;
  readonly redrives: string;
}

function freshFacts(
  entry: string,
  header: CarriedMessage['header'] | undefined,
  head: Uint8Array,
  nowMs: number,
): TakenFacts {
  // What is no header is set aside, and then the script looks for itself.
  const key = header?.key ?? header?.source ?? '';
  const token: Token = { entry, deliveries: '1', key, head };
  return { facts: { attempt: 1, firstDeliveredMs: nowMs, token }, id: header?.id ?? '', redrives: '0' };
}

function otherFacts(entry: string, deliveries: string, reply: readonly RedisReply[], at: number): TakenFacts {
  const token: Token = { entry, deliveries, key: textOf(reply[at + 6]) };
  const facts = { attempt: Number(textOf(reply[at + 2])), firstDeliveredMs: Number(textOf(reply[at + 3])), token };
  return { facts, id: textOf(reply[at + 7]), redrives: textOf(reply[at + 8]) };
}

type OutcomeKind = 'h' | 'r' | 'x' | 'b';

function encodeOutcome(outcome: Outcome): readonly [kind: OutcomeKind, more: RedisArgument] {
  switch (outcome.kind) {
    case 'handled':
      return ['h', outcome.reply === undefined ? '' : Buffer.concat([Buffer.from('='), outcome.reply])];
    case 'retry':
      return ['r', `${Math.max(0, Math.ceil(outcome.delayMs))} ${JSON.stringify(outcome.error)}`];
    case 'dead':
      return ['x', `${outcome.reason} ${JSON.stringify(outcome.error)}`];
    case 'released':
      return ['b', ''];
  }
}
