/**
 * One step of a workflow, as it is written.
 *
 * Owns: the names and defaults of a step's options, and making them plain data. All faults of them are collected, none is thrown:
 * whoever writes ten steps wants to hear of ten.
 */
import { nearest } from './expression-hints.ts';
import { timeFault } from './sleep-time.ts';
import { isRecord, shapeFaults, type ValueShape } from './value-shape.ts';
import type { CallData, RetryData, StepData, TargetData, WorkData } from './workflow-data.ts';

/** When a failed call is tried again. */
export interface RetryPolicyOptions {
  /** Tries in all. Default 3. */
  readonly maxAttempts?: number;
  /** Wait before the second try, ms. Default 100. */
  readonly initialMs?: number;
  /** Longest wait, ms. Default 30,000. */
  readonly maxMs?: number;
  /** What each wait is multiplied by. Default 2. */
  readonly factor?: number;
  /** `full`: a random part of the wait; `none`: the wait itself. Default `full`. */
  readonly jitter?: 'full' | 'none';
  /** Codes or names of errors that no other try would change. */
  readonly nonRetryable?: readonly string[];
}

/** A call: of a system behind the broker (`systemTarget`), or of an actor. */
export interface WorkflowCallOptions {
  /** A system: the command goes to `$command.<systemTarget>.<action>`. */
  readonly systemTarget?: string;
  /** An actor. `id` may have `${…}`. It is asked `{ type: action, ...parameters, workflow }` and its reply is the result. */
  readonly actor?: { readonly definition: string; readonly id: string };
  readonly action?: string;
  /** Plain data; texts may have `${…}`. */
  readonly parameters?: unknown;
  readonly retryPolicy?: RetryPolicyOptions;
  /** How long one try may take, ms. Default 30,000. */
  readonly attemptTimeoutMs?: number;
  /** A try fails when its handler says nothing for so long: see `heartbeat`. Default: it need not say anything. */
  readonly heartbeatTimeoutMs?: number;
}

/**
 * What a step is: exactly one of a call (`systemTarget` or `actor`, with `action`), `workflow`, `signal`, `promise`, `sleep`, `until`,
 * `value`, `raise`.
 */
export interface WorkflowStepOptions extends WorkflowCallOptions {
  /** Letters, digits, `_`, `-`, `.`; unique in its workflow. */
  readonly stepId: string;
  /** A child workflow: the id of its definition. `parameters` are its input, its result is the step's. */
  readonly workflow?: string;
  /** With `workflow`: it is started and not waited for; the result is `{ runId }`. It is not cancelled with this run. Default false. */
  readonly detached?: boolean;
  /** Waits for a signal. Its payload is the result; with a list of signals, `{ signal, payload }` of the first that comes. */
  readonly signal?: string | readonly string[];
  /**
   * `true`: waits until somebody outside settles it with its token, which any step may hand out as `${steps.<id>.token}`:
   * `engine.resolvePromise(token, value)`. The value is the result; the schema `result` says what it must be.
   */
  readonly promise?: boolean;
  /** Sleeps so many ms; may be `${…}`, also a CEL duration. */
  readonly sleep?: number | string;
  /** Sleeps until a time: text of ISO 8601, or ms since 1970; may be `${…}`. */
  readonly until?: number | string;
  /** Calls nobody: the result is this, with its `${…}`. */
  readonly value?: unknown;
  /** Fails with this error: texts may have `${…}`. With a `condition`, when it is true. */
  readonly raise?: {
    readonly code: string;
    readonly message?: string;
    readonly details?: Readonly<Record<string, unknown>>;
  };
  /** Ids of steps that must be over before. Default: none, it starts at once. */
  readonly dependencies?: readonly string[];
  /** `all` (default): every dependency is over, completed or skipped. `any`, or a number: so many are completed. */
  readonly join?: 'all' | 'any' | number;
  /** `${input.kind} == 'express'`. False: the step is skipped. */
  readonly condition?: string;
  /** When it is skipped, so is what depends on it. Default false. */
  readonly skipDependents?: boolean;
  /** Once for each item of a list: `item` and `index` are names then, and the result is the list of results. */
  readonly forEach?: string | { readonly items: unknown; readonly concurrency?: number };
  /** Over all tries, ms. Default: none. */
  readonly timeoutMs?: number;
  /** Once it is completed, the run is not undone any more: what fails later waits to be tried again. Default false. */
  readonly pivot?: boolean;
  /** `fail` (default): the run fails with it. `continue`: what depends on it goes on; `steps.<id>.error` says why. */
  readonly onFailure?: 'fail' | 'continue';
  /** How it is undone. Registered before the step starts. Default: nothing is to be undone. */
  readonly compensation?: WorkflowCallOptions;
  /**
   * A JSON Schema of the result: says which numbers are whole. What a promise is settled with is checked against it; the answer of a call is
   * not, since what was called has done it.
   */
  readonly result?: ValueShape;
}

