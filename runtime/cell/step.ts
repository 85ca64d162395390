/**
 * One step: a message through the behavior, and the cell moved by what came of it.
 *
 * Owns: which method of the behavior a message is for, what a cell does by itself (spawn, watch, stop), and what a failed step
 * leaves behind: nothing. Knows nothing of journals: the caller records, commits and executes.
 *
 * Invariants:
 * C6. A step that throws changes neither state nor books nor sequence.
 * C7. A message that was consumed before, or whose timer, effect or ask is no longer in the books, makes no turn.
 * C8. A request that was handled is answered: by the behavior, later by whoever took the handle, or with `NoReplyError`.
 */
import { enterTurn } from '../kernel/ambient.ts';
import type { Behavior, Signal } from '../kernel/behavior.ts';
import {
  ActorAlreadyExistsError,
  ActorStoppedError,
  AskTimeoutError,
  decodeError,
  encodeError,
  InvalidDefinitionError,
  MessageExpiredError,
  NoReplyError,
} from '../kernel/errors.ts';
import type { ExitReason } from '../kernel/exit.ts';
import type { Asked, Intent } from '../kernel/intent.ts';
import { type Envelope, laneOf } from '../kernel/message.ts';
import type { TurnRecord } from '../journal/turn-record.ts';
import { askOfTimer } from './ask-timer.ts';
import { applyTurn, isAttachToStopped } from './book.ts';
import type { Cell } from './cell.ts';
import type { CellTurn } from './cell-turn.ts';

export type StepOutcome =
  | { readonly kind: 'handled'; readonly intents: readonly Asked[] }
  /** The behavior never saw it: the cell has stopped, exists already, or the message came too late. */
  | { readonly kind: 'refused'; readonly intents: readonly Asked[]; readonly error: Error }
  /** A duplicate, or stale: as if it had never come. */
  | { readonly kind: 'dropped' }
  | { readonly kind: 'failed'; readonly error: unknown };

const DROPPED: StepOutcome = { kind: 'dropped' };
/** Most turns of most reducers: no object is made for them. */
const HANDLED: StepOutcome = { kind: 'handled', intents: [] };
const NOTHING = (): void => {};

/**
 * Writes the turn down, before the cell moves; throwing makes the step fail. `state` is the state after it. Only cells with a journal
 * are recorded, and none of their intents is a plain send.
 */
export type Recorder = (
  outcome: TurnRecord['outcome'],
  envelope: Envelope,
  intents: readonly Intent[],
  state: unknown,
) => void;

/** Runs one message at time `nowMs`. The turn's sequence is the cell's next. */
export function step(
  cell: Cell,
  envelope: Envelope,
  turn: CellTurn,
  nowMs: number,
  record: Recorder = NOTHING,
): StepOutcome {
  if (isOld(cell, envelope)) return DROPPED;
  const { book } = cell;
  turn.begin(cell, envelope, nowMs, cell.sequence + 1, false);

  const plain = envelope.control === undefined && envelope.expiresAtMs === undefined && book.status.kind === 'running';
  const refusal = plain ? undefined : refusalOf(cell, envelope, nowMs);
  if (refusal !== undefined) {
    turn.fail(refusal);
    const control = envelope.control;
    if (control?.kind === 'watch' && book.status.kind === 'stopped')
      turn.announceExitTo(control.watcher, book.status.reason);
    if (control?.kind === 'spawn') announceRefusedSpawn(turn, envelope, refusal);
    const intents = turn.take();
    record('refused', envelope, intents as readonly Intent[], cell.state);
    finish(cell, envelope, true, intents);
    return { kind: 'refused', intents, error: refusal };
  }

  const outer = enterTurn(turn);
  try {
    const before = cell.state;
    const next = runBehavior(cell, envelope, turn);
    if (envelope.replyTo !== undefined && !turn.answered) turn.fail(noReply(cell, envelope));
    if (turn.exiting !== undefined) turn.announceExit(turn.exiting);
    if ((book.reports & 1) !== 0 && next !== before) turn.reportSnapshot(behaviorOf(cell).view(next));
    const intents = turn.take();
    record('handled', envelope, intents as readonly Intent[], next);
    cell.state = next;
    finish(cell, envelope, false, intents);
    return intents.length === 0 ? HANDLED : { kind: 'handled', intents };
  } catch (error) {
    turn.take();
    return { kind: 'failed', error };
  } finally {
    enterTurn(outer);
  }
}

/** Whether `stepPlain` can take a message: it is its content, perhaps a question, and the cell has no journal and nobody to report to. */
export function isPlain(cell: Cell, envelope: Envelope): boolean {
  return (
    !cell.durable &&
    envelope.control === undefined &&
    envelope.id === undefined &&
    envelope.idempotencyKey === undefined &&
    envelope.expiresAtMs === undefined &&
    envelope.unstashed !== true &&
    cell.book.reports === 0 &&
    cell.book.status.kind === 'running'
  );
}

