/**
 * What a circuit breaker is told: its options, their defaults, and the settings that come of them.
 *
 * Owns: the option names, the two environment variables, and saying everything that is wrong with them at once. Settings are plain data:
 * they travel to the breaker's actor in a message and are kept in its state, so that a new threshold needs no new version.
 */
import { type Environment, numberFrom } from '../../runtime/kernel/environment.ts';
import { isWithin, wordsOf } from '../../runtime/kernel/number-bounds.ts';
import { OptionFaults } from '../../runtime/kernel/option-faults.ts';

/** When a closed circuit opens. Only a failed or slow call opens it, never a successful one. */
export type TripPolicy =
  /** So many failures in a row, over all threads in the order in which the actor hears of them. */
  | { readonly kind: 'consecutive'; readonly failures: number }
  /** So large a share of the last `size` calls. */
  | {
      readonly kind: 'count_window';
      readonly size: number;
      readonly minimumCalls: number;
      readonly failureRate: number;
    }
  /** So large a share of the calls of the last `durationMs`, in tenths of it. */
  | {
      readonly kind: 'time_window';
      readonly durationMs: number;
      readonly minimumCalls: number;
      readonly failureRate: number;
    };

/** Plain data: a breaker's options with every default filled in. */
export interface BreakerSettings {
  readonly policy: TripPolicy;
  /** A call that takes `durationMs` or longer is slow. `null`: no call is. */
  readonly slowCall: { readonly durationMs: number; readonly rate: number } | null;
  readonly openMs: number;
  readonly openFactor: number;
  readonly openMsLimit: number;
  readonly halfOpen: { readonly probes: number; readonly toleratedFailures: number; readonly timeoutMs: number };
}

/** A `TripPolicy` of which only the kind must be given. */
export type PolicyOptions =
  | { readonly kind: 'consecutive'; readonly failures?: number }
  | {
      readonly kind: 'count_window';
      /** Calls. Default 100; at most 10,000. */
      readonly size?: number;
      /** Calls in the window before it is judged. Default 20, or `size` where that is smaller. */
      readonly minimumCalls?: number;
      /** Above 0, up to 1. Default 0.5. */
      readonly failureRate?: number;
    }
  | {
      readonly kind: 'time_window';
      /** Default 30,000; at least 100. */
      readonly durationMs?: number;
      readonly minimumCalls?: number;
      readonly failureRate?: number;
    };

/** Options of a circuit breaker. All have defaults. */
export interface CircuitBreakerOptions {
  /** Default: `consecutive`, with as many failures as `CIRCUIT_BREAKER_FAILURE_THRESHOLD` says, or 5. */
  readonly policy?: PolicyOptions;
  /**
   * Calls that take so long are slow, and the circuit opens when their share of the window is `rate` (default 1). With `consecutive`
   * there is no rate: a slow call is a failure. Default: no call is slow.
   */
  readonly slowCall?: { readonly durationMs: number; readonly rate?: number };
  /** How long it stays open the first time. Default `CIRCUIT_BREAKER_TIMEOUT_SECONDS`, or 60,000. */
  readonly openMs?: number;
  /** What that is multiplied by each time it opens again without having closed. Default 2; 1: always the same. */
  readonly openFactor?: number;
  /** Longest time it stays open. Default: ten times `openMs`. */
  readonly openMsLimit?: number;
  readonly halfOpen?: {
    /** Calls that are let through, of all threads together, to see whether the dependency is back. Default 1. */
    readonly probes?: number;
    /** It opens again with more failed probes than this. Default 0. */
    readonly toleratedFailures?: number;
    /** A probe of which nothing is heard for so long has failed. Default 30,000. */
    readonly timeoutMs?: number;
  };
  /**
   * Whether an error is a fault of the dependency. Asked in the caller's thread. Default: every error is, but those with an HTTP status of
   * 400 to 499 (`status`, `statusCode`, `response.status`) other than 408 and 429: such an answer shows that it works.
   */
  readonly isFailure?: (error: unknown) => boolean;
  /** How long a thread may keep outcomes to itself, ms. One that opens the circuit is told at once. Default 100. */
  readonly reportDelayMs?: number;
}

/** Options as the caller's thread uses them. */
export interface ResolvedBreaker {
  readonly settings: BreakerSettings;
  readonly isFailure: ((error: unknown) => boolean) | undefined;
  readonly reportDelayMs: number;
}

/** Longest count window: it is kept in the state and looked through at every failure. */
const WINDOW_CALLS_LIMIT = 10_000;
const TIME_WINDOW_LEAST_MS = 100;
const FAILURES_DEFAULT = 5;
const OPEN_SECONDS_DEFAULT = 60;

const KNOWN = {
  '': ['policy', 'slowCall', 'openMs', 'openFactor', 'openMsLimit', 'halfOpen', 'isFailure', 'reportDelayMs'],
  slowCall: ['durationMs', 'rate'],
  halfOpen: ['probes', 'toleratedFailures', 'timeoutMs'],
  consecutive: ['kind', 'failures'],
  count_window: ['kind', 'size', 'minimumCalls', 'failureRate'],
  time_window: ['kind', 'durationMs', 'minimumCalls', 'failureRate'],
} as const;