const STEP_OPTIONS: readonly string[] = (
  'stepId systemTarget actor action parameters retryPolicy attemptTimeoutMs heartbeatTimeoutMs workflow detached signal promise sleep until ' +
  'value raise dependencies join condition skipDependents forEach timeoutMs pivot onFailure compensation result'
).split(' ');
const CALL_OPTIONS: readonly string[] =
  'systemTarget actor action parameters retryPolicy attemptTimeoutMs heartbeatTimeoutMs'.split(' ');
const RETRY_OPTIONS: readonly string[] = 'maxAttempts initialMs maxMs factor jitter nonRetryable'.split(' ');
const KINDS = ['systemTarget', 'actor', 'workflow', 'signal', 'promise', 'sleep', 'until', 'value', 'raise'] as const;

const ATTEMPTS = 3;
const ATTEMPT_TIMEOUT_MS = 30_000;
const ITEMS_AT_A_TIME = 16;
const STEP_ID = /^(?!__)[A-Za-z_][A-Za-z0-9_.-]{0,127}$/;
/** Systems are tokens of a subject. */
const SUBJECT_TOKEN = /^[A-Za-z0-9_-]{1,128}$/;

/** A step, to be added to a `WorkflowDefinition`. A value: it is checked with the whole workflow. */
export class WorkflowStep {
  readonly options: WorkflowStepOptions;

  /** @example new WorkflowStep({ stepId: 'charge', systemTarget: 'payments', action: 'charge', dependencies: ['reserve'] }) */
  constructor(options: WorkflowStepOptions) {
    this.options = options;
  }

  get stepId(): string {
    return this.options.stepId;
  }
}

/** Takes a fault: which option, and what is wrong with it. */
export type Report = (option: string, message: string) => undefined;

/** A step's options as plain data; undefined when they are no step at all. */
export function stepData(options: unknown, fault: (message: string) => undefined): StepData | undefined {
  if (!isRecord(options)) return fault('a step is no object of options');
  const given = options as Partial<WorkflowStepOptions> & Record<string, unknown>;
  const { stepId } = given;
  if (typeof stepId !== 'string' || !STEP_ID.test(stepId)) {
    return fault(
      `stepId: ${JSON.stringify(stepId)} is none: begin with a letter or "_", then letters, digits, "_", "-", ".", 128 at most`,
    );
  }
  const report: Report = (option, message) => fault(`step "${stepId}", ${option}: ${message}`);
  unknownOptions(given, STEP_OPTIONS, '', report);
  const {
    dependencies = [],
    condition,
    skipDependents = false,
    timeoutMs,
    pivot = false,
    onFailure = 'fail',
    compensation,
    result,
  } = given;
  for (const [name, value] of [
    ['skipDependents', skipDependents],
    ['pivot', pivot],
  ] as const) {
    if (typeof value !== 'boolean') report(name, `${JSON.stringify(value)} is neither true nor false`);
  }
  if (onFailure !== 'fail' && onFailure !== 'continue')
    report('onFailure', `${JSON.stringify(onFailure)} is neither 'fail' nor 'continue'`);
  if (timeoutMs !== undefined) positive('timeoutMs', timeoutMs, report);
  if (result !== undefined) for (const message of shapeFaults(result, 'result')) report('result', message);
  const isList = Array.isArray(dependencies) && dependencies.every((id) => typeof id === 'string');
  if (!isList) report('dependencies', `${JSON.stringify(dependencies)} is no list of step ids`);
  const work = workData(given, report);
  if (compensation !== undefined && work?.kind !== 'call' && work?.kind !== 'workflow' && work !== undefined) {
    report('compensation', 'nothing was done that could be undone: it calls nobody');
  }
  return {
    id: stepId,
    work: work ?? { kind: 'value', value: null },
    dependencies: isList ? [...dependencies] : [],
    join: joinData(given.join, isList ? dependencies.length : undefined, report),
    condition,
    skipDependents,
    forEach: forEachData(given.forEach, work, report),
    timeoutMs,
    pivot,
    onFailure,
    compensation: compensation === undefined ? undefined : compensationData(compensation, report),
    result,
  };
}

