/**
 * The supervisor: an ordinary actor that starts its children in order, restarts those that fail, and stops them in reverse order.
 *
 * Owns: what happens when a child ends, when a wait is over, when it is told to stop. Requests are answered by
 * `supervisor-calls.ts`; plans, limits and waits are pure and live in files of their own. Talks to the runtime only through the
 * turn, so that it could be anybody's code.
 *
 * OTP's semantics (`supervisor.erl`), with the differences that a durable, asynchronous runtime makes:
 * - A start is asked for, not waited for: the children of one start are spawned in order in one turn. A start that fails comes
 *   back as the end of the child, with its error, and is treated and counted as any other end; OTP would fail the supervisor's
 *   own start when it is the first one.
 * - A restart resumes the actor from its last good state, unless its spec says `initial` or it had finished.
 * - Restarts wait (`restart-backoff.ts`); during the wait the supervisor serves everything, as OTP's does between two tries.
 * - When it gives up, OTP's supervisor exits `shutdown`, which the one above takes for a normal end of a transient child. This
 *   one ends with an error, so that `transient` and `permanent` supervisors are both restarted.
 *
 * Invariants:
 * S1. Children start in list order and stop in reverse; a stop waits until the child before it in that order has ended.
 * S2. A restart is counted before it is tried.
 * S3. Intensity exceeded: all children are stopped, then the supervisor ends.
 * S4. The supervisor never waits inside a turn: a deadline or a backoff is a durable timer, an end is a signal.
 * S5. An end that the supervisor asked for is never counted and never restarted on its own.
 * S6. After `turn.exit()` it asks for nothing more.
 */
import type { Behavior, Signal, Turn } from '../runtime/kernel/behavior.ts';
import type { ExitReason } from '../runtime/kernel/exit.ts';
import { type CheckedChildSpec, childKey, isRestarted } from './child-spec.ts';
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
import { nextRestart } from './restart-backoff.ts';
import { addRestart } from './restart-intensity.ts';
import { planRestart } from './restart-strategy.ts';
import { SHUTDOWN, shutdownOrder } from './shutdown-order.ts';
import { answerRequest } from './supervisor-calls.ts';
import { intensityExceeded } from './supervisor-errors.ts';
import { markSupervisor } from './supervisor-mark.ts';
import { checkSupervisorSpec, type SupervisorSpec } from './supervisor-spec.ts';
import {
  awaits,
  type ChildRecord,
  findChild,
  isLive,
  loadSupervisor,
  putChild,
  putDown,
  type SupervisorState,
  saveSupervisor,
  viewSupervisor,
} from './supervisor-state.ts';

/**
 * A supervisor of `spec`, or of what `spec` makes of the supervisor's input (OTP's `init/1`; it must be pure).
 *
 * Throws `InvalidSupervisorSpecError` or `InvalidChildSpecError`: at once for a spec, at the start of the actor for a function.
 */
export function supervisorBehavior(
  spec: SupervisorSpec | ((input: unknown) => SupervisorSpec),
): Behavior<SupervisorState> {
  const checked = typeof spec === 'function' ? undefined : checkSupervisorSpec(spec);
  const checkedFor = typeof spec === 'function' ? (input: unknown) => checkSupervisorSpec(spec(input)) : undefined;
  return markSupervisor({
    lingers: true,
    init(input, turn) {
      const { policy, children } = checked ?? (checkedFor as NonNullable<typeof checkedFor>)(input);
      const empty: SupervisorState = { policy, phase: { kind: 'running' }, children: [], restarts: [], input };
      return children.reduce((state, child) => addChild(state, child, turn), empty);
    },
    receive(state, message, turn) {
      return answerRequest(roused(state, turn), message, turn, { addChild, startAgain, stopOne });
    },
    signal(state, signal, turn) {
      return onSignal(roused(state, turn), signal, turn);
    },
    save: saveSupervisor,
    load: loadSupervisor,
    view: viewSupervisor,
  });
}

