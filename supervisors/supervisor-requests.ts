/**
 * What one may ask a running supervisor, and its answers. OTP's functions and results as values.
 *
 * Owns: the protocol and its check at the door. Not what the requests do.
 *
 * An answer is a value, also when it is a refusal: `{ ok: true, value }` or `{ ok: false, error }` with OTP's name in
 * `error.code`. What cannot be a request at all fails the ask (`UnknownSupervisorRequestError`), and so does a change asked of a
 * supervisor that is about to end (`SupervisorStoppingError`).
 */
import type { CellKey } from '../runtime/kernel/address.ts';
import { BlocksError } from '../runtime/kernel/errors.ts';
import type { CheckedChildSpec, ChildSpec, ChildType } from './child-spec.ts';
import { UnknownSupervisorRequestError } from './supervisor-errors.ts';

export type SupervisorRequest =
  /**
   * Adds a child and starts it.
   * - id unknown → its key. The start has been asked for; should it fail, the child counts as one that ended with the error.
   * - id known and running → `already_started`; known and not running → `already_present`.
   * - a spec that cannot work → `invalid_child_spec`.
   */
  | { readonly type: 'start_child'; readonly spec: ChildSpec }
  /**
   * Stops a child; answers when it has ended. The spec stays, unless the child is temporary. A pending restart is given up.
   * - id unknown → `not_found`.
   */
  | { readonly type: 'terminate_child'; readonly id: string }
  /** Starts a child that is not running. Refusals: `running`, `restarting`, `not_found`. */
  | { readonly type: 'restart_child'; readonly id: string }
  /** Forgets a child that is not running. Refusals: `running`, `restarting`, `not_found`. */
  | { readonly type: 'delete_child'; readonly id: string }
  | WhichChildrenRequest
  | { readonly type: 'count_children' }
  | { readonly type: 'get_childspec'; readonly id: string };

/** The children, in start order. */
export interface WhichChildrenRequest {
  readonly type: 'which_children';
  /** Dynamic supervisors only: go on after this child. */
  readonly after?: string | undefined;
  /** Dynamic supervisors only: how many at most. Default 1,000. */
  readonly limit?: number | undefined;
}

export type DynamicSupervisorRequest =
  /**
   * Starts one more child.
   * - `id` known → `already_started`, with its key.
   */
  | {
      readonly type: 'start_child';
      /** Default: a name that this supervisor has not given before. */
      readonly id?: string | undefined;
      /** The actor's id. Default: the supervisor's key, `/`, the child's id. */
      readonly actorId?: string | undefined;
      /** Default: that of the supervisor's child spec. */
      readonly input?: unknown;
    }
  /** Stops a child and forgets it; answers when it has ended. Refusal: `not_found`. */
  | { readonly type: 'terminate_child'; readonly id: string }
  | WhichChildrenRequest
  | { readonly type: 'count_children' }
  /** The one spec of all children, whatever the `id`. */
  | { readonly type: 'get_childspec'; readonly id?: string | undefined }
  /** Refused with `simple_one_for_one`, as in OTP: a dynamic child has no spec of its own. */
  | { readonly type: 'restart_child' | 'delete_child'; readonly id: string };

export type Refusal =
  | { readonly code: 'already_started'; readonly id: string; readonly key: CellKey }
  | { readonly code: 'already_present' | 'running' | 'restarting' | 'not_found'; readonly id: string }
  | { readonly code: 'invalid_child_spec'; readonly fault: string; readonly message: string }
  | { readonly code: 'simple_one_for_one' };

export type SupervisorResult<TValue> =
  | { readonly ok: true; readonly value: TValue }
  | { readonly ok: false; readonly error: Refusal };

export interface ChildInfo {
  readonly id: string;
  readonly key: CellKey;
  readonly type: ChildType;
  /** `stopped`: known, and not running. `restarting`: waits to be started again. */
  readonly status: 'running' | 'stopping' | 'restarting' | 'stopped';
}

