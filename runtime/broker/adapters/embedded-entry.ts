/**
 * One message in a queue, and a list of them in order.
 *
 * Owns: the entry, its stored form, and the list that messages are taken from at the front and put back into at their place.
 *
 * Invariants:
 * EE1. A `SortedEntries` is in the order of `seq`, always.
 */
import type { Remembered, Window } from './embedded-window.ts';

export interface Entry {
  /** Its number in the queue, in the order of acceptance. */
  readonly seq: number;
  readonly id: string;
  readonly key: string;
  readonly dedupe: string | null;
  readonly expiresAtMs: number;
  /** What was packed is a part of this: it came with others. */
  readonly block: Uint8Array;
  readonly start: number;
  readonly size: number;
  readonly redrives: number;
  /** The run of the process (`QueueState.run`) whose consumers have these bytes until the first hand-out; 0: none. */
  keptBy: number;
  /** Of its present hand-out; 0: it has none. */
  lease: number;
  /** How often it was handed out and begun; not those times when its process died. */
  attempt: number;
  /** How often its process died while it was handed out. */
  lost: number;
  firstMs: number;
  /** Not to be handed out earlier. */
  dueMs: number;
  /** Its place in the window, as long as it has one. */
  item: Remembered | undefined;
}

/** What was packed; a view. */
export const bytesOf = ({ block, start, size }: Entry): Uint8Array => block.subarray(start, start + size);

export type SavedEntry = readonly [
  seq: number,
  id: string,
  key: string,
  dedupe: string | null,
  expiresAtMs: number,
  bytes: Uint8Array,
  redrives: number,
  attempt: number,
  firstMs: number,
  dueMs: number,
  lease: number,
  lost?: number,
  keptBy?: number,
];

export function saveEntry(entry: Entry): SavedEntry {
  const { seq, id, key, dedupe, expiresAtMs, redrives, attempt, firstMs, dueMs, lease, lost, keptBy } = entry;
  const bytes = bytesOf(entry);
  if (keptBy > 0) {
    return [seq, id, key, dedupe, expiresAtMs, bytes, redrives, attempt, firstMs, dueMs, lease, lost, keptBy];
  }
  if (lost > 0) return [seq, id, key, dedupe, expiresAtMs, bytes, redrives, attempt, firstMs, dueMs, lease, lost];
  return [seq, id, key, dedupe, expiresAtMs, bytes, redrives, attempt, firstMs, dueMs, lease];
}

export function loadEntry(saved: SavedEntry, window: Window): Entry {
  const [seq, id, key, dedupe, expiresAtMs, bytes, redrives, attempt, firstMs, dueMs, lease, lost = 0, keptBy = 0] =
    saved;
  const found = window.find(id, dedupe);
  const item = found?.id === id ? found : undefined;
  return {
    seq,
    id,
    key,
    dedupe,
    expiresAtMs,
    block: bytes,
    start: 0,
    size: bytes.length,
    redrives,
    keptBy,
    lease,
    attempt,
    lost,
    firstMs,
    dueMs,
    item,
  };
}

/** Freed places at the front before the list is made anew. */
const COMPACT_AFTER = 512;

export class SortedEntries {
  #items: Entry[] = [];
  #head = 0;
  bytes = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): Entry | undefined {
    return this.#items[this.#head];
  }

  /** One that is behind all others. */
  push(entry: Entry): void {
    this.#items.push(entry);
    this.bytes += entry.size;
  }

  shift(): Entry | undefined {
    const entry = this.#items[this.#head];
    if (entry === undefined) return undefined;
    this.#head += 1;
    this.bytes -= entry.size;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head >= COMPACT_AFTER) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return entry;
  }

  /** Puts back what was taken out earlier: `entries` are in order, and mostly in front of everything here. */
  restore(entries: readonly Entry[]): void {
    const first = this.first;
    const last = entries.at(-1);
    if (last === undefined) return;
    const own = this.#items.slice(this.#head);
    this.#head = 0;
    for (const { size } of entries) this.bytes += size;
    if (first === undefined || last.seq < first.seq) this.#items = [...entries, ...own];
    else this.#items = [...own, ...entries].sort((a, b) => a.seq - b.seq);
  }

  /** Takes out all that `isOut` says yes to. */
  removeIf(isOut: (entry: Entry) => boolean): Entry[] {
    const removed: Entry[] = [];
    const kept: Entry[] = [];
    for (let at = this.#head; at < this.#items.length; at++) {
      const entry = this.#items[at] as Entry;
      (isOut(entry) ? removed : kept).push(entry);
    }
    if (removed.length === 0) return removed;
    for (const { size } of removed) this.bytes -= size;
    this.#items = kept;
    this.#head = 0;
    return removed;
  }

  takeAll(): readonly Entry[] {
    const all = this.#items.slice(this.#head);
    this.#items = [];
    this.#head = 0;
    this.bytes = 0;
    return all;
  }

  all(): readonly Entry[] {
    return this.#items.slice(this.#head);
  }
}
