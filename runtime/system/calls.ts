/**
 * Calls from outside: tells, asks and spawns under way to the hosts.
 *
 * Owns: numbering them, keeping them until their receipt or reply, holding them while an actor or a host has no room, sending them
 * again to a replaced host, and their deadlines.
 *
 * Invariants:
 * L1. To one actor, calls are sent in the order in which they were made, whatever is held or sent again in between: the actor's
 *     watermark for the outside stream depends on it.
 * L2. Every call settles once: with its receipt, its reply, an error, or at its deadline.
 * L3. At most `limit` calls are under way; beyond it a call is refused with `MailboxFullError`. What operators ask (commands, spawn,
 *     stop) has room of its own: it must get through when users' messages do not.
 * L4. What is kept of settled calls is bounded by what is under way, whatever their deadlines.
 */
import { type CellKey, placementOf } from '../kernel/address.ts';
import type { Clock, Wait } from '../kernel/clock.ts';
import {
  AskTimeoutError,
  type BlocksError,
  decodeError,
  type EncodedError,
  InvalidOptionsError,
  MailboxFullError,
  SystemStoppedError,
  TellTimeoutError,
} from '../kernel/errors.ts';
import type { Envelope } from '../kernel/message.ts';
import type { HostLink, Inbound } from '../host/items.ts';

export interface CallOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Absent for `send`: nobody waits. */
  readonly settle?: { resolve(value: unknown): void; reject(error: unknown): void } | undefined;
}

interface Call {
  readonly number: number;
  readonly item: Inbound;
  /** Undefined for commands, which no mailbox holds up. */
  readonly envelope: Envelope | undefined;
  readonly key: CellKey;
  readonly slot: number;
  readonly timeoutMs: number;
  readonly settle: CallOptions['settle'];
  readonly unlisten: (() => void) | undefined;
  state: 'waiting' | 'sent' | 'held';
}

/** Calls that an actor had no room for, and everything for it since. */
interface Held {
  calls: Call[];
  /** The first that was not sent again. */
  head: number;
  /** Whether they are in the order in which they were made: refusals may come late. */
  sorted: boolean;
  /** The request for room that is under way. */
  hold: number;
}

export interface CallsPorts {
  readonly clock: Clock;
  readonly run: number;
  readonly hosts: number;
  readonly outsideStream: number;
  readonly limit: number;
  link(slot: number): HostLink | undefined;
}

/** Commands, spawns and stops that may be under way when there are as many calls as may be. */
const CONTROL_RESERVE = 1_000;
/** Lists with more settled calls than calls under way are swept from this length on. */
const SWEEP_FROM = 1_024;

/** Deadlines are kept in steps of this size: one wait of the clock serves thousands of calls. */
const DEADLINE_STEP_MS = 16;

export class Calls {
  readonly #ports: CallsPorts;
  readonly #calls = new Map<number, Call>();
  /** Per slot, calls that the link had no room for, in order. */
  readonly #waiting: Call[][];
  readonly #held = new Map<CellKey, Held>();
  readonly #deadlines = new Map<number, number[]>();
  #wait: Wait | undefined;
  #waitingForMs = Number.POSITIVE_INFINITY;
  #next = 1;
  #holds = 0;
  /** Numbers in `#deadlines`, those of settled calls too. */
  #dated = 0;
  #sendsLost = 0;
  #stopped: BlocksError | undefined;

  constructor(ports: CallsPorts) {
    this.#ports = ports;
    this.#waiting = Array.from({ length: ports.hosts }, () => []);
  }

  get size(): number {
    return this.#calls.size;
  }

  /** Sends that nobody was told about: refused by their actor, or without room until their deadline. */
  get sendsLost(): number {
    return this.#sendsLost;
  }

