/**
 * Options of a connector: what they are, their defaults, and all their faults at once.
 *
 * Owns: the checks. What an option does is where it is used.
 */
import type { RetryPolicy } from '../../runtime/broker/contract/message.ts';
import type { ActorHost } from '../../runtime/kernel/actor-host.ts';
import type { Clock } from '../../runtime/kernel/clock.ts';
import { type Environment, numberFrom } from '../../runtime/kernel/environment.ts';
import { InvalidOptionsError } from '../../runtime/kernel/errors.ts';
import { type CircuitBreakerOptions, resolveBreaker } from '../circuit-breaker/breaker-settings.ts';
import { CircuitBreaker } from '../circuit-breaker/circuit-breaker.ts';
import type { CallBreaker, CallPolicies } from './call-guard.ts';
import { type ConnectionSettings, DEFAULT_SETTINGS } from './connector-machine.ts';
import type { DegradedOptions } from './error-rate.ts';
import { assertSystemId } from './system-id.ts';
import type { ConnectorTransport } from './transport.ts';

/** How the system's queue of commands is worked. Those of one key (by default: of one sender) are handled one after another. */
export interface CommandQueueOptions {
  /** Commands of different keys that are handled at a time. Default: the bulkhead's concurrency, or 16. */
  readonly concurrency?: number;
  /** For commands without a policy of their own. Default 3 tries (`MAX_RETRY_ATTEMPTS`). */
  readonly retry?: RetryPolicy;
  /** What follows a command that is tried again: `hold` what has its key (default), or let it `pass`. */
  readonly order?: 'hold' | 'pass';
  /** How long one try may take before it is given to another, ms. Default 30,000. */
  readonly ackTimeoutMs?: number;
  /** Commands that may wait before senders must. Default 1,000,000. */
  readonly waitingLimit?: number;
}

export interface ConnectorPolicies extends Omit<CallPolicies, 'breaker'> {
  /**
   * A breaker for each dependency: `true` or options for one of the actor system, durable and shared by all threads, of the name
   * `<connector>.<dependency>` (defaults: `CIRCUIT_BREAKER_FAILURE_THRESHOLD`, `CIRCUIT_BREAKER_TIMEOUT_SECONDS`); or one of your own,
   * or what gives one. Default: none.
   */
  readonly breaker?: true | CircuitBreakerOptions | NonNullable<CallPolicies['breaker']>;
}

export interface ConnectorOptions extends Partial<ConnectionSettings> {
  /** Leads to a system that is not behind the broker. Default: handlers given with `onCommand` and `onQuery`. */
  readonly transport?: ConnectorTransport;
  /** Around every outgoing call; each target has its own. With a transport: around what goes over it. */
  readonly policies?: ConnectorPolicies;
  readonly commands?: CommandQueueOptions;
  /** Patterns of events that are handed to the transport, from durable subscriptions. */
  readonly forward?: readonly string[];
  /** From which share of failed calls on it counts as degraded. */
  readonly degraded?: DegradedOptions;
}

export interface CheckedOptions {
  readonly settings: ConnectionSettings;
  readonly transport: ConnectorTransport | undefined;
  readonly policies: CallPolicies;
  readonly commands: CommandQueueOptions & { readonly concurrency: number; readonly ackTimeoutMs: number };
  readonly forward: readonly string[];
  readonly degraded: DegradedOptions;
}

const COMMANDS_CONCURRENCY = 16;
const ACK_TIMEOUT_MS = 30_000;
const ATTEMPTS = 3;

type Check = (name: string, value: unknown) => string | undefined;

const above0: Check = (name, value) =>
  typeof value === 'number' && value > 0 ? undefined : `${name}: ${show(value)} is not a number above 0`;
const from0: Check = (name, value) =>
  typeof value === 'number' && value >= 0 ? undefined : `${name}: ${show(value)} is not a number of 0 or more`;
