/**
 * The state of a machine between two turns, live and saved.
 *
 * Owns: the live form (XState's snapshot and the driver's books), the saved form, and the way between. The books are what XState
 * keeps in live actors and timers: which children there are, which of them end, which delayed events wait.
 *
 * Invariants:
 * MS1. A state is a value: a step makes a new one or throws, and never changes the one that it was given.
 * MS2. `load(save(s))` behaves as `s` does, and starts nothing.
 * MS3. Nothing that differs between two runs is saved: XState's session ids are not, the count of names given out is.
 */
import { matchesState, type StateValue } from 'xstate';
import { type CellKey, childKeyOf } from '../../runtime/kernel/address.ts';
import { decodeError, type EncodedError, encodeError } from '../../runtime/kernel/errors.ts';
import { Reference } from '../../runtime/kernel/reference.ts';
import { MachineRef, SelfRef } from './machine-ref.ts';
import { NO_TIMERS, type PendingTimers } from './pending-timers.ts';
import {
  activeNodesOf,
  type Chart,
  type HostedScope,
  historyOf,
  type MachineSnapshot,
  rebuildSnapshot,
} from './xstate-internals.ts';

export interface Child {
  /** As the machine names it. */
  readonly id: string;
  /** As the runtime names it, below this cell: the same, unless an older child of that id is still ending. */
  readonly localId: string;
  readonly key: CellKey;
  /** `cell`: an inline child cell. `call` and `source`: an effect. */
  readonly kind: 'cell' | 'call' | 'source';
  readonly systemId: string | undefined;
  /** It is done or has failed; XState keeps it among the children until its state is left. */
  readonly ended: boolean;
}

export interface MachineState {
  readonly snapshot: MachineSnapshot;
  readonly self: SelfRef;
  readonly children: ReadonlyMap<CellKey, Child>;
  /** Child cells that were told to stop and whose end has not been heard of: their keys are still taken. */
  readonly stopping: ReadonlySet<CellKey>;
  readonly timers: PendingTimers;
  /** Names given out so far to what has none. */
  readonly booked: number;
}

export const NO_CHILDREN: MachineState['children'] = new Map();
export const NO_KEYS: MachineState['stopping'] = new Set();

/** What an observer sees of a machine. */
export interface MachineView {
  readonly status: 'active' | 'done' | 'error' | 'stopped';
  readonly value: StateValue;
  readonly context: unknown;
  readonly tags: readonly string[];
  readonly output: unknown;
  readonly error: EncodedError | undefined;
}

/** The same where an observer is: with the two questions that XState's snapshots answer. */
export interface PresentedMachine extends MachineView {
  matches(value: StateValue): boolean;
  hasTag(tag: string): boolean;
}

/** A machine as it is stored: what `migrate` is given and gives back. `value` is as in XState's snapshots. */
export interface StoredMachine {
  readonly value: StateValue;
  readonly context: Readonly<Record<string, unknown>>;
  /** Children, timers, history: they belong to the states that they were set in, and are handed on as they are. */
  readonly [more: string]: unknown;
}

interface SavedMachine {
  readonly status: MachineView['status'];
  readonly value: StateValue;
  readonly context: unknown;
  readonly output?: unknown;
  readonly error?: EncodedError;
  readonly nodes?: readonly number[];
  readonly history?: Readonly<Record<string, readonly string[]>>;
  readonly children?: readonly SavedChild[];
  /** XState's `children`: the name it has there → local id. */
  readonly listed?: Readonly<Record<string, string>>;
  readonly stopping?: readonly CellKey[];
  readonly timers?: Readonly<Record<string, string | null>>;
  readonly booked?: number;
}

type SavedChild = Omit<Child, 'key' | 'systemId' | 'ended'> & { readonly systemId?: string; readonly ended?: true };

const errorOf = (snapshot: MachineSnapshot): EncodedError | undefined =>
  snapshot.status === 'error' ? encodeError(snapshot.error) : undefined;

export function viewMachine(state: MachineState): MachineView {
  const { snapshot } = state;
  return {
    status: snapshot.status,
    value: snapshot.value as StateValue,
    context: snapshot.context as unknown,
    tags: [...snapshot.tags].sort(),
    output: snapshot.output as unknown,
    error: errorOf(snapshot),
  };
}

/** The questions are not enumerable: a view stays plain data to whoever compares, prints, clones or spreads it. */
export function presentMachine(view: MachineView): PresentedMachine {
  return Object.defineProperties({ ...view } as PresentedMachine, {
    matches: { value: (value: StateValue) => matchesState(value, view.value) },
    hasTag: { value: (tag: string) => view.tags.includes(tag) },
  });
}

