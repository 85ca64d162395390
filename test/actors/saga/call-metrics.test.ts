/** Figures of targets: percentiles against sorted lists, windows that slide, and rules that hold before they act. */
import { expect, test } from 'vitest';
import {
  addCall,
  addCalls,
  type CallSlices,
  figuresOf,
  NO_CALLS,
  SLICE_MS,
  WINDOW_MS,
} from '../../../actors/saga/call-metrics.ts';
import { bucketOf, middleMs, percentilesMs } from '../../../actors/saga/latency-histogram.ts';
import { engagedSinceMs, IDLE, nextHold, type RuleHold } from '../../../actors/saga/rule-hold.ts';
import { seededRandom } from '../../../runtime/kernel/random.ts';

test('LH1: percentiles are within a sixteenth of those of the sorted list, whatever the durations', () => {
  const random = seededRandom(3, 1);
  for (const scale of [0.001, 0.3, 12, 900, 60_000]) {
    const durations = Array.from({ length: 2_000 }, () => scale * (0.05 + random.next() ** 4 * 40));
    const counts: Record<number, number> = {};
    for (const ms of durations) counts[bucketOf(ms)] = (counts[bucketOf(ms)] ?? 0) + 1;
    expect(Object.keys(counts).length).toBeLessThan(240);
    const sorted = durations.toSorted((a, b) => a - b);
    const shares = [0.5, 0.9, 0.99, 1];
    for (const [i, estimate] of percentilesMs(counts, shares).entries()) {
      const exact = sorted[Math.ceil((shares[i] as number) * sorted.length) - 1] as number;
      expect(Math.abs(estimate - exact), `${exact} ms`).toBeLessThanOrEqual(exact / 16 + 0.0006);
    }
  }
});

test('buckets ascend, and each holds its own middle', () => {
  for (let bucket = 0; bucket < 232; bucket++) {
    expect(middleMs(bucket)).toBeLessThan(middleMs(bucket + 1));
    if (bucket >= 16) expect(bucketOf(middleMs(bucket))).toBe(bucket);
  }
  expect(bucketOf(Number.MAX_SAFE_INTEGER)).toBe(bucketOf(0xffff_ffff / 1_000));
  expect(bucketOf(-5)).toBe(0);
  expect(percentilesMs({}, [0.5])).toEqual([0]);
});

const T0 = 1_000 * SLICE_MS;
const one = (ms: number, outcome: 'done' | 'failed' | 'unknown' = 'done') => addCall(NO_CALLS, ms, outcome);

test('a window slides: what is older is not in it, and no more than it holds is kept', () => {
  let slices: CallSlices = [];
  for (let i = 0; i < 100; i++) slices = addCalls(slices, one(i === 99 ? 8 : 100, 'failed'), T0 + i * SLICE_MS);
  const nowMs = T0 + 99 * SLICE_MS;
  expect(slices.length).toBeLessThanOrEqual(WINDOW_MS / SLICE_MS);
  expect(figuresOf([slices], WINDOW_MS, nowMs)).toMatchObject({ calls: 12, errors: 12, errorRate: 1, maxMs: 100 });
  expect(figuresOf([slices], SLICE_MS, nowMs)).toMatchObject({ calls: 1, p50Ms: expect.closeTo(8, 0) });
  expect(figuresOf([slices], WINDOW_MS, nowMs + WINDOW_MS)).toMatchObject({ calls: 0, errorRate: 0, p99Ms: 0 });
});

test('CM2: a clock that is set back loses nothing', () => {
  const slices = [T0, T0 - 3_600_000, T0 + 1].reduce<CallSlices>((all, atMs) => addCalls(all, one(5), atMs), []);
  expect(figuresOf([slices], SLICE_MS, T0)).toMatchObject({ calls: 3 });
});

test('outcomes: errors and, among them, those without an answer; of several windows the sum', () => {
  const a = addCalls(addCalls([], one(10), T0), one(30, 'unknown'), T0);
  const b = addCalls([], one(20, 'failed'), T0);
  expect(figuresOf([a, b], SLICE_MS, T0)).toMatchObject({
    calls: 3,
    errors: 2,
    timeouts: 1,
    timeoutRate: 1 / 3,
    meanMs: 20,
    maxMs: 30,
  });
});

test('RH1, RH2: a rule neither acts nor lets go on a whim', () => {
  const times = { forMs: 100, releaseForMs: 200, cooldownMs: 300 };
  const seen: [number, string][] = [];
  let hold: RuleHold = IDLE;
  const holdsAt = (atMs: number): boolean =>
    // A flicker, then for good; a gap, then for good; gone; back at once.
    (atMs >= 10 && atMs < 60) || (atMs >= 100 && atMs < 400) || (atMs >= 500 && atMs < 600) || atMs >= 850;
  for (let atMs = 0; atMs < 1_500; atMs += 10) {
    const before = hold.kind;
    hold = nextHold(hold, { rises: holdsAt(atMs), falls: !holdsAt(atMs) }, atMs, times);
    if (hold.kind !== before) seen.push([atMs, hold.kind]);
  }
  expect(seen).toEqual([
    [10, 'rising'],
    [60, 'idle'],
    [100, 'rising'],
    [200, 'engaged'],
    [400, 'falling'],
    [500, 'engaged'],
    [600, 'falling'],
    [800, 'cooling'],
    [1_100, 'rising'],
    [1_200, 'engaged'],
  ]);
  expect(engagedSinceMs(hold)).toBe(1_200);
  expect(nextHold(IDLE, { rises: true, falls: false }, 5, { ...times, forMs: 0 })).toEqual({
    kind: 'engaged',
    sinceMs: 5,
  });
});