const whole1: Check = (name, value) =>
  Number.isSafeInteger(value) && (value as number) >= 1
    ? undefined
    : `${name}: ${show(value)} is not a whole number of 1 or more`;
const whole0: Check = (name, value) =>
  Number.isSafeInteger(value) && (value as number) >= 0
    ? undefined
    : `${name}: ${show(value)} is not a whole number of 0 or more`;
const share: Check = (name, value) =>
  typeof value === 'number' && value > 0 && value <= 1
    ? undefined
    : `${name}: ${show(value)} is not a share above 0 and up to 1`;
const func: Check = (name, value) =>
  typeof value === 'function' ? undefined : `${name}: ${show(value)} is no function`;
const oneOf =
  (...words: readonly string[]): Check =>
  (name, value) =>
    words.includes(value as string) ? undefined : `${name}: ${show(value)} is not one of ${words.join(', ')}`;
const factor: Check = (name, value) =>
  typeof value === 'number' && value >= 1 ? undefined : `${name}: ${show(value)} is not a number of 1 or more`;

const BACKOFF = { initialMs: from0, maxMs: from0, factor, jitter: oneOf('full', 'none') };
const RETRY = { ...BACKOFF, maxAttempts: whole1 };

const SHAPE: Shape = {
  checkEveryMs: above0,
  checkTimeoutMs: above0,
  lostAfterChecks: whole1,
  connectTimeoutMs: above0,
  backoff: BACKOFF,
  transport: (name, value) => {
    const missing = ['open', 'deliver', 'close'].filter(
      (method) => typeof (value as Record<string, unknown> | null)?.[method] !== 'function',
    );
    return missing.length === 0 ? undefined : `${name}: has no ${missing.join(', no ')}: give a ConnectorTransport`;
  },
  policies: {
    timeoutMs: above0,
    tryTimeoutMs: above0,
    bulkhead: { concurrency: whole1, queue: whole0 },
    rateLimit: { permits: whole1, perMs: above0, burst: whole1 },
    breaker: (name, value) =>
      value === true || typeof value === 'function' || (typeof value === 'object' && value !== null)
        ? undefined
        : `${name}: ${show(value)} is neither true, options of a circuit breaker, a breaker, nor a function that gives one`,
    retry: RETRY,
    isFailure: func,
  },
  commands: {
    concurrency: whole1,
    retry: RETRY,
    order: oneOf('hold', 'pass'),
    ackTimeoutMs: above0,
    waitingLimit: whole1,
  },
  forward: (name, value) =>
    Array.isArray(value) && value.every((pattern) => typeof pattern === 'string')
      ? undefined
      : `${name}: ${show(value)} is no list of patterns`,
  degraded: { errorRate: share, ofCalls: whole1, withinMs: above0 },
};
interface Shape {
  readonly [name: string]: Check | Shape;
}

