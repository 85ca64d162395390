/**
 * The door to XState's insides: what the driver needs that XState does not promise.
 *
 * Owns: the shapes of the actions that XState hands to a scope's executor, of the scope itself, and of what a machine keeps of its
 * state nodes; rebuilding a live snapshot; telling kinds of logic apart. Pinned to XState 5.33: `test/actors/xstate-door.test.ts`
 * fails when a version asks for more. Every cast that XState's types force is here.
 *
 * Invariants:
 * XI1. A rebuilt snapshot has the nodes, their order, the history and the value of the one that was saved: parallel regions go on in
 *      the order in which they would have.
 */
import { StateMachine } from 'xstate';
import type {
  ActionArgs,
  AnyActorLogic,
  AnyActorScope,
  AnyMachineSnapshot,
  AnyStateMachine,
  EventObject,
  Snapshot,
  StateNode,
  StateValue,
} from 'xstate';
import { hashOf } from '../../runtime/kernel/random.ts';
import type { Reference } from '../../runtime/kernel/reference.ts';
import type { HostedSystem } from './hosted-system.ts';
import type { MachineRef, SelfRef } from './machine-ref.ts';

export type Machine = AnyStateMachine;
export type MachineSnapshot = AnyMachineSnapshot;
export type Logic = AnyActorLogic;
export type Event = EventObject;

export const XSTATE_STOP = 'xstate.stop';

/** An action as XState hands it to the executor. */
export interface ExecutableAction {
  readonly type: string;
  readonly info: ActionArgs<never, never, never>;
  readonly params: unknown;
  readonly exec: ((info: unknown, params: unknown) => unknown) | undefined;
}

export interface RaiseParams {
  readonly event: Event;
  readonly id: string | undefined;
  readonly delay: number | undefined;
}

export interface SendToParams extends RaiseParams {
  /** A child's id when the child is being invoked by the same state node and does not exist yet. */
  readonly to: Reference | string;
}

/** What XState asks of a scope. One object a machine; `self`, `id` and `sessionId` change with the cell. */
export interface HostedScope {
  self: SelfRef;
  id: string;
  sessionId: string;
  readonly system: HostedSystem;
  readonly logger: (...values: unknown[]) => void;
  readonly defer: (run: () => void) => void;
  readonly emit: (event: Event) => void;
  readonly stopChild: (child: MachineRef) => void;
  /** XState replaces it for the length of a microstep. */
  actionExecutor: (action: ExecutableAction) => void;
}

export function initialSnapshot(machine: Machine, scope: HostedScope, input: unknown): MachineSnapshot {
  return machine.getInitialSnapshot(scope as unknown as AnyActorScope, input) as MachineSnapshot;
}

export function nextSnapshot(
  machine: Machine,
  snapshot: MachineSnapshot,
  event: Event,
  scope: HostedScope,
): MachineSnapshot {
  return machine.transition(snapshot, event, scope as unknown as AnyActorScope) as MachineSnapshot;
}

/** Whether a machine is as XState made it. One whose `transition` somebody has wrapped (logic around logic) must be asked by it. */
export function isUnchanged(machine: Machine): boolean {
  return Object.getPrototypeOf(machine) === StateMachine.prototype && machine.transition.name === 'bound transition';
}

/** A state node as far as the driver reads it. */
export interface Node {
  readonly id: string;
  readonly key: string;
  readonly order: number;
  readonly type: string;
  readonly parent: Node | undefined;
  readonly states: Readonly<Record<string, Node>>;
  readonly entry: readonly unknown[];
  readonly exit: readonly unknown[];
  readonly config: NodeConfig;
  readonly initial: { readonly actions: readonly unknown[]; readonly target: readonly Node[] };
  readonly always: readonly Transition[] | undefined;
  readonly transitions: ReadonlyMap<string, readonly Transition[]>;
  readonly invoke: readonly Invocation[];
  readonly tags: readonly string[];
  /** What a final state gives: a value, or a function of context, event and self. */
  readonly output: unknown;
}

export interface Transition {
  readonly actions: readonly unknown[];
  readonly guard: unknown;
  readonly eventType: string | null;
  /** Undefined: nothing is left or entered. */
  readonly target: readonly Node[] | undefined;
  readonly source: Node;
  readonly reenter: boolean;
}

export interface Invocation {
  readonly id: string;
  /** The name of the logic: the user's, or `xstate.invoke.<index>.<node>` for logic given in place. */
  readonly src: string;
  readonly systemId: string | undefined;
  readonly onSnapshot?: unknown;
}