/** Completes and checks options; throws one `InvalidOptionsError` with every fault. `environment`: where defaults are read. */
export function resolveBreaker(
  what: string,
  options: CircuitBreakerOptions = {},
  environment: Environment = process.env,
): ResolvedBreaker {
  const faults = new OptionFaults();
  if (!isObject(options)) faults.add('options', options, 'an object');
  const given: CircuitBreakerOptions = isObject(options) ? options : {};
  faults.unknown(given, KNOWN['']);
  const whole = { least: 1, whole: true };
  const threshold = numberFrom(environment, 'CIRCUIT_BREAKER_FAILURE_THRESHOLD', whole, faults.found);
  const seconds = numberFrom(environment, 'CIRCUIT_BREAKER_TIMEOUT_SECONDS', { above: 0 }, faults.found);
  const policy = policyOf(faults, given.policy, threshold ?? FAILURES_DEFAULT);
  const openMs = faults.number('openMs', given.openMs, (seconds ?? OPEN_SECONDS_DEFAULT) * 1_000, { least: 1 });
  const settings: BreakerSettings = {
    policy,
    slowCall: slowCallOf(faults, given.slowCall, policy),
    openMs,
    openFactor: faults.number('openFactor', given.openFactor, 2, { least: 1 }),
    openMsLimit: faults.number('openMsLimit', given.openMsLimit, openMs * 10, { least: openMs }),
    halfOpen: halfOpenOf(faults, given.halfOpen),
  };
  const { isFailure } = given;
  if (isFailure !== undefined && typeof isFailure !== 'function') faults.add('isFailure', isFailure, 'a function');
  const reportDelayMs = faults.number('reportDelayMs', given.reportDelayMs, 100, { least: 1, most: 60_000 });
  faults.throwIfAny(what);
  return { settings, isFailure, reportDelayMs };
}

function policyOf(faults: OptionFaults, given: PolicyOptions | undefined, failuresDefault: number): TripPolicy {
  if (given === undefined) return { kind: 'consecutive', failures: failuresDefault };
  const kind: unknown = isObject(given) ? given.kind : undefined;
  switch (kind) {
    case 'consecutive': {
      faults.unknown(given, KNOWN[kind], 'option', 'policy.');
      const { failures } = given as Extract<PolicyOptions, { kind: 'consecutive' }>;
      return { kind, failures: faults.number('policy.failures', failures, failuresDefault, { least: 1, whole: true }) };
    }
    case 'count_window': {
      faults.unknown(given, KNOWN[kind], 'option', 'policy.');
      const { size: givenSize, ...more } = given as Extract<PolicyOptions, { kind: 'count_window' }>;
      const size = faults.number('policy.size', givenSize, 100, { least: 1, most: WINDOW_CALLS_LIMIT, whole: true });
      return { kind, size, ...windowOf(faults, more, Math.min(20, size), size) };
    }
    case 'time_window': {
      faults.unknown(given, KNOWN[kind], 'option', 'policy.');
      const { durationMs, ...more } = given as Extract<PolicyOptions, { kind: 'time_window' }>;
      return {
        kind,
        durationMs: faults.number('policy.durationMs', durationMs, 30_000, { least: TIME_WINDOW_LEAST_MS }),
        ...windowOf(faults, more, 20, undefined),
      };
    }
    default:
      faults.add('policy.kind', kind, "'consecutive', 'count_window' or 'time_window'");
      return { kind: 'consecutive', failures: failuresDefault };
  }
}

function windowOf(
  faults: OptionFaults,
  given: { readonly minimumCalls?: number; readonly failureRate?: number },
  minimumDefault: number,
  mostCalls: number | undefined,
): { minimumCalls: number; failureRate: number } {
  return {
    minimumCalls: faults.number('policy.minimumCalls', given.minimumCalls, minimumDefault, {
      least: 1,
      most: mostCalls,
      whole: true,
    }),
    failureRate: faults.number('policy.failureRate', given.failureRate, 0.5, { above: 0, most: 1 }),
  };
}

function slowCallOf(
  faults: OptionFaults,
  given: CircuitBreakerOptions['slowCall'],
  policy: TripPolicy,
): BreakerSettings['slowCall'] {
  if (given === undefined) return null;
  if (!isObject(given)) {
    faults.add('slowCall', given, 'an object { durationMs, rate }');
    return null;
  }
  faults.unknown(given, KNOWN['slowCall'], 'option', 'slowCall.');
  if (policy.kind === 'consecutive' && given.rate !== undefined) {
    faults.add(
      'slowCall.rate',
      given.rate,
      "for policy 'consecutive', which counts a slow call as a failure: leave it out",
    );
  }
  const aboveNought = { above: 0 };
  const durationMs: unknown = given.durationMs;
  if (!isWithin(durationMs, aboveNought)) faults.add('slowCall.durationMs', durationMs, wordsOf(aboveNought));
  return {
    durationMs: given.durationMs,
    rate: faults.number('slowCall.rate', given.rate, 1, { above: 0, most: 1 }),
  };
}

function halfOpenOf(faults: OptionFaults, given: CircuitBreakerOptions['halfOpen'] = {}): BreakerSettings['halfOpen'] {
  if (!isObject(given)) {
    faults.add('halfOpen', given, 'an object { probes, toleratedFailures, timeoutMs }');
    return { probes: 1, toleratedFailures: 0, timeoutMs: 1 };
  }
  faults.unknown(given, KNOWN['halfOpen'], 'option', 'halfOpen.');
  const probes = faults.number('halfOpen.probes', given.probes, 1, { least: 1, most: WINDOW_CALLS_LIMIT, whole: true });
  return {
    probes,
    toleratedFailures: faults.number('halfOpen.toleratedFailures', given.toleratedFailures, 0, {
      least: 0,
      most: probes - 1,
      whole: true,
    }),
    timeoutMs: faults.number('halfOpen.timeoutMs', given.timeoutMs, 30_000, { least: 1 }),
  };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
