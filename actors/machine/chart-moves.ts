/**
 * What of a chart can be known before an event comes: for each place that it can be in and each set of transitions from there, which
 * nodes are left, which are entered, and where it leads.
 *
 * Owns: the places of a chart without history states, found when they are first reached, and the moves between them. Runs nothing and
 * knows no context; `chart-step.ts` does.
 *
 * The rules are those of XState 5.33 (`transitionNode`, `removeConflictingTransitions`, `computeExitSet`, `computeEntrySet`,
 * `enterStates`), which works them out anew for every event.
 */
import { spawnChild, type StateValue, stopChild } from 'xstate';
import { type EntrySet, entrySetOf, exitSetOf, isFinal, isLeaf, withoutConflicts } from './chart-sets.ts';
import type { MachineSnapshot, Node, Transition } from './xstate-internals.ts';

/** The active nodes, and what follows from them alone. */
export interface Place {
  /** In the order in which they were entered, as in XState's snapshots: parallel regions go on in it. */
  readonly nodes: readonly Node[];
  readonly value: StateValue;
  readonly tags: ReadonlySet<string>;
  /** Of each leaf, itself first. */
  readonly always: readonly (readonly Candidate[])[];
  readonly trials: Map<string, Trial>;
  /** Of several transitions at once, by their numbers. */
  readonly moves: Map<string, Move>;
  /** Candidates so far. */
  numbers: number;
}

/** What may be taken for an event: of the regions and states within, and if nothing is, of the node itself. */
export interface Trial {
  readonly within: readonly Trial[];
  /** The most exact first. */
  readonly own: readonly Candidate[];
}

/** A transition that may be taken at a place. */
export interface Candidate {
  readonly transition: Transition;
  readonly node: Node;
  readonly number: number;
  /** Found when it is first taken alone. */
  move: Move | undefined;
}

export interface Move {
  /** Actions of the nodes that are left, the innermost first. */
  readonly exits: readonly (readonly unknown[])[];
  readonly actions: readonly unknown[];
  readonly entries: readonly Entry[];
  readonly to: Place;
}

export interface Entry {
  readonly node: Node;
  readonly actions: readonly unknown[];
  /** Children that its invocations make. */
  readonly invoked: readonly string[];
  readonly completion: Completion | undefined;
}

/** What is done when a final state is entered. */
export interface Completion {
  /** Nodes that are told of, in this order; the first with the output of the final state, when it is its parent. */
  readonly done: readonly { readonly node: Node; readonly output: unknown }[];
  /** The machine ends, by this node. */
  readonly ends: Node | undefined;
}

/** Places of a chart with many regions may be more than memory has. */
const PLACES_KEPT = 2_048;
/** Event types that a place remembers; there may be any number of them. */
const TRIALS_KEPT = 256;
/** The same for sets of transitions. */
const MOVES_KEPT = 1_024;

/** Whether all of a chart can be known: none that remembers, and no transition to several states. */
export function isKnowable(nodes: readonly Node[]): boolean {
  return nodes.every(
    (node) =>
      node.type !== 'history' &&
      (node.type !== 'final' || node.parent !== undefined) &&
      [...node.transitions.values(), node.always ?? []].flat().every(({ target }) => (target?.length ?? 0) <= 1),
  );
}

export class ChartMoves {
  readonly #root: Node;
  /** By the orders of their nodes. */
  #places = new Map<string, Place>();
  /** By the array that snapshots share. */
  #known = new WeakMap<readonly Node[], Place>();

  constructor(root: Node) {
    this.#root = root;
  }

  placeOf(snapshot: MachineSnapshot): Place {
    const nodes = snapshot._nodes as unknown as readonly Node[];
    let place = this.#known.get(nodes);
    if (place === undefined) {
      place = this.#placeAt(nodes);
      this.#known.set(nodes, place);
    }
    return place;
  }

  trial(place: Place, eventType: string): Trial {
    let found = place.trials.get(eventType);
    if (found === undefined) {
      found = trialOf(place, this.#root, place.value, eventType);
      if (place.trials.size >= TRIALS_KEPT) place.trials.clear();
      place.trials.set(eventType, found);
    }
    return found;
  }

  move(place: Place, taken: readonly Candidate[]): Move {
    const [first] = taken;
    if (first !== undefined && taken.length === 1) return (first.move ??= this.#moveOf(place, [first.transition]));
    let key = '';
    for (const { number } of taken) key += `${number},`;
    let move = place.moves.get(key);
    if (move === undefined) {
      move = this.#moveOf(
        place,
        taken.map(({ transition }) => transition),
      );
      if (place.moves.size >= MOVES_KEPT) place.moves.clear();
      place.moves.set(key, move);
    }
    return move;
  }

  #placeAt(nodes: readonly Node[]): Place {
    const key = nodes.map(({ order }) => order).join();
    let place = this.#places.get(key);
    if (place === undefined) {
      if (this.#places.size >= PLACES_KEPT) this.#forget();
      place = placeOf(this.#root, nodes);
      this.#places.set(key, place);
      this.#known.set(place.nodes, place);
    }
    return place;
  }

  /** Places know each other by their moves: only all of them together can be let go. */
  #forget(): void {
    this.#places = new Map();
    this.#known = new WeakMap();
  }

  #moveOf(place: Place, taken: readonly Transition[]): Move {
    const transitions = withoutConflicts([...new Set(taken)], place.nodes);
    const left = exitSetOf(transitions, place.nodes).sort((a, b) => b.order - a.order);
    const active = new Set(place.nodes);
    for (const node of left) active.delete(node);
    const entries = entriesOf(entrySetOf(transitions), active);
    const isSame = active.size === place.nodes.length && place.nodes.every((node) => active.has(node));
    return {
      exits: left.map(exitActions).filter((actions) => actions.length > 0),
      actions: transitions.flatMap(({ actions }) => actions),
      entries,
      to: isSame ? place : this.#placeAt([...active]),
    };
  }
}

