/**
 * Which nodes transitions leave and enter: XState's algorithms (those of SCXML) for charts without history states.
 *
 * Owns: the sets. What is done in them is `chart-moves.ts`. Where XState's rules and SCXML's differ, these are XState 5.33's.
 */
import type { Node, Transition } from './xstate-internals.ts';

export interface EntrySet {
  readonly entered: Set<Node>;
  /** Those whose initial transition is taken. */
  readonly byDefault: Set<Node>;
}

export function isLeaf({ type }: Node): boolean {
  return type === 'atomic' || type === 'final';
}

/** Whether a node has come to its end. */
export function isFinal(node: Node, active: ReadonlySet<Node>): boolean {
  const children = Object.values(node.states);
  if (node.type === 'compound') return children.some((child) => child.type === 'final' && active.has(child));
  if (node.type === 'parallel') return children.every((child) => isFinal(child, active));
  return node.type === 'final';
}

/** Of transitions that leave the same nodes only one is taken: the inner one, or the earlier. */
export function withoutConflicts(transitions: readonly Transition[], active: readonly Node[]): readonly Transition[] {
  if (transitions.length < 2) return transitions;
  const taken = new Set<Transition>();
  for (const transition of transitions) {
    const left = new Set(exitSetOf([transition], active));
    const replaced: Transition[] = [];
    let isPreempted = false;
    for (const other of taken) {
      if (!exitSetOf([other], active).some((node) => left.has(node))) continue;
      if (isDescendant(transition.source, other.source)) {
        replaced.push(other);
      } else {
        isPreempted = true;
        break;
      }
    }
    if (isPreempted) continue;
    for (const other of replaced) taken.delete(other);
    taken.add(transition);
  }
  return [...taken];
}

export function exitSetOf(transitions: readonly Transition[], active: readonly Node[]): Node[] {
  const left = new Set<Node>();
  for (const transition of transitions) {
    const [target] = transition.target ?? [];
    if (target === undefined) continue;
    const domain = domainOf(transition, target);
    if (transition.reenter && domain !== undefined && transition.source === domain) left.add(domain);
    for (const node of active) if (isDescendant(node, domain)) left.add(node);
  }
  return [...left];
}

export function entrySetOf(transitions: readonly Transition[]): EntrySet {
  const set: EntrySet = { entered: new Set(), byDefault: new Set() };
  for (const transition of transitions) {
    const { reenter, source } = transition;
    const [target] = transition.target ?? [];
    if (target === undefined) continue;
    const domain = domainOf(transition, target);
    if (source !== target || source !== domain || reenter) enterByDefault(target, set);
    addDescendants(target, set);
    const ancestors = ancestorsOf(target, domain);
    if (domain?.type === 'parallel') ancestors.push(domain);
    addAncestors(ancestors, source.parent === undefined && reenter ? undefined : domain, set);
  }
  return set;
}

function enterByDefault(node: Node, { byDefault, entered }: EntrySet): void {
  entered.add(node);
  byDefault.add(node);
}

function addDescendants(node: Node, set: EntrySet): void {
  if (node.type === 'compound') {
    const [initial] = node.initial.target;
    if (initial === undefined) return;
    enterByDefault(initial, set);
    addDescendants(initial, set);
    addAncestors(ancestorsOf(initial, node), undefined, set);
  } else if (node.type === 'parallel') {
    for (const region of Object.values(node.states)) {
      if (isEntered(region, set)) continue;
      enterByDefault(region, set);
      addDescendants(region, set);
    }
  }
}

function addAncestors(ancestors: readonly Node[], within: Node | undefined, set: EntrySet): void {
  for (const ancestor of ancestors) {
    if (isDescendant(ancestor, within)) set.entered.add(ancestor);
    if (ancestor.type !== 'parallel') continue;
    for (const region of Object.values(ancestor.states)) {
      if (isEntered(region, set)) continue;
      set.entered.add(region);
      addDescendants(region, set);
    }
  }
}

/** Whether something within the region is entered already. */
function isEntered(region: Node, { entered }: EntrySet): boolean {
  return [...entered].some((node) => isDescendant(node, region));
}

/** From the parent outwards, up to `below`, which is left out. */
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
