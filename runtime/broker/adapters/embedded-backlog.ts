/**
 * What waits in a queue: a head and a tail in memory, and between them segments, each in an actor of its own, which sleeps on disk.
 *
 * Owns: the order of what waits, which part of it is in memory, and the segments' numbers. Used by queues inside a turn; what a segment
 * does is `embedded-segment.ts`.
 *
 * Invariants:
 * EB1. In memory are at most a head, a tail and `FETCH_AHEAD` segments, whatever waits.
 * EB2. A segment is dropped in the turn that has taken its messages, not before: they are in one of the two.
 */
import type { Turn } from '../../kernel/behavior.ts';
import type { CellKey } from '../../kernel/address.ts';
import { type Entry, loadEntry, type SavedEntry, saveEntry, SortedEntries } from './embedded-entry.ts';
import { segmentKey, type SegmentMessage } from './embedded-protocol.ts';
import type { Window } from './embedded-window.ts';

/** A head that is full: what publishers have under way must not go by way of a segment. */
const HEAD_MESSAGES = 16_384;
const HEAD_BYTES = 4 << 20;
/** A tail that becomes a segment. */
const SEGMENT_MESSAGES = 1_024;
const SEGMENT_BYTES = 256 << 10;
/** Segments that are read before they are needed: reading one takes a commit or two. */
const FETCH_AHEAD = 3;
/** A segment that did not answer is asked again. */
const FETCH_TIMEOUT_MS = 30_000;
const ASK_PREFIX = 'segment:';

interface Segment {
  readonly number: number;
  readonly messages: number;
  fetch: 'none' | 'asked';
  entries: readonly SavedEntry[] | undefined;
}

export interface SavedBacklog {
  readonly ready: readonly SavedEntry[];
  readonly tail: readonly SavedEntry[];
  readonly segments: readonly Segment[];
  readonly free: readonly number[];
  readonly nextNumber: number;
}

export class Backlog {
  readonly ready = new SortedEntries();
  readonly #tail = new SortedEntries();
  readonly #owner: CellKey;
  #segments: Segment[] = [];
  #stored = 0;
  /** Numbers of segments that are empty again. */
  #free: number[] = [];
  #nextNumber = 0;

  constructor(owner: CellKey) {
    this.#owner = owner;
  }

  get length(): number {
    return this.ready.length + this.#stored + this.#tail.length;
  }

  get segments(): number {
    return this.#segments.length;
  }

  push(entry: Entry, turn: Turn): void {
    const isShort =
      this.#segments.length === 0 && this.#tail.length === 0 && !isFull(this.ready, entry, HEAD_MESSAGES, HEAD_BYTES);
    if (isShort) {
      this.ready.push(entry);
      return;
    }
    if (isFull(this.#tail, entry, SEGMENT_MESSAGES, SEGMENT_BYTES)) this.#seal(turn);
    this.#tail.push(entry);
  }

  /** Puts entries that were taken out back in their places. */
  restore(entries: readonly Entry[]): void {
    this.ready.restore(entries);
  }

  /** Fills the head up from what is behind it. To be called when entries were taken. */
  refill(turn: Turn, window: Window): void {
    while (this.ready.length * 2 < HEAD_MESSAGES && this.ready.bytes * 2 < HEAD_BYTES) {
      const [next] = this.#segments;
      if (next === undefined) {
        if (this.#tail.length > 0) this.ready.restore(this.#tail.takeAll());
        return;
      }
      if (next.entries === undefined) break;
      this.#segments.shift();
      this.#stored -= next.messages;
      this.ready.restore(next.entries.map((saved) => loadEntry(saved, window)));
      this.#drop(next.number, turn);
    }
    for (let at = 0; at < FETCH_AHEAD && at < this.#segments.length; at++) {
      const segment = this.#segments[at] as Segment;
      if (segment.fetch === 'none') this.#fetch(segment, turn);
    }
  }

  /** The answer of a segment; false for an answer to something else. */
  answered(ask: string, entries: readonly SavedEntry[]): boolean {
    const segment = this.#asked(ask);
    if (segment !== undefined) segment.entries = entries;
    return segment !== undefined;
  }

  failed(ask: string, turn: Turn): boolean {
    const segment = this.#asked(ask);
    if (segment !== undefined) this.#fetch(segment, turn);
    return segment !== undefined;
  }

  /** Takes out of memory what `isOut` says yes to. What is in a segment comes to it later. */
  removeIf(isOut: (entry: Entry) => boolean): readonly Entry[] {
    return [...this.ready.removeIf(isOut), ...this.#tail.removeIf(isOut)];
  }

  clear(turn: Turn): void {
    this.ready.takeAll();
    this.#tail.takeAll();
    for (const { number } of this.#segments) this.#drop(number, turn);
    this.#segments = [];
    this.#stored = 0;
  }

  save(): SavedBacklog {
    return {
      ready: this.ready.all().map(saveEntry),
      tail: this.#tail.all().map(saveEntry),
      segments: this.#segments.map((segment) => ({ ...segment })),
      free: [...this.#free],
      nextNumber: this.#nextNumber,
    };
  }

  static load(owner: CellKey, saved: SavedBacklog, window: Window): Backlog {
    const backlog = new Backlog(owner);
    for (const entry of saved.ready) backlog.ready.push(loadEntry(entry, window));
    for (const entry of saved.tail) backlog.#tail.push(loadEntry(entry, window));
    backlog.#segments = saved.segments.map((segment) => ({ ...segment }));
    backlog.#stored = saved.segments.reduce((sum, { messages }) => sum + messages, 0);
    backlog.#free = [...saved.free];
    backlog.#nextNumber = saved.nextNumber;
    return backlog;
  }

  #seal(turn: Turn): void {
    const number = this.#free.pop() ?? this.#nextNumber++;
    // It will be long until they come back: nobody keeps them until then.
    const entries = this.#tail.takeAll().map((entry) => saveEntry({ ...entry, keptBy: 0 }));
    this.#segments.push({ number, messages: entries.length, fetch: 'none', entries: undefined });
    this.#stored += entries.length;
    turn.send(segmentKey(this.#owner, number), { type: 'PUT', entries } satisfies SegmentMessage);
  }

  #fetch(segment: Segment, turn: Turn): void {
    segment.fetch = 'asked';
    turn.ask(segmentKey(this.#owner, segment.number), { type: 'TAKE' } satisfies SegmentMessage, {
      ask: `${ASK_PREFIX}${segment.number}`,
      timeoutMs: FETCH_TIMEOUT_MS,
    });
  }

  #drop(number: number, turn: Turn): void {
    turn.send(segmentKey(this.#owner, number), { type: 'DROP' } satisfies SegmentMessage);
    this.#free.push(number);
  }

  #asked(ask: string): Segment | undefined {
    if (!ask.startsWith(ASK_PREFIX)) return undefined;
    const number = Number(ask.slice(ASK_PREFIX.length));
    return this.#segments.find((segment) => segment.number === number && segment.entries === undefined);
  }
}

function isFull(entries: SortedEntries, next: Entry, messages: number, bytes: number): boolean {
  if (entries.length === 0) return false;
  return entries.length >= messages || entries.bytes + next.size > bytes;
}
