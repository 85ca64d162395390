/**
 * What an expression reads, and what it is refused for: a walk through its tree.
 *
 * Owns: the scope of names, the bounds on loops, the paths of members that an evaluation needs. Evaluates nothing.
 *
 * Invariants:
 * SV1. `reads` has everything that an evaluation may look at; a member that is computed makes all of its object read.
 * SV2. Every fault has the position of the node at fault.
 */
import type { ExpressionNode, typeChecker } from './expression-engine.ts';
import { nearest } from './expression-hints.ts';
import type { ExpressionFault } from './expression-source.ts';
import { addRead, emptyReadTree, type ReadTree } from './expression-values.ts';
import { memberShape, type ValueShape } from './value-shape.ts';

/** What expressions of one place may name. */
export interface ExpressionScope {
  readonly input: ValueShape | undefined;
  /** Members of `context` that the definition declares. */
  readonly context: ReadonlySet<string>;
  /** Every step of the workflow. */
  readonly steps: ReadonlySet<string>;
  /** Those with a token, which is there from the start. */
  readonly promises: ReadonlySet<string>;
  /** Those that are over when this is evaluated. */
  readonly readable: { has(id: string): boolean };
  readonly results: ReadonlyMap<string, ValueShape>;
  /** Beyond `input`, `steps` and `context`. */
  readonly names: ReadonlySet<'error' | 'item' | 'index' | 'payload'>;
  /** Shape of `payload`, where that is a name. */
  readonly payload?: ValueShape | undefined;
  readonly check: ReturnType<typeof typeChecker>;
}

/** Names that are no variables. `payload` is one only in updates: elsewhere it may be a member of the input. */
export const ROOTS: ReadonlySet<string> = new Set(['input', 'steps', 'context', 'error', 'item', 'index']);
const STEP_MEMBERS: readonly string[] = ['result', 'status', 'error'];
const LOOPS: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);
const NAMESPACES: ReadonlySet<string> = new Set(['cel', 'optional']);
const TYPE_NAMES: ReadonlySet<string> = new Set(
  'bool bytes double dyn duration int list map null_type string timestamp type uint'.split(' '),
);
const LOOP_DEPTH_LIMIT = 2;
const LOOPS_LIMIT = 16;

/** Goes through a tree: what it reads, and what of it is not allowed. */
export class Survey {
  readonly faults: ExpressionFault[] = [];
  readonly reads: ReadTree = emptyReadTree();
  readonly variables = new Set<string>();
  deepestLoop = 0;
  #loops = 0;
  readonly #scope: ExpressionScope;
  readonly #offset: number;

  constructor(scope: ExpressionScope, offset: number) {
    this.#scope = scope;
    this.#offset = offset;
  }

  /** `bound`: names that a loop around it has made. */
  visit(node: ExpressionNode, bound: ReadonlySet<string>, loopDepth: number): void {
    const path = pathOf(node, bound);
    if (path !== undefined) {
      this.#read(path, node);
      if (path.rest !== undefined) this.visit(path.rest, bound, loopDepth);
      return;
    }
    switch (node.op) {
      case 'value':
      case 'id':
        return;
      case 'call':
        if (node.args[0] === 'matches') this.#refuseMatches(node);
        // `has(a.b)` asks whether there is a b: only a is read.
        return this.#each(node.args[1], bound, loopDepth);
      case 'rcall':
        return this.#call(node, bound, loopDepth);
      case '.':
      case '.?':
        return this.visit(node.args[0], bound, loopDepth);
      case 'map':
        return this.#each(node.args.flat(), bound, loopDepth);
      case '!_':
      case '-_':
        return this.visit(node.args, bound, loopDepth);
      default:
        return this.#each(node.args, bound, loopDepth);
    }
  }

