/**
 * Retained subjects as an actor: messages in the order of their acceptance, each with a position, for subscriptions that begin in the past.
 *
 * Owns: positions, which segment has which, and dropping what is beyond the limits. It is spoken to as a queue is (BATCH), and read page
 * by page; a page that lies in a segment is read there by who wants it.
 *
 * Invariants:
 * ES1. Positions grow by one, from 1, and are never given twice.
 * ES2. What is within the limits can be read. Whole segments are dropped; a reader sees nothing beyond the limits.
 */
import type { Behavior, Turn } from '../../kernel/behavior.ts';
import type { RetainedPositions } from '../contract/broker-contract.ts';
import { type Arrival, eachOfBatch, packVerdicts } from './embedded-batch.ts';
import {
  type RetentionLimits,
  segmentKey,
  type SegmentMessage,
  type StreamMessage,
  type StreamPage,
  type Verdict,
  type WireMessage,
  type WireRetained,
} from './embedded-protocol.ts';
import { type SavedWindow, Window } from './embedded-window.ts';

interface StreamSegment {
  readonly number: number;
  readonly first: number;
  readonly count: number;
  readonly lastMs: number;
}

interface StreamState {
  limits: RetentionLimits;
  next: number;
  segments: StreamSegment[];
  free: number[];
  nextNumber: number;
  tail: WireRetained[];
  tailBytes: number;
  window: Window;
}

interface SavedStream {
  readonly limits: RetentionLimits;
  readonly next: number;
  readonly segments: readonly StreamSegment[];
  readonly free: readonly number[];
  readonly nextNumber: number;
  readonly tail: readonly WireRetained[];
  readonly window: SavedWindow;
}

const SEGMENT_MESSAGES = 512;
const SEGMENT_BYTES = 256 << 10;
/** Messages that are remembered, for duplicates. */
const REMEMBERED = 20_000;

export const streamBehavior: Behavior<StreamState> = {
  init: () => ({
    limits: {},
    next: 1,
    segments: [],
    free: [],
    nextNumber: 0,
    tail: [],
    tailBytes: 0,
    window: new Window(REMEMBERED),
  }),
  receive(state, message, turn) {
    const told = message as StreamMessage;
    switch (told.type) {
      case 'OPEN':
        state.limits = told.limits;
        trim(state, turn);
        turn.reply(state.next);
        break;
      case 'BATCH': {
        const verdicts: Verdict[] = [];
        eachOfBatch(told.batch, (one) => void verdicts.push(append(state, one, turn)));
        turn.reply(packVerdicts(verdicts));
        trim(state, turn);
        break;
      }
      case 'READ':
        turn.reply(read(state, told.position, turn.nowMs));
        break;
      case 'POSITIONS':
        turn.reply(positionsOf(state, turn.nowMs));
        break;
    }
    return state;
  },
  save: ({ limits, next, segments, free, nextNumber, tail, window }): SavedStream => ({
    limits,
    next,
    segments: [...segments],
    free: [...free],
    nextNumber,
    tail: [...tail],
    window: window.save(),
  }),
  load(value) {
    const { limits, next, segments, free, nextNumber, tail, window } = value as SavedStream;
    return {
      limits,
      next,
      segments: [...segments],
      free: [...free],
      nextNumber,
      tail: [...tail],
      tailBytes: tail.reduce((sum, [, , message]) => sum + message[5].length, 0),
      window: Window.load(window, REMEMBERED),
    };
  },
  view: ({ next, segments, tail }) => ({ next, first: segments[0]?.first ?? next - tail.length }),
};

function append(state: StreamState, arrival: Arrival, turn: Turn): Verdict {
  const { id, key, dedupe, expiresAtMs, notBeforeMs, block, start, size } = arrival;
  const known = state.window.find(id, dedupe);
  if (known !== undefined) return known.id;
  state.window.accept(id, dedupe, turn.nowMs);
  if (state.tail.length >= SEGMENT_MESSAGES || (state.tail.length > 0 && state.tailBytes + size > SEGMENT_BYTES)) {
    seal(state, turn);
  }
  const position = state.next++;
  const message: WireMessage = [id, key, dedupe, expiresAtMs, notBeforeMs, block.subarray(start, start + size)];
  state.tail.push([position, turn.nowMs, message]);
  state.tailBytes += size;
  return position;
}

function seal(state: StreamState, turn: Turn): void {
  const number = state.free.pop() ?? state.nextNumber++;
  const entries = state.tail;
  const [first, last] = [entries[0], entries.at(-1)];
  if (first === undefined || last === undefined) return;
  state.segments.push({ number, first: first[0], count: entries.length, lastMs: last[1] });
  turn.send(segmentKey(turn.self, number), { type: 'PUT', entries } satisfies SegmentMessage);
  state.tail = [];
  state.tailBytes = 0;
}

/** Drops segments that are wholly beyond the limits. */
function trim(state: StreamState, turn: Turn): void {
  const least = leastPosition(state);
  const leastMs = leastMsOf(state, turn.nowMs);
  for (;;) {
    const [oldest] = state.segments;
    if (oldest === undefined) return;
    if (oldest.first + oldest.count > least && oldest.lastMs >= leastMs) return;
    state.segments.shift();
    state.free.push(oldest.number);
    turn.send(segmentKey(turn.self, oldest.number), { type: 'DROP' } satisfies SegmentMessage);
  }
}

function leastPosition({ limits, next }: StreamState): number {
  return limits.messages === undefined ? 1 : Math.max(1, next - limits.messages);
}

const leastMsOf = ({ limits }: StreamState, nowMs: number): number =>
  nowMs - (limits.ageMs ?? Number.POSITIVE_INFINITY);

/** To the segment, where age is the limit: times are in the segments. */
function positionsOf(state: StreamState, nowMs: number): RetainedPositions {
  const { next, segments, tail } = state;
  const leastMs = leastMsOf(state, nowMs);
  const first =
    segments.find(({ lastMs }) => lastMs >= leastMs)?.first ?? tail.find(([, atMs]) => atMs >= leastMs)?.[0] ?? next;
  return { firstPosition: Math.max(first, leastPosition(state)), nextPosition: next };
}

function read(state: StreamState, from: number, nowMs: number): StreamPage {
  const position = Math.max(from, leastPosition(state));
  const leastMs = leastMsOf(state, nowMs);
  const base = { next: state.next, position, leastMs };
  const segment = state.segments.find(({ first, count }) => first + count > position);
  if (segment !== undefined) {
    return { ...base, segment: segment.number, after: segment.first + segment.count, entries: [] };
  }
  return { ...base, segment: -1, after: state.next, entries: state.tail.filter(([at]) => at >= position) };
}
