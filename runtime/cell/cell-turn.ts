/**
 * The turn that a behavior sees: collects what a step asks for as intents.
 *
 * Owns: the intents of the step that is running, its time and its randomness. One object a host, used for one step after another.
 * Executes nothing.
 *
 * Invariants:
 * C1. Nothing leaves a step but its intents.
 * C2. What is read here (time, randomness, sequence) is recorded or derived from what is, so that a replay reads the same.
 */
import { assertCellId, type CellKey, childKeyOf, keyOf, rootOf } from '../kernel/address.ts';
import type { SpawnSpec, Turn } from '../kernel/behavior.ts';
import { encodeError, MailboxFullError } from '../kernel/errors.ts';
import type { ExitReason } from '../kernel/exit.ts';
import type { Asked } from '../kernel/intent.ts';
import { ASK_TIMEOUT_MS, STASH_LIMIT } from '../kernel/limits.ts';
import type { ControlMessage, Envelope, ReplyTo } from '../kernel/message.ts';
import { hashOf, type Random, seededRandom } from '../kernel/random.ts';
import { type AskTimerPayload, askTimerOf } from './ask-timer.ts';
import { ROOT_LOGIC } from './book.ts';
import type { Cell } from './cell.ts';

const NO_INTENTS: readonly Asked[] = [];

/** What a turn must know of definitions: whether a receiver keeps a journal. */
export interface TurnWorld {
  isDurable(key: CellKey): boolean;
  /** Takes what behaviors log; not called in a replay. */
  log(key: CellKey, values: readonly unknown[]): void;
}

export class CellTurn implements Turn {
  readonly #world: TurnWorld;
  #cell!: Cell;
  #envelope!: Envelope;
  #random: Random | undefined;
  #intents: Asked[] | undefined;
  #replied = false;
  /** Set by `exit`: the cell ends with this turn. */
  exiting: ExitReason | undefined;
  nowMs = 0;
  sequence = 0;
  replaying = false;

  constructor(world: TurnWorld) {
    this.#world = world;
  }

  #lastReceiver = '';
  #lastDurable = false;

  /** Makes ready for one step. */
  begin(cell: Cell, envelope: Envelope, nowMs: number, sequence: number, replaying: boolean): void {
    this.#cell = cell;
    this.#envelope = envelope;
    this.#random = undefined;
    this.#intents = undefined;
    this.#replied = false;
    this.exiting = undefined;
    this.nowMs = nowMs;
    this.sequence = sequence;
    this.replaying = replaying;
  }

  /** What the step asked for, in order. */
  take(): readonly Asked[] {
    const intents = this.#intents;
    this.#intents = undefined;
    return intents ?? NO_INTENTS;
  }

  /** Whether the request was answered, or the right to answer it was kept. */
  get answered(): boolean {
    return this.#replied;
  }

  get self(): CellKey {
    return this.#cell.key;
  }

  get parent(): CellKey | undefined {
    return this.#cell.book.parent;
  }

  get from(): CellKey | undefined {
    return this.#envelope.from;
  }

  random(): number {
    this.#random ??= seededRandom(hashOf(this.#cell.key), this.sequence);
    return this.#random.next();
  }

  send(to: CellKey, message: unknown): void {
    const { traceparent } = this.#envelope;
    const cell = this.#cell;
    if (cell.durable || traceparent !== undefined) this.#send(this.#envelopeTo(to, message, undefined, traceparent));
    // Nothing but its content: as small as it can be.
    else this.#push({ to, message, from: cell.key });
  }

