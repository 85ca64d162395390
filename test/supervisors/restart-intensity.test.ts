/** The window of restarts and the waits between them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nextRestart, type RestartBackoff } from '../../supervisors/restart-backoff.ts';
import { addRestart, type RestartLimit } from '../../supervisors/restart-intensity.ts';

const countAll = (instants: readonly number[], limit: RestartLimit): boolean[] => {
  let restarts: readonly number[] = [];
  return instants.map((nowMs) => {
    const counted = addRestart(restarts, nowMs, limit);
    restarts = counted.restarts;
    return counted.allowed;
  });
};

test('OTP: with intensity 1 the second restart within the period is one too many', () => {
  expect(countAll([0, 100], { intensity: 1, periodMs: 5_000 })).toEqual([true, false]);
});

test('the bound of the window is inclusive', () => {
  const limit = { intensity: 1, periodMs: 5_000 };
  expect(countAll([0, 5_000], limit)).toEqual([true, false]);
  expect(countAll([0, 5_001], limit)).toEqual([true, true]);
});

test('intensity 0 allows no restart', () => {
  expect(countAll([0], { intensity: 0, periodMs: 1 })).toEqual([false]);
});

test('RI3: a clock that jumps back delays nothing beyond one period', () => {
  const limit = { intensity: 1, periodMs: 5_000 };
  // The restart at 3,600,000 counts as one at 0, and is forgotten after 5,000.
  expect(countAll([3_600_000, 0], limit)).toEqual([true, false]);
  expect(countAll([3_600_000, 0, 5_001], { intensity: 2, periodMs: 5_000 })).toEqual([true, true, true]);
});

const limits = fc.record({ intensity: fc.nat(6), periodMs: fc.integer({ min: 1, max: 50 }) });

test('RI1: it is the count by definition, for a clock that goes forward', () => {
  fc.assert(
    fc.property(limits, fc.array(fc.nat(30), { maxLength: 60 }), (limit, steps) => {
      let nowMs = 0;
      const instants = steps.map((step) => (nowMs += step));
      const allowed = countAll(instants, limit);
      for (const [at, now] of instants.entries()) {
        const within = instants.slice(0, at + 1).filter((instant) => instant >= now - limit.periodMs);
        expect(allowed[at]).toBe(within.length <= limit.intensity);
      }
    }),
  );
});

test('RI2: the window is bounded, sorted and never in the future, for any clock', () => {
  fc.assert(
    fc.property(limits, fc.array(fc.integer({ min: -100, max: 100 }), { maxLength: 60 }), (limit, instants) => {
      let restarts: readonly number[] = [];
      for (const nowMs of instants) {
        restarts = addRestart(restarts, nowMs, limit).restarts;
        expect(restarts.length).toBeLessThanOrEqual(limit.intensity + 1);
        expect(restarts.toSorted((a, b) => a - b)).toEqual(restarts);
        expect(Math.max(...restarts)).toBeLessThanOrEqual(nowMs);
      }
    }),
  );
});

const waits = (policy: RestartBackoff, rows: number): number[] => {
  let attempt = 0;
  return Array.from({ length: rows }, () => {
    const next = nextRestart(policy, { attempt, sinceMs: 0 }, 0, () => 0.5);
    attempt = next.attempt;
    return next.waitMs;
  });
};

test('waits double up to their limit', () => {
  expect(waits({ initialMs: 3_000, maxMs: 30_000, jitter: 'none' }, 6)).toEqual([
    3_000, 6_000, 12_000, 24_000, 30_000, 30_000,
  ]);
});

test('full jitter takes a part of the wait', () => {
  expect(waits({ initialMs: 100, maxMs: 1_000 }, 5)).toEqual([50, 100, 200, 400, 500]);
});

test("none is OTP's way: at once, and nothing is drawn", () => {
  const never = () => {
    throw new Error('drawn');
  };
  expect(nextRestart('none', { attempt: 3, sinceMs: 0 }, 0, never)).toEqual({ attempt: 4, waitMs: 0 });
  expect(nextRestart({ jitter: 'none' }, { attempt: 0, sinceMs: 0 }, 0, never)).toEqual({ attempt: 1, waitMs: 100 });
});

test('BO2: a child that ran for stableAfterMs begins anew', () => {
  const policy = { jitter: 'none', stableAfterMs: 1_000 } as const;
  const next = (nowMs: number) => nextRestart(policy, { attempt: 4, sinceMs: 0 }, nowMs, () => 0).attempt;
  expect([next(999), next(1_000)]).toEqual([5, 1]);
});

test('BO1: any wait is a whole number within bounds, also after very many failures', () => {
  const policies = fc.record({
    initialMs: fc.nat(10_000),
    maxMs: fc.nat(10_000),
    factor: fc.double({ min: 1, max: 10, noNaN: true }),
    jitter: fc.constantFrom('full' as const, 'none' as const),
  });
  fc.assert(
    fc.property(policies, fc.nat(5_000), fc.double({ min: 0, max: 0.999, noNaN: true }), (policy, attempt, drawn) => {
      const { waitMs } = nextRestart(policy, { attempt, sinceMs: 0 }, 0, () => drawn);
      expect(Number.isSafeInteger(waitMs)).toBe(true);
      expect(waitMs).toBeGreaterThanOrEqual(0);
      expect(waitMs).toBeLessThanOrEqual(policy.maxMs);
    }),
  );
});
