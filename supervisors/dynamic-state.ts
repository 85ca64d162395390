/**
 * The state of a dynamic supervisor: one spec, and as little as can be per child.
 *
 * Owns: the shape, the counts that go with it, and the stored form. Decides nothing.
 *
 * Invariants:
 * DS1. The state is never changed in place; a change of one child costs the same with ten children and with 100,000.
 * DS2. `stopping` and `restarting` are the numbers of children of that status.
 * DS3. `load(save(state))` is equal to `state`, also in the order of its children.
 */
import type { CellKey } from '../runtime/kernel/address.ts';
import type { ExitReason } from '../runtime/kernel/exit.ts';
import type { ReplyTo } from '../runtime/kernel/message.ts';
import { type CheckedChildSpec, copyOfChildSpec } from './child-spec.ts';
import { PersistentMap } from './persistent-map.ts';
import { copyOfBackoff } from './restart-backoff.ts';
import { SupervisorStateError } from './supervisor-errors.ts';
import type { ChildCount } from './supervisor-requests.ts';
import type { CheckedFlags } from './supervisor-spec.ts';

export type DynamicStatus =
  | { readonly kind: 'running'; readonly sinceMs: number }
  | { readonly kind: 'stopping'; readonly stage: 'asked' | 'killed'; readonly waiting: readonly ReplyTo[] }
  | { readonly kind: 'restarting'; readonly finished: boolean };

export interface DynamicChild {
  readonly key: CellKey;
  readonly status: DynamicStatus;
  /** Failures in a row (`restart-backoff.ts`). */
  readonly attempt: number;
  /** Only where it differs from the spec's, and never for a temporary child, which is not started again (as in OTP). */
  readonly input?: unknown;
}

export type DynamicPhase =
  | { readonly kind: 'running' }
  | { readonly kind: 'ending'; readonly reason: ExitReason }
  /** Has asked for its own end. Who hears anything in this phase has been resumed. */
  | { readonly kind: 'ended' };

export interface DynamicState {
  readonly flags: CheckedFlags;
  readonly spec: CheckedChildSpec;
  readonly phase: DynamicPhase;
  readonly children: PersistentMap<DynamicChild>;
  readonly stopping: number;
  readonly restarting: number;
  /** The window of `restart-intensity.ts`. */
  readonly restarts: readonly number[];
  /** Names given so far, and when the first could have been: the two make a name that no earlier life of this supervisor gave. */
  readonly named: number;
  readonly bornMs: number;
}

/** What observers see: numbers, since there may be very many children. */
export interface DynamicSupervisorView extends ChildCount {
  readonly phase: DynamicPhase['kind'];
  readonly stopping: number;
  readonly restarting: number;
  readonly restarts: number;
}

export function emptyDynamicState(flags: CheckedFlags, spec: CheckedChildSpec, bornMs: number): DynamicState {
  const children = PersistentMap.empty<DynamicChild>();
  const phase = { kind: 'running' } as const;
  return { flags, spec, phase, children, stopping: 0, restarting: 0, restarts: [], named: 0, bornMs };
}

export function putDynamicChild(state: DynamicState, id: string, child: DynamicChild): DynamicState {
  const before = state.children.get(id)?.status.kind;
  return {
    ...state,
    children: state.children.set(id, child),
    stopping: state.stopping + difference(before, child.status.kind, 'stopping'),
    restarting: state.restarting + difference(before, child.status.kind, 'restarting'),
  };
}

export function withoutDynamicChild(state: DynamicState, id: string): DynamicState {
  const before = state.children.get(id)?.status.kind;
  return {
    ...state,
    children: state.children.delete(id),
    stopping: state.stopping + difference(before, undefined, 'stopping'),
    restarting: state.restarting + difference(before, undefined, 'restarting'),
  };
}

function difference(
  before: DynamicStatus['kind'] | undefined,
  after: DynamicStatus['kind'] | undefined,
  kind: DynamicStatus['kind'],
): number {
  return Number(after === kind) - Number(before === kind);
}

/** OTP counts one spec, and every child as what the spec says. */
export function dynamicCountOf({ spec, children, restarting }: DynamicState): ChildCount {
  const supervises = spec.type === 'supervisor';
  return {
    specs: 1,
    active: children.size - restarting,
    supervisors: supervises ? children.size : 0,
    workers: supervises ? 0 : children.size,
  };
}

export function viewDynamicSupervisor(state: DynamicState): DynamicSupervisorView {
  const { phase, stopping, restarting, restarts } = state;
  return { phase: phase.kind, ...dynamicCountOf(state), stopping, restarting, restarts: restarts.length };
}

/** Grows when the stored form changes. */
const FORMAT = 1;

export interface SavedDynamicSupervisor {
  readonly format: number;
  readonly flags: CheckedFlags;
  readonly spec: CheckedChildSpec;
  readonly phase: DynamicPhase;
  readonly children: readonly (readonly [string, DynamicChild])[];
  readonly restarts: readonly number[];
  readonly named: number;
  readonly bornMs: number;
}

export function saveDynamicSupervisor(state: DynamicState): SavedDynamicSupervisor {
  const { flags, spec, phase, restarts, named, bornMs } = state;
  const children: (readonly [string, DynamicChild])[] = [];
  for (const [id, child] of state.children.entries()) {
    children.push([id, { ...child, status: copyOfStatus(child.status) }]);
  }
  return {
    format: FORMAT,
    flags: { ...flags, backoff: copyOfBackoff(flags.backoff) },
    spec: copyOfChildSpec(spec),
    phase: { ...phase },
    children,
    restarts: [...restarts],
    named,
    bornMs,
  };
}

export function loadDynamicSupervisor(saved: unknown): DynamicState {
  const { format, children, ...rest } = saved as SavedDynamicSupervisor;
  if (format !== FORMAT) {
    throw new SupervisorStateError(
      `stored dynamic supervisor of format ${String(format)}, this version reads ${FORMAT}`,
    );
  }
  const countOf = (kind: DynamicStatus['kind']): number =>
    children.reduce((count, [, child]) => count + Number(child.status.kind === kind), 0);
  return {
    ...rest,
    children: PersistentMap.from(children),
    stopping: countOf('stopping'),
    restarting: countOf('restarting'),
  };
}

function copyOfStatus(status: DynamicStatus): DynamicStatus {
  if (status.kind !== 'stopping') return { ...status };
  return { ...status, waiting: status.waiting.map((handle) => ({ ...handle })) };
}
