/**
 * A definition's adaptation rules made ready: checked against its steps, their routes as calls.
 *
 * Owns: what is wrong with a rule of a workflow. Conditions are `metric-condition.ts`; who evaluates them is `adaptation-board.ts`.
 *
 * Invariants:
 * CR1. A rule that compiles concerns some step for each of its changes: none is without effect by mistake.
 */
import { concerns, type RouteData, type RuleData } from './adaptation-data.ts';
import type { CompiledCall } from './compiled-workflow.ts';
import { faultText, nearest } from './expression-hints.ts';
import { compileMetricCondition, type KnownTargets } from './metric-condition.ts';
import type { CallData, StepData, TargetData, WorkflowData } from './workflow-data.ts';

/** A step's call on another way. */
export interface CompiledRoute {
  readonly call: CompiledCall;
  /** What undoes it; undefined: the step has no compensation. */
  readonly compensation: CompiledCall | undefined;
}

export interface CompiledRule {
  readonly data: RuleData;
  /** By the ids of the steps that it concerns. */
  readonly routes: ReadonlyMap<string, CompiledRoute>;
}

type CompileCall = (step: StepData, call: CallData, where: (option: string) => string) => CompiledCall;

export interface CallCompiler {
  readonly call: CompileCall;
  readonly undo: CompileCall;
}

export function compileRules(
  { steps, adaptations = [] }: WorkflowData,
  faults: string[],
  compiler: CallCompiler,
): ReadonlyMap<string, CompiledRule> {
  const rules = new Map<string, CompiledRule>();
  const known = adaptations.length === 0 ? undefined : targetsOf(steps, adaptations);
  for (const data of adaptations) {
    const report = (option: string, message: string): void =>
      void faults.push(`adaptation "${data.id}", ${option}: ${message}`);
    if (rules.has(data.id)) report('ruleId', 'is there twice: ids are unique');
    checkConditions(data, known, report);
    checkScope(data, steps, known, report);
    rules.set(data.id, { data, routes: routesOf(data, steps, report, compiler) });
  }
  return rules;
}

type RuleReport = (option: string, message: string) => void;

/** @param known undefined: any target may be named */
export function checkConditions({ when, until }: RuleData, known: KnownTargets, report: RuleReport): void {
  for (const [name, written] of Object.entries({ when, until })) {
    if (name === 'until' && written === undefined) continue;
    const outcome = compileMetricCondition(written, known);
    if ('faults' in outcome) for (const fault of outcome.faults) report(name, faultText(fault, written));
  }
}

function checkScope(rule: RuleData, steps: readonly StepData[], known: KnownTargets, report: RuleReport): void {
  const ids = steps.map(({ id }) => id);
  for (const id of rule.steps ?? []) {
    if (!ids.includes(id)) report('steps', `unknown step "${id}" (${nearest(id, ids) ?? 'no step has this id'})`);
  }
  const concerned = steps.filter((step) => concerns(rule, step));
  const { system, actor, action, change } = rule;
  const target = system ?? actor;
  if (target !== undefined && concerned.length === 0) {
    const kind = system === undefined ? 'actors' : 'systems';
    const actions = known?.[kind].get(target);
    const isTarget = actions !== undefined;
    const names = [...(isTarget ? actions : (known?.[kind].keys() ?? []))];
    const wrong = isTarget ? (action ?? '') : target;
    const hint = nearest(wrong, names) ?? `known: ${names.join(', ') || 'none'}`;
    report(isTarget ? 'action' : system === undefined ? 'actor' : 'systemTarget', `no step calls "${wrong}" (${hint})`);
  }
  if (concerned.length === 0) return;
  const { route, retry, attemptTimeoutMs, targetConcurrency, concurrency } = change;
  for (const [name, value] of Object.entries({ route, retryPolicy: retry, attemptTimeoutMs, targetConcurrency })) {
    if (value === undefined || concerned.some(({ work }) => work.kind === 'call')) continue;
    report(`change.${name}`, 'none of its steps is a call');
  }
  if (concurrency !== undefined && concerned.every(({ forEach }) => forEach === undefined)) {
    report('change.concurrency', 'none of its steps has forEach');
  }
}

function routesOf(
  rule: RuleData,
  steps: readonly StepData[],
  report: RuleReport,
  compiler: CallCompiler,
): ReadonlyMap<string, CompiledRoute> {
  const routes = new Map<string, CompiledRoute>();
  const { route } = rule.change;
  if (route === undefined) return routes;
  for (const step of steps) {
    const { id, work, compensation } = step;
    if (work.kind !== 'call' || !concerns(rule, step)) continue;
    const target = routedTarget(route, work.target);
    if (target === undefined) {
      report('change.route.actor', `step "${id}" calls no actor whose id it could have: give actor.id`);
      continue;
    }
    const where = (option: string): string => `adaptation "${rule.id}", step "${id}", change.route.${option}`;
    const call: CallData = {
      ...work,
      target,
      action: route.action ?? work.action,
      parameters: route.parameters ?? work.parameters,
    };
    const undo = undoOf(route, work, compensation, target);
    routes.set(id, {
      call: compiler.call(step, call, where),
      compensation:
        undo === undefined ? undefined : compiler.undo(step, undo, (option) => where(`compensation.${option}`)),
    });
  }
  return routes;
}

/** Undefined: an actor's id is the step's own, and it has none. */
export function routedTarget({ target }: RouteData, own: TargetData): TargetData | undefined {
  if (target.kind === 'system') return target;
  if (target.id !== undefined) return { ...target, id: target.id };
  return own.kind === 'actor' ? { ...target, id: own.id } : undefined;
}

/** What was done on another way is undone there: where the step would have undone it at the target that it calls itself. */
export function undoOf(
  { compensation }: RouteData,
  own: CallData,
  undo: CallData | undefined,
  target: TargetData,
): CallData | undefined {
  if (typeof compensation === 'object') return compensation;
  if (undo === undefined || compensation === 'stays') return undo;
  return isSameTarget(undo.target, own.target) ? { ...undo, target } : undo;
}

function isSameTarget(a: TargetData, b: TargetData): boolean {
  return a.kind === 'system'
    ? b.kind === 'system' && a.system === b.system
    : b.kind === 'actor' && a.definition === b.definition && a.id === b.id;
}

/** Whom the steps, and the routes, call, and with what. */
function targetsOf(steps: readonly StepData[], rules: readonly RuleData[]): NonNullable<KnownTargets> {
  const targets = { systems: new Map<string, Set<string>>(), actors: new Map<string, Set<string>>() };
  const note = (target: { kind: 'system'; system: string } | { kind: 'actor'; definition: string }, action: string) => {
    const of = target.kind === 'system' ? targets.systems : targets.actors;
    const name = target.kind === 'system' ? target.system : target.definition;
    of.set(name, (of.get(name) ?? new Set()).add(action));
  };
  for (const step of steps) {
    const { work, compensation } = step;
    if (compensation !== undefined) note(compensation.target, compensation.action);
    if (work.kind !== 'call') continue;
    note(work.target, work.action);
    for (const rule of rules) {
      const { route } = rule.change;
      if (route !== undefined && concerns(rule, step)) note(route.target, route.action ?? work.action);
    }
  }
  return targets;
}
