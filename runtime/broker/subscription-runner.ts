/**
 * What a subscription does with what it is handed: handlers, one key after another, and what comes of each message.
 *
 * Owns: concurrency, order within a key, how much is fetched ahead, the time that a handler may take, and the decision to try again or to
 * give up. The same for all adapters. Where messages come from and where outcomes go is a `MessageSource`.
 *
 * Invariants:
 * SR1. Messages of one key are handled one after another, in the order in which they came. With `hold`, none is begun between the failure
 *      of one before it and that one's next try.
 * SR2. Each message that was taken is settled once: handled, to be tried again, dead, or given back.
 * SR3. After `close` no handler begins; what waits is given back.
 * SR4. A suspect (`isSuspect`) is handled alone: what else is here is given back before it begins, and nothing is asked for and nothing
 *      begins until its outcome is durable. If the process dies, it was this message.
 * SR5. What was sent AT_MOST_ONCE is begun once, whatever the policies say.
 */
import { type Backoff, delayMs } from '../kernel/backoff.ts';
import type { Wait } from '../kernel/clock.ts';
import {
  AckTimeoutError,
  BrokerClosedError,
  encodeError,
  HandlerError,
  MessageExpiredError,
} from '../kernel/errors.ts';
import { decodeValue, encodeValue } from '../wire/value-codec.ts';
import { type DeadReason, type HandOut, type Outcome, SUSPECT_AFTER_LOST } from './broker-adapter.ts';
import type { FailureReply, Message } from './contract/message.ts';
import type { Header } from './message-maker.ts';
import { Job, type Lane } from './runner-job.ts';
import type { MessageSource, RunnerPorts } from './runner-ports.ts';

/** Work that is fetched ahead, as time: enough that no handler waits for the next message, little enough to share with others. */
const AHEAD_MS = 50;
const AHEAD_LIMIT = 4_096;

export class SubscriptionRunner {
  readonly #ports: RunnerPorts;
  #source!: MessageSource;
  readonly #lanes = new Map<string, Lane>();
  #ready: Lane[] = [];
  /** Those that have promised to return. */
  readonly #jobs = new Set<Job>();
  /** Handlers that have not returned yet: one at most, but for those that let others be called. */
  #calls = 0;
  /** When the handler before this one returned, while they follow each other. */
  #nowMs: number | undefined;
  #deadline: Wait | undefined;
  /** Requested, or here and not settled. */
  #outstanding = 0;
  /** How long a handler takes, ms, on average. */
  #handlerMs = Number.NaN;
  #closing = false;
  /** The suspect that is being handled, or whose outcome is on its way. */
  #tried: HandOut | undefined;
  #isTrying = false;
  /** The last one that began was a suspect: there may be more of them. */
  #isWary = false;
  #lastSettled: Promise<void> | undefined;
  #onIdle: (() => void)[] = [];

  constructor(ports: RunnerPorts) {
    this.#ports = ports;
  }

  begin(source: MessageSource): void {
    this.#source = source;
    this.#topUp();
  }

  /** Takes what nobody asked for: it does not count as an answer to a request. */
  readonly deliverUnasked = (handOuts: readonly HandOut[]): void => {
    this.#outstanding += handOuts.length;
    this.deliver(handOuts);
  };

  readonly deliver = (handOuts: readonly HandOut[]): void => {
    for (const handOut of handOuts) {
      const key = handOut.message.header.key ?? handOut.message.header.source;
      let lane = this.#lanes.get(key);
      if (lane === undefined) {
        lane = { key, busy: false, failing: undefined, waiting: [] };
        this.#lanes.set(key, lane);
      }
      if (lane.failing === handOut.message.header.id) lane.failing = undefined;
      if (this.#closing || lane.failing !== undefined || this.#isTrying) {
        this.#giveBack(lane, handOut);
        continue;
      }
      lane.waiting.push(handOut);
      if (!lane.busy && lane.waiting.length === 1) this.#ready.push(lane);
    }
    this.#pump();
  };

