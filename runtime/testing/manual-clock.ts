/**
 * A clock that a test moves: waits come when the test says so, the event loop is the real one.
 *
 * Owns: virtual time for one system on the calling thread. Simulation has a stricter one, `virtual-clock.ts`.
 *
 * Invariants:
 * MC1. Waits fire in the order of their due times, each at its due time.
 * MC2. `advance` returns when everything that came of it has run.
 */
import { type Clock, systemClock, type Wait } from '../kernel/clock.ts';
import { VIRTUAL_EPOCH_MS } from './virtual-clock.ts';

interface DueWait {
  readonly dueMs: number;
  readonly fire: () => void;
}

/** Turns of the real loop in which nothing virtual may happen before a system counts as quiet: promises of effects settle in them. */
const QUIET_TURNS = 3;

export class ManualClock implements Clock {
  readonly #waits = new Set<DueWait>();
  #nowMs: number;
  #deferred = 0;

  constructor(startMs: number = VIRTUAL_EPOCH_MS) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wait(ms: number, fire: () => void): Wait {
    const wait: DueWait = { dueMs: this.#nowMs + Math.max(0, ms), fire };
    this.#waits.add(wait);
    return { cancel: () => void this.#waits.delete(wait) };
  }

  defer(run: () => void): void {
    this.#deferred += 1;
    systemClock.defer(() => {
      this.#deferred -= 1;
      run();
    });
  }

  /** Runs what is to be run now; waits that are not due stay. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < QUIET_TURNS; quiet++) {
      await new Promise<void>((resolve) => {
        systemClock.defer(resolve);
      });
      if (this.#deferred > 0 || this.#fireDue()) quiet = -1;
    }
  }

  /** Moves time by `ms`, stopping at every wait on the way. */
  async advance(ms: number): Promise<void> {
    const targetMs = this.#nowMs + ms;
    await this.settle();
    for (let next = this.#next(); next !== undefined && next.dueMs <= targetMs; next = this.#next()) {
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      await this.settle();
    }
    this.#nowMs = targetMs;
    await this.settle();
  }

  #fireDue(): boolean {
    let fired = false;
    for (let next = this.#next(); next !== undefined && next.dueMs <= this.#nowMs; next = this.#next()) {
      this.#waits.delete(next);
      next.fire();
      fired = true;
    }
    return fired;
  }

  #next(): DueWait | undefined {
    let first: DueWait | undefined;
    for (const wait of this.#waits) if (first === undefined || wait.dueMs < first.dueMs) first = wait;
    return first;
  }
}