function onSignal(state: SupervisorState, signal: Signal, turn: Turn): SupervisorState {
  switch (signal.kind) {
    case 'terminated': {
      // An end of somebody else, or of an actor that a child of this name no longer is.
      const child = signal.childId === undefined ? undefined : findChild(state, signal.childId);
      if (child === undefined || child.key !== signal.key || !isLive(child)) return state;
      return onEnded(state, child, signal.reason, turn);
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

/**
 * An actor that has ended hears nothing. So one that does was resumed, by a parent whose spec says `last_good`: it starts
 * what it had, in order, as at a first start.
 */
function roused(state: SupervisorState, turn: Turn): SupervisorState {
  if (state.phase.kind !== 'ended') return state;
  const fresh: SupervisorState = { ...state, phase: { kind: 'running' }, restarts: [] };
  return fresh.children.reduce(
    (now, child) => startAgain(now, { ...child, status: { kind: 'stopped', finished: false } }, turn),
    fresh,
  );
}

function addChild(state: SupervisorState, spec: CheckedChildSpec, turn: Turn): SupervisorState {
  const child: ChildRecord = {
    spec,
    key: childKey(turn.self, spec),
    status: { kind: 'stopped', finished: false },
    attempt: 0,
  };
  return start({ ...state, children: [...state.children, child] }, child, false, turn);
}

function startAgain(state: SupervisorState, child: ChildRecord, turn: Turn): SupervisorState {
  return start(state, child, true, turn);
}

function start(state: SupervisorState, child: ChildRecord, restart: boolean, turn: Turn): SupervisorState {
  const { spec, status } = child;
  // The spec may have changed since the last start.
  const key = childKey(turn.self, spec);
  const finished = (status.kind === 'stopped' || status.kind === 'restarting') && status.finished;
  const { input } = spec.actor;
  startChild(turn, { id: spec.id, key, input, restartFrom: spec.restartFrom, finished, restart });
  return putChild(state, { ...child, key, status: { kind: 'running', sinceMs: turn.nowMs } });
}

function stopOne(state: SupervisorState, child: ChildRecord, turn: Turn): SupervisorState {
  const stage = stopChild(turn, child.spec.id, child.key, child.spec.shutdownMs);
  return putChild(state, { ...child, status: { kind: 'stopping', stage, waiting: [] } });
}

/** A running or stopping child has ended. */
function onEnded(state: SupervisorState, child: ChildRecord, reason: ExitReason, turn: Turn): SupervisorState {
  const { id } = child.spec;
  const requested = child.status.kind === 'stopping';
  tellEnd(turn, id, child.key, reason, requested);
  if (requested) cancelChildTimer(turn, { purpose: 'shutdown', id });

  const { phase } = state;
  const finished = reason.kind === 'normal';
  const inPlan = 'stop' in phase && phase.stop.includes(id);
  // OTP: who ends by itself while it is about to be stopped has saved the supervisor the asking (S5).
  if (!requested && !inPlan && phase.kind !== 'ending') return onOwnEnd(state, child, reason, turn);

  const down =
    phase.kind === 'regrouping' && inPlan && child.spec.restart !== 'temporary'
      ? putChild(state, { ...child, status: { kind: 'restarting', leader: phase.leader, finished } })
      : putDown(state, child, finished);
  if (child.status.kind === 'stopping') answerEnd(turn, child.status.waiting);
  if (phase.kind === 'running') turn.unstashAll();
  return drive(down, turn);
}

/** A child has ended by itself: restart it, or do without it, or give up. */
function onOwnEnd(state: SupervisorState, child: ChildRecord, reason: ExitReason, turn: Turn): SupervisorState {
  const { id, restart, significant } = child.spec;
  const finished = reason.kind === 'normal';
  if (!isRestarted(restart, reason)) {
    const without = putDown(state, child, finished);
    if (!significant || !isShutDownBy(without)) return without;
    tell(turn, { type: 'auto_shutdown', id });
    return beginEnding(without, SHUTDOWN, turn);
  }

  const { intensity, periodMs, backoff } = state.policy;
  const counted = addRestart(state.restarts, turn.nowMs, state.policy);
  const after: SupervisorState = { ...state, restarts: counted.restarts };
  if (!counted.allowed) {
    tell(turn, { type: 'escalated', id, intensity, periodMs });
    return beginEnding(putDown(after, child, finished), intensityExceeded(id, intensity, periodMs, reason), turn);
  }

  const sinceMs = child.status.kind === 'running' ? child.status.sinceMs : turn.nowMs;
  const row = { attempt: child.attempt, sinceMs };
  const { attempt, waitMs } = nextRestart(child.spec.backoff ?? backoff, row, turn.nowMs, () => turn.random());
  const failed: ChildRecord = { ...child, attempt, status: { kind: 'restarting', leader: id, finished } };
  const { start: group } = planRestart(plannedOf(after), id, state.policy.strategy);
  tell(turn, { type: 'child_restarting', id, attempt, waitMs, group });
  return regroup(putChild(after, failed), id, waitMs, turn);
}

/** OTP: `any_significant` with the first that ends, `all_significant` with the last. Whose stop was asked for counts as gone. */
function isShutDownBy(state: SupervisorState): boolean {
  switch (state.policy.autoShutdown) {
    case 'never':
      return false;
    case 'any_significant':
      return true;
    case 'all_significant':
      return !state.children.some(
        ({ spec, status }) => spec.significant && (status.kind === 'running' || status.kind === 'restarting'),
      );
  }
}

/**
 * Takes down the group of `leader`, which waits already, and then starts it after `waitMs`. A group contains those that were
 * waiting within it: they wait with this one now.
 */
function regroup(state: SupervisorState, leader: string, waitMs: number, turn: Turn): SupervisorState {
  const plan = planRestart(plannedOf(state), leader, state.policy.strategy);
  const superseded = new Set<string>();
  const children = state.children.map((child): ChildRecord => {
    const { spec, status } = child;
    if (!plan.start.includes(spec.id) || (status.kind !== 'restarting' && status.kind !== 'stopped')) return child;
    if (status.kind === 'restarting' && status.leader !== leader) superseded.add(status.leader);
    return { ...child, status: { kind: 'restarting', leader, finished: status.finished } };
  });
  for (const id of superseded) cancelChildTimer(turn, { purpose: 'restart', id });
  const live = new Set(children.filter(isLive).map(({ spec }) => spec.id));
  const stop = plan.stop.filter((id) => live.has(id));
  return drive({ ...state, children, phase: { kind: 'regrouping', leader, waitMs, stop } }, turn);
}

/** Goes on with the stop plan as far as it goes now, and with what comes after it. */
function drive(state: SupervisorState, turn: Turn): SupervisorState {
  const { phase } = state;
  if (phase.kind !== 'regrouping' && phase.kind !== 'ending') return state;
  const at = phase.stop.findIndex((id) => {
    const child = findChild(state, id);
    return child !== undefined && isLive(child);
  });
  const stop = at === -1 ? [] : phase.stop.slice(at);
  const now: SupervisorState = { ...state, phase: { ...phase, stop } };
  const next = stop[0] === undefined ? undefined : findChild(now, stop[0]);
  if (next !== undefined) return next.status.kind === 'stopping' ? now : stopOne(now, next, turn);
  return phase.kind === 'ending' ? end(now, phase.reason, turn) : afterGroupDown(now, phase, turn);
}

function afterGroupDown(
  state: SupervisorState,
  group: { readonly leader: string; readonly waitMs: number },
  turn: Turn,
): SupervisorState {
  turn.unstashAll();
  const running: SupervisorState = { ...state, phase: { kind: 'running' } };
  if (group.waitMs <= 0) return startGroup(running, group.leader, turn);
  setChildTimer(turn, { purpose: 'restart', id: group.leader }, group.waitMs);
  return running;
}

function startGroup(state: SupervisorState, leader: string, turn: Turn): SupervisorState {
  const waiting = state.children.filter((child) => awaits(child, leader));
  return waiting.reduce((now, child) => startAgain(now, child, turn), state);
}

/** The wait of `leader`'s group is over. */
function onWaited(state: SupervisorState, leader: string, turn: Turn): SupervisorState {
  if (!state.children.some((child) => awaits(child, leader))) return state;
  // A leader that was terminated meanwhile has left a group without a place in the order: it just starts.
  if (findChild(state, leader)?.status.kind !== 'restarting') return startGroup(state, leader, turn);
  // OTP tries the whole restart again: who was added to the group during the wait goes down with it, too.
  return regroup(state, leader, 0, turn);
}

/** A child has not stopped within its deadline. */
function onOverdue(state: SupervisorState, id: string, turn: Turn): SupervisorState {
  const child = findChild(state, id);
  if (child?.status.kind !== 'stopping' || child.status.stage === 'killed') return state;
  killChild(turn, id, child.key);
  return putChild(state, { ...child, status: { ...child.status, stage: 'killed' } });
}

/** Stops everything and then ends for `reason`. The first reason counts. */
function beginEnding(state: SupervisorState, reason: ExitReason, turn: Turn): SupervisorState {
  if (state.phase.kind === 'ending' || state.phase.kind === 'ended') return state;
  const leaders = new Set<string>();
  let calm = state;
  for (const child of state.children) {
    if (child.status.kind !== 'restarting') continue;
    leaders.add(child.status.leader);
    calm = putDown(calm, child, child.status.finished);
  }
  for (const id of leaders) cancelChildTimer(turn, { purpose: 'restart', id });
  // Requests that were kept for later are refused now rather than lost.
  turn.unstashAll();
  const stop = shutdownOrder(calm.children.map(({ spec }) => spec.id));
  return drive({ ...calm, phase: { kind: 'ending', reason, stop } }, turn);
}

function end(state: SupervisorState, reason: ExitReason, turn: Turn): SupervisorState {
  tell(turn, { type: 'stopped', reason });
  turn.exit(reason);
  return { ...state, phase: { kind: 'ended' } };
}

function plannedOf(state: SupervisorState): readonly { id: string; restart: CheckedChildSpec['restart'] }[] {
  return state.children.map(({ spec }) => ({ id: spec.id, restart: spec.restart }));
}