interface NodeConfig {
  readonly invoke?: InvokeConfig | readonly InvokeConfig[];
  readonly after?: Readonly<Record<string, unknown>>;
}

interface InvokeConfig {
  readonly src: string | Logic;
}

/** The user's implementations by name. */
export interface Implementations {
  readonly actors: Readonly<Record<string, Logic | undefined>>;
  readonly actions: Readonly<Record<string, unknown>>;
  readonly guards: Readonly<Record<string, unknown>>;
  readonly delays: Readonly<Record<string, unknown>>;
}

export const implementationsOf = (machine: Machine): Implementations =>
  machine.implementations as unknown as Implementations;

/** All state nodes, in document order. */
export function nodesOf(machine: Machine): readonly Node[] {
  const nodes: Node[] = [];
  const visit = (node: Node): void => {
    nodes.push(node);
    for (const child of Object.values(node.states)) visit(child);
  };
  visit(machine.root as unknown as Node);
  return nodes;
}

/** The logic of an invocation as the config gives it: a name, or the logic itself. */
export function invokedSource(node: Node, index: number): string | Logic | undefined {
  const { invoke } = node.config;
  const configs =
    invoke === undefined ? [] : Array.isArray(invoke) ? (invoke as readonly InvokeConfig[]) : [invoke as InvokeConfig];
  return configs[index]?.src;
}

/** A built-in action (`sendTo(…)`, `assign(…)`, …) as the function that XState makes of it. */
export interface BuiltInAction {
  readonly type: string;
  readonly resolve: unknown;
  readonly src?: string | Logic;
  readonly id?: unknown;
  readonly systemId?: string;
  readonly delay?: unknown;
  readonly assignment?: unknown;
  readonly event?: unknown;
  readonly to?: unknown;
}

/** What a built-in action may look at besides the snapshot: events raised so far, and children that the node being entered will invoke. */
export interface ResolveExtra {
  readonly internalQueue: Event[];
  readonly deferredActorIds: readonly string[] | undefined;
}

/** How XState's own actions compute: the next snapshot, what is to be executed, and further actions. */
export interface ResolvingAction {
  readonly type: string;
  readonly resolve: (
    scope: HostedScope,
    snapshot: MachineSnapshot,
    info: unknown,
    params: unknown,
    action: unknown,
    extra: ResolveExtra,
  ) => readonly [next: MachineSnapshot, params: unknown, actions: readonly unknown[] | undefined];
  readonly retryResolve?: (scope: HostedScope, snapshot: MachineSnapshot, params: unknown) => void;
  readonly execute?: unknown;
}

/** A guard as XState's `and`, `or`, `not` and `stateIn` make it. */
export interface CheckedGuard {
  readonly check: (snapshot: MachineSnapshot, info: unknown, guard: unknown) => boolean;
}

export function asBuiltIn(action: unknown): BuiltInAction | undefined {
  return typeof action === 'function' && 'resolve' in action ? (action as unknown as BuiltInAction) : undefined;
}

/** The part of a snapshot that is kept. */
export interface SnapshotParts {
  readonly status: MachineSnapshot['status'];
  readonly value: StateValue;
  readonly context: unknown;
  readonly output?: unknown;
  readonly error?: unknown;
  /** The chart's fingerprint, then the orders of the active nodes; only where the value does not say it all. */
  readonly nodes?: readonly number[] | undefined;
  readonly history?: Readonly<Record<string, readonly string[]>> | undefined;
}

/** What is known of a machine once and for all. */
export interface Chart {
  readonly machine: Machine;
  /** In document order: a node's `order` is its index. */
  readonly nodes: readonly Node[];
  readonly byId: ReadonlyMap<string, Node>;
  /**
   * Of ids and kinds of all nodes. Undefined when the value of a snapshot says all about its active nodes, which it does not
   * between parallel regions (they go on in the order in which they were entered) and after history (on the way through it XState
   * can lose nodes that the value still has).
   */
  readonly fingerprint: number | undefined;
}

export function chartOf(machine: Machine): Chart {
  const nodes = nodesOf(machine);
  const isPlain = nodes.every(({ type }) => type !== 'parallel' && type !== 'history');
  return {
    machine,
    nodes,
    byId: new Map(nodes.map((node) => [node.id, node])),
    fingerprint: isPlain ? undefined : hashOf(nodes.map(({ id, type }) => `${type} ${id}`).join('\n')),
  };
}