/** A page of children of a dynamic supervisor. */
export interface ChildPage {
  readonly children: readonly ChildInfo[];
  /** Pass it as `after` for the next page; absent on the last one. */
  readonly next?: string;
}

export interface ChildCount {
  readonly specs: number;
  /** Running children. */
  readonly active: number;
  /** Children of type supervisor, running or not. */
  readonly supervisors: number;
  /** Children of type worker, running or not. */
  readonly workers: number;
}

/** What each request of a supervisor is answered with. */
export interface SupervisorReplies {
  readonly start_child: SupervisorResult<CellKey>;
  readonly terminate_child: SupervisorResult<null>;
  readonly restart_child: SupervisorResult<CellKey>;
  readonly delete_child: SupervisorResult<null>;
  readonly which_children: SupervisorResult<readonly ChildInfo[]>;
  readonly count_children: SupervisorResult<ChildCount>;
  readonly get_childspec: SupervisorResult<CheckedChildSpec>;
}

/** What each request of a dynamic supervisor is answered with. */
export interface DynamicSupervisorReplies {
  readonly start_child: SupervisorResult<CellKey>;
  readonly terminate_child: SupervisorResult<null>;
  readonly restart_child: SupervisorResult<never>;
  readonly delete_child: SupervisorResult<never>;
  readonly which_children: SupervisorResult<ChildPage>;
  readonly count_children: SupervisorResult<ChildCount>;
  readonly get_childspec: SupervisorResult<CheckedChildSpec>;
}

export const WHICH_CHILDREN_LIMIT = 1_000;

export function granted<TValue>(value: TValue): SupervisorResult<TValue> {
  return { ok: true, value };
}

export function refused(error: Refusal): SupervisorResult<never> {
  return { ok: false, error };
}

/** The refusal that tells of an error thrown while a child spec was checked; anything else is thrown on. */
export function refusedSpec(error: unknown): SupervisorResult<never> {
  if (!(error instanceof BlocksError)) throw error;
  const fault = error.details['fault'];
  return refused({
    code: 'invalid_child_spec',
    fault: typeof fault === 'string' ? fault : error.code,
    message: error.message,
  });
}

/** `message` as a request of a supervisor; throws `UnknownSupervisorRequestError`. */
export function asSupervisorRequest(message: unknown): SupervisorRequest {
  const { type, id, spec } = asRecord(message);
  switch (type) {
    case 'start_child':
      if (typeof spec === 'object' && spec !== null) return message as SupervisorRequest;
      break;
    case 'which_children':
    case 'count_children':
      return message as SupervisorRequest;
    case 'terminate_child':
    case 'restart_child':
    case 'delete_child':
    case 'get_childspec':
      if (typeof id === 'string') return message as SupervisorRequest;
      break;
    default:
  }
  throw unknownRequest(message);
}

/** `message` as a request of a dynamic supervisor; throws `UnknownSupervisorRequestError`. */
export function asDynamicSupervisorRequest(message: unknown): DynamicSupervisorRequest {
  const { type, id, actorId } = asRecord(message);
  const named = typeof id === 'string';
  switch (type) {
    case 'start_child':
      if ((named || id === undefined) && (actorId === undefined || typeof actorId === 'string')) {
        return message as DynamicSupervisorRequest;
      }
      break;
    case 'which_children':
    case 'count_children':
    case 'get_childspec':
      return message as DynamicSupervisorRequest;
    case 'terminate_child':
    case 'restart_child':
    case 'delete_child':
      if (named) return message as DynamicSupervisorRequest;
      break;
    default:
  }
  throw unknownRequest(message);
}

function asRecord(message: unknown): Readonly<Record<string, unknown>> {
  return typeof message === 'object' && message !== null ? (message as Record<string, unknown>) : {};
}

function unknownRequest(message: unknown): UnknownSupervisorRequestError {
  const { type } = asRecord(message);
  const what = typeof type === 'string' ? `${type} with these fields` : 'a message without a type';
  return new UnknownSupervisorRequestError(`no request of a supervisor: ${what}`);
}
