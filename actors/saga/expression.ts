/**
 * Conditions and parameters of workflows: CEL, with `${a.b}` around a value where the specification writes it.
 *
 * Owns: what an expression may name, what it is refused for, and its evaluation. The language is `expression-engine.ts`.
 *
 * Names: `input`, `steps.<id>.result | status | error`, `context`, `error` (in compensations), `item` and `index` (in loops). Any other name is a variable:
 * a member of `context`, or, failing that, of `input`. `payload` is a name in updates; `steps.<id>.token` of a promise is there always.
 *
 * Refused: `matches`, since its regular expressions backtrack (28 characters against `^(a+)+$` take 20 s); loops within loops deeper
 * than two; more than 16 loops. An expression is bounded in form, not in cost: it is code, written by whoever writes the workflow.
 *
 * Invariants:
 * EX1. What compiles names only what it may: an unknown step, or one that need not be finished by then, is a fault at definition.
 * EX2. An evaluation is pure: the same variables give the same value. It never changes them.
 * EX3. Every fault has the position of what is wrong in the text as it was written.
 */
import { ExpressionError } from '../../runtime/kernel/errors.ts';
import { engineFault, type EngineFault, parseExpression } from './expression-engine.ts';
import { faultText, hintFor } from './expression-hints.ts';
import { conditionSource, type ExpressionFault, templateParts } from './expression-source.ts';
import { type ExpressionScope, pathOf, ROOTS, Survey } from './expression-survey.ts';
import { fromEngine, readValue, type ReadTree, textOf } from './expression-values.ts';
import { isRecord, memberShape, type ValueShape } from './value-shape.ts';

/** The values of the names. */
export interface ExpressionVariables {
  readonly input: unknown;
  readonly context: Readonly<Record<string, unknown>>;
  readonly steps: Readonly<
    Record<string, { readonly status: string; readonly result?: unknown; readonly error?: unknown }>
  >;
  readonly error?: unknown;
  readonly item?: unknown;
  readonly index?: number;
  /** In updates. */
  readonly payload?: unknown;
}

/** Something that has a value once there are variables. */
export interface Compiled {
  /** @throws ExpressionError */
  evaluate(variables: ExpressionVariables): unknown;
}

type Outcome<T> = { readonly compiled: T } | { readonly faults: readonly ExpressionFault[] };

const SOURCE_LENGTH_LIMIT = 10_000;
/** Items of a list that is gone through within a loop: 10^6 steps are half a second. */
const INNER_ITEMS_LIMIT = 1_000;

/** A condition: `a == 'b'`, or `${a} == 'b'`. Its value is true or false. */
export function compileCondition(written: unknown, scope: ExpressionScope): Outcome<Compiled> {
  if (typeof written !== 'string')
    return {
      faults: [
        { message: `${JSON.stringify(written)} is no text`, hint: "write a condition, as ${input.kind} == 'express'" },
      ],
    };
  const read = conditionSource(written);
  if ('fault' in read) return { faults: [read.fault] };
  const outcome = compileSource(read.source, written, 0, scope);
  if ('faults' in outcome) return outcome;
  const { compiled, type } = outcome;
  if (type !== 'bool' && type !== 'dyn') {
    return {
      faults: [
        {
          message: `a condition is true or false, and this is ${type}`,
          position: 0,
          hint: 'compare it with something',
        },
      ],
    };
  }
  return {
    compiled: {
      evaluate(variables) {
        const value = compiled.evaluate(variables);
        if (typeof value === 'boolean') return value;
        throw failure(written, 0, `the condition gives ${JSON.stringify(value)}, neither true nor false`, undefined);
      },
    },
  };
}

/**
 * Plain data with `${…}` in its texts. A text that is one `${…}` has the value itself, of its own type; `${…}` amid text becomes text.
 */
