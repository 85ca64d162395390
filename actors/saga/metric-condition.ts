/**
 * Conditions of adaptation rules: CEL over metrics, as `systems.payments.p99Ms > 800` or `actors.desk.actions.BOOK.errorRate >= 0.2`.
 *
 * Owns: the names that such a condition may read, what it is refused for, and its evaluation. The language is `expression-engine.ts`.
 *
 * Invariants:
 * MC1. What compiles names only metrics that there are, and compares each with what it can be; every fault has its position.
 * MC2. An evaluation reads exactly `reads`, and is pure.
 */
import { BREAKER_STATES, CALL_METRICS, SYSTEM_METRICS } from './call-metrics.ts';
import {
  type DeclaredType,
  engineFault,
  type ExpressionNode,
  parseExpression,
  typeChecker,
} from './expression-engine.ts';
import { hintFor, nearest } from './expression-hints.ts';
import { conditionSource, type ExpressionFault } from './expression-source.ts';
import { pathOf } from './expression-survey.ts';

/** One metric of one target, or of one of its actions. */
export interface MetricRead {
  /** As it was written: `systems.payments.p99Ms`. */
  readonly path: string;
  readonly kind: 'systems' | 'actors';
  readonly target: string;
  readonly action: string | undefined;
  readonly metric: string;
}

export interface MetricCondition {
  readonly reads: readonly MetricRead[];
  /**
   * `valueOf` undefined: that is not known. What depends on it then is an error, unless the rest of an `||` or `&&` decides without it.
   *
   * @throws what the engine throws, as for a division by zero
   */
  holds(valueOf: (read: MetricRead) => number | string | undefined): boolean;
}

/** Targets that a condition may name, with their actions; undefined: any. */
export type KnownTargets = Readonly<Record<'systems' | 'actors', ReadonlyMap<string, ReadonlySet<string>>>> | undefined;

const KINDS = ['systems', 'actors'] as const;
const NO_NAMES: ReadonlySet<string> = new Set();

export function compileMetricCondition(
  written: unknown,
  known: KnownTargets,
): { readonly compiled: MetricCondition } | { readonly faults: readonly ExpressionFault[] } {
  if (typeof written !== 'string') {
    const hint = 'write a condition, as systems.payments.p99Ms > 800';
    return { faults: [{ message: `${JSON.stringify(written)} is no text`, hint }] };
  }
  const source = conditionSource(written);
  if ('fault' in source) return { faults: [source.fault] };
  const placed = (error: unknown): ExpressionFault => {
    const fault = engineFault(error);
    return { message: fault.message, position: fault.position, hint: hintFor(fault, written) };
  };
  let parsed: ReturnType<typeof parseExpression>;
  try {
    parsed = parseExpression(source.source);
  } catch (error) {
    return { faults: [placed(error)] };
  }
  const survey = new MetricSurvey(known);
  survey.visit(parsed.tree);
  if (survey.faults.length > 0) return { faults: survey.faults };
  if (survey.reads.size === 0) {
    return { faults: [{ message: 'it reads no metric', position: 0, hint: 'as systems.payments.errorRate > 0.2' }] };
  }
  const reads = [...survey.reads.values()];
  const checked = typeChecker(nested(reads, typeOf) as Record<string, DeclaredType>)(source.source);
  if ('fault' in checked) {
    const { message, position } = checked.fault;
    return { faults: [{ message, position, hint: hintFor(checked.fault, written) }] };
  }
  if (checked.type !== 'bool') {
    const message = `a condition is true or false, and this is ${checked.type}`;
    return { faults: [{ message, position: 0, hint: 'compare it with something' }] };
  }
  return {
    compiled: {
      reads,
      holds: (valueOf) =>
        parsed.evaluate(
          nested(reads, (read) => {
            const value = valueOf(read);
            return typeOf(read) === 'int' && value !== undefined ? BigInt(Math.trunc(value as number)) : value;
          }),
        ) === true,
    },
  };
}

function typeOf({ metric }: MetricRead): string {
  return ({ ...CALL_METRICS, ...SYSTEM_METRICS } as Readonly<Record<string, string>>)[metric] as string;
}

