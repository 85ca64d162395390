/**
 * What a supervisor asks of its turn for one child: start, stop, wait. Both kinds of supervisor speak to the runtime through here.
 *
 * Owns: the names of timers, and how a start, a stop and a wait become intents. Holds no state and decides nothing.
 *
 * Invariants:
 * CT1. A child has at most one restart timer and one shutdown timer, named by its id; both are durable.
 */
import { type CellKey, parseKey } from '../runtime/kernel/address.ts';
import type { Signal, Turn } from '../runtime/kernel/behavior.ts';
import type { ExitReason } from '../runtime/kernel/exit.ts';
import type { ReplyTo } from '../runtime/kernel/message.ts';
import type { RestartFrom } from './child-spec.ts';
import { KILLED, type Shutdown, stopOrder } from './shutdown-order.ts';
import type { SupervisorEvent } from './supervisor-events.ts';
import { granted } from './supervisor-requests.ts';

/** What a start needs to know. */
export interface ChildStart {
  readonly id: string;
  readonly key: CellKey;
  readonly input: unknown;
  readonly restartFrom: RestartFrom;
  /** Whether its last life ended by finishing: there is nothing to resume. */
  readonly finished: boolean;
  readonly restart: boolean;
}

/** What the timer of a child is for. */
export interface ChildTimer {
  readonly purpose: 'restart' | 'shutdown';
  readonly id: string;
}

/**
 * Asks for the start of a child. The same for the first start as for any other: the actor may have lived before this supervisor
 * did (its own supervisor restarted it), and then goes on from where it was, or afresh, as its spec says.
 */
export function startChild(turn: Turn, child: ChildStart): void {
  const { definition, id } = parseKey(child.key);
  turn.spawn({
    childId: child.id,
    actor: { definition, id },
    ...(child.input === undefined ? {} : { input: child.input }),
    ifExists: child.restartFrom === 'initial' || child.finished ? 'reset' : 'resume',
  });
  tell(turn, { type: 'child_started', id: child.id, key: child.key, restart: child.restart });
}

/** Asks a child to stop, and sets its deadline. Answers whether the child has been killed outright. */
export function stopChild(turn: Turn, id: string, key: CellKey, shutdown: Shutdown): 'asked' | 'killed' {
  const order = stopOrder(shutdown);
  turn.stop(key, order.reason);
  if (order.killAfterMs !== undefined) setChildTimer(turn, { purpose: 'shutdown', id }, order.killAfterMs);
  return order.reason.kind === 'killed' ? 'killed' : 'asked';
}

/** Kills a child that has not stopped within its deadline. */
export function killChild(turn: Turn, id: string, key: CellKey): void {
  turn.stop(key, KILLED);
  tell(turn, { type: 'child_killed', id, key });
}

export function setChildTimer(turn: Turn, timer: ChildTimer, delayMs: number): void {
  turn.setTimer({ id: `${timer.purpose}:${timer.id}`, delayMs, payload: timer });
}

export function cancelChildTimer(turn: Turn, timer: ChildTimer): void {
  turn.cancelTimer(`${timer.purpose}:${timer.id}`);
}

/** The timer of a child that `signal` is about, if it is about one. */
export function childTimerOf(signal: Signal & { readonly kind: 'timer' }): ChildTimer | undefined {
  const payload = signal.payload as Partial<ChildTimer> | null | undefined;
  if (typeof payload?.id !== 'string') return undefined;
  const { purpose, id } = payload;
  return purpose === 'restart' || purpose === 'shutdown' ? { purpose, id } : undefined;
}

/** Tells everybody who waits for a child's end that it has ended. */
export function answerEnd(turn: Turn, waiting: readonly ReplyTo[]): void {
  for (const handle of waiting) turn.replyTo(handle, granted(null));
}

/** Reports the end of a child. */
export function tellEnd(turn: Turn, id: string, key: CellKey, reason: ExitReason, requested: boolean): void {
  tell(turn, { type: 'child_terminated', id, key, reason, requested });
}

export function tell(turn: Turn, event: SupervisorEvent): void {
  turn.emit(event);
}