/** `step` for most messages of actors in memory, for which most questions need not be asked. Answers the intents; throws what the behavior throws. */
export function stepPlain(cell: Cell, envelope: Envelope, turn: CellTurn, nowMs: number): readonly Asked[] {
  turn.begin(cell, envelope, nowMs, cell.sequence + 1, false);
  const outer = enterTurn(turn);
  let next: unknown;
  try {
    next = behaviorOf(cell).receive(cell.state, envelope.message, turn);
    if (envelope.replyTo !== undefined && !turn.answered) turn.fail(noReply(cell, envelope));
    if (turn.exiting !== undefined) turn.announceExit(turn.exiting);
  } catch (error) {
    turn.take();
    throw error;
  } finally {
    enterTurn(outer);
  }
  const intents = turn.take();
  cell.state = next;
  finish(cell, envelope, false, intents);
  return intents;
}

/** Whether the message was consumed before, or is about something that is past: it makes no turn (C7). */
export function isOld(cell: Cell, envelope: Envelope): boolean {
  if (envelope.id !== undefined && cell.book.hasConsumed(envelope.id, laneOf(envelope))) return true;
  return envelope.control !== undefined && isStale(cell, envelope);
}

/** The turn that sets aside a message whose step failed too often. The cell ends if it has a parent to tell. */
export function park(
  cell: Cell,
  envelope: Envelope,
  turn: CellTurn,
  nowMs: number,
  error: Error,
  record: Recorder = NOTHING,
): readonly Asked[] {
  turn.begin(cell, envelope, nowMs, cell.sequence + 1, false);
  turn.fail(error);
  const reason: ExitReason = { kind: 'error', error: encodeError(error) };
  // Whoever starts a child waits for the end of this start, and does not know the one before it any more.
  if (envelope.control?.kind === 'spawn') announceRefusedSpawn(turn, envelope, error);
  if (cell.book.status.kind !== 'running') {
    turn.exit(reason);
  } else if (cell.book.parent !== undefined) {
    turn.exit(reason);
    turn.announceExit(reason);
  }
  const intents = turn.take();
  record('parked', envelope, intents as readonly Intent[], cell.state);
  finish(cell, envelope, false, intents);
  return intents;
}

/** Runs the behavior alone, as step and replay do. */
export function runBehavior(cell: Cell, envelope: Envelope, turn: CellTurn): unknown {
  const control = envelope.control;
  if (control === undefined) return behaviorOf(cell).receive(cell.state, envelope.message, turn);
  switch (control.kind) {
    case 'spawn':
      return spawn(cell, control, turn);
    case 'watch':
    case 'unwatch':
      return cell.state;
    case 'stop':
      return stop(cell, control.reason, turn);
    case 'timer': {
      const ask = askOfTimer(control.id);
      if (ask === undefined) {
        const payload = cell.book.timers?.get(control.id)?.payload;
        return signal(cell, { kind: 'timer', id: control.id, payload }, turn);
      }
      const to = cell.book.asks?.get(ask)?.to ?? 'a cell';
      const error = new AskTimeoutError(`${to} did not answer ask "${ask}" in time`);
      return signal(cell, { kind: 'ask.failed', ask, error }, turn);
    }
    case 'effect.failed':
      return signal(cell, { kind: 'effect.failed', id: control.id, error: decodeError(control.error) }, turn);
    case 'ask.failed':
      return signal(cell, { kind: 'ask.failed', ask: control.ask, error: decodeError(control.error) }, turn);
    default:
      return signal(cell, control, turn);
  }
}

function behaviorOf(cell: Cell): Behavior {
  if (cell.behavior === undefined)
    throw new InvalidDefinitionError(`${cell.key} has no behavior: it was never spawned`);
  return cell.behavior;
}

function signal(cell: Cell, what: Signal, turn: CellTurn): unknown {
  const behavior = behaviorOf(cell);
  if (behavior.signal !== undefined) return behavior.signal(cell.state, what, turn);
  return what.kind === 'timer' ? behavior.receive(cell.state, what.payload, turn) : cell.state;
}