/** Plain data around the context itself, which is not copied: XState's contexts are replaced, never changed. */
export function saveMachine(chart: Chart, state: MachineState): SavedMachine {
  const { snapshot, children, stopping, timers, booked } = state;
  const error = errorOf(snapshot);
  const history = historyOf(snapshot);
  const nodes = activeNodesOf(chart, snapshot);
  return {
    status: snapshot.status,
    value: snapshot.value as StateValue,
    context: snapshot.context as unknown,
    ...(snapshot.output === undefined ? {} : { output: snapshot.output as unknown }),
    ...(error === undefined ? {} : { error }),
    ...(nodes === undefined ? {} : { nodes }),
    ...(history === undefined ? {} : { history }),
    ...(children.size === 0 ? {} : { children: [...children.values()].map(saveChild), listed: listedChildren(state) }),
    ...(stopping.size === 0 ? {} : { stopping: [...stopping] }),
    ...(timers.size === 0 ? {} : { timers: Object.fromEntries(timers) }),
    ...(booked === 0 ? {} : { booked }),
  };
}

export function loadMachine(
  chart: Chart,
  saved: unknown,
  key: CellKey,
  parent: CellKey | undefined,
  scope: HostedScope,
): MachineState {
  const parts = saved as SavedMachine;
  const self = new SelfRef(key, parent);
  const refs = new Map<CellKey, MachineRef>([[key, self]]);
  const children = new Map<CellKey, Child>();
  for (const { id, localId, kind, systemId, ended } of parts.children ?? []) {
    const childKey = childKeyOf(key, localId);
    children.set(childKey, { id, localId, key: childKey, kind, systemId, ended: ended ?? false });
    refs.set(childKey, new MachineRef(childKey, id));
  }
  const listed: Record<string, MachineRef> = {};
  for (const [name, localId] of Object.entries(parts.listed ?? {})) {
    const ref = refs.get(childKeyOf(key, localId));
    if (ref !== undefined) listed[name] = ref;
  }
  const error = parts.error === undefined ? undefined : decodeError(parts.error);
  const context = reviveReferences(parts.context, refs);
  scope.self = self;
  return {
    snapshot: rebuildSnapshot(chart, { ...parts, context, error }, listed, scope),
    self,
    children: children.size === 0 ? NO_CHILDREN : children,
    stopping: parts.stopping === undefined ? NO_KEYS : new Set(parts.stopping),
    timers: parts.timers === undefined ? NO_TIMERS : new Map(Object.entries(parts.timers)),
    booked: parts.booked ?? 0,
  };
}

function saveChild({ id, localId, kind, systemId, ended }: Child): SavedChild {
  return { id, localId, kind, ...(systemId === undefined ? {} : { systemId }), ...(ended ? { ended } : {}) };
}

function listedChildren(state: MachineState): Record<string, string> {
  const listed: Record<string, string> = {};
  for (const [name, ref] of Object.entries(state.snapshot.children as Record<string, MachineRef | undefined>)) {
    const child = ref === undefined ? undefined : state.children.get(ref.key);
    if (child !== undefined) listed[name] = child.localId;
  }
  return listed;
}

/** Puts the references that XState can use (they have an id) where plain ones came from the journal. Copies only what it changes. */
function reviveReferences(value: unknown, refs: ReadonlyMap<CellKey, MachineRef>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Reference) return refs.get(value.key) ?? new MachineRef(value.key);
  if (Array.isArray(value)) return reviveItems(value, refs);
  if (value instanceof Map) {
    const entries = [...value];
    const revived = entries.map((entry) => reviveItems(entry, refs));
    return revived.some((entry, index) => entry !== entries[index]) ? new Map(revived as [unknown, unknown][]) : value;
  }
  if (value instanceof Set) {
    const items = [...value];
    const revived = reviveItems(items, refs);
    return revived === items ? value : new Set(revived);
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  let copy: Record<string, unknown> | undefined;
  for (const [name, item] of Object.entries(value)) {
    const revived = reviveReferences(item, refs);
    if (revived === item) continue;
    copy ??= { ...value };
    copy[name] = revived;
  }
  return copy ?? value;
}

function reviveItems(items: readonly unknown[], refs: ReadonlyMap<CellKey, MachineRef>): readonly unknown[] {
  let copy: unknown[] | undefined;
  for (const [index, item] of items.entries()) {
    const revived = reviveReferences(item, refs);
    if (revived === item) continue;
    copy ??= items.slice();
    copy[index] = revived;
  }
  return copy ?? items;
}
