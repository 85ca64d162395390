/**
 * One adaptation rule, as it is written: when live metrics are so, runs do that.
 *
 * Owns: the names and defaults of a rule's options, and making them plain data. All faults are collected, none is thrown.
 */
import type { ChangeData, RouteData, RuleData } from './adaptation-data.ts';
import { SLICE_MS, WINDOW_MS } from './call-metrics.ts';
import { nearest } from './expression-hints.ts';
import { isRecord } from './value-shape.ts';
import {
  callData,
  positive,
  type Report,
  type RetryPolicyOptions,
  retryChanges,
  targetData,
  unknownOptions,
  type WorkflowCallOptions,
} from './workflow-step.ts';

/** Another way for a step's call. */
export interface RouteOptions {
  readonly systemTarget?: string;
  /** Without `id`: the id that the step has, which must call an actor then. */
  readonly actor?: { readonly definition: string; readonly id?: string };
  /** Default: the step's. */
  readonly action?: string;
  /** Default: the step's. With `${…}` in rules of a workflow. */
  readonly parameters?: unknown;
  /**
   * How what was done there is undone. `moves` (default): the step's compensation, sent there. `stays`: the step's compensation as it is.
   * Or another call, in rules of a workflow.
   */
  readonly compensation?: 'moves' | 'stays' | WorkflowCallOptions;
}

/** What a rule does while it is engaged; at least one. */
export interface AdaptationChange {
  /** Calls go there. Only a unit's first try is sent another way, or one whose earlier tries were all answered with errors. */
  readonly route?: RouteOptions;
  /** Members that are given replace those of the step's policy. */
  readonly retryPolicy?: RetryPolicyOptions;
  /** Of tries that begin, ms. */
  readonly attemptTimeoutMs?: number;
  /** Of steps that start, ms. */
  readonly timeoutMs?: number;
  /** Calls and child workflows of one run under way at a time. Concerns the whole run: needs no steps. */
  readonly parallelism?: number;
  /** Items of a loop under way at a time. */
  readonly concurrency?: number;
  /** Calls of one run to one target under way at a time, among the rule's steps. */
  readonly targetConcurrency?: number;
  /** Steps that would start are skipped. */
  readonly skip?: boolean;
}

/**
 * A rule. Which steps it concerns: `steps`, or those that call `systemTarget` or `actor` (with `action`, only that). All else has defaults.
 */
export interface AdaptationRuleOptions<TSteps extends string = string> {
  /** Unique in its workflow, or among the engine's. */
  readonly ruleId: string;
  /** CEL over metrics, as `systems.payments.p99Ms > 800 && systems.payments.breaker != 'open'`. */
  readonly when: string;
  /** Lets the rule go, as `systems.payments.p99Ms < 400`. Default: that `when` does not hold. */
  readonly until?: string;
  /** Rules of the engine only: the workflow whose runs it concerns. Default: all. */
  readonly workflow?: string;
  readonly steps?: readonly TSteps[];
  readonly systemTarget?: string;
  /** A definition's name. */
  readonly actor?: string;
  readonly action?: string;
  readonly change: AdaptationChange;
  /** Calls are counted over so many ms, rounded up to whole 5,000. 5,000 to 60,000, default 60,000. */
  readonly windowMs?: number;
  /** Of fewer calls in the window, rates and latencies are not known to `when`, and what depends on them does not hold. Default 10. */
  readonly minimumCalls?: number;
  /** How long `when` must hold before the rule is engaged, ms. Default 0. */
  readonly forMs?: number;
  /** How long its release must hold before the rule is let go, ms. Default 10,000. */
  readonly releaseForMs?: number;
  /** How long it stays let go at least, ms. Default 0. */
  readonly cooldownMs?: number;
  /** Of several that change the same thing, the highest acts. Default 0; of equals the first, those of the workflow before the engine's. */
  readonly priority?: number;
}

const RULE_OPTIONS: readonly string[] =
  'ruleId when until workflow steps systemTarget actor action change windowMs minimumCalls forMs releaseForMs cooldownMs priority'.split(
    ' ',
  );