  /** Ends once what is being handled is finished, or `timeoutMs` are over. */
  async close(timeoutMs: number): Promise<void> {
    this.#closing = true;
    this.#ready = [];
    for (const lane of this.#lanes.values()) {
      for (const handOut of lane.waiting.splice(0)) this.#giveBack(lane, handOut);
    }
    if (this.#jobs.size + this.#calls > 0) {
      await new Promise<void>((resolve) => {
        const wait = this.#ports.clock.wait(timeoutMs, resolve);
        this.#onIdle.push(() => {
          wait.cancel();
          resolve();
        });
      });
    }
    this.#deadline?.cancel();
    const closed = new BrokerClosedError('the subscription was closed while this was being handled');
    for (const job of this.#jobs) {
      job.isOver = true;
      job.controller?.abort(closed);
    }
    await this.#source.close();
  }

  #pump(): void {
    while (this.#jobs.size < this.#ports.concurrency && this.#tried === undefined) {
      const [lane] = this.#ready;
      if (lane === undefined) break;
      const [next] = lane.waiting;
      const isTrial = next !== undefined && this.#isSuspect(next);
      // What is under way is finished first, and nothing more begins.
      if (isTrial && this.#jobs.size > 0) {
        this.#nowMs = undefined;
        return;
      }
      this.#ready.shift();
      if (next === undefined) continue;
      lane.waiting.shift();
      lane.busy = true;
      this.#isWary = isTrial;
      if (isTrial) this.#try(lane, next);
      else this.#start(lane, next);
    }
    this.#nowMs = undefined;
    this.#topUp();
  }

  #isSuspect({ message, attempt, lost }: HandOut): boolean {
    if (lost !== undefined) return lost >= SUSPECT_AFTER_LOST;
    return attempt > 1 && attempt >= this.#policyOf(message.header).maxAttempts;
  }

  /** Handles a suspect, once nothing else is in the hands of this process. */
  #try(lane: Lane, handOut: HandOut): void {
    this.#tried = handOut;
    this.#isTrying = true;
    this.#ready = [];
    let underWay = 1;
    const given = (): void => {
      underWay -= 1;
      if (underWay > 0 || this.#closing) return;
      this.#start(lane, handOut);
      this.#pump();
    };
    for (const other of this.#lanes.values()) {
      for (const waiting of other.waiting.splice(0)) {
        underWay += 1;
        this.#giveBack(other, waiting, given);
      }
    }
    given();
  }

  #start(lane: Lane, handOut: HandOut): void {
    const { clock, invoke, check } = this.#ports;
    const { header } = handOut.message;
    const { attempt, lost = 0 } = handOut;
    if (header.expiresAtMs !== undefined && header.expiresAtMs <= clock.now()) {
      const expired = new MessageExpiredError(
        `message ${header.id} (${header.type}) waited longer than its time to live`,
      );
      this.#bury(lane, handOut, 'expired', expired);
      return;
    }
    const { maxAttempts } = this.#policyOf(header);
    const alone = lost - SUSPECT_AFTER_LOST;
    if (alone >= maxAttempts) {
      const killer = new HandlerError(
        `message ${header.id} (${header.type}) was handled alone, and its process died of it, ${alone} times (${lost} deaths in all): find out what its handler does to the process, then redrive it`,
      );
      this.#bury(lane, handOut, 'attempts', killer);
      return;
    }
    if (attempt > maxAttempts) {
      const lost = new HandlerError(
        `message ${header.id} (${header.type}) was begun ${attempt - 1} times, and whoever had it did not live to finish it`,
      );
      this.#bury(lane, handOut, 'attempts', lost);
      return;
    }
    let message: Message;
    try {
      const value = handOut.readPayload === undefined ? decodeValue(handOut.message.payload) : handOut.readPayload();
      message = { ...header, payload: value };
    } catch (error) {
      this.#bury(lane, handOut, 'undecodable', error);
      return;
    }
    let checked: Message | Promise<Message>;
    try {
      checked = check(message);
    } catch (error) {
      this.#bury(lane, handOut, 'contract', error);
      return;
    }
    this.#nowMs ??= clock.monotonicMs();
    const job = new Job(lane, handOut, this.#nowMs);
    let result: unknown;
    this.#calls += 1;
    try {
      result = isThenable(checked) ? this.#invokeChecked(checked, job) : invoke(checked, job);
    } catch (error) {
      this.#calls -= 1;
      this.#thrown(job, error);
      return;
    }
    this.#calls -= 1;
    if (!isThenable(result)) {
      this.#returned(job, result);
      return;
    }
    this.#promised(job, result);
  }

  #invokeChecked(checked: PromiseLike<Message>, job: Job): PromiseLike<unknown> {
    return checked.then(
      (read) => this.#ports.invoke(read, job),
      (error: unknown) => Promise.reject(new CheckFailure(error)),
    );
  }

  #promised(job: Job, result: PromiseLike<unknown>): void {
    this.#jobs.add(job);
    this.#watch();
    result.then(
      (value) => {
        this.#returned(job, value);
        this.#pump();
      },
      (error: unknown) => {
        this.#thrown(job, error);
        this.#pump();
      },
    );
  }

  #returned(job: Job, value: unknown): void {
    if (job.isOver) return;
    let reply: Uint8Array | undefined;
    try {
      reply = value === undefined ? undefined : encodeValue(value);
    } catch (error) {
      this.#over(job);
      this.#bury(job.lane, job.handOut, 'refused', error);
      return;
    }
    this.#over(job);
    const outcome: Outcome = reply === undefined ? HANDLED : { kind: 'handled', reply };
    // Only who asked is told.
    if (job.handOut.message.header.replyTo === undefined) this.#settle(job.handOut, outcome);
    else this.#settleAndTell(job.handOut, outcome, value);
    this.#next(job.lane);
  }

  #settleAndTell(handOut: HandOut, outcome: Outcome, value: unknown): void {
    const { attempt, message } = handOut;
    this.#settle(handOut, outcome, () => this.#ports.ended({ header: message.header, attempt, outcome, value }));
  }

  #thrown(job: Job, error: unknown): void {
    if (job.isOver) return;
    this.#over(job);
    const { lane, handOut } = job;
    const { header } = handOut.message;
    const policy = this.#policyOf(header);
    const isFinal = (error as { retryable?: unknown } | null)?.retryable === false;
    // It needed what is being closed: whoever has it next may do it.
    if (this.#closing && error instanceof BrokerClosedError) {
      this.#giveBack(lane, handOut);
      this.#next(lane);
    } else if (error instanceof CheckFailure) this.#bury(lane, handOut, 'contract', error.cause);
    else if ((isFinal || handOut.attempt >= policy.maxAttempts) && this.#answerFailure(handOut, error))
      this.#next(lane);
    else if (isFinal) this.#bury(lane, handOut, 'refused', error);
    else if (handOut.attempt >= policy.maxAttempts) this.#bury(lane, handOut, 'attempts', error);
    else this.#again(lane, handOut, delayMs(policy, handOut.attempt, this.#ports.random.next()), error);
  }

  /** Whether its sender wants the error instead of a dead letter; who has asked is told anyway. */
  #answerFailure(handOut: HandOut, error: unknown): boolean {
    const { retry, replyTo } = handOut.message.header;
    if (retry?.whenExhausted !== 'answer' || replyTo !== undefined) return false;
    try {
      const reply = encodeValue({ failure$: encodeError(error) } satisfies FailureReply);
      this.#settle(handOut, { kind: 'handled', reply });
      return true;
    } catch {
      // An error that cannot be carried is for whoever looks at dead letters.
      return false;
    }
  }

  #again(lane: Lane, handOut: HandOut, waitMs: number, error: unknown): void {
    const outcome: Outcome = { kind: 'retry', delayMs: Math.ceil(waitMs), error: encodeError(error) };
    if (this.#ports.order === 'hold') {
      const { id } = handOut.message.header;
      lane.failing = id;
      this.#settle(handOut, outcome, undefined, () => {
        if (lane.failing === id) lane.failing = undefined;
        this.#forget(lane);
      });
      for (const waiting of lane.waiting.splice(0)) this.#giveBack(lane, waiting);
    } else {
      this.#settle(handOut, outcome);
    }
    this.#next(lane);
  }

  #bury(lane: Lane, handOut: HandOut, reason: DeadReason, thrown: unknown): void {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    const outcome: Outcome = { kind: 'dead', reason, error: encodeError(thrown) };
    const { header } = handOut.message;
    this.#settle(handOut, outcome, () => this.#ports.ended({ header, attempt: handOut.attempt, outcome, error }));
    this.#next(lane);
  }

  #giveBack(lane: Lane, handOut: HandOut, given?: () => void): void {
    this.#settle(handOut, RELEASED, undefined, () => {
      this.#forget(lane);
      given?.();
    });
  }

  /** `after` runs when it is durable, `always` also when it failed. */
  #settle(handOut: HandOut, outcome: Outcome, after?: () => void, always?: () => void): void {
    this.#outstanding -= 1;
    const settled = this.#source.settle(handOut, outcome);
    if (handOut === this.#tried) this.#triedIs(settled);
    // An adapter settles many at once: whoever has nothing to do afterwards needs no promise of its own to say that it failed.
    if (after === undefined && always === undefined && settled === this.#lastSettled) return;
    this.#lastSettled = settled;
    this.#afterwards(settled, after, always);
  }

  #triedIs(settled: Promise<void>): void {
    this.#isTrying = false;
    const over = (): void => {
      this.#tried = undefined;
      this.#pump();
    };
    settled.then(over, over);
  }

  #afterwards(settled: Promise<void>, after: (() => void) | undefined, always: (() => void) | undefined): void {
    settled.then(
      () => {
        always?.();
        after?.();
      },
      (error: unknown) => {
        // It is handed out again when its lease is over: nothing is lost.
        always?.();
        if (!this.#closing) this.#ports.failed(error);
      },
    );
  }

  /** The lane's next message may begin. */
  #next(lane: Lane): void {
    lane.busy = false;
    if (lane.waiting.length > 0) this.#ready.push(lane);
    else this.#forget(lane);
  }

  #forget(lane: Lane): void {
    if (lane.busy || lane.failing !== undefined || lane.waiting.length > 0) return;
    if (this.#lanes.get(lane.key) === lane) this.#lanes.delete(lane.key);
  }

  #over(job: Job): void {
    job.isOver = true;
    // Without a wait for it, it was called and has returned.
    if (this.#jobs.size > 0) this.#jobs.delete(job);
    this.#nowMs = this.#ports.clock.monotonicMs();
    const tookMs = this.#nowMs - job.beganMs;
    this.#handlerMs = Number.isNaN(this.#handlerMs) ? tookMs : this.#handlerMs * 0.8 + tookMs * 0.2;
    if (this.#jobs.size + this.#calls > 0 || !this.#closing) return;
    for (const idle of this.#onIdle.splice(0)) idle();
  }

  #policyOf(header: Header): Backoff & { readonly maxAttempts: number } {
    if (header.delivery === 'AT_MOST_ONCE') return { ...this.#ports.retry, maxAttempts: 1 };
    return header.retry === undefined ? this.#ports.retry : { ...this.#ports.retry, ...header.retry };
  }

  #topUp(): void {
    if (this.#closing || this.#tried !== undefined) return;
    const { concurrency } = this.#ports;
    const each = Number.isNaN(this.#handlerMs) ? 1 : Math.ceil(AHEAD_MS / Math.max(this.#handlerMs, 0.01));
    const aim = this.#isWary ? 1 : Math.max(concurrency, Math.min(AHEAD_LIMIT, concurrency * each));
    const missing = aim - this.#outstanding;
    // In parcels: one request for each message would be as many turns.
    if (missing <= 0 || (missing * 4 < aim && this.#outstanding > 0)) return;
    this.#outstanding += missing;
    this.#source.request(missing);
  }

  /** One wait of the clock for all handlers: those that began first are over first. */
  #watch(): void {
    if (this.#deadline !== undefined) return;
    const { clock, ackTimeoutMs } = this.#ports;
    const [oldest] = this.#jobs;
    if (oldest === undefined || !Number.isFinite(ackTimeoutMs)) return;
    const leftMs = oldest.beganMs + ackTimeoutMs - clock.monotonicMs();
    this.#deadline = clock.wait(Math.max(0, leftMs), () => {
      this.#deadline = undefined;
      const nowMs = clock.monotonicMs();
      for (const job of [...this.#jobs]) {
        if (job.beganMs + ackTimeoutMs > nowMs) break;
        const { header } = job.handOut.message;
        const error = new AckTimeoutError(
          `the handler of message ${header.id} (${header.type}) took longer than ${ackTimeoutMs} ms: raise ackTimeoutMs, or let it heed its signal`,
        );
        job.controller?.abort(error);
        this.#thrown(job, error);
      }
      this.#watch();
      this.#pump();
    });
  }
}

/** The contract's no, as opposed to the handler's. */
class CheckFailure extends Error {
  constructor(cause: unknown) {
    super('the contract does not allow this payload', { cause });
  }
}

const HANDLED: Outcome = { kind: 'handled' };
const RELEASED: Outcome = { kind: 'released' };

function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
