/**
 * A circuit breaker written down as its documentation says it, without runs, buckets or timers: a list of calls, asked anew each time.
 * What the chart is held against.
 */
import type { BreakerSettings } from '../../actors/circuit-breaker/breaker-settings.ts';
import type { CallOutcome } from '../../actors/circuit-breaker/call-window.ts';
import type { CircuitState } from '../../actors/circuit-breaker/circuit-breaker-machine.ts';

const failed = (outcome: CallOutcome): boolean => outcome === 'failure' || outcome === 'slow_failure';
const slow = (outcome: CallOutcome): boolean => outcome === 'slow' || outcome === 'slow_failure';

export class ReferenceCircuit {
  readonly settings: BreakerSettings;
  state: CircuitState = 'closed';
  generation = 1;
  openings = 0;
  openUntilMs: number | null = null;
  tickets: { readonly ticket: number; readonly expiresMs: number }[] = [];
  succeeded = 0;
  failed = 0;
  #calls: { readonly outcome: CallOutcome; readonly atMs: number }[] = [];
  #ticket = 0;
  #nowMs: number;

  constructor(settings: BreakerSettings, nowMs: number) {
    this.settings = settings;
    this.#nowMs = nowMs;
  }

  advance(toMs: number): void {
    for (;;) {
      const expiry = this.tickets.map(({ expiresMs }) => expiresMs).sort((a, b) => a - b)[0];
      const due = this.state === 'open' ? this.openUntilMs : expiry;
      if (due === null || due === undefined || due > toMs) break;
      this.#nowMs = due;
      if (this.state === 'open') this.#enter('half_open');
      else this.#probed(this.tickets.find(({ expiresMs }) => expiresMs === due)?.ticket ?? 0, 'failure');
    }
    this.#nowMs = toMs;
  }

  report(generation: number, outcomes: readonly CallOutcome[]): void {
    for (const outcome of outcomes) {
      if (this.state !== 'closed' || generation !== this.generation) return;
      this.#calls.push({ outcome, atMs: this.#nowMs });
      if (outcome !== 'success' && this.#isTooMuch()) this.#enter('open');
    }
  }

  /** The ticket, or undefined. */
  probe(): number | undefined {
    if (this.state !== 'half_open') return undefined;
    const { probes, timeoutMs } = this.settings.halfOpen;
    if (this.tickets.length + this.succeeded + this.failed >= probes) return undefined;
    this.#ticket += 1;
    this.tickets.push({ ticket: this.#ticket, expiresMs: this.#nowMs + timeoutMs });
    return this.#ticket;
  }

  probed(ticket: number, outcome: CallOutcome | 'unused'): void {
    if (this.tickets.some((one) => one.ticket === ticket)) this.#probed(ticket, outcome);
  }

  isolate(): void {
    this.#enter('isolated');
  }

  reset(): void {
    this.#enter('closed');
  }

  /** The calls that count now. */
  tally(): { calls: number; failures: number; slow: number } {
    const calls = this.#counting();
    return {
      calls: calls.length,
      failures: calls.filter(failed).length,
      slow: this.settings.policy.kind === 'consecutive' ? 0 : calls.filter(slow).length,
    };
  }

  #counting(): CallOutcome[] {
    const { policy } = this.settings;
    const all = this.#calls;
    switch (policy.kind) {
      case 'consecutive': {
        const last = all.findLastIndex(({ outcome }) => outcome === 'success');
        return all.slice(last + 1).map(() => 'failure');
      }
      case 'count_window':
        return all.slice(-policy.size).map(({ outcome }) => outcome);
      case 'time_window': {
        const tenth = (atMs: number): number => Math.floor(atMs / (policy.durationMs / 10));
        return all.filter(({ atMs }) => tenth(atMs) > tenth(this.#nowMs) - 10).map(({ outcome }) => outcome);
      }
    }
  }

  #isTooMuch(): boolean {
    const { policy, slowCall } = this.settings;
    const counting = this.tally();
    if (policy.kind === 'consecutive') return counting.failures >= policy.failures;
    if (counting.calls < policy.minimumCalls) return false;
    if (counting.failures / counting.calls >= policy.failureRate) return true;
    return slowCall !== null && counting.slow / counting.calls >= slowCall.rate;
  }

  #probed(ticket: number, outcome: CallOutcome | 'unused'): void {
    const { probes, toleratedFailures } = this.settings.halfOpen;
    this.tickets = this.tickets.filter((one) => one.ticket !== ticket);
    if (outcome === 'unused') return;
    if (outcome === 'success') this.succeeded += 1;
    else this.failed += 1;
    if (this.failed > toleratedFailures) this.#enter('open');
    else if (this.succeeded >= probes - toleratedFailures) this.#enter('closed');
  }

  #enter(state: CircuitState): void {
    const { openMs, openFactor, openMsLimit } = this.settings;
    this.state = state;
    this.generation += 1;
    this.tickets = [];
    this.succeeded = 0;
    this.failed = 0;
    this.#calls = [];
    this.openUntilMs = null;
    if (state === 'closed') this.openings = 0;
    if (state !== 'open') return;
    this.openUntilMs = this.#nowMs + Math.min(openMsLimit, openMs * openFactor ** this.openings);
    this.openings += 1;
  }
}