/** Checks and completes options; throws one `InvalidOptionsError` with every fault. */
export function checkOptions(
  id: unknown,
  options: ConnectorOptions,
  ports: { readonly host: ActorHost | undefined; readonly clock: Clock; readonly environment?: Environment },
): CheckedOptions {
  const where = 'SystemConnector';
  assertSystemId(where, id);
  const faults = faultsOf(options, SHAPE, '');
  const envAttempts = numberFrom(
    ports.environment ?? process.env,
    'MAX_RETRY_ATTEMPTS',
    { least: 1, whole: true },
    faults,
  );
  const { bulkhead, rateLimit, breaker } = options.policies ?? {};
  faults.push(...breakerFaults(breaker, ports.host));
  if (faults.length === 0) {
    if (bulkhead !== undefined && bulkhead.concurrency === undefined)
      faults.push('policies.bulkhead.concurrency: is missing');
    if (rateLimit !== undefined && rateLimit.permits === undefined)
      faults.push('policies.rateLimit.permits: is missing');
    if ((options.forward ?? []).length > 0 && options.transport === undefined) {
      faults.push('forward: there is no transport to hand events to; without one use onEvent');
    }
  }
  if (faults.length > 0) {
    throw new InvalidOptionsError(
      `${where} "${id}": ${faults.length} invalid option${faults.length > 1 ? 's' : ''}:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`,
      { details: { faults } },
    );
  }
  const { transport, policies = {}, commands = {}, forward = [], degraded = {} } = options;
  return {
    settings: {
      checkEveryMs: options.checkEveryMs ?? DEFAULT_SETTINGS.checkEveryMs,
      checkTimeoutMs: options.checkTimeoutMs ?? DEFAULT_SETTINGS.checkTimeoutMs,
      lostAfterChecks: options.lostAfterChecks ?? DEFAULT_SETTINGS.lostAfterChecks,
      connectTimeoutMs: options.connectTimeoutMs ?? DEFAULT_SETTINGS.connectTimeoutMs,
      backoff: options.backoff ?? DEFAULT_SETTINGS.backoff,
    },
    transport,
    policies: policiesOf(id, policies, ports, envAttempts ?? ATTEMPTS),
    commands: {
      ...commands,
      concurrency: commands.concurrency ?? policies.bulkhead?.concurrency ?? COMMANDS_CONCURRENCY,
      ackTimeoutMs: commands.ackTimeoutMs ?? ACK_TIMEOUT_MS,
    },
    forward,
    degraded,
  };
}

function policiesOf(
  id: string,
  { breaker, retry, ...policies }: ConnectorPolicies,
  { host, clock }: { readonly host: ActorHost | undefined; readonly clock: Clock },
  attempts: number,
): CallPolicies {
  return {
    ...policies,
    ...(retry === undefined ? {} : { retry: { maxAttempts: attempts, ...retry } }),
    ...(breaker === undefined ? {} : { breaker: breakerOf(id, breaker, host, clock) }),
  };
}

function breakerOf(
  id: string,
  given: NonNullable<ConnectorPolicies['breaker']>,
  host: ActorHost | undefined,
  clock: Clock,
): NonNullable<CallPolicies['breaker']> {
  if (typeof given === 'function' || isBreaker(given)) return given;
  const options = given === true ? {} : given;
  return (dependency) =>
    CircuitBreaker.of(host as ActorHost, dependency === id ? id : `${id}.${dependency}`, { ...options, clock });
}

function breakerFaults(given: ConnectorPolicies['breaker'], host: ActorHost | undefined): readonly string[] {
  if (given === undefined || typeof given === 'function' || isBreaker(given)) return [];
  if (host === undefined) {
    return [
      'policies.breaker: a breaker is an actor, and there is no system: use SystemConnector.start with one, or give a breaker',
    ];
  }
  if (given === true) return [];
  try {
    resolveBreaker('policies.breaker', given);
    return [];
  } catch (error) {
    const faults =
      error instanceof InvalidOptionsError ? (error.details['faults'] as readonly string[]) : [String(error)];
    return faults.map((fault) => `policies.breaker.${fault}`);
  }
}

function isBreaker(given: unknown): given is CallBreaker {
  return typeof (given as { execute?: unknown } | null)?.execute === 'function';
}

function faultsOf(given: unknown, shape: Shape, path: string): string[] {
  if (typeof given !== 'object' || given === null)
    return [`${path === '' ? 'options' : path}: ${show(given)} is no object`];
  return Object.entries(given).flatMap(([name, value]) => {
    const here = path === '' ? name : `${path}.${name}`;
    if (value === undefined) return [];
    const check = Object.hasOwn(shape, name) ? shape[name] : undefined;
    if (check === undefined) {
      return [`${here}: no such option (known: ${Object.keys(shape).join(', ')})`];
    }
    if (typeof check !== 'function') return faultsOf(value, check, here);
    const fault = check(here, value);
    return fault === undefined ? [] : [fault];
  });
}

function show(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
