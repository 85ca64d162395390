/**
 * A definition made ready: its graph, and its expressions as functions.
 *
 * Owns: compiling a `WorkflowData`, and saying everything that is wrong with one.
 *
 * Invariants:
 * CW1. A definition with a fault is refused whole, with all its faults: a run never meets one that could have been found.
 * CW2. Compiling is pure: the same data gives the same plan, in every thread and after every restart.
 */
import { InvalidWorkflowError } from '../../runtime/kernel/errors.ts';
import { ancestry, dependencyOrder } from './dependency-order.ts';
import { type CompiledRule, compileRules } from './compiled-rules.ts';
import { type Compiled, compileCondition, compileTemplate } from './expression.ts';
import { typeChecker } from './expression-engine.ts';
import { faultText, nearest } from './expression-hints.ts';
import type { ExpressionFault } from './expression-source.ts';
import type { ExpressionScope } from './expression-survey.ts';
import { declaredType, isRecord, shapeFaults, type ValueShape } from './value-shape.ts';
import { type CallData, hashOfWorkflow, type StepData, type WorkflowData } from './workflow-data.ts';
import type { UpdateData } from './workflow-update.ts';

/** A call whose parameters can be evaluated. */
export interface CompiledCall {
  readonly data: CallData;
  readonly parameters: Compiled;
  /** Of an actor. */
  readonly targetId: Compiled | undefined;
}

export interface CompiledStep {
  readonly data: StepData;
  /** Place in the definition. */
  readonly index: number;
  readonly dependents: readonly string[];
  readonly condition: Compiled | undefined;
  readonly items: Compiled | undefined;
  readonly call: CompiledCall | undefined;
  /** The input of a child workflow, the time of a sleep, the value. */
  readonly operand: Compiled | undefined;
  readonly compensation: CompiledCall | undefined;
}

export interface CompiledUpdate {
  readonly data: UpdateData;
  readonly condition: Compiled | undefined;
  readonly set: readonly (readonly [variable: string, value: Compiled])[];
  readonly reply: Compiled | undefined;
}

export interface CompiledWorkflow {
  readonly data: WorkflowData;
  readonly hash: string;
  readonly steps: ReadonlyMap<string, CompiledStep>;
  readonly order: readonly string[];
  readonly output: Compiled | undefined;
  /** Signals that some step waits for. */
  readonly signals: ReadonlySet<string>;
  readonly updates: ReadonlyMap<string, CompiledUpdate>;
  /** Adaptation rules, by id. */
  readonly rules: ReadonlyMap<string, CompiledRule>;
}

/** A workflow nobody can look through; and compiling one takes half a millisecond a step. */
const STEPS_LIMIT = 10_000;
const FAULTS_SHOWN = 20;
const NONE: Compiled = { evaluate: () => null };

/** @throws InvalidWorkflowError with all that is wrong, `earlier` too. */
export function compileWorkflow(data: WorkflowData, earlier: readonly string[] = []): CompiledWorkflow {
  const faults = [...earlier];
  const compiled = new Compilation(data, faults).compile();
  if (faults.length > 0) throw invalidWorkflow(data.id, faults);
  return compiled;
}

export function invalidWorkflow(id: unknown, faults: readonly string[]): InvalidWorkflowError {
  const shown = faults.slice(0, FAULTS_SHOWN).map((fault) => `\n  - ${fault}`);
  if (faults.length > FAULTS_SHOWN) shown.push(`\n  … and ${faults.length - FAULTS_SHOWN} more, in details.faults`);
  const which = id === undefined ? 'a workflow without a name' : `workflow ${JSON.stringify(id)}`;
  return new InvalidWorkflowError(`${which} cannot work:${shown.join('')}`, {
    details: { workflow: id, faults },
  });
}

type Names = ExpressionScope['names'];
const NO_NAMES: Names = new Set();
const EVERYTHING: ExpressionScope['readable'] = { has: () => true };
const LOOP_NAMES: Names = new Set(['item', 'index']);

class Compilation {
  readonly #data: WorkflowData;
  readonly #faults: string[];
  readonly #steps: ReadonlySet<string>;
  readonly #results: ReadonlyMap<string, ValueShape>;
  readonly #promises: ReadonlySet<string>;
  readonly #context: ReadonlySet<string>;
  readonly #check: ReturnType<typeof typeChecker>;

