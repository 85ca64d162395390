/**
 * Answers what a running dynamic supervisor is asked.
 *
 * Owns: who is refused and with what, who has to wait, and the names of children that come without one. Not how a child is started
 * or stopped: that is handed in.
 *
 * Invariants:
 * DC1. Every request is answered once: now, at the end of the child it waits for, or after it was stashed.
 * DC2. A name given by the supervisor was never given before, not even by an earlier life of it: an actor's id is its identity,
 *      and an old one would bring back an old actor.
 */
import { assertCellId, keyOf } from '../runtime/kernel/address.ts';
import type { Turn } from '../runtime/kernel/behavior.ts';
import { childActorId } from './child-spec.ts';
import { cancelChildTimer } from './child-turns.ts';
import {
  type DynamicChild,
  type DynamicState,
  dynamicCountOf,
  putDynamicChild,
  withoutDynamicChild,
} from './dynamic-state.ts';
import { SupervisorStoppingError } from './supervisor-errors.ts';
import {
  asDynamicSupervisorRequest,
  type ChildInfo,
  type ChildPage,
  type DynamicSupervisorRequest,
  granted,
  refused,
  refusedSpec,
  type SupervisorResult,
  WHICH_CHILDREN_LIMIT,
} from './supervisor-requests.ts';

/** What the supervisor does for its callers. */
export interface DynamicMoves {
  readonly start: (state: DynamicState, id: string, child: DynamicChild, restart: boolean, turn: Turn) => DynamicState;
  readonly stopOne: (state: DynamicState, id: string, child: DynamicChild, turn: Turn) => DynamicState;
}

type StartRequest = Extract<DynamicSupervisorRequest, { readonly type: 'start_child' }>;

export function answerDynamicRequest(
  state: DynamicState,
  message: unknown,
  turn: Turn,
  moves: DynamicMoves,
): DynamicState {
  let request: DynamicSupervisorRequest;
  try {
    request = asDynamicSupervisorRequest(message);
  } catch (error) {
    turn.log('dynamic supervisor: unexpected message', (error as Error).message);
    turn.fail(error);
    return state;
  }
  switch (request.type) {
    case 'which_children':
      return reply(state, granted(pageOf(state, request)), turn);
    case 'count_children':
      return reply(state, granted(dynamicCountOf(state)), turn);
    case 'get_childspec':
      return reply(state, granted(state.spec), turn);
    case 'restart_child':
    case 'delete_child':
      return reply(state, refused({ code: 'simple_one_for_one' }), turn);
    default:
      break;
  }
  if (state.phase.kind === 'ending') {
    turn.fail(new SupervisorStoppingError(`supervisor ${turn.self} is stopping its children in order to end`));
    return state;
  }
  return request.type === 'start_child'
    ? onStartChild(state, request, turn, moves)
    : onTerminateChild(state, request.id, turn, moves);
}

function onStartChild(state: DynamicState, request: StartRequest, turn: Turn, moves: DynamicMoves): DynamicState {
  const named = request.id === undefined ? state.named + 1 : state.named;
  const id = request.id ?? `${state.bornMs.toString(36)}-${named}`;
  const present = state.children.get(id);
  if (present?.status.kind === 'stopping') {
    turn.stash();
    return state;
  }
  if (present !== undefined) return reply(state, refused({ code: 'already_started', id, key: present.key }), turn);
  let actorId: string;
  try {
    assertCellId(id);
    actorId = childActorId(turn.self, id, request.actorId);
    assertCellId(actorId);
  } catch (error) {
    return reply(state, refusedSpec(error), turn);
  }
  const child: DynamicChild = {
    key: keyOf(state.spec.actor.definition, actorId),
    status: { kind: 'restarting', finished: false },
    attempt: 0,
    ...(request.input === undefined ? {} : { input: request.input }),
  };
  return reply(moves.start({ ...state, named }, id, child, false, turn), granted(child.key), turn);
}

function onTerminateChild(state: DynamicState, id: string, turn: Turn, moves: DynamicMoves): DynamicState {
  const child = state.children.get(id);
  switch (child?.status.kind) {
    case undefined:
      return reply(state, refused({ code: 'not_found', id }), turn);
    case 'running':
      return joinWaiting(moves.stopOne(state, id, child, turn), id, turn);
    case 'stopping':
      return joinWaiting(state, id, turn);
    case 'restarting':
      cancelChildTimer(turn, { purpose: 'restart', id });
      return reply(withoutDynamicChild(state, id), granted(null), turn);
  }
}

function joinWaiting(state: DynamicState, id: string, turn: Turn): DynamicState {
  const child = state.children.get(id);
  const handle = turn.takeReplyTo();
  if (handle === undefined || child?.status.kind !== 'stopping') return state;
  const status = { ...child.status, waiting: [...child.status.waiting, handle] };
  return putDynamicChild(state, id, { ...child, status });
}

function pageOf(
  state: DynamicState,
  { after, limit }: { after?: string | undefined; limit?: number | undefined },
): ChildPage {
  const size = Math.max(1, Math.min(limit ?? WHICH_CHILDREN_LIMIT, WHICH_CHILDREN_LIMIT));
  const children: ChildInfo[] = [];
  for (const [id, { key, status }] of state.children.entries(after)) {
    const last = children.at(-1);
    if (children.length === size && last !== undefined) return { children, next: last.id };
    children.push({ id, key, type: state.spec.type, status: status.kind });
  }
  return { children };
}

function reply(state: DynamicState, result: SupervisorResult<unknown>, turn: Turn): DynamicState {
  turn.reply(result);
  return state;
}