function workData(given: Partial<WorkflowStepOptions>, report: Report): WorkData | undefined {
  const kinds = KINDS.filter((kind) => given[kind] !== undefined);
  const [kind] = kinds;
  if (kind === undefined) return report('stepId', `does nothing: give one of ${KINDS.join(', ')}`);
  if (kinds.length > 1) return report(kinds.join(' and '), 'a step does one thing: make it several steps');
  if (kind !== 'workflow' && given.detached !== undefined)
    report('detached', `only for a child workflow, and this step has ${kind}`);
  if (kind === 'systemTarget' || kind === 'actor') {
    const call = callData(given, '', report);
    return call === undefined ? undefined : { kind: 'call', ...call };
  }
  for (const option of [
    'action',
    'retryPolicy',
    'attemptTimeoutMs',
    'heartbeatTimeoutMs',
    ...(kind === 'workflow' ? [] : ['parameters']),
  ] as const) {
    if (given[option as keyof WorkflowStepOptions] !== undefined)
      report(option, `only for a call, and this step has ${kind}`);
  }
  switch (kind) {
    case 'workflow':
      if (typeof given.workflow !== 'string')
        return report('workflow', `${JSON.stringify(given.workflow)} is no workflow's id`);
      if (given.detached !== undefined && typeof given.detached !== 'boolean')
        report('detached', `${JSON.stringify(given.detached)} is neither true nor false`);
      return {
        kind,
        workflow: given.workflow,
        input: given.parameters ?? null,
        ...(given.detached === true ? { detached: true } : {}),
      };
    case 'signal': {
      const signals = typeof given.signal === 'string' ? [given.signal] : [...(given.signal ?? [])];
      if (signals.length === 0 || !signals.every((name) => typeof name === 'string' && name !== '')) {
        return report('signal', `${JSON.stringify(given.signal)} is neither a name nor a list of names`);
      }
      return { kind, signals, single: typeof given.signal === 'string' };
    }
    case 'promise':
      if (given.promise !== true) return report('promise', `${JSON.stringify(given.promise)} is not true`);
      return { kind };
    case 'sleep':
    case 'until': {
      const time = given[kind];
      if (typeof time !== 'number' && typeof time !== 'string')
        return report(kind, `${JSON.stringify(time)} is neither a number nor text`);
      if (typeof time === 'number' && !(time >= 0 && Number.isFinite(time)))
        return report(kind, `${time} is not 0 or more`);
      const fault = typeof time === 'string' ? timeFault(kind, time) : undefined;
      if (fault !== undefined) return report(kind, fault);
      return kind === 'sleep' ? { kind, sleep: time } : { kind, until: time };
    }
    case 'value':
      return { kind, value: given.value };
    case 'raise': {
      const { raise } = given;
      if (
        !isRecord(raise) ||
        typeof raise['code'] !== 'string' ||
        (raise['details'] !== undefined && !isRecord(raise['details']))
      )
        return report('raise', `${JSON.stringify(raise)} is no error: give { code, message?, details? }`);
      unknownOptions(raise, ['code', 'message', 'details'], 'raise.', report);
      return { kind, error: raise };
    }
  }
}

function compensationData(given: WorkflowCallOptions, report: Report): CallData | undefined {
  if (!isRecord(given)) return report('compensation', `${JSON.stringify(given)} is no call`);
  unknownOptions(given, CALL_OPTIONS, 'compensation.', report);
  return callData(given, 'compensation.', report);
}

export function callData(given: WorkflowCallOptions, prefix: string, report: Report): CallData | undefined {
  const {
    systemTarget,
    actor,
    action,
    parameters = {},
    attemptTimeoutMs = ATTEMPT_TIMEOUT_MS,
    heartbeatTimeoutMs,
  } = given;
  const target = targetData(systemTarget, actor, prefix, report);
  const isToken = typeof action === 'string' && (actor === undefined ? SUBJECT_TOKEN.test(action) : action !== '');
  if (!isToken) report(`${prefix}action`, `${JSON.stringify(action)} is no name of an action`);
  positive(`${prefix}attemptTimeoutMs`, attemptTimeoutMs, report);
  if (heartbeatTimeoutMs !== undefined) positive(`${prefix}heartbeatTimeoutMs`, heartbeatTimeoutMs, report);
  const retry = retryData(given.retryPolicy, prefix, report);
  if (target === undefined || !isToken) return undefined;
  const silence = heartbeatTimeoutMs === undefined ? {} : { heartbeatTimeoutMs };
  return { target, action, parameters, retry, attemptTimeoutMs, ...silence };
}

