/**
 * A cell's books: everything durable about it that is not its behavior's state.
 *
 * Owns: timers, effects in flight, asks without an answer, children, watchers, stash, idempotency keys, watermarks, status; and
 * the one function that moves them, from a turn's message and intents. Pure: the same turns give the same books, which is how
 * a replay and a recovery without a step get them.
 *
 * Invariants:
 * BK1. `applyTurn` is the only writer. It runs after the step has succeeded, never before.
 * BK2. A timer, effect or ask leaves the books in the turn that consumes its outcome; an outcome without its entry is stale and is dropped.
 * BK3. Idempotency keys leave in the order they came, when there are more than the definition allows.
 */
import type { CellKey } from '../kernel/address.ts';
import type { EncodedError } from '../kernel/errors.ts';
import type { ExitReason } from '../kernel/exit.ts';
import type { Asked } from '../kernel/intent.ts';
import {
  type ControlMessage,
  type Envelope,
  type Lane,
  laneOf,
  type MessageId,
  type SelfMessage,
  type Stream,
} from '../kernel/message.ts';
import { askOfTimer, type AskTimerPayload } from './ask-timer.ts';
import { OUTSIDE_STREAM_BASE } from './image.ts';

export interface TimerEntry {
  readonly dueMs: number;
  readonly payload: unknown;
  /** Sequence of the turn that set it: tells a set-again timer's firing from the old one's. */
  readonly armed: number;
}

/** A question that the cell has asked and nobody has answered. */
export interface AskEntry {
  /** Its deadline. */
  readonly dueMs: number;
  readonly to: CellKey;
  /** Sequence of the turn that asked: tells a question's deadline from that of an earlier one with its name. */
  readonly armed: number;
  /** The deadline has passed, and a message says so. */
  isLate: boolean;
}

export interface EffectEntry {
  readonly source: string;
  readonly input: unknown;
  /** Sequence of the turn that started it: part of its idempotency key. */
  readonly started: number;
}

export interface ChildEntry {
  readonly key: CellKey;
  readonly incarnation: number;
}

/** What a request under an idempotency key was answered; absent until it was. */
export type KeyedAnswer =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'error'; readonly error: EncodedError }
  | { readonly kind: 'open' };

export type CellStatus =
  /** Never spawned. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'running' }
  | { readonly kind: 'stopped'; readonly reason: ExitReason };

// Of most cells: no object of its own for each.
const ABSENT: CellStatus = { kind: 'absent' };
const RUNNING: CellStatus = { kind: 'running' };

/** The path of an actor with a definition of its own. */
export const ROOT_LOGIC: readonly string[] = [];

export class Book {
  status: CellStatus = ABSENT;
  parent: CellKey | undefined;
  childId: string | undefined;
  /** Which start by its parent this is. */
  incarnation: number | undefined;
  /** Path of inline logic below the root's definition. */
  logic: readonly string[] = ROOT_LOGIC;
  /** What the cell tells its parent besides its end. */
  reports: number = 0;
  timers: Map<string, TimerEntry> | undefined;
  effects: Map<string, EffectEntry> | undefined;
  /** With their deadlines, which are timers to everybody else. */
  asks: Map<string, AskEntry> | undefined;
  children: Map<string, ChildEntry> | undefined;
  watchers: Set<CellKey> | undefined;
  /** Whose end this cell has asked to be told. */
  watching: Set<CellKey> | undefined;
  stash: Envelope[] | undefined;
  /** Taken out of the stash, not yet handled again: comes before everything in the users' lane. */
  unstashed: Envelope[] | undefined;
  keys: Map<string, KeyedAnswer> | undefined;
  /** Last consumed id per stream: [position, index] of the users' lane and of the signal lane. */
  consumed: Map<Stream, Consumed> | undefined;

  /** Whether something will happen to the cell by itself. */
  get obliged(): boolean {
    if (this.status.kind !== 'running') return this.unstashed !== undefined && this.unstashed.length > 0;
    return (
      (this.timers !== undefined && this.timers.size > 0) ||
      (this.asks !== undefined && this.asks.size > 0) ||
      (this.effects !== undefined && this.effects.size > 0) ||
      (this.unstashed !== undefined && this.unstashed.length > 0)
    );
  }