export function compileTemplate(written: unknown, scope: ExpressionScope): Outcome<Compiled> {
  const faults: ExpressionFault[] = [];
  const compiled = templateOf(written, scope, '', faults);
  return faults.length > 0 ? { faults } : { compiled: compiled ?? { evaluate: () => written } };
}

/** Undefined: there is nothing to evaluate in it. */
function templateOf(
  written: unknown,
  scope: ExpressionScope,
  path: string,
  faults: ExpressionFault[],
): Compiled | undefined {
  const within = (fault: ExpressionFault): number =>
    faults.push(path === '' ? fault : { ...fault, message: `${path.slice(1)}: ${fault.message}` });
  if (typeof written === 'string') {
    if (!written.includes('${')) return undefined;
    const read = templateParts(written);
    if ('fault' in read) return void within(read.fault);
    const parts = read.parts.map((part): string | Compiled => {
      if (part.kind === 'text') return part.text;
      const outcome = compileSource(part.source, written, part.position, scope);
      if ('compiled' in outcome) return outcome.compiled;
      for (const fault of outcome.faults) within(fault);
      return '';
    });
    const [only] = parts;
    if (parts.length === 1 && typeof only === 'object') return only;
    return {
      evaluate: (variables) =>
        parts.map((part) => (typeof part === 'string' ? part : asText(part, variables, written))).join(''),
    };
  }
  if (Array.isArray(written)) {
    const items = written.map((item: unknown, index) => templateOf(item, scope, `${path}[${index}]`, faults));
    if (items.every((item) => item === undefined)) return undefined;
    return {
      evaluate: (variables) =>
        items.map((item, index) => (item === undefined ? (written[index] as unknown) : item.evaluate(variables))),
    };
  }
  if (isRecord(written)) {
    const members = Object.entries(written).map(([name, member]) => ({
      name,
      member,
      compiled: templateOf(member, scope, `${path}.${name}`, faults),
    }));
    if (members.every(({ compiled }) => compiled === undefined)) return undefined;
    return {
      evaluate: (variables) =>
        Object.fromEntries(
          members.map(({ name, member, compiled }) => [
            name,
            compiled === undefined ? member : compiled.evaluate(variables),
          ]),
        ),
    };
  }
  return undefined;
}

function asText(part: Compiled, variables: ExpressionVariables, written: string): string {
  const value = part.evaluate(variables);
  try {
    return textOf(value);
  } catch (error) {
    throw failure(written, 0, (error as Error).message, undefined);
  }
}

/** `offset`: where `source` begins in `written`. */
function compileSource(
  source: string,
  written: string,
  offset: number,
  scope: ExpressionScope,
): { readonly compiled: Compiled; readonly type: string } | { readonly faults: readonly ExpressionFault[] } {
  if (source.length > SOURCE_LENGTH_LIMIT)
    return { faults: [{ message: `${source.length} characters, more than ${SOURCE_LENGTH_LIMIT}` }] };
  const placed = (fault: EngineFault): ExpressionFault => ({
    message: fault.message,
    position: fault.position === undefined ? undefined : fault.position + offset,
    hint: hintFor(fault, source),
  });
  let parsed: ReturnType<typeof parseExpression>;
  try {
    parsed = parseExpression(source);
  } catch (error) {
    return { faults: [placed(engineFault(error))] };
  }
  const survey = new Survey(scope, offset);
  survey.visit(parsed.tree, new Set(), 0);
  if (survey.faults.length > 0) return { faults: survey.faults };
  const checked = scope.check(source);
  if ('fault' in checked) return { faults: [placed(checked.fault)] };
  const { reads, variables, deepestLoop } = survey;
  const path = pathOf(parsed.tree, new Set());
  const evaluate = (values: ExpressionVariables): unknown => {
    try {
      // A plain reference needs no engine.
      if (path !== undefined && path.rest === undefined) return valueAt(path.names, values);
      return fromEngine(parsed.evaluate(contextOf(values, reads, variables, scope, deepestLoop)));
    } catch (error) {
      if (error instanceof ExpressionError) throw error;
      const fault = placed(engineFault(error));
      throw failure(written, fault.position ?? offset, fault.message, fault.hint);
    }
  };
  return { compiled: { evaluate }, type: checked.type };
}

