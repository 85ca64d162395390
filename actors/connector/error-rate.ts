/**
 * The share of calls that failed lately: what makes a connector degraded.
 *
 * Owns: the outcomes of the last calls, within a span of time. Counts what it is told; which errors are failures of the other side is
 * `call-guard.ts`.
 *
 * Invariants:
 * ER1. Fewer than `ofCalls` outcomes within `withinMs` say nothing: the rate is then 0.
 */

export interface DegradedOptions {
  /** Share of failed calls, above 0 and up to 1, from which on the connector is degraded. Default 0.5. */
  readonly errorRate?: number;
  /** Calls that the rate is taken of: the last ones. Default 20. */
  readonly ofCalls?: number;
  /** Older outcomes do not count. Default 30,000. */
  readonly withinMs?: number;
}

export class ErrorRate {
  readonly #limit: number;
  readonly #ofCalls: number;
  readonly #withinMs: number;
  /** A ring: the next outcome replaces the oldest. */
  readonly #outcomes: { readonly atMs: number; readonly failed: boolean }[] = [];
  #next = 0;

  constructor(options: DegradedOptions = {}) {
    this.#limit = options.errorRate ?? 0.5;
    this.#ofCalls = options.ofCalls ?? 20;
    this.#withinMs = options.withinMs ?? 30_000;
  }

  add(failed: boolean, nowMs: number): void {
    this.#outcomes[this.#next] = { atMs: nowMs, failed };
    this.#next = (this.#next + 1) % this.#ofCalls;
  }

  /** From 0 to 1. */
  rate(nowMs: number): number {
    let failed = 0;
    let counted = 0;
    for (const outcome of this.#outcomes) {
      if (nowMs - outcome.atMs > this.#withinMs) continue;
      counted += 1;
      if (outcome.failed) failed += 1;
    }
    return counted < this.#ofCalls ? 0 : failed / counted;
  }

  isFaulty(nowMs: number): boolean {
    return this.rate(nowMs) >= this.#limit;
  }
}