  constructor(data: WorkflowData, faults: string[]) {
    this.#data = data;
    this.#faults = faults;
    this.#steps = new Set(data.steps.map(({ id }) => id));
    const shaped = data.steps.filter((step) => step.result !== undefined && step.forEach === undefined);
    this.#results = new Map(shaped.map(({ id, result }) => [id, result as ValueShape]));
    this.#promises = new Set(data.steps.filter(({ work }) => work.kind === 'promise').map(({ id }) => id));
    this.#context = new Set(Object.keys(data.context));
    this.#check = typeChecker(this.#types());
  }

  compile(): CompiledWorkflow {
    const { steps, output } = this.#data;
    if (steps.length === 0) this.#faults.push('it has no steps');
    if (steps.length > STEPS_LIMIT) this.#faults.push(`${steps.length} steps, more than ${STEPS_LIMIT}`);
    jsonFaults(output, 'output', this.#faults);
    jsonFaults(this.#data.context, 'context', this.#faults);
    this.#checkNames();
    const graph = dependencyOrder(steps);
    for (const cycle of graph.cycles) {
      this.#faults.push(
        cycle.length === 2
          ? `step "${cycle[0]}" depends on itself`
          : `a cycle of dependencies, none of whose steps could start: ${cycle.join(' waits for ')}`,
      );
    }
    const ancestors = ancestry(steps);
    const compiled = steps.map((step, index) =>
      this.#step(step, index, ancestors(step.id), graph.dependents.get(step.id) ?? []),
    );
    return {
      data: this.#data,
      hash: hashOfWorkflow(this.#data),
      steps: new Map(compiled.map((step) => [step.data.id, step])),
      order: graph.order,
      output: output === undefined ? undefined : this.#template(output, 'output', EVERYTHING, NO_NAMES),
      signals: new Set(steps.flatMap(({ work }) => (work.kind === 'signal' ? work.signals : []))),
      updates: new Map(
        Object.entries(this.#data.updates ?? {}).map(([name, data]) => [name, this.#update(name, data)]),
      ),
      rules: compileRules(this.#data, this.#faults, {
        call: ({ id, forEach }, call, where) =>
          this.#call(call, where, ancestors(id), forEach === undefined ? NO_NAMES : LOOP_NAMES),
        undo: ({ id, forEach }, call, where) => {
          const own = { has: (step: string) => step === id || ancestors(id).has(step) };
          return this.#call(
            call,
            where,
            own,
            new Set([...(forEach === undefined ? [] : LOOP_NAMES), 'error'] as const),
          );
        },
      }),
    };
  }

  #update(name: string, data: UpdateData): CompiledUpdate {
    const { payload, condition, set, reply } = data;
    const names: Names = new Set(['payload']);
    const types = { ...this.#types(), payload: payload === undefined ? 'dyn' : declaredType(payload) };
    const scope = { ...this.#scope(EVERYTHING, names), payload, check: typeChecker(types) };
    const where = (option: string): string => `update "${name}", ${option}`;
    const template = (written: unknown, option: string): Compiled => {
      const before = this.#faults.length;
      jsonFaults(written, where(option), this.#faults);
      if (this.#faults.length > before) return NONE;
      return this.#take(compileTemplate(written, scope), written, where(option));
    };
    return {
      data,
      condition:
        condition === undefined
          ? undefined
          : this.#take(compileCondition(condition, scope), condition, where('condition')),
      set: Object.entries(set).map(([variable, value]) => [variable, template(value, `set.${variable}`)]),
      reply: reply === undefined ? undefined : template(reply, 'reply'),
    };
  }

  #types(): Record<string, ReturnType<typeof declaredType>> {
    const { input } = this.#data;
    // A faulty shape is a fault of its own.
    if (input === undefined || shapeFaults(input, 'input').length > 0) return {};
    const members = Object.entries(input.properties ?? {});
    const variables = members.filter(([name]) => !this.#context.has(name) && /^[A-Za-z_]\w*$/.test(name));
    return {
      ...Object.fromEntries(variables.map(([name, shape]) => [name, declaredType(shape)])),
      input: declaredType(input),
    };
  }

  #checkNames(): void {
    const seen = new Set<string>();
    for (const { id, dependencies } of this.#data.steps) {
      if (seen.has(id)) this.#faults.push(`step "${id}" is there twice: ids are unique`);
      seen.add(id);
      for (const needed of new Set(dependencies)) {
        if (this.#steps.has(needed)) continue;
        const hint = nearest(needed, [...this.#steps]) ?? 'no step has this id';
        this.#faults.push(`step "${id}", dependencies: unknown step "${needed}" (${hint})`);
      }
      if (new Set(dependencies).size < dependencies.length) {
        this.#faults.push(`step "${id}", dependencies: one is there twice in ${dependencies.join(', ')}`);
      }
    }
  }

  #step(data: StepData, index: number, ancestors: ReadonlySet<string>, dependents: readonly string[]): CompiledStep {
    const { id, work, forEach, condition, compensation } = data;
    const where = (option: string): string => `step "${id}", ${option}`;
    const names: Names = forEach === undefined ? NO_NAMES : LOOP_NAMES;
    const own = { has: (step: string) => step === id || ancestors.has(step) };
    return {
      data,
      index,
      dependents,
      condition: condition === undefined ? undefined : this.#condition(condition, where('condition'), ancestors),
      items: forEach === undefined ? undefined : this.#template(forEach.items, where('forEach'), ancestors, NO_NAMES),
      call: work.kind === 'call' ? this.#call(work, (option) => where(option), ancestors, names) : undefined,
      operand: this.#operand(data, where, ancestors, names),
      compensation:
        compensation === undefined
          ? undefined
          : this.#call(compensation, (option) => where(`compensation.${option}`), own, new Set([...names, 'error'])),
    };
  }

  #operand(
    data: StepData,
    where: (option: string) => string,
    readable: ExpressionScope['readable'],
    names: Names,
  ): Compiled | undefined {
    const { work } = data;
    switch (work.kind) {
      case 'workflow':
        return this.#template(work.input, where('parameters'), readable, names);
      case 'sleep':
        return this.#template(work.sleep, where('sleep'), readable, names);
      case 'until':
        return this.#template(work.until, where('until'), readable, names);
      case 'value':
        return this.#template(work.value, where('value'), readable, names);
      case 'raise':
        return this.#template(work.error, where('raise'), readable, names);
      case 'call':
      case 'signal':
      case 'promise':
        return undefined;
    }
  }

  #call(
    data: CallData,
    where: (option: string) => string,
    readable: ExpressionScope['readable'],
    names: Names,
  ): CompiledCall {
    const { target, parameters } = data;
    if (target.kind === 'actor' && !isRecord(parameters)) {
      this.#faults.push(`${where('parameters')}: what an actor is asked is an object: its members stand beside "type"`);
    }
    return {
      data,
      parameters: this.#template(parameters, where('parameters'), readable, names),
      targetId: target.kind === 'actor' ? this.#template(target.id, where('actor.id'), readable, names) : undefined,
    };
  }

  #condition(written: unknown, where: string, readable: ExpressionScope['readable']): Compiled {
    return this.#take(compileCondition(written, this.#scope(readable, NO_NAMES)), written, where);
  }

  #template(written: unknown, where: string, readable: ExpressionScope['readable'], names: Names): Compiled {
    const before = this.#faults.length;
    jsonFaults(written, where, this.#faults);
    if (this.#faults.length > before) return NONE;
    return this.#take(compileTemplate(written, this.#scope(readable, names)), written, where);
  }

  #take(
    outcome: { readonly compiled: Compiled } | { readonly faults: readonly ExpressionFault[] },
    written: unknown,
    where: string,
  ): Compiled {
    if ('compiled' in outcome) return outcome.compiled;
    for (const fault of outcome.faults) this.#faults.push(`${where}: ${faultText(fault, written)}`);
    return NONE;
  }

  #scope(readable: ExpressionScope['readable'], names: Names): ExpressionScope {
    return {
      input: this.#data.input,
      context: this.#context,
      steps: this.#steps,
      promises: this.#promises,
      readable,
      results: this.#results,
      names,
      check: this.#check,
    };
  }
}

/** A definition is kept as JSON: what JSON cannot say is named. */
export function jsonFaults(value: unknown, where: string, faults: string[], depth = 0): void {
  if (value === undefined || value === null || typeof value === 'string' || typeof value === 'boolean') return;
  if (depth > 32) return void faults.push(`${where}: nested more than 32 deep, or in itself`);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) faults.push(`${where}: ${value} is no JSON number`);
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) jsonFaults(item, `${where}[${index}]`, faults, depth + 1);
  } else if (isRecord(value)) {
    for (const [name, member] of Object.entries(value)) jsonFaults(member, `${where}.${name}`, faults, depth + 1);
  } else {
    const kind = typeof value === 'object' ? (value.constructor?.name ?? 'an object') : `a ${typeof value}`;
    faults.push(`${where}: ${kind} is no JSON: a definition is data, write an expression, as \${input.id}`);
  }
}