function valueAt(names: readonly string[], values: ExpressionVariables): unknown {
  const [root = '', ...members] = names;
  const isName = ROOTS.has(root) || (root === 'payload' && Object.hasOwn(values, root));
  let value = isName ? (values as unknown as Record<string, unknown>)[root] : variable(root, values);
  for (const [index, name] of members.entries()) {
    const isThere = typeof value === 'object' && value !== null && !Array.isArray(value) && Object.hasOwn(value, name);
    const member = isThere ? (value as Record<string, unknown>)[name] : undefined;
    if (member === undefined) {
      const until = [root, ...members.slice(0, index + 1)].join('.');
      throw Object.assign(new Error(`"${until}" is not there`), { code: 'no_such_key' });
    }
    value = member;
  }
  return value === undefined ? null : value;
}

function variable(name: string, { context, input }: ExpressionVariables): unknown {
  if (Object.hasOwn(context, name)) return context[name];
  if (isRecord(input) && Object.hasOwn(input, name)) return input[name];
  throw Object.assign(new Error(`"${name}" is neither in the context nor in the input`), { code: 'unknown_variable' });
}

/** What the engine is given: of each name what is read of it. */
function contextOf(
  values: ExpressionVariables,
  reads: ReadTree,
  variables: ReadonlySet<string>,
  scope: ExpressionScope,
  deepestLoop: number,
): Record<string, unknown> {
  const context: Record<string, unknown> = {};
  for (const [root, tree] of reads.members) {
    const isVariable = variables.has(root);
    const value = isVariable ? variable(root, values) : (values as unknown as Record<string, unknown>)[root];
    context[root] = readValue(value, tree, shapeFor(root, isVariable, values, scope));
  }
  if (deepestLoop > 1) assertShort(context);
  if (reads.members.has('steps')) applyResultShapes(context, values, reads, scope);
  return context;
}

function shapeFor(
  root: string,
  isVariable: boolean,
  values: ExpressionVariables,
  scope: ExpressionScope,
): ValueShape | undefined {
  if (root === 'input') return scope.input;
  if (root === 'payload' && !isVariable) return scope.payload;
  return isVariable && !Object.hasOwn(values.context, root) ? memberShape(scope.input, root) : undefined;
}

/** Results are read by the shapes that their steps declare. */
function applyResultShapes(
  context: Record<string, unknown>,
  values: ExpressionVariables,
  reads: ReadTree,
  scope: ExpressionScope,
): void {
  const steps = context['steps'] as Record<string, Record<string, unknown>>;
  for (const [id, members] of reads.members.get('steps')?.members ?? []) {
    const shape = scope.results.get(id);
    const tree = members.members.get('result');
    if (shape === undefined || tree === undefined || steps[id] === undefined) continue;
    steps[id]['result'] = readValue(values.steps[id]?.result, tree, shape);
  }
}

function assertShort(value: unknown): void {
  if (Array.isArray(value) && value.length > INNER_ITEMS_LIMIT) {
    throw new Error(
      `a list of ${value.length} items, more than the ${INNER_ITEMS_LIMIT} that a loop within a loop may go through`,
    );
  }
  if (typeof value !== 'object' || value === null || value instanceof Date || value instanceof Uint8Array) return;
  for (const member of Array.isArray(value) ? value : Object.values(value)) assertShort(member);
}

function failure(written: string, position: number, message: string, hint: string | undefined): ExpressionError {
  return new ExpressionError(faultText({ message, position, hint }, written), {
    details: { expression: written, position, ...(hint === undefined ? {} : { hint }) },
  });
}
