/**
 * Answers what a running supervisor is asked: OTP's `start_child`, `terminate_child`, `restart_child`, `delete_child`,
 * `which_children`, `count_children`, `get_childspec`.
 *
 * Owns: who is refused and with what, and who has to wait. Not how a child is started or stopped: that is handed in.
 *
 * OTP's supervisor is deaf while it stops a child. This one goes on with its children's ends, and answers questions; a change that
 * has to come after the stop is stashed until then, so that the order of changes is OTP's.
 *
 * Invariants:
 * SC1. Every request is answered once: now, at the end of the child it waits for, or after it was stashed.
 * SC2. A request for an unknown child changes nothing.
 */
import type { Turn } from '../runtime/kernel/behavior.ts';
import { type CheckedChildSpec, type ChildSpec, checkChildSpec, childKey } from './child-spec.ts';
import { cancelChildTimer } from './child-turns.ts';
import { SupervisorStoppingError } from './supervisor-errors.ts';
import {
  asSupervisorRequest,
  granted,
  refused,
  refusedSpec,
  type SupervisorRequest,
  type SupervisorResult,
} from './supervisor-requests.ts';
import {
  awaits,
  type ChildRecord,
  countOf,
  findChild,
  infoOf,
  putChild,
  putDown,
  type SupervisorState,
  withoutChild,
} from './supervisor-state.ts';

/** What the supervisor does for its callers. */
export interface ChildMoves {
  readonly addChild: (state: SupervisorState, spec: CheckedChildSpec, turn: Turn) => SupervisorState;
  readonly startAgain: (state: SupervisorState, child: ChildRecord, turn: Turn) => SupervisorState;
  readonly stopOne: (state: SupervisorState, child: ChildRecord, turn: Turn) => SupervisorState;
}

/** A request about the child `id`, which is known. */
interface Call {
  readonly state: SupervisorState;
  readonly id: string;
  readonly child: ChildRecord;
  readonly turn: Turn;
  readonly moves: ChildMoves;
}

export function answerRequest(
  state: SupervisorState,
  message: unknown,
  turn: Turn,
  moves: ChildMoves,
): SupervisorState {
  let request: SupervisorRequest;
  try {
    request = asSupervisorRequest(message);
  } catch (error) {
    // OTP: an unexpected message is logged and ignored; it is no reason to take the children down.
    turn.log('supervisor: unexpected message', (error as Error).message);
    turn.fail(error);
    return state;
  }
  switch (request.type) {
    case 'which_children':
      return reply(state, granted(state.children.map(infoOf)), turn);
    case 'count_children':
      return reply(state, granted(countOf(state.children)), turn);
    case 'get_childspec': {
      const child = findChild(state, request.id);
      return reply(state, child === undefined ? notFound(request.id) : granted(child.spec), turn);
    }
    default:
      return change(state, request, turn, moves);
  }
}

type Change = Extract<
  SupervisorRequest,
  { readonly type: 'start_child' | 'terminate_child' | 'restart_child' | 'delete_child' }
>;

function change(state: SupervisorState, request: Change, turn: Turn, moves: ChildMoves): SupervisorState {
  if (state.phase.kind === 'ending') {
    turn.fail(new SupervisorStoppingError(`supervisor ${turn.self} is stopping its children in order to end`));
    return state;
  }
  if (state.phase.kind === 'regrouping') return later(state, turn);
  if (request.type === 'start_child') return onStartChild(state, request.spec, turn, moves);
  const { id } = request;
  const child = findChild(state, id);
  if (child === undefined) return reply(state, notFound(id), turn);
  const call: Call = { state, id, child, turn, moves };
  switch (request.type) {
    case 'terminate_child':
      return onTerminateChild(call);
    case 'restart_child':
      return onRestartChild(call);
    case 'delete_child':
      return onDeleteChild(call);
  }
}

function onStartChild(state: SupervisorState, given: ChildSpec, turn: Turn, moves: ChildMoves): SupervisorState {
  let spec: CheckedChildSpec;
  try {
    spec = checkChildSpec(given, state.policy.autoShutdown);
    childKey(turn.self, spec);
  } catch (error) {
    return reply(state, refusedSpec(error), turn);
  }
  const { id } = spec;
  const present = findChild(state, id);
  if (present === undefined) {
    const added = moves.addChild(state, spec, turn);
    return reply(added, granted((findChild(added, id) as ChildRecord).key), turn);
  }
  if (present.status.kind === 'stopping') return later(state, turn);
  if (present.status.kind === 'running') {
    return reply(state, refused({ code: 'already_started', id, key: present.key }), turn);
  }
  return reply(state, refused({ code: 'already_present', id }), turn);
}

function onTerminateChild({ state, id, child, turn, moves }: Call): SupervisorState {
  switch (child.status.kind) {
    case 'running':
      return joinWaiting(moves.stopOne(state, child, turn), id, turn);
    case 'stopping':
      return joinWaiting(state, id, turn);
    case 'restarting':
      return reply(giveUpRestart(state, child, child.status, turn), granted(null), turn);
    case 'stopped':
      return reply(state, granted(null), turn);
  }
}

/** The rest of a group that waits goes on waiting; nobody left, nothing to wait for. */
function giveUpRestart(
  state: SupervisorState,
  child: ChildRecord,
  { leader, finished }: { readonly leader: string; readonly finished: boolean },
  turn: Turn,
): SupervisorState {
  const down = putDown(state, child, finished);
  if (!down.children.some((other) => awaits(other, leader))) cancelChildTimer(turn, { purpose: 'restart', id: leader });
  return down;
}

function joinWaiting(state: SupervisorState, id: string, turn: Turn): SupervisorState {
  const child = findChild(state, id);
  const handle = turn.takeReplyTo();
  if (handle === undefined || child?.status.kind !== 'stopping') return state;
  return putChild(state, { ...child, status: { ...child.status, waiting: [...child.status.waiting, handle] } });
}

function onRestartChild({ state, id, child, turn, moves }: Call): SupervisorState {
  if (child.status.kind === 'stopping') return later(state, turn);
  if (child.status.kind !== 'stopped') return reply(state, refused({ code: child.status.kind, id }), turn);
  const started = moves.startAgain(state, child, turn);
  return reply(started, granted((findChild(started, id) as ChildRecord).key), turn);
}

function onDeleteChild({ state, id, child, turn }: Call): SupervisorState {
  if (child.status.kind === 'stopping') return later(state, turn);
  if (child.status.kind !== 'stopped') return reply(state, refused({ code: child.status.kind, id }), turn);
  return reply(withoutChild(state, id), granted(null), turn);
}

function later(state: SupervisorState, turn: Turn): SupervisorState {
  turn.stash();
  return state;
}

function reply(state: SupervisorState, result: SupervisorResult<unknown>, turn: Turn): SupervisorState {
  turn.reply(result);
  return state;
}

function notFound(id: string): SupervisorResult<never> {
  return refused({ code: 'not_found', id });
}
