/**
 * Outcomes of a thread's calls that the breaker's actor has not been told of, as runs, in order.
 *
 * Owns: adding to the run that is being added to, cutting reports to size, and the bound of what waits.
 *
 * Invariants:
 * UC1. Adding one more like the last is two additions: no allocation.
 * UC2. At most `WAITING_RUNS_LIMIT` runs wait. Beyond it the older half is forgotten, and `forgotten` says so.
 */
import type { CallOutcome, Run } from './call-window.ts';

/** Calls of which a thread tells at the latest, however short the time was. */
const REPORT_CALLS_LIMIT = 10_000;
/** Runs of one report: outcomes that alternate make short ones. */
const REPORT_RUNS_LIMIT = 1_000;
/** Runs that wait while the actor does not answer. */
const WAITING_RUNS_LIMIT = 10_000;

export class UnreportedCalls {
  #runs: Run[] = [];
  #lastOutcome: CallOutcome = 'success';
  #lastCalls = 0;
  #calls = 0;
  #forgotten = 0;

  /** How many calls. */
  get size(): number {
    return this.#calls;
  }

  /** How often some were forgotten, for want of room. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** A report's worth, or more. */
  get isFull(): boolean {
    return this.#calls >= REPORT_CALLS_LIMIT || this.#runs.length >= REPORT_RUNS_LIMIT;
  }

  /** Those of runs that have ended. */
  get ended(): readonly Run[] {
    return this.#runs;
  }

  /** The run that is being added to. */
  get last(): Run | undefined {
    return this.#lastCalls === 0 ? undefined : [this.#lastOutcome, this.#lastCalls];
  }

  /** One more call. Returns the run that has ended with it. */
  add(outcome: CallOutcome): Run | undefined {
    this.#calls += 1;
    if (outcome === this.#lastOutcome) {
      this.#lastCalls += 1;
      return undefined;
    }
    const ended = this.endRun();
    this.#lastOutcome = outcome;
    this.#lastCalls = 1;
    return ended;
  }

  /** Ends the run that is being added to, and returns it. */
  endRun(): Run | undefined {
    const run = this.last;
    if (run === undefined) return undefined;
    this.#lastCalls = 0;
    this.#runs.push(run);
    if (this.#runs.length > WAITING_RUNS_LIMIT) {
      this.#calls -= callsOf(this.#runs.splice(0, WAITING_RUNS_LIMIT / 2));
      this.#forgotten += 1;
    }
    return run;
  }

  /** Takes the runs of one report, oldest first, of those that have ended. */
  take(): readonly Run[] {
    const runs = this.#runs.splice(0, REPORT_RUNS_LIMIT);
    this.#calls -= callsOf(runs);
    return runs;
  }

  clear(): void {
    this.#runs = [];
    this.#lastCalls = 0;
    this.#calls = 0;
  }
}

function callsOf(runs: readonly Run[]): number {
  return runs.reduce((calls, [, count]) => calls + count, 0);
}