const CHANGES: readonly string[] =
  'route retryPolicy attemptTimeoutMs timeoutMs parallelism concurrency targetConcurrency skip'.split(' ');
const ROUTE_OPTIONS: readonly string[] = 'systemTarget actor action parameters compensation'.split(' ');
const RULE_ID = /^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/;
const MINIMUM_CALLS = 10;
const RELEASE_FOR_MS = 10_000;

/** A rule, to be added to a `WorkflowDefinition` or given to an engine. A value: it is checked there. */
export class AdaptationRule {
  readonly options: AdaptationRuleOptions;

  /** @example new AdaptationRule({ ruleId: 'slow', when: 'systems.payments.p99Ms > 800', steps: ['charge'], change: { route: { systemTarget: 'payments-b' } } }) */
  constructor(options: AdaptationRuleOptions) {
    this.options = options;
  }
}

/** A rule's options as plain data; undefined when they are no rule at all. `owner`: whose it is, which decides on what it may have. */
export function ruleData(
  options: unknown,
  owner: 'workflow' | 'engine',
  fault: (message: string) => undefined,
): RuleData | undefined {
  if (!isRecord(options)) return fault('an adaptation is no object of options');
  const given = options as Partial<AdaptationRuleOptions> & Record<string, unknown>;
  const { ruleId, when, until, workflow, steps, systemTarget, actor, action } = given;
  if (typeof ruleId !== 'string' || !RULE_ID.test(ruleId)) {
    return fault(
      `ruleId: ${JSON.stringify(ruleId)} is none: begin with a letter or "_", then letters, digits, "_", "-", ".", 128 at most`,
    );
  }
  const report: Report = (option, message) => fault(`adaptation "${ruleId}", ${option}: ${message}`);
  unknownOptions(given, RULE_OPTIONS, '', report);
  for (const [name, value] of Object.entries({ workflow, systemTarget, actor, action })) {
    if (value !== undefined && typeof value !== 'string') report(name, `${JSON.stringify(value)} is no text`);
  }
  const isList = steps === undefined || (Array.isArray(steps) && steps.every((id) => typeof id === 'string'));
  if (!isList) report('steps', `${JSON.stringify(steps)} is no list of step ids`);
  if (owner === 'workflow' && workflow !== undefined) report('workflow', 'only for rules of the engine');
  if (owner === 'engine' && steps !== undefined && workflow === undefined) {
    report('steps', 'of which workflow? give workflow, or systemTarget or actor in place of steps');
  }
  const scopes = [steps, systemTarget, actor].filter((scope) => scope !== undefined);
  if (scopes.length > 1) report('steps, systemTarget and actor', 'give one of them');
  if (action !== undefined && systemTarget === undefined && actor === undefined) {
    report('action', 'whose? give systemTarget or actor');
  }
  const { windowMs = WINDOW_MS, minimumCalls = MINIMUM_CALLS, forMs = 0, cooldownMs = 0, priority = 0 } = given;
  const { releaseForMs = RELEASE_FOR_MS } = given;
  if (!(typeof windowMs === 'number' && windowMs >= SLICE_MS && windowMs <= WINDOW_MS)) {
    report('windowMs', `${String(windowMs)} is no number from ${SLICE_MS} to ${WINDOW_MS}`);
  }
  for (const [name, value] of Object.entries({ minimumCalls, forMs, releaseForMs, cooldownMs })) {
    positive(name, value, report, 0);
  }
  if (typeof priority !== 'number' || !Number.isFinite(priority))
    report('priority', `${String(priority)} is no number`);
  const change = changeData(given.change, owner, report);
  if (change !== undefined && scopes.length === 0 && touchesSteps(change)) {
    report('steps', 'which steps does it concern? give steps, systemTarget or actor');
  }
  return {
    id: ruleId,
    when: when as string,
    until,
    windowMs,
    minimumCalls,
    forMs,
    releaseForMs,
    cooldownMs,
    priority,
    workflow,
    steps: isList && steps !== undefined ? [...steps] : undefined,
    system: systemTarget,
    actor,
    action,
    change: change ?? NO_CHANGE,
  };
}

