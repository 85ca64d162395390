/**
 * What a closed circuit remembers of the calls through it, and when that is enough to open it.
 *
 * Owns: the three windows and their judgement. Pure: time is handed in. Used by the breaker's actor, where it decides, and by each
 * thread's mirror, where it foresees what the actor will decide.
 *
 * Invariants:
 * CW1. A window is plain data and is never changed in place. Its size is bounded: a number, runs of at most `size` calls, ten buckets.
 * CW2. Only a failed or slow call trips. So a thread may keep successes to itself for a while, and a call that went well is never the
 *      one after which calls are refused.
 * CW3. Counting calls one by one or in runs gives the same. Calls after the one that trips are not counted.
 */
import type { BreakerSettings, TripPolicy } from './breaker-settings.ts';

/** `slow`: it went well, and took too long. */
export type CallOutcome = 'success' | 'failure' | 'slow' | 'slow_failure';

/** So many calls, one after the other, that ended alike. */
export type Run = readonly [outcome: CallOutcome, calls: number];

/** Calls of one tenth of a time window; `tenth` numbers them since 1970. */
export interface Bucket extends Tally {
  readonly tenth: number;
}

export type CallWindow =
  | { readonly kind: 'consecutive'; readonly failures: number }
  | { readonly kind: 'count_window'; readonly runs: readonly Run[] }
  | { readonly kind: 'time_window'; readonly buckets: readonly Bucket[] };

export interface Tally {
  readonly calls: number;
  readonly failures: number;
  readonly slow: number;
}

/** Why a circuit opens. */
export interface Trip extends Tally {
  readonly because: 'consecutive_failures' | 'failure_rate' | 'slow_call_rate';
}

export interface Counted {
  readonly window: CallWindow;
  readonly trip: Trip | undefined;
}

const BUCKETS = 10;

export function emptyWindow({ kind }: TripPolicy): CallWindow {
  switch (kind) {
    case 'consecutive':
      return { kind, failures: 0 };
    case 'count_window':
      return { kind, runs: [] };
    case 'time_window':
      return { kind, buckets: [] };
  }
}

export const isFailed = (outcome: CallOutcome): boolean => outcome === 'failure' || outcome === 'slow_failure';
export const isSlow = (outcome: CallOutcome): boolean => outcome === 'slow' || outcome === 'slow_failure';

/** Counts runs of calls that ended now, up to the one that trips. A window of another policy counts as empty. */
export function countCalls(
  before: CallWindow,
  runs: readonly Run[],
  settings: BreakerSettings,
  nowMs: number,
): Counted {
  const { policy } = settings;
  let window = before.kind === policy.kind ? before : emptyWindow(policy);
  for (const [outcome, calls] of runs) {
    if (outcome === 'success') {
      window = added(window, outcome, calls, policy, nowMs);
      continue;
    }
    for (let i = 0; i < calls; i++) {
      window = added(window, outcome, 1, policy, nowMs);
      const trip = tripOf(window, settings, nowMs);
      if (trip !== undefined) return { window, trip };
    }
  }
  return { window, trip: undefined };
}

/** The calls that a window holds now. */
export function tallyOf(window: CallWindow, policy: TripPolicy, nowMs: number): Tally {
  switch (window.kind) {
    case 'consecutive':
      return { calls: window.failures, failures: window.failures, slow: 0 };
    case 'count_window': {
      let [calls, failures, slow] = [0, 0, 0];
      for (const [outcome, count] of window.runs) {
        calls += count;
        if (isFailed(outcome)) failures += count;
        if (isSlow(outcome)) slow += count;
      }
      return { calls, failures, slow };
    }
    case 'time_window': {
      const tenth = policy.kind === 'time_window' ? tenthOf(policy.durationMs, nowMs) : 0;
      let [calls, failures, slow] = [0, 0, 0];
      for (const bucket of window.buckets) {
        if (!isWithin(bucket, tenth)) continue;
        calls += bucket.calls;
        failures += bucket.failures;
        slow += bucket.slow;
      }
      return { calls, failures, slow };
    }
  }
}

/** Whether one more success would change nothing that a later failure is judged by. */
export function isSaturated(window: CallWindow, policy: TripPolicy): boolean {
  if (window.kind === 'consecutive') return window.failures === 0;
  if (window.kind !== 'count_window' || policy.kind !== 'count_window' || window.runs.length !== 1) return false;
  const [outcome, calls] = window.runs[0] as Run;
  return outcome === 'success' && calls === policy.size;
}

/** The window with so many more calls. */
function added(window: CallWindow, outcome: CallOutcome, calls: number, policy: TripPolicy, nowMs: number): CallWindow {
  if (window.kind === 'consecutive') {
    // A slow call is a failure here: a run of calls has no rate.
    const failures = outcome === 'success' ? 0 : window.failures + calls;
    return failures === window.failures ? window : { kind: 'consecutive', failures };
  }
  if (window.kind === 'count_window') {
    const size = policy.kind === 'count_window' ? policy.size : calls;
    return { kind: 'count_window', runs: lastCalls(window.runs, [outcome, calls], size) };
  }
  const durationMs = policy.kind === 'time_window' ? policy.durationMs : 0;
  return { kind: 'time_window', buckets: withCalls(window.buckets, outcome, calls, tenthOf(durationMs, nowMs)) };
}

/** The last `size` calls of `runs` and then `run`. */
function lastCalls(runs: readonly Run[], [outcome, calls]: Run, size: number): Run[] {
  const last = runs.at(-1);
  const kept: Run[] =
    last?.[0] === outcome ? [...runs.slice(0, -1), [outcome, last[1] + calls]] : [...runs, [outcome, calls]];
  let over = -size;
  for (const [, count] of kept) over += count;
  while (over > 0) {
    const [oldest, count] = kept[0] as Run;
    if (count > over) kept[0] = [oldest, count - over];
    else kept.shift();
    over -= count;
  }
  return kept;
}

/** Those of the future are of a clock that was set back since. */
function isWithin(bucket: Bucket, tenth: number): boolean {
  return bucket.tenth > tenth - BUCKETS && bucket.tenth <= tenth;
}

function tenthOf(durationMs: number, nowMs: number): number {
  return Math.floor(nowMs / (durationMs / BUCKETS));
}

function withCalls(buckets: readonly Bucket[], outcome: CallOutcome, calls: number, tenth: number): Bucket[] {
  const kept = buckets.filter((bucket) => isWithin(bucket, tenth));
  const at = kept.findIndex((bucket) => bucket.tenth === tenth);
  const before: Bucket = kept[at] ?? { tenth, calls: 0, failures: 0, slow: 0 };
  const now: Bucket = {
    tenth,
    calls: before.calls + calls,
    failures: before.failures + (isFailed(outcome) ? calls : 0),
    slow: before.slow + (isSlow(outcome) ? calls : 0),
  };
  if (at === -1) kept.push(now);
  else kept[at] = now;
  return kept;
}

function tripOf(window: CallWindow, { policy, slowCall }: BreakerSettings, nowMs: number): Trip | undefined {
  const tally = tallyOf(window, policy, nowMs);
  if (policy.kind === 'consecutive') {
    return tally.failures >= policy.failures ? { because: 'consecutive_failures', ...tally } : undefined;
  }
  if (tally.calls < policy.minimumCalls) return undefined;
  if (tally.failures / tally.calls >= policy.failureRate) return { because: 'failure_rate', ...tally };
  if (slowCall !== null && tally.slow / tally.calls >= slowCall.rate) return { because: 'slow_call_rate', ...tally };
  return undefined;
}
