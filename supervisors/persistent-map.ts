/**
 * A map from strings that is never changed in place: `set` and `delete` give a new map that shares all but a path with the old.
 *
 * Owns: a hash array mapped trie (Bagwell, "Ideal Hash Trees"), 32 ways, over the kernel's hash. It exists because a turn must not
 * change the state it was given, and copying 100,000 children per turn is no way to keep that promise.
 *
 * Invariants:
 * PM1. The order of `entries` depends on the keys alone, not on how the map came about: a map that was saved and loaded goes
 *      through its entries as before.
 * PM2. `get`, `set` and `delete` touch at most eight nodes; keys of equal hash share a list, sorted by key.
 */
import { hashOf } from '../runtime/kernel/random.ts';

interface Branch<TValue> {
  readonly kind: 'branch';
  /** Which of the 32 slots are taken; `nodes` has only those, in order. */
  readonly bitmap: number;
  readonly nodes: readonly Node<TValue>[];
}

/** All entries of one hash, sorted by key; nearly always one. */
interface Leaf<TValue> {
  readonly kind: 'leaf';
  readonly hash: number;
  readonly entries: readonly (readonly [string, TValue])[];
}

type Node<TValue> = Branch<TValue> | Leaf<TValue>;

const BITS = 5;
const MASK = 31;
const EMPTY: Branch<never> = { kind: 'branch', bitmap: 0, nodes: [] };

export class PersistentMap<TValue> {
  readonly size: number;
  readonly #root: Branch<TValue>;

  private constructor(root: Branch<TValue>, size: number) {
    this.#root = root;
    this.size = size;
  }

  static empty<TValue>(): PersistentMap<TValue> {
    return new PersistentMap<TValue>(EMPTY, 0);
  }

  static from<TValue>(entries: Iterable<readonly [string, TValue]>): PersistentMap<TValue> {
    let map = PersistentMap.empty<TValue>();
    for (const [key, value] of entries) map = map.set(key, value);
    return map;
  }

  get(key: string): TValue | undefined {
    const hash = hashOf(key);
    let node: Node<TValue> | undefined = this.#root;
    for (let shift = 0; node?.kind === 'branch'; shift += BITS) {
      const bit = bitOf(hash, shift);
      node = (node.bitmap & bit) === 0 ? undefined : node.nodes[placeOf(node.bitmap, bit)];
    }
    return node?.hash === hash ? node.entries.find(([other]) => other === key)?.[1] : undefined;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  set(key: string, value: TValue): PersistentMap<TValue> {
    const hash = hashOf(key);
    const grown = this.has(key) ? 0 : 1;
    const leaf: Leaf<TValue> = { kind: 'leaf', hash, entries: [[key, value]] };
    return new PersistentMap(withLeaf(this.#root, leaf, 0), this.size + grown);
  }

  delete(key: string): PersistentMap<TValue> {
    if (!this.has(key)) return this;
    return new PersistentMap(without(this.#root, hashOf(key), key, 0) ?? EMPTY, this.size - 1);
  }

  /** All entries, or those behind the place of `after` (which need not be in the map), in the map's own order. */
  *entries(after?: string): Generator<readonly [string, TValue], void, undefined> {
    yield* entriesOf(this.#root, after === undefined ? undefined : { key: after, hash: hashOf(after) }, 0);
  }
}

interface Place {
  readonly key: string;
  readonly hash: number;
}

function bitOf(hash: number, shift: number): number {
  return 1 << ((hash >>> shift) & MASK);
}

/** Where the node of `bit` stands: the number of taken slots below it. */
function placeOf(bitmap: number, bit: number): number {
  let below = bitmap & (bit - 1);
  below -= (below >>> 1) & 0x55555555;
  below = (below & 0x33333333) + ((below >>> 2) & 0x33333333);
  return Math.imul((below + (below >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function withLeaf<TValue>(branch: Branch<TValue>, leaf: Leaf<TValue>, shift: number): Branch<TValue> {
  const bit = bitOf(leaf.hash, shift);
  const at = placeOf(branch.bitmap, bit);
  const there = (branch.bitmap & bit) === 0 ? undefined : branch.nodes[at];
  if (there === undefined) {
    return { kind: 'branch', bitmap: branch.bitmap | bit, nodes: branch.nodes.toSpliced(at, 0, leaf) };
  }
  return { ...branch, nodes: branch.nodes.with(at, merged(there, leaf, shift + BITS)) };
}

function merged<TValue>(node: Node<TValue>, leaf: Leaf<TValue>, shift: number): Node<TValue> {
  if (node.kind === 'branch') return withLeaf(node, leaf, shift);
  if (node.hash !== leaf.hash) return withLeaf(withLeaf(EMPTY, node, shift), leaf, shift);
  const [added] = leaf.entries;
  if (added === undefined) return node;
  const others = node.entries.filter(([key]) => key !== added[0]);
  return { ...node, entries: [...others, added].sort(([a], [b]) => (a < b ? -1 : 1)) };
}

function without<TValue>(node: Node<TValue>, hash: number, key: string, shift: number): Branch<TValue> | undefined;
function without<TValue>(node: Node<TValue>, hash: number, key: string, shift: number): Node<TValue> | undefined;
function without<TValue>(node: Node<TValue>, hash: number, key: string, shift: number): Node<TValue> | undefined {
  if (node.kind === 'leaf') {
    const entries = node.entries.filter(([other]) => other !== key);
    return entries.length === 0 ? undefined : { ...node, entries };
  }
  const bit = bitOf(hash, shift);
  const at = placeOf(node.bitmap, bit);
  const there = node.nodes[at];
  const rest = there === undefined ? undefined : without(there, hash, key, shift + BITS);
  if (rest !== undefined) return { ...node, nodes: node.nodes.with(at, rest) };
  const bitmap = node.bitmap & ~bit;
  return bitmap === 0 ? undefined : { kind: 'branch', bitmap, nodes: node.nodes.toSpliced(at, 1) };
}

function* entriesOf<TValue>(
  node: Node<TValue>,
  after: Place | undefined,
  shift: number,
): Generator<readonly [string, TValue], void, undefined> {
  if (node.kind === 'leaf') {
    for (const entry of node.entries) if (after === undefined || isBehind(entry[0], node.hash, after)) yield entry;
    return;
  }
  const slot = after === undefined ? -1 : (after.hash >>> shift) & MASK;
  let at = 0;
  for (let index = 0; index <= MASK; index++) {
    if ((node.bitmap & (1 << index)) === 0) continue;
    const child = node.nodes[at++];
    if (child === undefined || index < slot) continue;
    yield* entriesOf(child, index === slot ? after : undefined, shift + BITS);
  }
}

/** The order of the trie: by hash, its low bits first; by key within one hash. */
function isBehind(key: string, hash: number, after: Place): boolean {
  if (hash === after.hash) return key > after.key;
  for (let shift = 0; shift < 32; shift += BITS) {
    const difference = ((hash >>> shift) & MASK) - ((after.hash >>> shift) & MASK);
    if (difference !== 0) return difference > 0;
  }
  return false;
}
