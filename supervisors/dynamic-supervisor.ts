/**
 * The dynamic supervisor: any number of children of one spec, started on request. OTP's `simple_one_for_one`.
 *
 * Owns: what happens to such children, and what one may ask. Shares the pure parts and the turn's side with `supervisor.ts`; the
 * differences in semantics that are listed there hold here, too.
 *
 * What OTP does differently from its other strategies, and so does this one: children have no order, a child that ended for good
 * is forgotten whatever its restart type, `restart_child` and `delete_child` are refused, and at the end all children are stopped
 * at once. Not quite all: `SHUTDOWN_BATCH` at a time, so that no turn is unbounded; the deadline of the spec holds per batch.
 *
 * Invariants:
 * D1. A turn for one child costs the same with ten children and with 100,000; only `save` sees them all.
 * D2. A restart is counted before it is tried; intensity and period are those of the supervisor, not of a child.
 * D3. It ends when it has been told to and no child is left.
 * D4. After `turn.exit()` it asks for nothing more.
 */
import type { Behavior, Signal, Turn } from '../runtime/kernel/behavior.ts';
import type { ExitReason } from '../runtime/kernel/exit.ts';
import { isRestarted } from './child-spec.ts';
import {
  answerEnd,
  cancelChildTimer,
  childTimerOf,
  killChild,
  setChildTimer,
  startChild,
  stopChild,
  tell,
  tellEnd,
} from './child-turns.ts';
import { answerDynamicRequest } from './dynamic-calls.ts';
import {
  type DynamicChild,
  type DynamicState,
  emptyDynamicState,
  loadDynamicSupervisor,
  putDynamicChild,
  saveDynamicSupervisor,
  viewDynamicSupervisor,
  withoutDynamicChild,
} from './dynamic-state.ts';
import { nextRestart } from './restart-backoff.ts';
import { addRestart } from './restart-intensity.ts';
import { SHUTDOWN } from './shutdown-order.ts';
import { intensityExceeded } from './supervisor-errors.ts';
import { markSupervisor } from './supervisor-mark.ts';
import { checkDynamicSpec, type DynamicSupervisorSpec } from './supervisor-spec.ts';

/** Children asked to stop in one turn when the supervisor ends. */
export const SHUTDOWN_BATCH = 1_024;

/** A dynamic supervisor of `spec`. Throws `InvalidSupervisorSpecError` or `InvalidChildSpecError`. */
export function dynamicSupervisorBehavior(spec: DynamicSupervisorSpec): Behavior<DynamicState> {
  const { flags, child } = checkDynamicSpec(spec);
  return markSupervisor<DynamicState>({
    lingers: true,
    init: (_input, turn) => emptyDynamicState(flags, child, turn.nowMs),
    receive: (state, message, turn) => answerDynamicRequest(roused(state), message, turn, { start, stopOne }),
    signal: (state, signal, turn) => onSignal(roused(state), signal, turn),
    save: saveDynamicSupervisor,
    load: loadDynamicSupervisor,
    view: viewDynamicSupervisor,
  });
}

function onSignal(state: DynamicState, signal: Signal, turn: Turn): DynamicState {
  switch (signal.kind) {
    case 'terminated': {
      const { childId } = signal;
      const child = childId === undefined ? undefined : state.children.get(childId);
      if (childId === undefined || child?.key !== signal.key || child.status.kind === 'restarting') return state;
      return onEnded(state, childId, child, signal.reason, turn);
    }
    case 'timer': {
      const timer = childTimerOf(signal);
      if (timer === undefined) return state;
      return timer.purpose === 'restart' ? onWaited(state, timer.id, turn) : onOverdue(state, timer.id, turn);
    }
    case 'stop':
      return beginEnding(state, signal.reason, turn);
    default:
      return state;
  }
}

/** Resumed after its end (see `supervisor.ts`): as after a first start, but that no name is given twice. */
function roused(state: DynamicState): DynamicState {
  if (state.phase.kind !== 'ended') return state;
  return { ...emptyDynamicState(state.flags, state.spec, state.bornMs), named: state.named };
}

function start(state: DynamicState, id: string, child: DynamicChild, restart: boolean, turn: Turn): DynamicState {
  const { restartFrom, actor, restart: restartType } = state.spec;
  const finished = child.status.kind === 'restarting' && child.status.finished;
  const { input, ...bare } = child;
  const given = input === undefined ? actor.input : input;
  startChild(turn, { id, key: child.key, input: given, restartFrom, finished, restart });
  const remembered = input === undefined || restartType === 'temporary' ? bare : child;
  return putDynamicChild(state, id, { ...remembered, status: { kind: 'running', sinceMs: turn.nowMs } });
}