function spawn(cell: Cell, control: Extract<Envelope['control'], { kind: 'spawn' }>, turn: CellTurn): unknown {
  const { book } = cell;
  // Alive already: whoever asked may have it (`refusalOf` has let nobody else through).
  if (book.status.kind === 'running' || isAttachToStopped(book, control)) {
    turn.reply(cell.key);
    return cell.state;
  }
  const { logic, parent, childId, reports } = book;
  const before = cell.behavior;
  book.logic = control.logic ?? logic;
  const behavior = cell.resolveBehavior();
  if (behavior === undefined) {
    const missing = book.logic.join('.');
    book.logic = logic;
    cell.behavior = before;
    throw new InvalidDefinitionError(
      `definition "${cell.definition.name}" has no inline logic "${missing}" for ${cell.key}`,
    );
  }
  // Again from the last good state: the first init has long been recorded.
  if (control.ifExists === 'resume' && book.status.kind === 'stopped' && cell.state !== undefined) {
    turn.reply(cell.key);
    turn.resumeChildren();
    return behavior.signal === undefined ? cell.state : behavior.signal(cell.state, { kind: 'resumed' }, turn);
  }
  // `init` may already ask for its parent, send to it and emit to it.
  book.parent = control.parent;
  book.childId = control.childId;
  book.reports = control.reports ?? 0;
  try {
    const state = behavior.init(control.input, turn);
    turn.reply(cell.key);
    return state;
  } catch (error) {
    // One that never began has no behavior either: nobody is to save or show the state that it has not.
    cell.behavior = before;
    book.logic = logic;
    book.parent = parent;
    book.childId = childId;
    book.reports = reports;
    throw error;
  }
}

/**
 * Ends the cell. What the behavior makes of its state in the end is not kept: one that did not finish may be resumed, from its
 * last good state.
 */
function stop(cell: Cell, reason: ExitReason, turn: CellTurn): unknown {
  const behavior = behaviorOf(cell);
  if (reason.kind !== 'killed' && behavior.signal !== undefined) {
    const state = behavior.signal(cell.state, { kind: 'stop', reason }, turn);
    if (behavior.lingers === true) {
      turn.reply(undefined);
      return state;
    }
  }
  turn.exit(reason);
  turn.reply(undefined);
  return cell.state;
}

function isStale(cell: Cell, envelope: Envelope): boolean {
  const control = envelope.control;
  if (control === undefined) return false;
  const { book } = cell;
  switch (control.kind) {
    case 'timer':
      if (book.status.kind !== 'running') return true;
      return !book.isArmed(control.id, control.armed);
    case 'effect.done':
    case 'effect.failed':
    case 'effect.event':
      if (book.status.kind !== 'running') return true;
      return book.effects?.has(control.id) !== true;
    case 'terminated': {
      if (control.childId === undefined || control.incarnation === undefined) return false;
      // The end of a child that was replaced meanwhile is not the end of its successor; of one that is not in the books it was heard.
      return book.children?.get(control.childId)?.incarnation !== control.incarnation;
    }
    default:
      return false;
  }
}

function refusalOf(cell: Cell, envelope: Envelope, nowMs: number): Error | undefined {
  const { book } = cell;
  const control = envelope.control;
  if (control?.kind === 'spawn') {
    const mine = control.ifExists === 'resume' && (control.logic === undefined || book.parent === control.parent);
    if (book.status.kind === 'running' && control.ifExists !== 'attach' && !mine) {
      return new ActorAlreadyExistsError(
        `actor ${cell.key} already exists: use system.ref(definition, id) for it, or spawn with ifExists: 'attach'`,
      );
    }
    return undefined;
  }
  if (book.status.kind === 'stopped') {
    return new ActorStoppedError(
      `actor ${cell.key} has stopped (${book.status.reason.kind}): spawn it again to use it`,
    );
  }
  if ((control?.kind === 'reply' || control?.kind === 'ask.failed') && book.asks?.has(control.ask) !== true) {
    return new MessageExpiredError(`the answer to ask "${control.ask}" of ${cell.key} came after its deadline`);
  }
  if (envelope.expiresAtMs !== undefined && nowMs > envelope.expiresAtMs) {
    return new MessageExpiredError(`a message to ${cell.key} waited longer than its time to live`);
  }
  return undefined;
}

function announceRefusedSpawn(turn: CellTurn, envelope: Envelope, error: Error): void {
  const control = envelope.control;
  if (control?.kind !== 'spawn' || control.parent === undefined || control.childId === undefined) return;
  turn.tellTerminated(control.parent, control.childId, control.incarnation, {
    kind: 'error',
    error: encodeError(error),
  });
}

function noReply(cell: Cell, envelope: Envelope): NoReplyError {
  const type: unknown = (envelope.message as { type?: unknown } | undefined)?.type;
  const what = typeof type === 'string' ? `"${type}"` : 'the request';
  return new NoReplyError(`${cell.key} handled ${what} without an answer: call reply() in the handler, or use tell`);
}

function finish(cell: Cell, envelope: Envelope, refused: boolean, intents: readonly Asked[]): void {
  cell.sequence += 1;
  cell.failedAttempts = 0;
  applyTurn(cell.book, envelope, refused, intents, cell.sequence, cell.definition.idempotencyKeysLimit);
}
