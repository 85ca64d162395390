/**
 * What of a chart can be known before an event comes: for each place that it can be in and each transition from there, which nodes are
 * left, which are entered, and where it leads.
 *
 * Owns: the places of a plain chart (one without parallel and history states: the active nodes are one path from the root to a leaf),
 * found when they are first reached. Runs nothing and knows no context; `chart-step.ts` does.
 *
 * The rules are those of XState 5.33 (`getTransitionDomain`, `computeExitSet`, `computeEntrySet`, `getCandidates`), which works them out
 * anew for every event.
 */
import { spawnChild, stopChild } from 'xstate';
import type { StateValue } from 'xstate';
import type { MachineSnapshot, Node, Transition } from './xstate-internals.ts';

/** The active nodes, and what follows from them alone. */
export interface Place {
  /** From the root to the leaf. */
  readonly nodes: readonly Node[];
  readonly value: StateValue;
  readonly tags: ReadonlySet<string>;
  /** In the order in which they are to be tried. */
  readonly always: readonly Candidate[];
  readonly candidates: Map<string, readonly Candidate[]>;
}

/** A transition that may be taken at a place. */
export interface Candidate {
  readonly transition: Transition;
  readonly node: Node;
  /** Found when it is first taken. */
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
}

/** Event types that a place remembers; there may be any number of them. */
const CANDIDATES_KEPT = 256;

/** Whether the active nodes of a chart are always one path. */
export function isPlain(nodes: readonly Node[]): boolean {
  return nodes.every(
    (node) =>
      (node.type === 'compound' || node.type === 'atomic' || (node.type === 'final' && node.parent !== undefined)) &&
      [...node.transitions.values(), node.always ?? []].flat().every(({ target }) => (target?.length ?? 0) <= 1),
  );
}

export class ChartMoves {
  /** By the leaf's order in the document. */
  readonly #places: (Place | undefined)[] = [];

  /** Where a snapshot is. Undefined: not on one path, as a chart of this kind should be. */
  placeOf(snapshot: MachineSnapshot): Place | undefined {
    const nodes = snapshot._nodes as unknown as readonly Node[];
    const last = nodes[nodes.length - 1];
    if (last === undefined) return undefined;
    // Restored snapshots may have their nodes in another order.
    const leaf = isLeaf(last) ? last : nodes.find(isLeaf);
    if (leaf === undefined) return undefined;
    const place = this.#placeAt(leaf);
    return place.nodes.length === nodes.length ? place : undefined;
  }

  /** What may be taken for an event: of the innermost node first, and of a node's the most exact first. */
  candidates(place: Place, eventType: string): readonly Candidate[] {
    let found = place.candidates.get(eventType);
    if (found === undefined) {
      found = outwards(place.nodes).flatMap((node) =>
        transitionsFor(node, eventType).map((transition): Candidate => ({ transition, node, move: undefined })),
      );
      if (place.candidates.size >= CANDIDATES_KEPT) place.candidates.clear();
      place.candidates.set(eventType, found);
    }
    return found;
  }

  move(place: Place, candidate: Candidate): Move {
    candidate.move ??= this.#moveOf(place, candidate.transition);
    return candidate.move;
  }

  #placeAt(leaf: Node): Place {
    return (this.#places[leaf.order] ??= placeOfLeaf(leaf));
  }

  #moveOf(place: Place, transition: Transition): Move {
    const { actions } = transition;
    const target = transition.target?.[0];
    if (target === undefined) return { exits: [], actions, entries: [], to: place };
    const domain = domainOf(transition, target);
    const left = place.nodes.filter((node) => isExited(node, transition, domain));
    const { entered, byDefault } = entrySet(transition, target, domain);
    const active = new Set(place.nodes.filter((node) => !left.includes(node)));
    const inOrder = [...entered].sort((a, b) => a.order - b.order);
    for (const node of inOrder) active.add(node);
    const leaf = [...active].find(isLeaf) ?? target;
    return {
      exits: left.reverse().map(exitActions),
      actions,
      entries: inOrder.map((node) => entryOf(node, byDefault.has(node))),
      to: this.#placeAt(leaf),
    };
  }
}

/** Exit actions, and the end of what the node invoked. */
function exitActions(node: Node): readonly unknown[] {
  return [...node.exit, ...node.invoke.map(({ id }) => stopChild(id))];
}

function entryOf(node: Node, isDefault: boolean): Entry {
  const invocations = node.invoke.map((invocation) =>
    (spawnChild as (src: string, options: object) => unknown)(invocation.src, {
      ...invocation,
      syncSnapshot: !!invocation.onSnapshot,
    }),
  );
  const initial = isDefault && node.type === 'compound' ? node.initial.actions : [];
  return { node, actions: [...node.entry, ...invocations, ...initial], invoked: node.invoke.map(({ id }) => id) };
}

function isLeaf({ type }: Node): boolean {
  return type === 'atomic' || type === 'final';
}

function placeOfLeaf(leaf: Node): Place {
  const path = [leaf, ...ancestorsOf(leaf, undefined)];
  const always = path.flatMap((node) =>
    (node.always ?? []).map((transition): Candidate => ({ transition, node, move: undefined })),
  );
  const nodes = path.reverse();
  return {
    nodes,
    value: valueOf(nodes),
    tags: new Set(nodes.flatMap(({ tags }) => tags)),
    always,
    candidates: new Map(),
  };
}

function valueOf([root, ...below]: readonly Node[]): StateValue {
  const [child] = below;
  if (root === undefined || child === undefined) return {};
  return isLeaf(child) ? child.key : { [child.key]: valueOf(below) };
}

function outwards(nodes: readonly Node[]): readonly Node[] {
  return [...nodes].reverse();
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

function ancestorsOf(node: Node, below: Node | undefined): Node[] {
  const ancestors: Node[] = [];
  if (node === below) return ancestors;
  for (let at = node.parent; at !== undefined && at !== below; at = at.parent) ancestors.push(at);
  return ancestors;
}

function isDescendant(node: Node, of: Node | undefined): boolean {
  return of === undefined || ancestorsOf(node, undefined).includes(of);
}

/** The node within which a transition happens; undefined: it leaves even the root. */
function domainOf({ reenter, source }: Transition, target: Node): Node | undefined {
  if (!reenter && (target === source || isDescendant(target, source))) return source;
  const common = ancestorsOf(target, undefined).find((ancestor) => isDescendant(source, ancestor));
  if (common !== undefined || reenter) return common;
  return [source, ...ancestorsOf(source, undefined)].at(-1);
}

function isExited(node: Node, { reenter, source }: Transition, domain: Node | undefined): boolean {
  return isDescendant(node, domain) || (reenter && source === domain && node === domain);
}

interface EntrySet {
  readonly entered: Set<Node>;
  /** Those whose initial transition is taken. */
  readonly byDefault: Set<Node>;
}

function entrySet({ reenter, source }: Transition, target: Node, domain: Node | undefined): EntrySet {
  const entered = new Set<Node>();
  const byDefault = new Set<Node>();
  if (source !== target || source !== domain || reenter) {
    entered.add(target);
    byDefault.add(target);
  }
  for (let node = target; node.type === 'compound'; ) {
    const child = node.initial.target[0];
    if (child === undefined) break;
    entered.add(child);
    byDefault.add(child);
    node = child;
  }
  const within = source.parent === undefined && reenter ? undefined : domain;
  for (const ancestor of ancestorsOf(target, domain)) if (isDescendant(ancestor, within)) entered.add(ancestor);
  return { entered, byDefault };
}