export function activeNodesOf({ fingerprint }: Chart, snapshot: MachineSnapshot): number[] | undefined {
  if (fingerprint === undefined) return undefined;
  return [fingerprint, ...snapshot._nodes.map((node: { order: number }) => node.order)];
}

export function historyOf(snapshot: MachineSnapshot): Record<string, string[]> | undefined {
  let history: Record<string, string[]> | undefined;
  for (const [id, nodes] of Object.entries(snapshot.historyValue as Record<string, readonly StateNode[]>)) {
    history ??= {};
    history[id] = nodes.map((node) => node.id);
  }
  return history;
}

/** A live snapshot again. Throws when a state of it is no longer in the machine. Starts nothing: children are put in as references. */
export function rebuildSnapshot(
  chart: Chart,
  parts: SnapshotParts,
  children: Readonly<Record<string, MachineRef>>,
  scope: HostedScope,
): MachineSnapshot {
  const { status, value, context, output, error } = parts;
  const bare = { status, value, context, output, error, children: {}, historyValue: {} };
  const snapshot = chart.machine.restoreSnapshot(
    bare as unknown as Snapshot<unknown>,
    scope as unknown as AnyActorScope,
  ) as { -readonly [key in keyof MachineSnapshot]: MachineSnapshot[key] };
  snapshot.children = children;
  if (parts.history !== undefined) snapshot.historyValue = rebuildHistory(chart, parts.history);
  const [fingerprint, ...orders] = parts.nodes ?? [];
  // Of another version of the machine only the value means anything.
  if (fingerprint !== undefined && fingerprint === chart.fingerprint) {
    const nodes = orders.map((order) => chart.nodes[order]) as unknown as MachineSnapshot['_nodes'];
    snapshot._nodes = nodes;
    snapshot.value = value;
    snapshot.tags = new Set(nodes.flatMap(({ tags }: { tags: readonly string[] }) => tags));
  }
  return snapshot as MachineSnapshot;
}

function rebuildHistory(
  chart: Chart,
  saved: Readonly<Record<string, readonly string[]>>,
): MachineSnapshot['historyValue'] {
  const history: Record<string, readonly Node[]> = {};
  for (const [id, ids] of Object.entries(saved)) {
    const nodes = ids.map((nodeId) => chart.byId.get(nodeId)).filter((node) => node !== undefined);
    if (chart.byId.has(id) && nodes.length > 0) history[id] = nodes;
  }
  return history as unknown as MachineSnapshot['historyValue'];
}

/** The same snapshot without the children that `gone` names. */
export function withoutChildren(snapshot: MachineSnapshot, gone: ReadonlySet<string>): MachineSnapshot {
  const kept = Object.entries(snapshot.children as Record<string, MachineRef>).filter(([, ref]) => !gone.has(ref?.key));
  return { ...snapshot, children: Object.fromEntries(kept) } as MachineSnapshot;
}

export type LogicKind =
  /** A statechart: a cell of its own. */
  | 'machine'
  /** A reducer (`fromTransition`), or any logic that only computes: a cell of its own. */
  | 'transition'
  /** `fromPromise`: an effect. */
  | 'promise'
  /** `fromCallback`, `fromObservable`, or any logic that starts something: a live source. */
  | 'source';

/** Undefined when it is no actor logic at all. */
export function kindOfLogic(logic: unknown): LogicKind | undefined {
  if (typeof logic !== 'object' || logic === null) return undefined;
  const { transition, getInitialSnapshot, start } = logic as Partial<Logic>;
  if (typeof transition !== 'function' || typeof getInitialSnapshot !== 'function') return undefined;
  if ('__xstatenode' in logic && 'root' in logic) return 'machine';
  if (start === undefined) return 'transition';
  return isPromiseLogic(logic as Logic) ? 'promise' : 'source';
}

/** XState leaves no mark on promise logic; it alone turns this private event into a done snapshot. No user code runs. */
function isPromiseLogic(logic: Logic): boolean {
  if (typeof logic.config !== 'function') return false;
  const before = { status: 'active', output: undefined, error: undefined, input: undefined };
  const mark = {};
  try {
    const after: unknown = logic.transition(
      before,
      { type: 'xstate.promise.resolve', data: mark },
      {} as AnyActorScope,
    );
    return (after as { output?: unknown } | undefined)?.output === mark;
  } catch {
    return false;
  }
}

/** What `fromPromise` was given. */
export const promiseCreatorOf = (logic: Logic): ((argument: unknown) => unknown) =>
  logic.config as (argument: unknown) => unknown;