  #each(nodes: readonly ExpressionNode[], bound: ReadonlySet<string>, loopDepth: number): void {
    for (const node of nodes) this.visit(node, bound, loopDepth);
  }

  #call(node: Extract<ExpressionNode, { op: 'rcall' }>, bound: ReadonlySet<string>, loopDepth: number): void {
    const [name, receiver, parameters] = node.args;
    if (name === 'matches') this.#refuseMatches(node);
    const [first, ...rest] = parameters;
    const isBind = name === 'bind' && receiver.op === 'id' && receiver.args === 'cel';
    if (first?.op !== 'id' || (!isBind && !(LOOPS.has(name) && rest.length > 0))) {
      this.visit(receiver, bound, loopDepth);
      return this.#each(parameters, bound, loopDepth);
    }
    const depth = loopDepth + 1;
    this.deepestLoop = Math.max(this.deepestLoop, depth);
    if (depth === LOOP_DEPTH_LIMIT + 1) {
      this.#fault(
        node,
        `loops more than ${LOOP_DEPTH_LIMIT} deep`,
        'let a step prepare the value, or bring it in as input',
      );
    }
    if (++this.#loops === LOOPS_LIMIT + 1)
      this.#fault(node, `more than ${LOOPS_LIMIT} loops`, 'let a step prepare the value');
    this.visit(receiver, bound, loopDepth);
    this.#each(rest, new Set(bound).add(first.args), depth);
  }

  #read(path: Path, node: ExpressionNode): void {
    const { names } = path;
    const [root] = names;
    if (root === undefined) return;
    const { input, context, names: extra } = this.#scope;
    if (!ROOTS.has(root) && !(root === 'payload' && extra.has(root))) {
      if (NAMESPACES.has(root) || (TYPE_NAMES.has(root) && names.length === 1)) return;
      const isKnown = context.has(root) || input?.properties === undefined || memberShape(input, root) !== undefined;
      if (!isKnown) {
        const known = [...ROOTS, ...context, ...Object.keys(input?.properties ?? {})];
        this.#fault(node, `unknown name "${root}"`, nearest(root, known) ?? `known: ${known.join(', ')}`);
        return;
      }
      this.variables.add(root);
    } else if ((root === 'error' || root === 'item' || root === 'index') && !extra.has(root)) {
      const where = root === 'error' ? 'in compensations' : 'in a step with forEach';
      this.#fault(node, `"${root}" has no value here`, `it is there ${where}`);
      return;
    } else if (root === 'steps') this.#readStep(names, node);
    addRead(this.reads, names);
  }

  #readStep(names: readonly string[], node: ExpressionNode): void {
    const [, id, member] = names;
    const { steps, readable, promises } = this.#scope;
    if (id === undefined) return this.#fault(node, '"steps" alone is no value', 'name the step: steps.<id>.result');
    if (!steps.has(id))
      return this.#fault(node, `unknown step "${id}"`, nearest(id, [...steps]) ?? `steps: ${[...steps].join(', ')}`);
    if (member === 'token') {
      if (!promises.has(id)) this.#fault(node, `step "${id}" has no token`, 'only a step with promise: true has one');
      return;
    }
    if (!readable.has(id)) {
      return this.#fault(node, `step "${id}" need not be finished by then`, `put "${id}" into the dependencies`);
    }
    if (member === undefined || !STEP_MEMBERS.includes(member)) {
      this.#fault(
        node,
        `"steps.${id}" has ${STEP_MEMBERS.join(', ')}${member === undefined ? '' : `, no "${member}"`}`,
        `write steps.${id}.result${member === undefined ? '' : `.${member}`}`,
      );
    }
  }

  #refuseMatches(node: ExpressionNode): void {
    this.#fault(
      node,
      'matches() is not offered: its regular expressions backtrack',
      'use startsWith(), endsWith(), contains() or ==',
    );
  }

  #fault(node: ExpressionNode, message: string, hint: string): void {
    this.faults.push({ message, position: node.start + this.#offset, hint });
  }
}

/** A chain of members from a name: `a.b["c"]`. `rest`: an index behind it that is no fixed name. */
export interface Path {
  readonly names: readonly string[];
  readonly rest: ExpressionNode | undefined;
}

export function pathOf(node: ExpressionNode, bound: ReadonlySet<string>): Path | undefined {
  switch (node.op) {
    case 'id':
      return { names: bound.has(node.args) ? [] : [node.args], rest: undefined };
    case '.': {
      const path = pathOf(node.args[0], bound);
      if (path === undefined || path.rest !== undefined || path.names.length === 0) return path;
      return { names: [...path.names, node.args[1]], rest: undefined };
    }
    case '[]': {
      const path = pathOf(node.args[0], bound);
      const [, index] = node.args;
      if (path === undefined || path.rest !== undefined) return undefined;
      if (path.names.length > 0 && index.op === 'value' && typeof index.args === 'string') {
        return { names: [...path.names, index.args], rest: undefined };
      }
      return { names: path.names, rest: index };
    }
    default:
      return undefined;
  }
}