  /** Due time of the first timer; 0 when effects are in flight; undefined when nothing is to happen. */
  get wakeAtMs(): number | undefined {
    if (this.unstashed !== undefined && this.unstashed.length > 0) return 0;
    if (this.status.kind !== 'running') return undefined;
    if (this.effects !== undefined && this.effects.size > 0) return 0;
    const first = Math.min(firstDueMs(this.timers), firstDueMs(this.asks));
    return first === Number.POSITIVE_INFINITY ? undefined : first;
  }

  /** Whether the cell waits for just this setting of a timer. */
  isArmed(id: string, armed: number): boolean {
    const ask = askOfTimer(id);
    return (ask === undefined ? this.timers?.get(id) : this.asks?.get(ask))?.armed === armed;
  }

  /** Whether a message from outside is older than the first that was consumed in its run: it was refused then, without a turn. */
  precedes(id: MessageId): boolean {
    const first = this.consumed?.get(id.stream)?.firstUserPosition;
    return first !== undefined && id.position < first;
  }

  /** Whether a message with this id was consumed before. */
  hasConsumed(id: MessageId, lane: Lane): boolean {
    const mark = this.consumed?.get(id.stream);
    if (mark === undefined) return false;
    return lane === 'user'
      ? id.position < mark.userPosition || (id.position === mark.userPosition && id.index <= mark.userIndex)
      : id.position < mark.signalPosition || (id.position === mark.signalPosition && id.index <= mark.signalIndex);
  }
}

function firstDueMs(waiting: ReadonlyMap<string, { readonly dueMs: number }> | undefined): number {
  let first = Number.POSITIVE_INFINITY;
  for (const { dueMs } of waiting?.values() ?? []) if (dueMs < first) first = dueMs;
  return first;
}

export interface Consumed {
  userPosition: number;
  userIndex: number;
  signalPosition: number;
  signalIndex: number;
  /** Outside streams only. */
  firstUserPosition?: number | undefined;
}

/**
 * Moves the books by one turn. `refused`: the message is consumed, in its own lane, and nothing that it says happens. `sequence` is
 * the turn's own; `keysLimit` the definition's.
 */
export function applyTurn(
  book: Book,
  envelope: Envelope,
  refused: boolean,
  intents: readonly Asked[],
  sequence: number,
  keysLimit: number,
): void {
  if (envelope.unstashed === true) {
    book.unstashed?.shift();
    if (book.unstashed?.length === 0) book.unstashed = undefined;
  } else if (envelope.id !== undefined) consume(book, envelope.id, laneOf(envelope));
  if (envelope.control !== undefined && !refused) applyControl(book, envelope);
  const key = envelope.idempotencyKey;
  if (key !== undefined) {
    book.keys ??= new Map();
    if (!book.keys.has(key)) book.keys.set(key, { kind: 'open' });
  }
  for (const intent of intents) applyIntent(book, envelope, intent, sequence);
  if (book.keys !== undefined && book.keys.size > keysLimit) {
    const oldest = book.keys.keys().next();
    if (!oldest.done) book.keys.delete(oldest.value);
  }
}

function consume(book: Book, id: MessageId, lane: Lane): void {
  book.consumed ??= new Map();
  let mark = book.consumed.get(id.stream);
  if (mark === undefined) {
    mark = { userPosition: -1, userIndex: -1, signalPosition: -1, signalIndex: -1 };
    book.consumed.set(id.stream, mark);
  }
  if (lane === 'user') {
    if (mark.userPosition === -1 && id.stream >= OUTSIDE_STREAM_BASE) mark.firstUserPosition = id.position;
    mark.userPosition = id.position;
    mark.userIndex = id.index;
  } else {
    mark.signalPosition = id.position;
    mark.signalIndex = id.index;
  }
}

