/**
 * Which of many subscriptions a subject is for: a trie of patterns, a token an edge.
 *
 * Owns: patterns and the values kept under them. Grammar and the meaning of wildcards are `subjects.ts`.
 *
 * A match walks at most two edges a token, the token's own and `*`, and takes what is under `>` on its way: its cost depends on the
 * tokens and on how many values it finds, not on how many patterns there are. What was found for a subject is kept, since the next
 * message mostly goes where one went before.
 *
 * Invariants:
 * ST1. `match(subject)` gives each value once for every pattern it is under that `matchesSubject` says yes to, and nothing else.
 * ST2. A value is under a pattern or it is not: adding it twice is adding it once.
 * ST3. What was kept for a subject is dropped before a change of what it would be: a pattern without wildcards changes its own
 *      subject only, one with wildcards may change any.
 * ST4. No more than `SUBJECT_CACHE_SUBJECTS` results are kept, none of more than `SUBJECT_CACHE_VALUES` values.
 */
import { SUBJECT_CACHE_SUBJECTS, SUBJECT_CACHE_VALUES } from '../kernel/limits.ts';
import { ANY_REST, ANY_TOKEN, assertPattern, hasWildcard, isSystemSubject } from './subjects.ts';

interface Node<T> {
  readonly parent: Node<T> | undefined;
  /** The token that leads here. */
  readonly token: string;
  /** By literal token. */
  literal: Map<string, Node<T>> | undefined;
  /** Behind `*`. */
  any: Node<T> | undefined;
  /** Under patterns that end here. */
  values: Set<T> | undefined;
  /** Under patterns that end here with `>`. */
  rest: Set<T> | undefined;
}

export class SubjectTrie<T> {
  readonly #root: Node<T> = nodeBelow<T>(undefined, '');
  /** What was found lately, and what was found before that: when the first is full it becomes the second. */
  #young = new Map<string, readonly T[]>();
  #old = new Map<string, readonly T[]>();
  #size = 0;

  /** How many (pattern, value) pairs there are. */
  get size(): number {
    return this.#size;
  }

  /**
   * Keeps `value` under `pattern`. False when it was there already.
   *
   * @throws InvalidSubjectError
   */
  add(pattern: string, value: T): boolean {
    assertPattern(pattern);
    const tokens = pattern.split('.');
    const isRest = tokens.at(-1) === ANY_REST;
    if (isRest) tokens.pop();
    let node = this.#root;
    for (const token of tokens) node = childOf(node, token);
    const values = isRest ? (node.rest ??= new Set()) : (node.values ??= new Set());
    const before = values.size;
    values.add(value);
    if (values.size === before) return false;
    this.#size += 1;
    this.#forget(pattern);
    return true;
  }

  /** Takes `value` from under `pattern`. False when it was not there. */
  remove(pattern: string, value: T): boolean {
    const tokens = pattern.split('.');
    const isRest = tokens.at(-1) === ANY_REST;
    if (isRest) tokens.pop();
    let node: Node<T> | undefined = this.#root;
    for (const token of tokens) node = token === ANY_TOKEN ? node?.any : node?.literal?.get(token);
    if (node === undefined) return false;
    const values = isRest ? node.rest : node.values;
    if (values?.delete(value) !== true) return false;
    if (values.size === 0) {
      if (isRest) node.rest = undefined;
      else node.values = undefined;
      prune(node);
    }
    this.#size -= 1;
    this.#forget(pattern);
    return true;
  }

  /**
   * The values of all patterns that match `subject`, which must have passed `assertSubject`. The array is shared: it is not to be
   * changed, and does not change. Its order follows from the patterns and the order in which values were added.
   */
  match(subject: string): readonly T[] {
    const young = this.#young.get(subject);
    if (young !== undefined) return young;
    const old = this.#old.get(subject);
    if (old !== undefined) {
      this.#keep(subject, old);
      return old;
    }
    const found: T[] = [];
    collect(this.#root, subject.split('.'), 0, isSystemSubject(subject), found);
    if (found.length <= SUBJECT_CACHE_VALUES) this.#keep(subject, found);
    return found;
  }

  /** Every (pattern, value) pair. */
  *entries(): IterableIterator<readonly [pattern: string, value: T]> {
    const open: { readonly node: Node<T>; readonly path: string }[] = [{ node: this.#root, path: '' }];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const { node, path } = next;
      const below = path === '' ? '' : `${path}.`;
      for (const value of node.values ?? []) yield [path, value];
      for (const value of node.rest ?? []) yield [below + ANY_REST, value];
      if (node.any !== undefined) open.push({ node: node.any, path: below + ANY_TOKEN });
      for (const [token, child] of node.literal ?? []) open.push({ node: child, path: below + token });
    }
  }

  /** Two generations, since taking the oldest out of a Map costs more than the match that it saves (V8 skips what was deleted). */
  #keep(subject: string, found: readonly T[]): void {
    if (this.#young.size >= SUBJECT_CACHE_SUBJECTS / 2) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(subject, found);
  }

  #forget(pattern: string): void {
    if (hasWildcard(pattern)) {
      this.#young.clear();
      this.#old.clear();
    } else {
      this.#young.delete(pattern);
      this.#old.delete(pattern);
    }
  }
}

/** Appends what is below `node` for `tokens` from `at` on. `isSystem`: no wildcard may take the first token. */
function collect<T>(node: Node<T>, tokens: readonly string[], at: number, isSystem: boolean, found: T[]): void {
  if (at === tokens.length) {
    if (node.values !== undefined) for (const value of node.values) found.push(value);
    return;
  }
  const child = node.literal?.get(tokens[at] as string);
  if (child !== undefined) collect(child, tokens, at + 1, false, found);
  if (isSystem) return;
  if (node.any !== undefined) collect(node.any, tokens, at + 1, false, found);
  if (node.rest !== undefined) for (const value of node.rest) found.push(value);
}

function nodeBelow<T>(parent: Node<T> | undefined, token: string): Node<T> {
  return { parent, token, literal: undefined, any: undefined, values: undefined, rest: undefined };
}

function childOf<T>(node: Node<T>, token: string): Node<T> {
  if (token === ANY_TOKEN) return (node.any ??= nodeBelow(node, token));
  node.literal ??= new Map();
  const known = node.literal.get(token);
  if (known !== undefined) return known;
  const child = nodeBelow(node, token);
  node.literal.set(token, child);
  return child;
}

/** Takes out `node` and what is above it, as far as nothing hangs on it. */
function prune<T>(leaf: Node<T>): void {
  for (let node = leaf; ; ) {
    const { any, literal, parent, rest, token, values } = node;
    if (parent === undefined || (any ?? literal ?? rest ?? values) !== undefined) return;
    if (token === ANY_TOKEN) parent.any = undefined;
    else {
      parent.literal?.delete(token);
      if (parent.literal?.size === 0) parent.literal = undefined;
    }
    node = parent;
  }
}
