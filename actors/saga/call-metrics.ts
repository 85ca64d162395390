/**
 * What is known of the calls of one target lately: counts and latencies in a sliding window.
 *
 * Owns: the metrics' names and types, the window, and the figures read from it. Plain data, and pure.
 *
 * Invariants:
 * CM1. Bounded: a window has at most `SLICES` slices, and a slice at most the buckets of a histogram.
 * CM2. A clock that is set back adds to the latest slice; nothing is lost, and nothing is counted twice.
 */
import { addCounts, bucketOf, type LatencyCounts, percentilesMs } from './latency-histogram.ts';

/** Of all targets. The names and kinds as conditions read them. */
export const CALL_METRICS = {
  /** Tries answered, in any way, or given up. */
  calls: 'int',
  /** Of them those that failed, those without an answer among them. */
  errors: 'int',
  errorRate: 'double',
  /** Those without an answer: nobody knows what became of them. */
  timeouts: 'int',
  timeoutRate: 'double',
  meanMs: 'double',
  p50Ms: 'double',
  p90Ms: 'double',
  p99Ms: 'double',
  maxMs: 'double',
} as const;

/** Of systems only, as of now, not of their single actions. */
export const SYSTEM_METRICS = {
  /** Commands published and not answered. */
  inFlight: 'int',
  /** Commands that wait in the broker. */
  waiting: 'int',
  /** closed, open, half_open, isolated, or unknown. */
  breaker: 'string',
  /** Calls that hold a place in a connector's bulkhead, and that wait for one. */
  bulkheadRunning: 'int',
  bulkheadWaiting: 'int',
} as const;

export const BREAKER_STATES: readonly string[] = ['closed', 'open', 'half_open', 'isolated', 'unknown'];

export type CallMetric = keyof typeof CALL_METRICS;
export type SystemMetric = keyof typeof SYSTEM_METRICS;
export type CallFigures = Readonly<Record<CallMetric, number>>;
/** What is not known is absent. */
export type SystemGauges = { readonly [K in SystemMetric]?: K extends 'breaker' ? string : number };

export type CallOutcome = 'done' | 'failed' | 'unknown';

/** Calls of one target that are told of together. */
export interface CallBatch {
  readonly calls: number;
  readonly errors: number;
  readonly timeouts: number;
  readonly sumMs: number;
  readonly maxMs: number;
  readonly latencies: LatencyCounts;
}

interface Slice extends CallBatch {
  /** Number of the slice since 1970. */
  readonly at: number;
}

/** In the order of time. */
export type CallSlices = readonly Slice[];

export const SLICE_MS = 5_000;
const SLICES = 12;
/** The longest window. */
export const WINDOW_MS: number = SLICE_MS * SLICES;

export const NO_CALLS: CallBatch = { calls: 0, errors: 0, timeouts: 0, sumMs: 0, maxMs: 0, latencies: {} };

export function addCall(batch: CallBatch, ms: number, outcome: CallOutcome): CallBatch {
  return addBatch(batch, {
    calls: 1,
    errors: outcome === 'done' ? 0 : 1,
    timeouts: outcome === 'unknown' ? 1 : 0,
    sumMs: ms,
    maxMs: ms,
    latencies: { [bucketOf(ms)]: 1 },
  });
}

function addBatch(a: CallBatch, b: CallBatch): CallBatch {
  return {
    calls: a.calls + b.calls,
    errors: a.errors + b.errors,
    timeouts: a.timeouts + b.timeouts,
    sumMs: a.sumMs + b.sumMs,
    maxMs: Math.max(a.maxMs, b.maxMs),
    latencies: addCounts(a.latencies, b.latencies),
  };
}

export function addCalls(slices: CallSlices, batch: CallBatch, nowMs: number): CallSlices {
  const last = slices.at(-1);
  const at = Math.max(Math.floor(nowMs / SLICE_MS), last?.at ?? 0);
  if (last?.at === at) return [...slices.slice(0, -1), { ...addBatch(last, batch), at }];
  return [...slices.filter((slice) => slice.at > at - SLICES), { ...batch, at }];
}

/** When anything was counted last, ms since 1970. */
export function lastCallMs(slices: CallSlices): number {
  return (slices.at(-1)?.at ?? 0) * SLICE_MS;
}

/** Of the slices that begin within `windowMs` of now, of one target or of several. */
export function figuresOf(windows: readonly CallSlices[], windowMs: number, nowMs: number): CallFigures {
  const from = Math.floor(nowMs / SLICE_MS) - Math.ceil(windowMs / SLICE_MS);
  const { calls, errors, timeouts, sumMs, maxMs, latencies } = windows
    .flat()
    .filter(({ at }) => at > from)
    .reduce<CallBatch>(addBatch, NO_CALLS);
  const [p50 = 0, p90 = 0, p99 = 0] = percentilesMs(latencies, [0.5, 0.9, 0.99]);
  const share = (count: number): number => (calls === 0 ? 0 : count / calls);
  return {
    calls,
    errors,
    errorRate: share(errors),
    timeouts,
    timeoutRate: share(timeouts),
    meanMs: share(sumMs),
    p50Ms: Math.min(p50, maxMs),
    p90Ms: Math.min(p90, maxMs),
    p99Ms: Math.min(p99, maxMs),
    maxMs,
  };
}