  reply(value: unknown): void {
    const to = this.#envelope.replyTo;
    if (to === undefined || this.#replied) return;
    this.#replied = true;
    this.#answer(to, value, this.#envelope.idempotencyKey);
  }

  fail(error: unknown): void {
    const to = this.#envelope.replyTo;
    if (to === undefined || this.#replied) return;
    this.#replied = true;
    this.#answerError(to, error, this.#envelope.idempotencyKey);
  }

  takeReplyTo(): ReplyTo | undefined {
    const to = this.#envelope.replyTo;
    if (to === undefined) return undefined;
    this.#replied = true;
    const key = this.#envelope.idempotencyKey;
    return key === undefined ? to : { ...to, idempotencyKey: key };
  }

  replyTo(handle: ReplyTo, value: unknown): void {
    this.#answer(handle, value, handle.idempotencyKey);
  }

  failTo(handle: ReplyTo, error: unknown): void {
    this.#answerError(handle, error, handle.idempotencyKey);
  }

  ask(to: CellKey, message: unknown, options: { ask: string; timeoutMs?: number | undefined }): void {
    const { ask, timeoutMs = ASK_TIMEOUT_MS } = options;
    const cell = this.#cell;
    const replyTo: ReplyTo = { kind: 'cell', key: cell.key, ask };
    const envelope = this.#envelopeTo(to, message, undefined, this.#envelope.traceparent, replyTo);
    const dueMs = this.nowMs + timeoutMs;
    if (!cell.durable) {
      this.#push({ kind: 'ask', ask, envelope, dueMs });
      return;
    }
    this.#send(envelope);
    const payload: AskTimerPayload = { to };
    this.#push({ kind: 'timer.set', id: askTimerOf(ask), dueMs, payload });
  }

  spawn(spec: SpawnSpec): CellKey {
    assertCellId(spec.childId);
    const key =
      spec.actor === undefined ? childKeyOf(this.#cell.key, spec.childId) : keyOf(spec.actor.definition, spec.actor.id);
    const logic = spec.logic === undefined ? ROOT_LOGIC : [...this.#cell.book.logic, spec.logic];
    this.#control(key, {
      kind: 'spawn',
      logic,
      input: spec.input,
      parent: this.#cell.key,
      childId: spec.childId,
      incarnation: this.sequence,
      reports: (spec.reportSnapshots === true ? 1 : 0) | (spec.reportEvents === true ? 2 : 0),
      ifExists: spec.ifExists ?? (spec.logic === undefined ? 'refuse' : 'reset'),
    });
    return key;
  }

  stop(key: CellKey, reason: ExitReason = { kind: 'shutdown' }): void {
    this.#control(key, { kind: 'stop', reason });
  }

  watch(key: CellKey): void {
    this.#control(key, { kind: 'watch', watcher: this.#cell.key });
  }

  unwatch(key: CellKey): void {
    this.#control(key, { kind: 'unwatch', watcher: this.#cell.key });
  }

  exit(reason: ExitReason): void {
    if (this.exiting !== undefined) return;
    this.exiting = reason;
    this.#push({ kind: 'exit', reason });
  }

  startEffect(effect: { readonly id: string; readonly source: string; readonly input?: unknown }): void {
    this.#push({ kind: 'effect.start', id: effect.id, source: effect.source, input: effect.input });
  }

  cancelEffect(id: string): void {
    this.#push({ kind: 'effect.cancel', id });
  }

  sendToEffect(id: string, message: unknown): void {
    this.#push({ kind: 'effect.send', id, message });
  }

  setTimer(timer: { readonly id: string; readonly delayMs: number; readonly payload: unknown }): void {
    const dueMs = this.nowMs + Math.max(0, timer.delayMs);
    this.#push({ kind: 'timer.set', id: timer.id, dueMs, payload: timer.payload });
  }

  cancelTimer(id: string): void {
    this.#push({ kind: 'timer.cancel', id });
  }

  emit(event: unknown): void {
    this.#push({ kind: 'emit', event });
    const book = this.#cell.book;
    if ((book.reports & 2) !== 0 && book.parent !== undefined && book.childId !== undefined) {
      this.#control(book.parent, { kind: 'child.event', childId: book.childId, event });
    }
  }

  log(...values: readonly unknown[]): void {
    if (!this.replaying) this.#world.log(this.#cell.key, values);
  }

  stash(): void {
    const { book, key } = this.#cell;
    if ((book.stash?.length ?? 0) >= STASH_LIMIT) {
      throw new MailboxFullError(
        `${key} has ${STASH_LIMIT} messages in its stash, and no room for another: unstash sooner`,
      );
    }
    this.#replied = true;
    this.#push({ kind: 'stash' });
  }

  unstashAll(): void {
    this.#push({ kind: 'unstash' });
  }

  /** Tells parent, watchers and children of this cell's end. */
  announceExit(reason: ExitReason): void {
    const { book } = this.#cell;
    const { parent, childId, incarnation } = book;
    if (parent !== undefined && childId !== undefined) this.tellTerminated(parent, childId, incarnation, reason);
    for (const watcher of book.watchers ?? []) {
      if (watcher !== parent) this.announceExitTo(watcher, reason);
    }
    for (const child of book.children?.values() ?? [])
      this.#control(child.key, { kind: 'stop', reason: { kind: 'shutdown' } });
  }

  /** Lets inline children live again that were stopped with this cell. */
  resumeChildren(): void {
    for (const [childId, { key }] of this.#cell.book.children ?? []) {
      if (rootOf(key) !== rootOf(this.#cell.key)) continue;
      const incarnation = this.sequence;
      this.#control(key, {
        kind: 'spawn',
        input: undefined,
        parent: this.#cell.key,
        childId,
        incarnation,
        ifExists: 'resume',
      });
    }
  }

  /** Tells a parent that wants to know of the new state. */
  reportSnapshot(snapshot: unknown): void {
    const { parent, childId } = this.#cell.book;
    if (parent !== undefined && childId !== undefined)
      this.#control(parent, { kind: 'child.snapshot', childId, snapshot });
  }

  /** Tells a parent of the end of its child, or that it could not be started. */
  tellTerminated(parent: CellKey, childId: string, incarnation: number | undefined, reason: ExitReason): void {
    const told = incarnation === undefined ? {} : { incarnation };
    this.#control(parent, { kind: 'terminated', key: this.#cell.key, childId, ...told, reason });
  }

  /** Tells a watcher. */
  announceExitTo(watcher: CellKey, reason: ExitReason): void {
    this.#control(watcher, { kind: 'terminated', key: this.#cell.key, reason });
  }

  #control(to: CellKey, control: ControlMessage): void {
    this.#send(this.#envelopeTo(to, undefined, control, undefined));
  }

  #send(envelope: Envelope): void {
    if (this.#cell.durable) this.#push({ kind: 'send', envelope, durable: this.#isDurable(envelope.to) });
    else this.#push(envelope);
  }

  /** All fields are named, also those given later or never, so that all envelopes but plain ones have one shape. */
  #envelopeTo(
    to: CellKey,
    message: unknown,
    control: ControlMessage | undefined,
    traceparent: string | undefined,
    replyTo?: ReplyTo,
  ): Envelope {
    return {
      to,
      message,
      control,
      id: undefined,
      from: this.#cell.key,
      replyTo,
      idempotencyKey: undefined,
      expiresAtMs: undefined,
      unstashed: undefined,
      traceparent,
    };
  }

  #answer(to: ReplyTo, value: unknown, idempotencyKey: string | undefined): void {
    if (to.kind === 'cell') this.#control(to.key, { kind: 'reply', ask: to.ask, value });
    else this.#push({ kind: 'reply', to, value, idempotencyKey });
  }

  #answerError(to: ReplyTo, error: unknown, idempotencyKey: string | undefined): void {
    const encoded = encodeError(error);
    if (to.kind === 'cell') this.#control(to.key, { kind: 'ask.failed', ask: to.ask, error: encoded });
    else this.#push({ kind: 'fail', to, error: encoded, idempotencyKey });
  }

  /** Whether a journaled sender's message is kept for its receiver. Senders mostly send to the same cell again. */
  #isDurable(to: CellKey): boolean {
    if (to !== this.#lastReceiver) {
      this.#lastDurable = this.#world.isDurable(to);
      this.#lastReceiver = to;
    }
    return this.#lastDurable;
  }

  #push(intent: Asked): void {
    if (this.#intents === undefined) this.#intents = [intent];
    else this.#intents.push(intent);
  }
}