export function targetData(
  system: string | undefined,
  actor: WorkflowCallOptions['actor'],
  prefix: string,
  report: Report,
): TargetData | undefined {
  if (system !== undefined && actor !== undefined)
    return report(`${prefix}systemTarget and actor`, 'one call, one target');
  if (system !== undefined) {
    if (typeof system === 'string' && SUBJECT_TOKEN.test(system)) return { kind: 'system', system };
    return report(`${prefix}systemTarget`, `${JSON.stringify(system)} is no system: letters, digits, "_" and "-"`);
  }
  if (!isRecord(actor) || typeof actor['definition'] !== 'string' || typeof actor['id'] !== 'string') {
    return report(
      `${prefix}actor`,
      `${JSON.stringify(actor)} is no target: give systemTarget, or actor: { definition, id }`,
    );
  }
  return { kind: 'actor', definition: actor['definition'], id: actor['id'] };
}

function retryData(given: RetryPolicyOptions | undefined, prefix: string, report: Report): RetryData {
  const option = `${prefix}retryPolicy`;
  if (given !== undefined && !isRecord(given)) report(option, `${JSON.stringify(given)} is no policy`);
  const policy: RetryPolicyOptions = isRecord(given) ? given : {};
  unknownOptions(policy, RETRY_OPTIONS, `${option}.`, report);
  const {
    maxAttempts = ATTEMPTS,
    initialMs = 100,
    maxMs = 30_000,
    factor = 2,
    jitter = 'full',
    nonRetryable = [],
  } = policy;
  if (!Number.isInteger(maxAttempts) || maxAttempts < 1)
    report(`${option}.maxAttempts`, `${String(maxAttempts)} is no whole number of 1 or more`);
  positive(`${option}.initialMs`, initialMs, report, 0);
  positive(`${option}.maxMs`, maxMs, report, 0);
  positive(`${option}.factor`, factor, report, 1);
  if (jitter !== 'full' && jitter !== 'none')
    report(`${option}.jitter`, `${JSON.stringify(jitter)} is neither 'full' nor 'none'`);
  const isList = Array.isArray(nonRetryable) && nonRetryable.every((code) => typeof code === 'string');
  if (!isList) report(`${option}.nonRetryable`, `${JSON.stringify(nonRetryable)} is no list of codes`);
  return { maxAttempts, initialMs, maxMs, factor, jitter, nonRetryable: isList ? [...nonRetryable] : [] };
}

/** The members of a policy that are given, for one that is there. */
export function retryChanges(given: RetryPolicyOptions, prefix: string, report: Report): Partial<RetryData> {
  const all = retryData(given, prefix, report);
  return Object.fromEntries(
    Object.entries(all).filter(([name]) => given[name as keyof RetryPolicyOptions] !== undefined),
  );
}

function joinData(join: unknown, dependencies: number | undefined, report: Report): StepData['join'] {
  if (join === undefined || join === 'all') return 'all';
  const count = join === 'any' ? 1 : join;
  if (!Number.isInteger(count) || (count as number) < 1) {
    report('join', `${JSON.stringify(join)} is neither 'all' nor 'any' nor a whole number of 1 or more`);
    return 'all';
  }
  if (dependencies !== undefined && (count as number) > dependencies) {
    report('join', `waits for ${count as number} of ${dependencies} dependencies`);
  }
  return count as number;
}

function forEachData(given: unknown, work: WorkData | undefined, report: Report): StepData['forEach'] {
  if (given === undefined) return undefined;
  if (work !== undefined && work.kind !== 'call' && work.kind !== 'workflow') {
    report('forEach', 'only for a call or a child workflow');
  }
  const { items, concurrency = ITEMS_AT_A_TIME } = isRecord(given) ? given : { items: given };
  if (!(typeof items === 'string' || Array.isArray(items))) {
    report('forEach', `${JSON.stringify(items)} is no list: give \${…} or a list`);
  }
  if (!Number.isInteger(concurrency) || (concurrency as number) < 1)
    report('forEach.concurrency', `${JSON.stringify(concurrency)} is no whole number of 1 or more`);
  return { items, concurrency: concurrency as number };
}

export function positive(option: string, value: unknown, report: Report, least = 1): void {
  if (typeof value === 'number' && value >= least && Number.isFinite(value)) return;
  report(option, `${String(value)} is no number of ${least} or more`);
}

export function unknownOptions(given: object, known: readonly string[], prefix: string, report: Report): void {
  for (const name of Object.keys(given)) {
    if (!known.includes(name))
      report(`${prefix}${name}`, `no such option: ${nearest(name, known) ?? `known: ${known.join(', ')}`}`);
  }
}
