/**
 * The guards of one connector: one for each system that it calls.
 *
 * Owns: making them as they are needed, and which of them see too many failures.
 */
import { CallGuard, type CallFigures, type CallPolicies, type GuardSeams } from './call-guard.ts';
import type { DegradedOptions } from './error-rate.ts';

export class GuardSet {
  readonly #policies: CallPolicies;
  readonly #degraded: DegradedOptions;
  readonly #seams: GuardSeams;
  readonly #guards = new Map<string, CallGuard>();

  constructor(policies: CallPolicies, degraded: DegradedOptions, seams: GuardSeams) {
    this.#policies = policies;
    this.#degraded = degraded;
    this.#seams = seams;
  }

  of(dependency: string): CallGuard {
    const known = this.#guards.get(dependency);
    if (known !== undefined) return known;
    const guard = new CallGuard(dependency, this.#policies, this.#degraded, this.#seams);
    this.#guards.set(dependency, guard);
    return guard;
  }

  /** It was none. */
  forget(dependency: string): void {
    this.#guards.delete(dependency);
  }

  /** Those of whose last calls too many failed. */
  faulty(): readonly string[] {
    return [...this.#guards.values()].filter((guard) => guard.isFaulty).map(({ dependency }) => dependency);
  }

  figures(): Readonly<Record<string, CallFigures>> {
    return Object.fromEntries([...this.#guards].map(([name, guard]) => [name, guard.figures()]));
  }
}
