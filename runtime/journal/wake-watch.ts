/**
 * The alarm clock of unloaded cells: one wait, for the earliest row of the table of wakes.
 *
 * Owns: what was already due, and the wait for what is not. Who is told is the journal's matter.
 *
 * Invariants:
 * V1. Every row whose time comes while the journal is open is delivered: by the wait, or at once when it is written late. Once, unless
 *     the clock was set back: then what lies ahead again is delivered again.
 * V2. Rows that were due when the journal was opened, and rows for "at once" (0), are left to the recovery of their slot.
 */
import type { CellKey } from '../kernel/address.ts';
import type { Clock, Wait } from '../kernel/clock.ts';
import type { Store } from './store.ts';

/** A machine that slept, or a clock that was set, is noticed after this time. */
const LONGEST_WAIT_MS = 60_000;

export interface WakeEvents {
  deliver(keys: readonly CellKey[]): void;
  /** The table cannot be read. Nobody else would hear of it: it is looked into when an alarm rings. */
  failed(error: unknown): void;
}

export class WakeWatch {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #told: WakeEvents;
  #upToMs = 0;
  #nextMs = Number.POSITIVE_INFINITY;
  #wait: Wait | undefined;

  constructor(store: Store, clock: Clock, told: WakeEvents) {
    this.#store = store;
    this.#clock = clock;
    this.#told = told;
  }

  start(): void {
    this.#upToMs = this.#clock.now();
    this.#arm();
  }

  stop(): void {
    this.#wait?.cancel();
  }

  /** Rows up to here have been delivered, or are left to a recovery that begins now. */
  get deliveredMs(): number {
    return Math.max(this.#upToMs, this.#clock.now());
  }

  /** A row was committed. */
  noted(key: CellKey, atMs: number | undefined): void {
    if (atMs === undefined || atMs === 0) return;
    this.#attempt(() => {
      this.#noticeSetBack();
      if (atMs <= this.#upToMs) this.#told.deliver([key]);
      else if (atMs < this.#nextMs) this.#armFor(atMs);
    });
  }

  #arm(): void {
    this.#armFor(this.#store.wakes(this.#upToMs, Number.MAX_SAFE_INTEGER, 1)[0]?.atMs ?? Number.POSITIVE_INFINITY);
  }

  #armFor(atMs: number): void {
    this.#wait?.cancel();
    this.#nextMs = atMs;
    if (atMs === Number.POSITIVE_INFINITY) return;
    const ms = Math.min(Math.max(0, atMs - this.#clock.now()), LONGEST_WAIT_MS);
    this.#wait = this.#clock.wait(ms, () => this.#attempt(() => this.#fire()));
  }

  #attempt(look: () => void): void {
    try {
      look();
    } catch (error) {
      this.#told.failed(error);
    }
  }

  #noticeSetBack(): void {
    const now = this.#clock.now();
    if (now >= this.#upToMs) return;
    this.#upToMs = now;
    this.#arm();
  }

  #fire(): void {
    this.#noticeSetBack();
    const now = this.#clock.now();
    if (now >= this.#nextMs) {
      const due = this.#store.wakes(this.#upToMs, now, Number.MAX_SAFE_INTEGER);
      this.#upToMs = now;
      if (due.length > 0) this.#told.deliver(due.map((row) => row.key));
    }
    this.#arm();
  }
}
