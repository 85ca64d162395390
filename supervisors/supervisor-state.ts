/**
 * The state of a supervisor: its policy, its children in start order, its restarts, and what it is about.
 *
 * Owns: the shape, the questions and small changes that need no turn, and the stored form. Decides nothing.
 *
 * A child, and who moves it (`supervisor.ts`):
 *
 *                 start                       ended by itself, to be restarted
 *     stopped ------------> running ------------------------------------------> restarting
 *        ^                   |   ^                                                |  |
 *        |        asked      |   |               wait over, group down            |  |
 *        |                   v   +------------------------------------------------+  |
 *        +---------------- stopping                                                  |
 *        |   ended, or ended by itself and not restarted (temporary: forgotten)      |
 *        +---------------------------------------------------------------------------+
 *                                 terminate_child during the wait
 *
 * Invariants:
 * ST1. The state is never changed in place: a step that runs twice on one state gives the same result twice.
 * ST2. `load(save(state))` is equal to `state`, and `save` is plain data with containers of its own.
 */
import type { CellKey } from '../runtime/kernel/address.ts';
import type { ExitReason } from '../runtime/kernel/exit.ts';
import type { ReplyTo } from '../runtime/kernel/message.ts';
import { type CheckedChildSpec, childKey, copyOfChildSpec } from './child-spec.ts';
import { copyOfBackoff } from './restart-backoff.ts';
import { SupervisorStateError } from './supervisor-errors.ts';
import type { ChildCount, ChildInfo } from './supervisor-requests.ts';
import type { CheckedPolicy } from './supervisor-spec.ts';

export type ChildStatus =
  | { readonly kind: 'running'; readonly sinceMs: number }
  /** Asked to stop; `waiting` are those who asked (`terminate_child`). */
  | { readonly kind: 'stopping'; readonly stage: 'asked' | 'killed'; readonly waiting: readonly ReplyTo[] }
  /** Down, and to be started again with the group of `leader`: the child whose failure took it down. */
  | { readonly kind: 'restarting'; readonly leader: string; readonly finished: boolean }
  | { readonly kind: 'stopped'; readonly finished: boolean };

export interface ChildRecord {
  readonly spec: CheckedChildSpec;
  readonly key: CellKey;
  readonly status: ChildStatus;
  /** Failures in a row (`restart-backoff.ts`). */
  readonly attempt: number;
}

export type Phase =
  | { readonly kind: 'running' }
  /** Stops the group of `leader`, first of `stop` first; then waits and starts it again. */
  | {
      readonly kind: 'regrouping';
      readonly leader: string;
      readonly waitMs: number;
      readonly stop: readonly string[];
    }
  /** Stops everything, first of `stop` first; then ends for `reason`. */
  | { readonly kind: 'ending'; readonly reason: ExitReason; readonly stop: readonly string[] }
  /** Has asked for its own end. Who hears anything in this phase has been resumed. */
  | { readonly kind: 'ended' };

export interface SupervisorState {
  readonly policy: CheckedPolicy;
  readonly phase: Phase;
  /** In start order. */
  readonly children: readonly ChildRecord[];
  /** The window of `restart-intensity.ts`. */
  readonly restarts: readonly number[];
  /** What the supervisor was started with. */
  readonly input: unknown;
}

/** What observers see. */
export interface SupervisorView {
  readonly phase: Phase['kind'];
  readonly strategy: CheckedPolicy['strategy'];
  readonly children: readonly ChildInfo[];
  /** Restarts within the period, as of the last one. */
  readonly restarts: number;
}

export function findChild(state: SupervisorState, id: string): ChildRecord | undefined {
  return state.children.find((child) => child.spec.id === id);
}

/** Whether the child's actor lives, as far as the supervisor knows. */
export function isLive(child: ChildRecord): boolean {
  return child.status.kind === 'running' || child.status.kind === 'stopping';
}

export function putChild(state: SupervisorState, child: ChildRecord): SupervisorState {
  return { ...state, children: state.children.map((other) => (other.spec.id === child.spec.id ? child : other)) };
}

export function withoutChild(state: SupervisorState, id: string): SupervisorState {
  return { ...state, children: state.children.filter((child) => child.spec.id !== id) };
}

/** OTP: a child that is down for good keeps its spec, unless it is temporary. */
export function putDown(state: SupervisorState, child: ChildRecord, finished: boolean): SupervisorState {
  if (child.spec.restart === 'temporary') return withoutChild(state, child.spec.id);
  return putChild(state, { ...child, status: { kind: 'stopped', finished } });
}

/** Whether a child waits to be started with the group of `leader`. */
export function awaits(child: ChildRecord, leader: string): boolean {
  return child.status.kind === 'restarting' && child.status.leader === leader;
}

export function infoOf({ spec, key, status }: ChildRecord): ChildInfo {
  return { id: spec.id, key, type: spec.type, status: status.kind };
}

export function countOf(children: readonly ChildRecord[]): ChildCount {
  const supervisors = children.filter((child) => child.spec.type === 'supervisor').length;
  return {
    specs: children.length,
    active: children.filter(isLive).length,
    supervisors,
    workers: children.length - supervisors,
  };
}

export function viewSupervisor(state: SupervisorState): SupervisorView {
  return {
    phase: state.phase.kind,
    strategy: state.policy.strategy,
    children: state.children.map(infoOf),
    restarts: state.restarts.length,
  };
}

/** Grows when the stored form changes. */
const FORMAT = 1;

export interface SavedSupervisor {
  readonly format: number;
  readonly policy: CheckedPolicy;
  readonly phase: Phase;
  readonly children: readonly ChildRecord[];
  readonly restarts: readonly number[];
  readonly input?: unknown;
}

export function saveSupervisor(state: SupervisorState): SavedSupervisor {
  return {
    format: FORMAT,
    policy: { ...state.policy, backoff: copyOfBackoff(state.policy.backoff) },
    phase: copyOfPhase(state.phase),
    children: state.children.map(({ spec, key, status, attempt }) => ({
      spec: copyOfChildSpec(spec),
      key,
      status: copyOfStatus(status),
      attempt,
    })),
    restarts: [...state.restarts],
    ...(state.input === undefined ? {} : { input: state.input }),
  };
}

/** The state stored as `saved` by the supervisor `self`. */
export function loadSupervisor(saved: unknown, { self }: { readonly self: CellKey }): SupervisorState {
  const { policy, phase, children, restarts, input } = readSupervisor(saved);
  const keyed = children.map((child) => (child.key === '' ? { ...child, key: childKey(self, child.spec) } : child));
  return { policy, phase, children: keyed, restarts, input };
}

/** `saved`, if this version can read it. The key of a child that was never started may be empty (`supervisor-upgrade.ts`). */
export function readSupervisor(saved: unknown): SavedSupervisor {
  const { format } = saved as SavedSupervisor;
  if (format === FORMAT) return saved as SavedSupervisor;
  throw new SupervisorStateError(`stored supervisor of format ${String(format)}, this version reads ${FORMAT}`);
}

function copyOfPhase(phase: Phase): Phase {
  return 'stop' in phase ? { ...phase, stop: [...phase.stop] } : { ...phase };
}

function copyOfStatus(status: ChildStatus): ChildStatus {
  if (status.kind !== 'stopping') return { ...status };
  return { ...status, waiting: status.waiting.map((handle) => ({ ...handle })) };
}
