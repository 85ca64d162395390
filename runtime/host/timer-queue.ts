/**
 * The durable timers of the cells in one host's memory: a binary heap by due time, and one wait of the clock.
 *
 * Owns: when a timer fires. Whether it still counts (set again, cancelled, cell gone) is in the cell's books, which are asked when it is
 * due and when the heap has doubled. Those of unloaded cells are the journal's: the cell's image has its next due time. Questions
 * are many, and nearly all of their deadlines never come: a cell's have one entry together, for the first of them.
 *
 * Invariants:
 * Q1. A timer never fires before its due time by the clock's wall time, also when that time jumps back.
 * Q2. Timers due at once fire in the order in which they were set.
 * Q3. Of entries that no longer count there are at most as many as of those that do, and `SPARE_ENTRIES`.
 * Q4. A cell with an open question has an entry due no later than its deadline. A deadline that has passed is told once, and late by
 *     no more than a thousandth of a millisecond for each question that the cell has open.
 */
import { askTimerOf } from '../cell/ask-timer.ts';
import type { AskEntry, TimerEntry } from '../cell/book.ts';
import type { CellKey } from '../kernel/address.ts';
import type { Clock, Wait } from '../kernel/clock.ts';

interface Entry {
  readonly dueMs: number;
  readonly order: number;
  readonly key: CellKey;
  /** Undefined: the cell's questions. */
  readonly id: string | undefined;
  readonly armed: number;
}

/** What a cell waits for. A `Book` is one. */
export interface Waiting {
  readonly timers: ReadonlyMap<string, TimerEntry> | undefined;
  readonly asks: ReadonlyMap<string, AskEntry> | undefined;
}

export type Fire = (key: CellKey, id: string, armed: number) => void;
/** The books of a cell that is in memory. */
export type BookOf = (key: CellKey) => Waiting | undefined;

/** A wait is cut into pieces of this length, so that a wall clock set forward is noticed. */
const LONGEST_WAIT_MS = 60_000;
/** Entries below which nobody looks for dead ones. */
const SPARE_ENTRIES = 1_024;
/** Open questions of one cell looked through in a millisecond, at most: so many that end one by one must not be looked through each time. */
const ASKS_A_MS = 1_000;

export class TimerQueue {
  readonly #clock: Clock;
  readonly #fire: Fire;
  readonly #bookOf: BookOf;
  #heap: Entry[] = [];
  /** When the entry for a cell's questions is due. */
  readonly #asksDueMs = new Map<CellKey, number>();
  #sweepAt = SPARE_ENTRIES;
  #order = 0;
  #wait: Wait | undefined;
  #waitingForMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, bookOf: BookOf, fire: Fire) {
    this.#clock = clock;
    this.#bookOf = bookOf;
    this.#fire = fire;
  }

  /** Entries, with those that no longer count. */
  get size(): number {
    return this.#heap.length;
  }

  add(key: CellKey, id: string, dueMs: number, armed: number): void {
    this.#add(key, id, dueMs, armed);
  }

  /** A question of the cell has this deadline. */
  addAsk(key: CellKey, dueMs: number): void {
    const firstMs = this.#asksDueMs.get(key);
    if (firstMs !== undefined && firstMs <= dueMs) return;
    this.#asksDueMs.set(key, dueMs);
    this.#add(key, undefined, dueMs, 0);
  }

  /** Everything that a cell waits for. What it was told while it did not run it did not hear. */
  addAll(key: CellKey, { asks, timers }: Waiting): void {
    for (const [id, { armed, dueMs }] of timers ?? []) this.#add(key, id, dueMs, armed);
    for (const ask of asks?.values() ?? []) {
      ask.isLate = false;
      this.addAsk(key, ask.dueMs);
    }
  }

  close(): void {
    this.#wait?.cancel();
    this.#wait = undefined;
    this.#heap = [];
    this.#asksDueMs.clear();
    this.#waitingForMs = Number.POSITIVE_INFINITY;
  }

  #add(key: CellKey, id: string | undefined, dueMs: number, armed: number): void {
    if (this.#heap.length >= this.#sweepAt) this.#sweep();
    this.#order += 1;
    this.#push({ dueMs, order: this.#order, key, id, armed });
    if (dueMs < this.#waitingForMs) this.#rearm();
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
      if (!this.#counts(first)) continue;
      if (first.id === undefined) this.#askDue(first.key, nowMs);
      else this.#fire(first.key, first.id, first.armed);
    }
    this.#rearm();
  }

  /** Tells a cell of its questions that are late, and waits for the others. */
  #askDue(key: CellKey, nowMs: number): void {
    this.#asksDueMs.delete(key);
    const asks = this.#bookOf(key)?.asks;
    if (asks === undefined) return;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [ask, entry] of asks) {
      if (entry.isLate) continue;
      if (entry.dueMs > nowMs) {
        if (entry.dueMs < nextMs) nextMs = entry.dueMs;
      } else {
        entry.isLate = true;
        this.#fire(key, askTimerOf(ask), entry.armed);
      }
    }
    if (nextMs < Number.POSITIVE_INFINITY)
      this.addAsk(key, Math.max(nextMs, nowMs + Math.floor(asks.size / ASKS_A_MS)));
  }

  #counts({ armed, dueMs, id, key }: Entry): boolean {
    if (id !== undefined) return this.#bookOf(key)?.timers?.get(id)?.armed === armed;
    // Another one is due sooner.
    return this.#asksDueMs.get(key) === dueMs;
  }

  /** Lets go of entries that no longer count: at most once while as many are added as were left the last time. */
  #sweep(): void {
    for (const key of this.#asksDueMs.keys()) if (!this.#bookOf(key)?.asks?.size) this.#asksDueMs.delete(key);
    // A sorted array is a heap.
    this.#heap = this.#heap.filter((entry) => this.#counts(entry)).sort((a, b) => (before(a, b) ? -1 : 1));
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
