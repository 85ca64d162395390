/**
 * What a turn owes: timers that fire, effects that end, requests that are answered.
 *
 * Owns: the rules about obligations of actors to themselves. Part of the checker of `invariants.ts`.
 *
 * Rules, by name:
 * timer   a timer fires once, not before its time, and fires at all unless it was set again, cancelled, or its actor ended
 * effect  a started effect has one outcome, unless it was started again, cancelled, or its actor ended
 * ask     a request of an actor has one outcome: the answer, a failure, or its deadline
 */
import type { CellKey } from '../kernel/address.ts';
import type { History, LoggedTurn } from './history.ts';

type Report = (rule: string, what: string) => void;

const ASK_TIMER = '\0ask:';
/** A clock that was set is noticed after a minute; then a timer is due. */
const LATE_MS = 65_000;

interface Open {
  readonly id: string;
  /** The turn that began it. */
  readonly turn: LoggedTurn;
  readonly dueMs: number;
  readonly source: string;
}

export function checkObligations(
  history: History,
  byKey: ReadonlyMap<CellKey, readonly LoggedTurn[]>,
  report: Report,
): void {
  // Between a timer's firing and its turn the clock may be set back. Both are read in whole ms.
  const jumpedBackMs = history.outside.reduce(
    (sum, event) => sum + (event.kind === 'clock_jumped' && event.ms < 0 ? Math.ceil(-event.ms) : 0),
    0,
  );
  const statuses = new Map(history.actors.map(({ key, status }) => [key, status]));
  for (const [key, turns] of byKey) {
    const timers = new Map<string, Open>();
    const effects = new Map<string, Open>();
    const asks = new Map<string, Open>();
    let lives = false;
    for (const turn of turns) {
      if (begins(turn, lives)) forget(timers, effects, asks);
      if (turn.envelope.control?.kind === 'spawn' && turn.outcome === 'handled') lives = true;
      if (turn.intents.some(({ kind }) => kind === 'exit')) lives = false;
      close(turn, timers, effects, asks, jumpedBackMs, report);
      open(turn, timers, effects, asks);
    }
    if (!history.settled || statuses.get(key) !== 'running') continue;
    for (const { id, turn, dueMs } of timers.values()) {
      if (dueMs + LATE_MS < history.endMs)
        report('timer', `${key}: timer ${show(id)} of turn ${turn.sequence} never fired`);
    }
    for (const { id, turn, source } of effects.values()) {
      if (history.isCall(key, source)) report('effect', `${key}: effect ${id} of turn ${turn.sequence} never ended`);
    }
    for (const { id, turn } of asks.values())
      report('ask', `${key}: ask ${id} of turn ${turn.sequence} has no outcome`);
  }
}

/** Whether the turn is the first of a new life: one that lives is only attached to, and one that has stopped may be resumed. */
function begins({ envelope: { control }, intents }: LoggedTurn, lives: boolean): boolean {
  return control?.kind === 'spawn' && !lives && control.ifExists !== 'resume' && intents.length > 0;
}

/** What the message of a turn brings to its end. */
function close(
  turn: LoggedTurn,
  timers: Map<string, Open>,
  effects: Map<string, Open>,
  asks: Map<string, Open>,
  jumpedBackMs: number,
  report: Report,
): void {
  const { control } = turn.envelope;
  if (control === undefined || turn.outcome === 'refused') return;
  const where = `${turn.key}, turn ${turn.sequence}`;
  switch (control.kind) {
    case 'timer': {
      const timer = timers.get(control.id);
      if (timer === undefined || timer.turn.sequence !== control.armed) {
        report(
          'timer',
          `${where}: timer ${show(control.id)} of turn ${control.armed} fired, which was not set or had fired before`,
        );
      } else if (turn.timeMs + jumpedBackMs < timer.dueMs) {
        report('timer', `${where}: timer ${show(control.id)} fired ${timer.dueMs - turn.timeMs} ms early`);
      }
      timers.delete(control.id);
      if (control.id.startsWith(ASK_TIMER)) asks.delete(control.id.slice(ASK_TIMER.length));
      break;
    }
    case 'effect.done':
    case 'effect.failed':
      if (!effects.delete(control.id))
        report('effect', `${where}: an outcome of effect ${control.id}, which was not under way`);
      break;
    case 'reply':
    case 'ask.failed':
      if (!asks.delete(control.ask)) report('ask', `${where}: an answer to ask ${control.ask}, which was not open`);
      timers.delete(ASK_TIMER + control.ask);
      break;
    default:
      break;
  }
}

/** What a turn begins, and what it ends by itself. */
function open(turn: LoggedTurn, timers: Map<string, Open>, effects: Map<string, Open>, asks: Map<string, Open>): void {
  for (const intent of turn.intents) {
    switch (intent.kind) {
      case 'timer.set':
        timers.set(intent.id, { id: intent.id, turn, dueMs: intent.dueMs, source: '' });
        break;
      case 'timer.cancel':
        timers.delete(intent.id);
        break;
      case 'effect.start':
        effects.set(intent.id, { id: intent.id, turn, dueMs: 0, source: intent.source });
        break;
      case 'effect.cancel':
        effects.delete(intent.id);
        break;
      case 'send': {
        const { replyTo } = intent.envelope;
        if (replyTo?.kind === 'cell') asks.set(replyTo.ask, { id: replyTo.ask, turn, dueMs: 0, source: '' });
        break;
      }
      case 'exit':
        // One that did not finish may be resumed with what it had under way; one that did has nothing left.
        if (intent.reason.kind === 'normal') forget(timers, effects, asks);
        break;
      default:
        break;
    }
  }
}

function forget(...all: readonly Map<string, Open>[]): void {
  for (const open of all) open.clear();
}

function show(id: string): string {
  return JSON.stringify(id);
}
