/**
 * The door to the expression language: CEL (cel-spec), as `@marcbachmann/cel-js` has it.
 *
 * Owns: the environment, its bounds, the tree of an expression as data, and the kinds of values that only CEL has. What an expression
 * may read, and what it is refused for, is `expression.ts`.
 *
 * Beyond the specification, an integer and a double may be added, subtracted, multiplied, divided and compared: the result is a
 * double. JSON knows one kind of number, so `price + 1` would otherwise work for 9 and fail for 9.5.
 *
 * Invariants:
 * EE1. No function is asynchronous: an evaluation is a value, never a promise.
 */
import { type ASTNode, Environment, Optional, type ParseResult } from '@marcbachmann/cel-js';

/** Nodes of one expression's tree: nobody's condition is that long on purpose. */
const NODES_LIMIT = 500;
/** How deep the tree may be. The evaluator recurses. */
const DEPTH_LIMIT = 32;

export type ExpressionNode = ASTNode;

/** What the engine says is wrong. */
export interface EngineFault {
  readonly code: string;
  readonly message: string;
  readonly position: number | undefined;
}

export interface ParsedExpression {
  readonly tree: ExpressionNode;
  /** Throws what `engineFault` reads. */
  evaluate(variables: Readonly<Record<string, unknown>>): unknown;
}

/** The name of a CEL type, or the fields of an object. */
export type DeclaredType = string | { readonly [field: string]: DeclaredType };

const OPTIONS = {
  homogeneousAggregateLiterals: false,
  enableOptionalTypes: true,
  limits: { maxAstNodes: NODES_LIMIT, maxDepth: DEPTH_LIMIT },
} as const;

const MIXED: Readonly<Record<string, (left: number, right: number) => number>> = {
  '+': (left, right) => left + right,
  '-': (left, right) => left - right,
  '*': (left, right) => left * right,
  '/': (left, right) => left / right,
};

/** Evaluates; what an expression may name has been checked before. Made when it is first needed: many have no workflows. */
let evaluating: Environment | undefined;

function withMixedNumbers(environment: Environment): Environment {
  for (const [operator, calculate] of Object.entries(MIXED)) {
    const handler = (left: bigint | number, right: bigint | number): number => calculate(Number(left), Number(right));
    environment.registerOperator(`int ${operator} double`, handler);
    environment.registerOperator(`double ${operator} int`, handler);
  }
  return environment.registerOperator(
    'int == double',
    (left: bigint | number, right: bigint | number) => Number(left) === Number(right),
  );
}

/** Throws what `engineFault` reads. */
export function parseExpression(source: string): ParsedExpression {
  evaluating ??= withMixedNumbers(new Environment({ ...OPTIONS, unlistedVariablesAreDyn: true }));
  const parsed: ParseResult = evaluating.parse(source);
  return { tree: parsed.ast, evaluate: (variables) => parsed(variables) as unknown };
}

/** Checks types: of `variables` those that are known, `dyn` for what is not. */
export function typeChecker(
  variables: Readonly<Record<string, DeclaredType>>,
): (source: string) => { readonly type: string } | { readonly fault: EngineFault } {
  const environment = withMixedNumbers(new Environment({ ...OPTIONS, unlistedVariablesAreDyn: true }));
  for (const [name, type] of Object.entries(variables)) {
    if (typeof type === 'string') environment.registerVariable(name, type);
    else environment.registerVariable({ name, schema: type });
  }
  return (source) => {
    const { valid, type, error } = environment.check(source);
    return valid ? { type: type ?? 'dyn' } : { fault: engineFault(error) };
  };
}

export function engineFault(error: unknown): EngineFault {
  const { code, summary, range, message } = error as {
    code?: string;
    summary?: string;
    range?: { start: number };
    message?: string;
  };
  return { code: code ?? 'failed', message: summary ?? message ?? String(error), position: range?.start };
}

/** What the engine gives back for a value that JSON has no word for. */
export type EngineValue =
  | { readonly kind: 'unsigned'; readonly value: bigint }
  | { readonly kind: 'optional'; readonly value: unknown }
  | { readonly kind: 'duration'; readonly seconds: number }
  | { readonly kind: 'type'; readonly name: string };

export function engineValue(value: object): EngineValue | undefined {
  if (value instanceof Optional) return { kind: 'optional', value: value.hasValue() ? value.value() : null };
  // The package keeps its other classes to itself.
  switch (value.constructor?.name) {
    case 'UnsignedInt':
      return { kind: 'unsigned', value: (value as { value: bigint }).value };
    case 'Duration': {
      const { seconds, nanos } = value as { seconds: bigint | number; nanos: number };
      return { kind: 'duration', seconds: Number(seconds) + nanos / 1e9 };
    }
    case 'Type':
      return { kind: 'type', name: (value as { name: string }).name };
    default:
      return undefined;
  }
}
