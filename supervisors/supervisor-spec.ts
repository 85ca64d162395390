/**
 * Supervisor flags: strategy, intensity, period, automatic shutdown, backoff; and the children to begin with.
 *
 * Owns: OTP's flags, their defaults and their checks. Child specs are checked by `child-spec.ts`.
 *
 * Invariants:
 * SF1. Checked flags are plain data and complete.
 */
import {
  type AutoShutdown,
  type CheckedChildSpec,
  type ChildSpec,
  checkBackoff,
  checkChildSpec,
  checkChildSpecs,
} from './child-spec.ts';
import type { RestartBackoff } from './restart-backoff.ts';
import { RESTART_STRATEGIES, type RestartStrategy } from './restart-strategy.ts';
import { InvalidSupervisorSpecError } from './supervisor-errors.ts';

/** What a supervisor does about its children's ends. The defaults are OTP's, but for `backoff`. */
export interface SupervisorFlags {
  /** Restarts allowed within `periodMs`; one more, and the supervisor ends. Default 1. */
  readonly intensity?: number | undefined;
  /** In ms. Default 5,000. */
  readonly periodMs?: number | undefined;
  /**
   * - `never` (default): the supervisor outlives its children.
   * - `any_significant`: it ends when a significant child ended by itself and is not restarted.
   * - `all_significant`: it ends when the last significant child did.
   */
  readonly autoShutdown?: AutoShutdown | undefined;
  /** Wait before a restart. Default: the kernel's (100 ms, doubling, 30 s at most, full jitter); `none` is OTP's: at once. */
  readonly backoff?: RestartBackoff | undefined;
}

export interface SupervisorSpec extends SupervisorFlags {
  /** Default `one_for_one`. */
  readonly strategy?: RestartStrategy | undefined;
  /** Started in this order, stopped in the reverse one. */
  readonly children: readonly ChildSpec[];
}

/** OTP's simple_one_for_one: any number of children of one spec. */
export interface DynamicSupervisorSpec extends SupervisorFlags {
  /** What every child is made from. Its `input` is for children that are started without one. */
  readonly child: Omit<ChildSpec, 'id' | 'actor'> & { readonly actor: Omit<ChildSpec['actor'], 'id'> };
}

/** Flags with everything filled in, as plain data. */
export interface CheckedFlags {
  readonly intensity: number;
  readonly periodMs: number;
  readonly autoShutdown: AutoShutdown;
  readonly backoff: RestartBackoff;
}

export interface CheckedPolicy extends CheckedFlags {
  readonly strategy: RestartStrategy;
}

export interface CheckedSupervisorSpec {
  readonly policy: CheckedPolicy;
  readonly children: readonly CheckedChildSpec[];
}

export interface CheckedDynamicSpec {
  readonly flags: CheckedFlags;
  readonly child: CheckedChildSpec;
}

/** OTP's defaults. */
const INTENSITY_DEFAULT = 1;
const PERIOD_MS_DEFAULT = 5_000;

/** The id that the one spec of a dynamic supervisor has in errors and in `get_childspec`. */
export const DYNAMIC_CHILD_ID = 'dynamic';

/** Fills in the defaults of `spec`; throws `InvalidSupervisorSpecError` or `InvalidChildSpecError`. */
export function checkSupervisorSpec(spec: SupervisorSpec): CheckedSupervisorSpec {
  const flags = checkFlags(spec);
  const strategy = checkStrategy(spec.strategy ?? 'one_for_one');
  return { policy: { strategy, ...flags }, children: checkChildSpecs(spec.children, flags.autoShutdown) };
}

/** The same for a dynamic supervisor. */
export function checkDynamicSpec(spec: DynamicSupervisorSpec): CheckedDynamicSpec {
  const flags = checkFlags(spec);
  return { flags, child: checkChildSpec({ ...spec.child, id: DYNAMIC_CHILD_ID }, flags.autoShutdown) };
}

function checkFlags(flags: SupervisorFlags): CheckedFlags {
  if (typeof flags !== 'object' || flags === null) throw fault('invalid_type', flags);
  return {
    intensity: checkIntensity(flags.intensity ?? INTENSITY_DEFAULT),
    periodMs: checkPeriod(flags.periodMs ?? PERIOD_MS_DEFAULT),
    autoShutdown: checkAutoShutdown(flags.autoShutdown ?? 'never'),
    backoff: checkBackoff(undefined, flags.backoff ?? {}),
  };
}

function checkStrategy(strategy: RestartStrategy): RestartStrategy {
  if (RESTART_STRATEGIES.includes(strategy)) return strategy;
  throw fault('invalid_strategy', strategy);
}

function checkIntensity(intensity: number): number {
  if (Number.isSafeInteger(intensity) && intensity >= 0) return intensity;
  throw fault('invalid_intensity', intensity);
}

function checkPeriod(periodMs: number): number {
  if (Number.isSafeInteger(periodMs) && periodMs > 0) return periodMs;
  throw fault('invalid_period', periodMs);
}

function checkAutoShutdown(autoShutdown: AutoShutdown): AutoShutdown {
  if (autoShutdown === 'never' || autoShutdown === 'any_significant' || autoShutdown === 'all_significant') {
    return autoShutdown;
  }
  throw fault('invalid_auto_shutdown', autoShutdown);
}

function fault(name: string, value: unknown): InvalidSupervisorSpecError {
  const shown = typeof value === 'function' ? 'a function' : (JSON.stringify(value) ?? String(value));
  return new InvalidSupervisorSpecError(`supervisor: ${name}: ${shown}`, { details: { fault: name, value: shown } });
}