/** Exit actions, and the end of what the node invoked. */
function exitActions(node: Node): readonly unknown[] {
  return [...node.exit, ...node.invoke.map(({ id }) => stopChild(id))];
}

/** Adds the nodes to the active ones, in document order: whether a parallel state is done may depend on what was entered before. */
function entriesOf({ entered, byDefault }: EntrySet, active: Set<Node>): Entry[] {
  const completed = new Set<Node>();
  return [...entered]
    .sort((a, b) => a.order - b.order)
    .map((node) => {
      active.add(node);
      const invocations = node.invoke.map((invocation) =>
        (spawnChild as (src: string, options: object) => unknown)(invocation.src, {
          ...invocation,
          syncSnapshot: !!invocation.onSnapshot,
        }),
      );
      const initial = byDefault.has(node) && node.type === 'compound' ? node.initial.actions : [];
      return {
        node,
        actions: [...node.entry, ...invocations, ...initial],
        invoked: node.invoke.map(({ id }) => id),
        completion: node.type === 'final' ? completionOf(node, active, completed) : undefined,
      };
    });
}

function completionOf(node: Node, active: ReadonlySet<Node>, completed: Set<Node>): Completion {
  const { parent } = node;
  const done: { readonly node: Node; readonly output: unknown }[] = [];
  if (parent?.type === 'compound') done.push({ node: parent, output: node.output });
  let above = parent?.type === 'parallel' ? parent : parent?.parent;
  let ends = above ?? node;
  while (above?.type === 'parallel' && !completed.has(above) && isFinal(above, active)) {
    completed.add(above);
    done.push({ node: above, output: undefined });
    ends = above;
    above = above.parent;
  }
  return { done, ends: above === undefined ? ends : undefined };
}

function placeOf(root: Node, nodes: readonly Node[]): Place {
  const place = {
    nodes,
    value: valueOf(root, nodes),
    tags: new Set(nodes.flatMap(({ tags }) => tags)),
    always: [] as (readonly Candidate[])[],
    trials: new Map<string, Trial>(),
    moves: new Map<string, Move>(),
    numbers: 0,
  };
  for (const leaf of nodes.filter(isLeaf)) {
    const candidates: Candidate[] = [];
    for (let node: Node | undefined = leaf; node !== undefined; node = node.parent) {
      for (const transition of node.always ?? []) candidates.push(candidateOf(place, transition, node));
    }
    if (candidates.length > 0) place.always.push(candidates);
  }
  return place;
}

function candidateOf(place: Place, transition: Transition, node: Node): Candidate {
  return { transition, node, number: place.numbers++, move: undefined };
}

function valueOf(node: Node, nodes: readonly Node[]): StateValue {
  const children = nodes.filter(({ parent }) => parent === node);
  const [child] = children;
  if (node.type === 'compound') {
    if (child === undefined) return {};
    if (isLeaf(child)) return child.key;
  }
  const value: Record<string, StateValue> = {};
  for (const each of children) value[each.key] = valueOf(each, nodes);
  return value;
}

/** Along the value, as XState goes: its keys are in the order of the active nodes. */
function trialOf(place: Place, node: Node, value: StateValue | undefined, eventType: string): Trial {
  const keys = typeof value === 'string' ? [value] : Object.keys(value ?? {});
  const within = keys.map((key) =>
    trialOf(place, node.states[key] as Node, typeof value === 'string' ? undefined : value?.[key], eventType),
  );
  const own = transitionsFor(node, eventType).map((transition) => candidateOf(place, transition, node));
  return { within: within.filter((trial) => trial.within.length > 0 || trial.own.length > 0), own };
}

/** The node's transitions for an event: those that name it, then those with wildcards, the longest first. */
function transitionsFor({ transitions }: Node, eventType: string): readonly Transition[] {
  const wild = [...transitions.keys()]
    .filter((descriptor) => descriptor !== eventType && matches(eventType, descriptor))
    .sort((a, b) => b.length - a.length)
    .flatMap((descriptor) => transitions.get(descriptor) ?? []);
  return [...(transitions.get(eventType) ?? []), ...wild];
}

/** `*` matches everything, `a.*` what begins with the token `a`. */
function matches(eventType: string, descriptor: string): boolean {
  if (descriptor === '*') return true;
  if (!descriptor.endsWith('.*')) return false;
  const tokens = eventType.split('.');
  const expected = descriptor.split('.');
  const star = expected.indexOf('*');
  return star === expected.length - 1 && expected.slice(0, star).every((token, at) => token === tokens[at]);
}