function applyControl(book: Book, envelope: Envelope): void {
  const control = envelope.control;
  if (control === undefined) return;
  switch (control.kind) {
    case 'spawn':
      if (isAttachToStopped(book, control)) break;
      if (book.status.kind === 'running') {
        if (control.ifExists === 'resume') book.incarnation = control.incarnation;
        break;
      }
      book.incarnation = control.incarnation;
      if (control.ifExists !== 'resume') forgetUnfinished(book);
      book.status = RUNNING;
      if (control.logic === undefined) break;
      book.parent = control.parent;
      book.childId = control.childId;
      book.logic = control.logic;
      book.reports = control.reports ?? 0;
      break;
    case 'watch':
      book.watchers ??= new Set();
      book.watchers.add(control.watcher);
      break;
    case 'unwatch':
      book.watchers?.delete(control.watcher);
      break;
    case 'terminated':
      if (control.childId !== undefined && book.children?.get(control.childId)?.key === control.key) {
        book.children.delete(control.childId);
      }
      if (control.childId === undefined) book.watching?.delete(control.key);
      break;
    case 'timer': {
      const ask = askOfTimer(control.id);
      if (ask === undefined) book.timers?.delete(control.id);
      else book.asks?.delete(ask);
      break;
    }
    case 'effect.done':
    case 'effect.failed':
      book.effects?.delete(control.id);
      break;
    case 'reply':
    case 'ask.failed':
      book.asks?.delete(control.ask);
      break;
    default:
      break;
  }
}

/** Somebody outside who only wants to be sure that the actor was spawned: one that has ended is left in peace. */
export function isAttachToStopped(book: Book, control: Extract<Envelope['control'], { kind: 'spawn' }>): boolean {
  return control.ifExists === 'attach' && control.parent === undefined && book.status.kind === 'stopped';
}

function forgetUnfinished(book: Book): void {
  book.timers = undefined;
  book.effects = undefined;
  book.asks = undefined;
  book.children = undefined;
}

function applyIntent(book: Book, envelope: Envelope, intent: Asked, sequence: number): void {
  switch (intent.kind) {
    case undefined:
      if (intent.control !== undefined) applySent(book, intent.to, intent.control, sequence);
      break;
    case 'ask':
      openAsk(book, intent.ask, intent.envelope.to, intent.dueMs, sequence);
      break;
    case 'timer.set': {
      const ask = askOfTimer(intent.id);
      if (ask === undefined) {
        book.timers ??= new Map();
        book.timers.set(intent.id, { dueMs: intent.dueMs, payload: intent.payload, armed: sequence });
      } else {
        openAsk(book, ask, (intent.payload as AskTimerPayload).to, intent.dueMs, sequence);
      }
      break;
    }
    case 'timer.cancel':
      book.timers?.delete(intent.id);
      break;
    case 'effect.start':
      book.effects ??= new Map();
      book.effects.set(intent.id, { source: intent.source, input: intent.input, started: sequence });
      break;
    case 'effect.cancel':
      book.effects?.delete(intent.id);
      break;
    case 'send': {
      const { control, to } = intent.envelope;
      if (control !== undefined) applySent(book, to, control, sequence);
      break;
    }
    case 'reply':
      if (intent.idempotencyKey !== undefined)
        book.keys?.set(intent.idempotencyKey, { kind: 'value', value: intent.value });
      break;
    case 'fail':
      if (intent.idempotencyKey !== undefined)
        book.keys?.set(intent.idempotencyKey, { kind: 'error', error: intent.error });
      break;
    case 'stash':
      book.stash ??= [];
      book.stash.push({ ...envelope, id: undefined, unstashed: true });
      break;
    case 'unstash':
      if (book.stash !== undefined) book.unstashed = [...book.stash, ...(book.unstashed ?? [])];
      book.stash = undefined;
      break;
    case 'exit':
      book.status = { kind: 'stopped', reason: intent.reason };
      book.watchers = undefined;
      // What was to happen is kept for one that did not finish: it may be resumed.
      if (intent.reason.kind === 'normal') forgetUnfinished(book);
      // What was kept for later has to be answered for: it is refused like the rest of the mailbox.
      if (book.stash !== undefined) book.unstashed = [...book.stash, ...(book.unstashed ?? [])];
      book.stash = undefined;
      break;
    default:
      break;
  }
}

/** What a cell has to remember of having told another something. */
function applySent(book: Book, to: CellKey, control: ControlMessage | SelfMessage, sequence: number): void {
  switch (control.kind) {
    case 'spawn':
      if (control.childId === undefined) break;
      book.children ??= new Map();
      book.children.set(control.childId, { key: to, incarnation: sequence });
      break;
    case 'watch':
      book.watching ??= new Set();
      book.watching.add(to);
      break;
    case 'unwatch':
      book.watching?.delete(to);
      break;
    default:
      break;
  }
}

function openAsk(book: Book, ask: string, to: CellKey, dueMs: number, sequence: number): void {
  book.asks ??= new Map();
  book.asks.set(ask, { dueMs, to, armed: sequence, isLate: false });
}