const NO_CHANGE: ChangeData = {
  route: undefined,
  retry: undefined,
  attemptTimeoutMs: undefined,
  timeoutMs: undefined,
  parallelism: undefined,
  concurrency: undefined,
  targetConcurrency: undefined,
  skip: false,
};

function touchesSteps({ parallelism: _run, ...steps }: ChangeData): boolean {
  return Object.values(steps).some((value) => value !== undefined && value !== false);
}

function changeData(given: unknown, owner: 'workflow' | 'engine', report: Report): ChangeData | undefined {
  if (!isRecord(given))
    return report('change', `${JSON.stringify(given)} is no object: give one of ${CHANGES.join(', ')}`);
  unknownOptions(given, CHANGES, 'change.', report);
  const change = given as AdaptationChange;
  const {
    retryPolicy,
    attemptTimeoutMs,
    timeoutMs,
    parallelism,
    concurrency,
    targetConcurrency,
    skip = false,
  } = change;
  for (const [name, value] of Object.entries({ attemptTimeoutMs, timeoutMs })) {
    if (value !== undefined) positive(`change.${name}`, value, report);
  }
  for (const [name, value] of Object.entries({ parallelism, concurrency, targetConcurrency })) {
    if (value === undefined || (Number.isInteger(value) && value >= 1)) continue;
    report(`change.${name}`, `${JSON.stringify(value)} is no whole number of 1 or more`);
  }
  if (typeof skip !== 'boolean') report('change.skip', `${JSON.stringify(skip)} is neither true nor false`);
  const data: ChangeData = {
    route: change.route === undefined ? undefined : routeData(change.route, owner, report),
    retry: retryPolicy === undefined ? undefined : retryChanges(retryPolicy, 'change.', report),
    attemptTimeoutMs,
    timeoutMs,
    parallelism,
    concurrency,
    targetConcurrency,
    skip: skip === true,
  };
  if (Object.keys(given).length === 0 || (Object.keys(given).join() === 'skip' && !data.skip)) {
    report('change', `changes nothing: give one of ${CHANGES.join(', ')}`);
  }
  return data;
}

function routeData(given: RouteOptions, owner: 'workflow' | 'engine', report: Report): RouteData | undefined {
  const at = 'change.route.';
  if (!isRecord(given)) return report('change.route', `${JSON.stringify(given)} is no route`);
  unknownOptions(given, ROUTE_OPTIONS, at, report);
  const { systemTarget, actor, action, parameters, compensation = 'moves' } = given as RouteOptions;
  if (action !== undefined && (typeof action !== 'string' || action === '')) {
    report(`${at}action`, `${JSON.stringify(action)} is no name of an action`);
  }
  const isOwnId = isRecord(actor) && actor['id'] === undefined;
  const target = targetData(
    systemTarget,
    isOwnId ? { ...actor, id: '-' } : (actor as WorkflowCallOptions['actor']),
    at,
    report,
  );
  if (owner === 'engine') {
    for (const [name, value] of Object.entries({ parameters, 'actor.id': (actor as { id?: unknown })?.id })) {
      if (JSON.stringify(value)?.includes('${') !== true) continue;
      report(`${at}${name}`, 'a rule of the engine has no ${…}: its workflows differ. Write it into the definition');
    }
  }
  const isCall = isRecord(compensation);
  if (!isCall && compensation !== 'moves' && compensation !== 'stays') {
    const near = nearest(JSON.stringify(compensation).replaceAll('"', ''), ['moves', 'stays']);
    report(
      `${at}compensation`,
      `${JSON.stringify(compensation)} is neither 'moves' nor 'stays' nor a call${near === undefined ? '' : ` (${near})`}`,
    );
  }
  if (isCall && owner === 'engine') {
    report(`${at}compensation`, "a rule of the engine has 'moves' or 'stays': its workflows differ");
  }
  if (target === undefined) return undefined;
  return {
    target: target.kind === 'actor' && isOwnId ? { ...target, id: undefined } : target,
    action,
    parameters,
    compensation: isCall
      ? (callData(compensation, `${at}compensation.`, report) ?? 'stays')
      : (compensation as 'moves'),
  };
}
