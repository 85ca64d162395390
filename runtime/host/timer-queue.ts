/**
 * The durable timers of the cells in one host's memory: a binary heap by due time, and one wait of the clock.
 *
 * Owns: when a timer fires. Whether it still counts (set again, cancelled, cell gone) is the cell's to say, and asked when it is
 * due and when the heap has doubled. Those of unloaded cells are the journal's: the cell's image has its next due time.
 *
 * Invariants:
 * Q1. A timer never fires before its due time by the clock's wall time, also when that time jumps back.
 * Q2. Timers due at once fire in the order in which they were set.
 * Q3. Of entries that no longer count there are at most as many as of those that do, and `SPARE_ENTRIES`.
 */
import type { CellKey } from '../kernel/address.ts';
import type { Clock, Wait } from '../kernel/clock.ts';

interface Entry {
  readonly dueMs: number;
  readonly order: number;
  readonly key: CellKey;
  readonly id: string;
  readonly armed: number;
}

export type Fire = (key: CellKey, id: string, armed: number) => void;
/** Whether the cell is in memory and waits for just this setting of the timer. */
export type IsArmed = (key: CellKey, id: string, armed: number) => boolean;

/** A wait is cut into pieces of this length, so that a wall clock set forward is noticed. */
const LONGEST_WAIT_MS = 60_000;
/** Entries below which nobody looks for dead ones. */
const SPARE_ENTRIES = 1_024;

export class TimerQueue {
  readonly #clock: Clock;
  readonly #fire: Fire;
  readonly #isArmed: IsArmed;
  #heap: Entry[] = [];
  #sweepAt = SPARE_ENTRIES;
  #order = 0;
  #wait: Wait | undefined;
  #waitingForMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, isArmed: IsArmed, fire: Fire) {
    this.#clock = clock;
    this.#isArmed = isArmed;
    this.#fire = fire;
  }

  /** Entries, with those that no longer count. */
  get size(): number {
    return this.#heap.length;
  }

  add(key: CellKey, id: string, dueMs: number, armed: number): void {
    if (this.#heap.length >= this.#sweepAt) this.#sweep();
    this.#order += 1;
    this.#push({ dueMs, order: this.#order, key, id, armed });
    if (dueMs < this.#waitingForMs) this.#rearm();
  }

  close(): void {
    this.#wait?.cancel();
    this.#wait = undefined;
    this.#heap = [];
    this.#waitingForMs = Number.POSITIVE_INFINITY;
  }

  #rearm(): void {
    this.#wait?.cancel();
    this.#wait = undefined;
    const first = this.#heap[0];
    if (first === undefined) {
      this.#waitingForMs = Number.POSITIVE_INFINITY;
      return;
    }
    this.#waitingForMs = first.dueMs;
    const ms = Math.min(LONGEST_WAIT_MS, Math.max(0, first.dueMs - this.#clock.now()));
    this.#wait = this.#clock.wait(ms, () => this.#due());
  }

  #due(): void {
    const nowMs = this.#clock.now();
    this.#waitingForMs = Number.POSITIVE_INFINITY;
    for (let first = this.#heap[0]; first !== undefined && first.dueMs <= nowMs; first = this.#heap[0]) {
      this.#pop();
      if (this.#isArmed(first.key, first.id, first.armed)) this.#fire(first.key, first.id, first.armed);
    }
    this.#rearm();
  }

  /** Lets go of entries that no longer count: at most once while as many are added as were left the last time. */
  #sweep(): void {
    // A sorted array is a heap.
    this.#heap = this.#heap
      .filter((entry) => this.#isArmed(entry.key, entry.id, entry.armed))
      .sort((a, b) => (before(a, b) ? -1 : 1));
    this.#sweepAt = Math.max(SPARE_ENTRIES, this.#heap.length * 2);
    this.#rearm();
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Entry;
      if (!before(entry, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Entry;
    const length = heap.length;
    if (length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && before(heap[child + 1] as Entry, heap[child] as Entry)) child += 1;
      const below = heap[child] as Entry;
      if (!before(below, last)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}