function stopOne(state: DynamicState, id: string, child: DynamicChild, turn: Turn): DynamicState {
  const stage = stopChild(turn, id, child.key, state.spec.shutdownMs);
  return putDynamicChild(state, id, { ...child, status: { kind: 'stopping', stage, waiting: [] } });
}

/** A running or stopping child has ended. */
function onEnded(state: DynamicState, id: string, child: DynamicChild, reason: ExitReason, turn: Turn): DynamicState {
  const requested = child.status.kind === 'stopping';
  tellEnd(turn, id, child.key, reason, requested);
  if (child.status.kind === 'stopping') {
    cancelChildTimer(turn, { purpose: 'shutdown', id });
    answerEnd(turn, child.status.waiting);
    turn.unstashAll();
  }
  if (state.phase.kind === 'ending') return drive(withoutDynamicChild(state, id), turn);
  return requested ? withoutDynamicChild(state, id) : onOwnEnd(state, id, child, reason, turn);
}

/** A child has ended by itself: restart it, or do without it, or give up. */
function onOwnEnd(state: DynamicState, id: string, child: DynamicChild, reason: ExitReason, turn: Turn): DynamicState {
  const { flags, spec } = state;
  if (!isRestarted(spec.restart, reason)) {
    const without = withoutDynamicChild(state, id);
    if (!spec.significant || !isShutDownBy(without)) return without;
    tell(turn, { type: 'auto_shutdown', id });
    return beginEnding(without, SHUTDOWN, turn);
  }

  const { intensity, periodMs } = flags;
  const counted = addRestart(state.restarts, turn.nowMs, flags);
  const after: DynamicState = { ...state, restarts: counted.restarts };
  if (!counted.allowed) {
    tell(turn, { type: 'escalated', id, intensity, periodMs });
    return beginEnding(withoutDynamicChild(after, id), intensityExceeded(id, intensity, periodMs, reason), turn);
  }

  const sinceMs = child.status.kind === 'running' ? child.status.sinceMs : turn.nowMs;
  const row = { attempt: child.attempt, sinceMs };
  const { attempt, waitMs } = nextRestart(spec.backoff ?? flags.backoff, row, turn.nowMs, () => turn.random());
  const failed: DynamicChild = {
    ...child,
    attempt,
    status: { kind: 'restarting', finished: reason.kind === 'normal' },
  };
  tell(turn, { type: 'child_restarting', id, attempt, waitMs, group: [id] });
  if (waitMs <= 0) return start(putDynamicChild(after, id, failed), id, failed, true, turn);
  setChildTimer(turn, { purpose: 'restart', id }, waitMs);
  return putDynamicChild(after, id, failed);
}

/** OTP: with one spec for all, the last significant child is the last child. One whose stop was asked for counts as gone. */
function isShutDownBy({ flags, children, stopping }: DynamicState): boolean {
  switch (flags.autoShutdown) {
    case 'never':
      return false;
    case 'any_significant':
      return true;
    case 'all_significant':
      return children.size === stopping;
  }
}

function onWaited(state: DynamicState, id: string, turn: Turn): DynamicState {
  const child = state.children.get(id);
  return child?.status.kind === 'restarting' ? start(state, id, child, true, turn) : state;
}

/** A child, or a batch of the last ones, has not stopped within the deadline. */
function onOverdue(state: DynamicState, id: string, turn: Turn): DynamicState {
  const child = state.children.get(id);
  if (child?.status.kind !== 'stopping' || child.status.stage === 'killed') return state;
  killChild(turn, id, child.key);
  return putDynamicChild(state, id, { ...child, status: { ...child.status, stage: 'killed' } });
}

/** Stops everything and then ends for `reason`. The first reason counts. */
function beginEnding(state: DynamicState, reason: ExitReason, turn: Turn): DynamicState {
  if (state.phase.kind !== 'running') return state;
  turn.unstashAll();
  return drive({ ...state, phase: { kind: 'ending', reason } }, turn);
}

/** Asks the next batch to stop once the one before has ended, and ends when nobody is left. */
function drive(state: DynamicState, turn: Turn): DynamicState {
  if (state.phase.kind !== 'ending') return state;
  let now = state;
  while (now.stopping === 0 && now.children.size > 0) now = stopBatch(now, turn);
  if (now.children.size > 0) return now;
  const { reason } = state.phase;
  tell(turn, { type: 'stopped', reason });
  turn.exit(reason);
  return { ...now, phase: { kind: 'ended' } };
}

function stopBatch(state: DynamicState, turn: Turn): DynamicState {
  let now = state;
  let left = SHUTDOWN_BATCH;
  for (const [id, child] of state.children.entries()) {
    if (left-- === 0) break;
    if (child.status.kind === 'restarting') {
      cancelChildTimer(turn, { purpose: 'restart', id });
      now = withoutDynamicChild(now, id);
    } else if (child.status.kind === 'running') {
      now = stopOne(now, id, child, turn);
    }
  }
  return now;
}
