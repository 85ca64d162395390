/**
 * What callers give to the engine besides definitions: options, filters, pages.
 *
 * Owns: refusing what would be passed over in silence. A misspelt `runId` would start a second run, a misspelt filter find every run.
 */
import type { Broker } from '../../runtime/broker/contract/broker-contract.ts';
import type { ActorHost } from '../../runtime/kernel/actor-host.ts';
import { InvalidOptionsError } from '../../runtime/kernel/errors.ts';
import { nearest } from './expression-hints.ts';
import type { RunFilter } from './run-index.ts';
import type { RunStatus } from './run-view.ts';
import type { MetricSources } from './target-meter.ts';
import { isRecord } from './value-shape.ts';

const ENGINE = ['broker', 'clock', 'random', 'keepFinishedMs', 'adaptations', 'metrics'];
const METRICS = ['breakers', 'connectors', 'everyMs'];
const START = ['runId', 'variables', 'version', 'timeoutMs', 'signal'];
const REPEAT = ['idempotencyKey'];
const WAIT = ['timeoutMs', 'signal'];
const FORK = ['from', 'runId'];
const FILTER = ['workflow', 'status', 'startedAfterMs', 'startedBeforeMs'];
const PAGE = ['after', 'limit'];
const MIGRATION = ['to', 'steps', 'skip', 'context'];
/** Complete, by its type. */
const STATUSES: Readonly<Record<RunStatus, true>> = {
  running: true,
  draining: true,
  compensating: true,
  stuck: true,
  completed: true,
  failed: true,
  cancelled: true,
};

/** Runs of one page. */
export const LIST_LIMIT = 1_000;

/** @throws InvalidOptionsError with every fault */
export function assertEngineOptions(
  host: ActorHost,
  options: {
    readonly broker?: Broker;
    readonly keepFinishedMs?: number;
    readonly adaptations?: unknown;
    readonly metrics?: MetricSources;
  },
): void {
  const faults = unknownOptions(options, ENGINE);
  if (typeof (host as Partial<ActorHost> | undefined)?.refOf !== 'function') {
    faults.push(`system: ${kindOf(host)} is no actor system: give what ActorSystem.start resolved with`);
  }
  const { broker, keepFinishedMs = 0 } = Object(options) as {
    readonly broker?: Partial<Broker>;
    readonly keepFinishedMs?: number;
  };
  if (!(typeof keepFinishedMs === 'number' && keepFinishedMs >= 0 && Number.isFinite(keepFinishedMs)))
    faults.push(`keepFinishedMs: ${String(keepFinishedMs)} is no number of 0 or more`);
  if (broker !== undefined && typeof broker?.publish !== 'function') {
    faults.push(`broker: ${kindOf(broker)} is no broker: give what MessageBroker.start resolved with`);
  }
  const { adaptations, metrics } = Object(options) as typeof options;
  if (adaptations !== undefined && !Array.isArray(adaptations)) {
    faults.push(`adaptations: ${kindOf(adaptations)} is no list of rules`);
  }
  if (metrics !== undefined) faults.push(...metricsFaults(metrics));
  refuse('WorkflowCoordinationEngine', faults);
}

function metricsFaults(metrics: MetricSources): string[] {
  const faults = unknownOptions(metrics, METRICS).map((fault) => `metrics.${fault}`);
  const { breakers = {}, connectors = [], everyMs = 1 } = Object(metrics) as MetricSources;
  for (const [system, breaker] of Object.entries(breakers)) {
    if (typeof breaker?.state !== 'string') faults.push(`metrics.breakers.${system}: is no circuit breaker`);
  }
  if (!Array.isArray(connectors) || connectors.some((one) => typeof one?.health !== 'function')) {
    faults.push('metrics.connectors: give a list of connectors');
  }
  if (!(typeof everyMs === 'number' && everyMs >= 1)) {
    faults.push(`metrics.everyMs: ${String(everyMs)} is no number of 1 or more`);
  }
  return faults;
}

/** @throws InvalidOptionsError with every fault */
export function assertStartOptions(options: object): void {
  refuse('start of a workflow', unknownOptions(options, START));
}

/** Of a verb that may be repeated. @throws InvalidOptionsError with every fault */
export function assertRepeatOptions(verb: 'signal' | 'update', options: object): void {
  refuse(verb, unknownOptions(options, REPEAT));
}

/** @throws InvalidOptionsError with every fault */
export function assertWaitOptions(options: object): void {
  refuse('result', unknownOptions(options, WAIT));
}

/** Where a fork leaves its run: a step, or a turn of the run's actor. */
export type ForkFrom = string | { readonly turn: number };

/** @throws InvalidOptionsError with every fault */
export function assertForkOptions(options: { readonly from: ForkFrom }): void {
  const faults = unknownOptions(options, FORK);
  const { from } = Object(options) as { readonly from?: unknown };
  const turn = (Object(from) as { readonly turn?: unknown }).turn;
  if (typeof from !== 'string' && !(Number.isInteger(turn) && (turn as number) >= 1))
    faults.push(`from: ${JSON.stringify(from)} is neither a step nor { turn: 1 or more }`);
  refuse('fork of a run', faults);
}

/** @throws InvalidOptionsError with every fault */
export function assertListOptions(filter: RunFilter, page: { readonly limit?: number }): void {
  const faults = [...unknownOptions(filter, FILTER), ...unknownOptions(page, PAGE)];
  const known = Object.keys(STATUSES);
  for (const status of [filter?.status ?? []].flat()) {
    if (!Object.hasOwn(STATUSES, status)) {
      faults.push(`status: ${JSON.stringify(status)} is none: ${nearest(String(status), known) ?? known.join(', ')}`);
    }
  }
  const limit = page?.limit ?? LIST_LIMIT;
  if (!Number.isInteger(limit) || limit < 1 || limit > LIST_LIMIT) {
    faults.push(`limit: ${String(limit)} is no whole number from 1 to ${LIST_LIMIT}`);
  }
  refuse('list of runs', faults);
}

/** @throws InvalidOptionsError with every fault */
export function assertMigrationOptions(options: object, known: readonly string[] = MIGRATION): void {
  const faults = unknownOptions(options, known);
  const { to, steps, skip, context } = Object(options) as Partial<Record<string, unknown>>;
  if (known.includes('to') && !Number.isInteger(to)) faults.push(`to: ${String(to)} is no version`);
  const isNames = (value: unknown): boolean => isRecord(value) && Object.values(value).every(isName);
  if (steps !== undefined && !isNames(steps)) faults.push('steps: give { old: new }, names of steps');
  if (skip !== undefined && !(Array.isArray(skip) && skip.every(isName))) faults.push('skip: give a list of step ids');
  if (context !== undefined && !isRecord(context)) faults.push('context: give an object of variables');
  refuse('migration of runs', faults);
}

function isName(value: unknown): boolean {
  return typeof value === 'string';
}

function unknownOptions(given: unknown, known: readonly string[]): string[] {
  if (typeof given !== 'object' || given === null) return [`options: ${String(given)} is no object`];
  return Object.keys(given)
    .filter((name) => !known.includes(name))
    .map((name) => `${name}: no such option: ${nearest(name, known) ?? `known: ${known.join(', ')}`}`);
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : typeof value;
}

function refuse(what: string, faults: readonly string[]): void {
  if (faults.length === 0) return;
  throw new InvalidOptionsError(`${what}: ${faults.join('; ')}`, { details: { faults } });
}