/** `systems` and `actors` as objects within objects. */
function nested(reads: readonly MetricRead[], leaf: (read: MetricRead) => unknown): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  const within = (object: Record<string, unknown>, name: string): Record<string, unknown> =>
    (object[name] ??= {}) as Record<string, unknown>;
  for (const read of reads) {
    const target = within(within(root, read.kind), read.target);
    const place = read.action === undefined ? target : within(within(target, 'actions'), read.action);
    const value = leaf(read);
    if (value !== undefined) place[read.metric] = value;
  }
  return root;
}

class MetricSurvey {
  readonly faults: ExpressionFault[] = [];
  readonly reads = new Map<string, MetricRead>();
  readonly #known: KnownTargets;

  constructor(known: KnownTargets) {
    this.#known = known;
  }

  visit(node: ExpressionNode): void {
    const path = pathOf(node, NO_NAMES);
    if (path !== undefined && path.rest === undefined) return this.#read(path.names, node);
    const { op } = node;
    if (op === 'rcall' || op === 'call') {
      return this.#fault(node, 'a condition over metrics calls no functions', 'compare, and join with &&, || and !');
    }
    if (op === '==' || op === '!=') this.#checkBreaker(node.args[0], node.args[1]);
    this.#within(node.args);
  }

  #within(value: unknown): void {
    if (Array.isArray(value)) for (const one of value) this.#within(one);
    else if (typeof value === 'object' && value !== null && 'op' in value) this.visit(value as ExpressionNode);
  }

  #read(names: readonly string[], node: ExpressionNode): void {
    const [kind = '', target, ...rest] = names;
    if (kind !== 'systems' && kind !== 'actors') {
      return this.#fault(node, `unknown name "${kind}"`, nearest(kind, KINDS) ?? `known: ${KINDS.join(', ')}`);
    }
    if (target === undefined) return this.#fault(node, `"${kind}" alone is no value`, `as ${kind}.payments.p99Ms`);
    const known = this.#known?.[kind];
    if (known !== undefined && !known.has(target))
      return this.#unknown(node, `target "${kind}.${target}"`, target, known);
    const isAction = rest[0] === 'actions';
    const [action, metric] = isAction ? [rest[1], rest[2]] : [undefined, rest[0]];
    const actions = known?.get(target);
    if (actions !== undefined && action !== undefined && !actions.has(action)) {
      return this.#unknown(node, `action "${action}" of ${kind}.${target}`, action, actions);
    }
    const metrics: Readonly<Record<string, string>> =
      kind === 'actors' || isAction ? CALL_METRICS : { ...CALL_METRICS, ...SYSTEM_METRICS };
    const path = names.join('.');
    if (metric === undefined || !Object.hasOwn(metrics, metric) || rest.length > (isAction ? 3 : 1)) {
      const all = Object.keys(metrics);
      const hint = nearest(metric ?? '', all) ?? `metrics: ${all.join(', ')}${isAction ? '' : '; or actions.<action>'}`;
      return this.#fault(node, `"${path}" is no metric`, hint);
    }
    this.reads.set(path, { path, kind, target, action, metric });
  }

  /** A state that there is not would never come, in silence. */
  #checkBreaker(...sides: readonly [ExpressionNode, ExpressionNode]): void {
    const isBreaker = sides.some((side) => pathOf(side, NO_NAMES)?.names.at(-1) === 'breaker');
    const state = sides.find((side) => side.op === 'value' && typeof side.args === 'string');
    if (!isBreaker || state === undefined || BREAKER_STATES.includes(state.args as string)) return;
    const name = state.args as string;
    const hint = nearest(name, BREAKER_STATES) ?? `states: ${BREAKER_STATES.join(', ')}`;
    this.#fault(state, `a breaker is never ${JSON.stringify(name)}`, hint);
  }

  /** A figure that would stay empty, in silence. */
  #unknown(node: ExpressionNode, what: string, name: string, known: { keys(): Iterable<string> }): void {
    const names = [...known.keys()];
    const none = 'no step calls one';
    this.#fault(
      node,
      `unknown ${what}`,
      nearest(name, names) ?? (names.length === 0 ? none : `known: ${names.join(', ')}`),
    );
  }

  #fault(node: ExpressionNode, message: string, hint: string): void {
    this.faults.push({ message, position: node.start, hint });
  }
}