  /** Sends a message to its actor; `ask` for one that wants a reply. */
  deliver(envelope: Omit<Envelope, 'id' | 'replyTo'>, ask: boolean, options: CallOptions): void {
    const number = this.#next;
    const id = { stream: this.#ports.outsideStream, position: number, index: 0 };
    const full: Envelope = ask
      ? { ...envelope, id, replyTo: { kind: 'outside', call: number, run: this.#ports.run } }
      : { ...envelope, id };
    this.#begin(full, full, envelope.to, options);
  }

  /** Sends a command about an actor to its host; `make` gets the call's number. */
  command(key: CellKey, make: (call: number) => Exclude<Inbound, Envelope>, options: CallOptions): void {
    this.#begin(make(this.#next), undefined, key, options);
  }

  receipts(numbers: readonly number[]): void {
    for (const number of numbers) this.#settle(number)?.settle?.resolve(undefined);
  }

  reply(number: number, value: unknown): void {
    this.#settle(number)?.settle?.resolve(value);
  }

  fail(number: number, error: EncodedError): void {
    const call = this.#settle(number);
    if (call === undefined) return;
    if (call.settle === undefined) this.#sendsLost += 1;
    else call.settle.reject(decodeError(error));
  }

  busy(number: number, key: CellKey): void {
    let held = this.#held.get(key);
    if (held === undefined) {
      // Its answer comes after the refusals of everything that is still on its way.
      held = { calls: [], head: 0, sorted: true, hold: this.#hold(key) };
      this.#held.set(key, held);
    }
    const call = this.#calls.get(number);
    if (call !== undefined) this.#keep(held, call);
  }

  /** The actor has room for so many calls. They go past the link's bound: a call that waited there would be overtaken by `hold`. */
  ready(key: CellKey, hold: number, room: number): void {
    const held = this.#held.get(key);
    const link = this.#ports.link(placementOf(key, this.#ports.hosts));
    if (held === undefined || held.hold !== hold || link === undefined) return;
    const { calls } = held;
    if (!held.sorted || held.head * 2 > calls.length) {
      calls.splice(0, held.head);
      held.head = 0;
    }
    if (!held.sorted) calls.sort((a, b) => a.number - b.number);
    held.sorted = true;
    link.push(['resume', key]);
    for (let sent = 0; sent < room && held.head < calls.length; held.head++) {
      const call = calls[held.head] as Call;
      if (!this.#calls.has(call.number)) continue;
      call.state = 'sent';
      link.push(call.item);
      sent += 1;
    }
    if (held.head === calls.length) this.#held.delete(key);
    else held.hold = this.#hold(key);
  }

  /** The slot has a new host: everything unsettled goes to it, in order. */
  resend(slot: number): void {
    const again: Call[] = [];
    for (const call of this.#calls.values()) if (call.slot === slot) again.push(call);
    for (const key of [...this.#held.keys()]) if (placementOf(key, this.#ports.hosts) === slot) this.#held.delete(key);
    this.#waiting[slot] = [];
    again.sort((a, b) => a.number - b.number);
    for (const call of again) this.#send(call);
  }

  /** Sends what had no room on the link. */
  flow(slot: number): void {
    const waiting = this.#waiting[slot] ?? [];
    this.#waiting[slot] = [];
    for (const call of waiting) if (this.#calls.has(call.number)) this.#send(call);
  }

  /** Rejects everything that is under way and everything to come. */
  stop(error: BlocksError = new SystemStoppedError('the actor system has stopped')): void {
    this.#stopped = error;
    this.#wait?.cancel();
    for (const number of [...this.#calls.keys()]) this.#settle(number)?.settle?.reject(error);
  }

  /** A link could not carry the call. */
  reject(number: number, error: Error): void {
    this.#settle(number)?.settle?.reject(error);
  }

  /** Calls to come are refused; those under way go on. */
  refuse(error: BlocksError): void {
    this.#stopped = error;
  }

  /** Calls are taken again after `refuse`. */
  accept(): void {
    this.#stopped = undefined;
  }

  #begin(item: Inbound, envelope: Envelope | undefined, key: CellKey, options: CallOptions): void {
    if (this.#stopped !== undefined) throw this.#stopped;
    const { timeoutMs } = options;
    if (typeof timeoutMs !== 'number' || !(timeoutMs > 0)) {
      throw new InvalidOptionsError(`timeoutMs: ${JSON.stringify(timeoutMs)} is not a number above 0`);
    }
    const isControl = envelope === undefined || envelope.control !== undefined;
    if (this.#calls.size >= this.#ports.limit + (isControl ? CONTROL_RESERVE : 0)) {
      throw new MailboxFullError(
        `${this.#ports.limit} calls are under way: wait for some of them (await tell), or raise callsLimit`,
      );
    }
    const number = this.#next;
    this.#next += 1;
    const { signal } = options;
    const abort = (): void => {
      this.#settle(number)?.settle?.reject(signal?.reason);
    };
    signal?.throwIfAborted();
    signal?.addEventListener('abort', abort, { once: true });
    const call: Call = {
      number,
      item,
      envelope,
      key,
      slot: placementOf(key, this.#ports.hosts),
      timeoutMs: options.timeoutMs,
      settle: options.settle,
      unlisten: signal === undefined ? undefined : () => signal.removeEventListener('abort', abort),
      state: 'waiting',
    };
    this.#calls.set(number, call);
    this.#deadline(call);
    const waiting = this.#waiting[call.slot];
    if (waiting !== undefined && waiting.length > 0) this.#waiting[call.slot] = this.#swept(waiting, call);
    else this.#send(call);
  }

  /** `calls` with one more, and without those that are settled when they are the most. */
  #swept(calls: Call[], call: Call): Call[] {
    calls.push(call);
    if (calls.length < SWEEP_FROM || calls.length < 2 * this.#calls.size) return calls;
    return calls.filter(({ number }) => this.#calls.has(number));
  }

  #keep(held: Held, call: Call): void {
    const last = held.calls.at(-1);
    if (last !== undefined && last.number > call.number) held.sorted = false;
    call.state = 'held';
    const calls = this.#swept(held.calls, call);
    if (calls === held.calls) return;
    // Those before the head are settled, or on their way again: they are not held any more.
    held.calls = calls.filter(({ state }) => state === 'held');
    held.head = 0;
  }

  #send(call: Call): void {
    const held = call.envelope === undefined ? undefined : this.#held.get(call.key);
    if (held !== undefined) {
      this.#keep(held, call);
      return;
    }
    const link = this.#ports.link(call.slot);
    if (link === undefined || !link.writable) {
      call.state = 'waiting';
      const waiting = this.#waiting[call.slot];
      waiting?.push(call);
      if (link !== undefined && waiting?.length === 1) link.onceWritable(() => this.flow(call.slot));
      return;
    }
    call.state = 'sent';
    link.push(call.item);
  }

  #hold(key: CellKey): number {
    this.#holds += 1;
    this.#ports.link(placementOf(key, this.#ports.hosts))?.push(['hold', key, this.#holds]);
    return this.#holds;
  }

  #settle(number: number): Call | undefined {
    const call = this.#calls.get(number);
    if (call === undefined) return undefined;
    this.#calls.delete(number);
    call.unlisten?.();
    return call;
  }

  #deadline(call: Call): void {
    if (!Number.isFinite(call.timeoutMs)) return;
    const dueMs = Math.ceil((this.#ports.clock.monotonicMs() + call.timeoutMs) / DEADLINE_STEP_MS) * DEADLINE_STEP_MS;
    const step = this.#deadlines.get(dueMs);
    if (step === undefined) this.#deadlines.set(dueMs, [call.number]);
    else step.push(call.number);
    this.#dated += 1;
    if (this.#dated >= SWEEP_FROM && this.#dated > 4 * this.#calls.size) this.#sweepDeadlines();
    if (dueMs < this.#waitingForMs) this.#rearm(dueMs);
  }

  /** Calls with long deadlines that were settled soon: a flood of them would otherwise be kept until then. */
  #sweepDeadlines(): void {
    this.#dated = 0;
    for (const [dueMs, numbers] of this.#deadlines) {
      const left = numbers.filter((number) => this.#calls.has(number));
      this.#dated += left.length;
      if (left.length === 0) this.#deadlines.delete(dueMs);
      else if (left.length < numbers.length) this.#deadlines.set(dueMs, left);
    }
  }

  #rearm(dueMs: number): void {
    this.#wait?.cancel();
    this.#waitingForMs = dueMs;
    this.#wait = this.#ports.clock.wait(Math.max(0, dueMs - this.#ports.clock.monotonicMs()), () => this.#expire());
  }

  #expire(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [dueMs, numbers] of this.#deadlines) {
      if (dueMs > nowMs) {
        if (dueMs < nextMs) nextMs = dueMs;
        continue;
      }
      this.#deadlines.delete(dueMs);
      this.#dated -= numbers.length;
      for (const number of numbers) {
        const call = this.#settle(number);
        if (call === undefined) continue;
        if (call.settle === undefined) this.#sendsLost += 1;
        else call.settle.reject(timeoutOf(call));
      }
    }
    this.#waitingForMs = Number.POSITIVE_INFINITY;
    if (nextMs < Number.POSITIVE_INFINITY) this.#rearm(nextMs);
  }
}

function timeoutOf(call: Call): BlocksError {
  const { key, timeoutMs, envelope, state } = call;
  if (state === 'held') {
    return new MailboxFullError(`the mailbox of ${key} had no room for ${timeoutMs} ms: it is slower than its senders`);
  }
  if (envelope !== undefined && envelope.replyTo === undefined) {
    return new TellTimeoutError(
      `no receipt from ${key} within ${timeoutMs} ms; the message may still be handled: repeat it with an idempotencyKey`,
    );
  }
  return new AskTimeoutError(
    `no reply from ${key} within ${timeoutMs} ms; it may still be handled: repeat it with the same idempotencyKey`,
  );
}
