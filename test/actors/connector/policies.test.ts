/** Each policy around a call alone, and all of them in their order. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Bulkhead } from '../../../actors/connector/bulkhead.ts';
import { type CallBreaker, CallGuard, type CallPolicies } from '../../../actors/connector/call-guard.ts';
import { ErrorRate } from '../../../actors/connector/error-rate.ts';
import { TokenBucket } from '../../../actors/connector/token-bucket.ts';
import {
  CircuitOpenError,
  ConnectorUnavailableError,
  ContractViolationError,
  RateLimitedError,
} from '../../../runtime/kernel/errors.ts';
import { ManualClock } from '../../../runtime/testing/index.ts';
import { codeOf, errorOf } from '../../support/until.ts';

const half = { next: () => 0.5 };
const guardOf = (policies: CallPolicies, clock = new ManualClock()): CallGuard =>
  new CallGuard('billing', policies, {}, { clock, random: half });
const once = { repeatable: false };
const repeatable = { repeatable: true };

/** A call that ends when the test says so. */
const held = (): { readonly call: () => Promise<number>; release(): void; begun: number } => {
  const waiting: (() => void)[] = [];
  const self = {
    begun: 0,
    call: () =>
      new Promise<number>((resolve) => {
        self.begun += 1;
        waiting.push(() => resolve(self.begun));
      }),
    release: () => waiting.shift()?.(),
  };
  return self;
};

describe('bulkhead', () => {
  test('exactly so many run, exactly so many wait, the next is refused', async () => {
    const clock = new ManualClock();
    const guard = guardOf({ bulkhead: { concurrency: 3, queue: 2 } }, clock);
    const work = held();
    const calls = Array.from({ length: 5 }, () => guard.run(work.call, once));
    await clock.settle();
    expect(work.begun).toBe(3);
    expect(guard.figures()).toMatchObject({ running: 3, waiting: 2 });
    const error = await errorOf(guard.run(work.call, once));
    expect(error).toMatchObject({ code: 'BULKHEAD_FULL', details: { concurrency: 3, queue: 2 } });
    work.release();
    await clock.settle();
    expect(work.begun).toBe(4);
    expect(guard.figures()).toMatchObject({ running: 3, waiting: 1 });
    for (let i = 0; i < 4; i++) {
      work.release();
      await clock.settle();
    }
    await Promise.all(calls);
    expect(guard.figures()).toMatchObject({ calls: 6, succeeded: 5, running: 0, waiting: 0, refused: { bulkhead: 1 } });
  });

  test('whoever gives up waiting leaves no gap and takes no place', async () => {
    const bulkhead = new Bulkhead('x', { concurrency: 1, queue: 2 });
    const leave = await bulkhead.enter();
    const giveUp = new AbortController();
    const first = bulkhead.enter(giveUp.signal);
    const second = bulkhead.enter();
    giveUp.abort(new Error('enough'));
    await expect(first).rejects.toThrow('enough');
    expect(bulkhead.waiting).toBe(1);
    const third = bulkhead.enter();
    leave();
    leave();
    (await second)();
    (await third)();
    expect([bulkhead.running, bulkhead.waiting]).toEqual([0, 0]);
  });

  test('its bounds hold for any order of entering, leaving and giving up', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 0, max: 4 }),
        fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 60 }),
        async (concurrency, queue, steps) => {
          const bulkhead = new Bulkhead('x', { concurrency, queue });
          const inside: (() => void)[] = [];
          const waiting: AbortController[] = [];
          let admitted = 0;
          let refused = 0;
          let entered = 0;
          let gaveUp = 0;
          for (const step of steps) {
            if (step === 0) {
              entered += 1;
              const giveUp = new AbortController();
              waiting.push(giveUp);
              bulkhead.enter(giveUp.signal).then(
                (leave) => {
                  admitted += 1;
                  waiting.splice(waiting.indexOf(giveUp), 1);
                  inside.push(leave);
                },
                (error: { code?: string }) => {
                  if (error.code === 'BULKHEAD_FULL') {
                    refused += 1;
                    waiting.splice(waiting.indexOf(giveUp), 1);
                  } else gaveUp += 1;
                },
              );
            } else if (step === 1) inside.shift()?.();
            else waiting.shift()?.abort(new Error('enough'));
            await new Promise((resolve) => setImmediate(resolve));
            expect(bulkhead.running).toBe(inside.length);
            expect(bulkhead.running).toBeLessThanOrEqual(concurrency);
            expect(bulkhead.waiting).toBeLessThanOrEqual(queue);
            // No place stands empty while somebody waits.
            if (bulkhead.waiting > 0) expect(bulkhead.running).toBe(concurrency);
          }
          expect(admitted + refused + gaveUp + bulkhead.waiting).toBe(entered);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('rate limit', () => {
  test('a burst, then one token at its time, to the millisecond', async () => {
    const clock = new ManualClock();
    const guard = guardOf({ rateLimit: { permits: 10, perMs: 1_000, burst: 3 } }, clock);
    const call = async (): Promise<string> => 'yes';
    for (let i = 0; i < 3; i++) expect(await guard.run(call, once)).toBe('yes');
    const error = await errorOf(guard.run(call, once));
    expect(error).toMatchObject({ code: 'RATE_LIMITED', details: { retryAfterMs: 100, permits: 10, perMs: 1_000 } });
    await clock.advance(99);
    expect(await codeOf(guard.run(call, once))).toBe('RATE_LIMITED');
    await clock.advance(1);
    expect(await guard.run(call, once)).toBe('yes');
    expect(await codeOf(guard.run(call, once))).toBe('RATE_LIMITED');
    await clock.advance(100_000);
    for (let i = 0; i < 3; i++) expect(await guard.run(call, once)).toBe('yes');
    expect(await codeOf(guard.run(call, once))).toBe('RATE_LIMITED');
    expect(guard.figures().refused.rateLimit).toBe(4);
  });

  test('in no span of time more than burst and rate allow, and after the wait that it says there is a token', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 5_000 }),
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 200 }),
        (permits, perMs, burst, steps) => {
          const bucket = new TokenBucket({ permits, perMs, burst }, 0);
          const takenAt: number[] = [];
          let now = 0;
          for (const step of steps) {
            now += step;
            const waitMs = bucket.take(now);
            if (waitMs === 0) takenAt.push(now);
            else if (step % 3 === 0) {
              now += waitMs;
              expect(bucket.take(now)).toBe(0);
              takenAt.push(now);
            }
          }
          for (const [i, from] of takenAt.entries()) {
            for (const [n, to] of takenAt.slice(i).entries()) {
              expect(n + 1).toBeLessThanOrEqual(burst + ((to - from) * permits) / perMs + 0.001);
            }
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  test('one with patience waits for its token, and no longer than its patience', async () => {
    const clock = new ManualClock();
    const guard = guardOf({ rateLimit: { permits: 1, perMs: 1_000 } }, clock);
    const startMs = clock.now();
    const call = async (): Promise<number> => clock.now() - startMs;
    expect(await guard.run(call, once)).toBe(0);
    const patient = guard.run(call, { ...once, patienceMs: 1_000 });
    const late = codeOf(guard.run(call, { ...once, patienceMs: 999 }));
    await clock.advance(2_000);
    expect(await patient).toBe(1_000);
    expect(await late).toBe('RATE_LIMITED');
  });
});

describe('retries', () => {
  const failing = (times: number, error: () => Error): { readonly call: () => Promise<string>; tries: number } => {
    const self = {
      tries: 0,
      call: async () => {
        self.tries += 1;
        if (self.tries <= times) throw error();
        return 'done';
      },
    };
    return self;
  };
  const down = (): Error => new ConnectorUnavailableError('down');
  const retry = { maxAttempts: 3, initialMs: 100, jitter: 'none' as const };

  test('what may be repeated is, after growing waits', async () => {
    const clock = new ManualClock();
    const work = failing(2, down);
    const result = guardOf({ retry }, clock).run(work.call, repeatable);
    await clock.advance(99);
    expect(work.tries).toBe(1);
    await clock.advance(1);
    expect(work.tries).toBe(2);
    await clock.advance(199);
    expect(work.tries).toBe(2);
    await clock.advance(1);
    expect(await result).toBe('done');
  });

  test('what may not be repeated is tried once', async () => {
    const work = failing(1, down);
    expect(await codeOf(guardOf({ retry }).run(work.call, once))).toBe('CONNECTOR_UNAVAILABLE');
    expect(work.tries).toBe(1);
  });

  test('what would fail again is not tried again', async () => {
    const work = failing(1, () => new ContractViolationError('cents: expected a number'));
    expect(await codeOf(guardOf({ retry }).run(work.call, repeatable))).toBe('CONTRACT_VIOLATION');
    expect(work.tries).toBe(1);
  });

  test('the other side says when: never earlier, and not at all beyond the deadline', async () => {
    const clock = new ManualClock();
    const later = (): Error => new RateLimitedError('later', { details: { retryAfterMs: 900 } });
    const work = failing(1, later);
    const result = guardOf({ retry, timeoutMs: 1_000 }, clock).run(work.call, repeatable);
    await clock.advance(899);
    expect(work.tries).toBe(1);
    await clock.advance(1);
    expect(await result).toBe('done');
    const hurried = failing(1, later);
    const refused = codeOf(guardOf({ retry, timeoutMs: 800 }, clock).run(hurried.call, repeatable));
    await clock.settle();
    expect(await refused).toBe('RATE_LIMITED');
  });

  test('one place in the bulkhead for all tries, one token for each', async () => {
    const clock = new ManualClock();
    const guard = guardOf({ retry, bulkhead: { concurrency: 1 }, rateLimit: { permits: 2, perMs: 60_000 } }, clock);
    const work = failing(9, down);
    const result = codeOf(guard.run(work.call, repeatable));
    await clock.advance(50);
    expect(guard.figures()).toMatchObject({ running: 1 });
    await clock.advance(1_000);
    expect(await result).toBe('RATE_LIMITED');
    expect(work.tries).toBe(2);
    expect(guard.figures()).toMatchObject({ running: 0, retries: 2 });
  });
});

describe('deadlines', () => {
  test('of one try, and of the whole call; the call is told by its signal', async () => {
    const clock = new ManualClock();
    const signals: AbortSignal[] = [];
    const hang = (signal: AbortSignal): Promise<never> => {
      signals.push(signal);
      return new Promise(() => {});
    };
    const policies = {
      tryTimeoutMs: 100,
      timeoutMs: 250,
      retry: { maxAttempts: 9, initialMs: 10, jitter: 'none' as const },
    };
    const guard = guardOf(policies, clock);
    const result = errorOf(guard.run(hang, repeatable));
    await clock.advance(260);
    expect(await result).toMatchObject({ code: 'REQUEST_TIMEOUT', retryable: true, details: { timeoutMs: 250 } });
    await clock.settle();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, true]);
    expect(guard.figures()).toMatchObject({ failed: 1, timedOut: 1, running: 0 });
  });

  test('a caller who gives up is not a failure', async () => {
    const clock = new ManualClock();
    const guard = guardOf({}, clock);
    const giveUp = new AbortController();
    const result = guard.run(() => new Promise(() => {}), { ...once, signal: giveUp.signal });
    giveUp.abort(new Error('no longer wanted'));
    await expect(result).rejects.toThrow('no longer wanted');
    expect(guard.figures()).toMatchObject({ calls: 1, cancelled: 1, failed: 0, errorRate: 0 });
  });
});

/** Opens at the `limit`th failure in a row, until it is closed by hand. */
class FakeBreaker implements CallBreaker {
  state = 'closed';
  failures = 0;
  readonly #limit: number;
  readonly #retryAfterMs: number;

  constructor(limit: number, retryAfterMs: number) {
    this.#limit = limit;
    this.#retryAfterMs = retryAfterMs;
  }

  async execute<T>(call: (signal: AbortSignal | undefined) => Promise<T>): Promise<T> {
    if (this.state === 'open') {
      throw new CircuitOpenError('open', { details: { retryAfterMs: this.#retryAfterMs } });
    }
    try {
      return await call(new AbortController().signal);
    } catch (error) {
      this.failures += 1;
      if (this.failures >= this.#limit) this.state = 'open';
      throw error;
    }
  }
}

describe('circuit breaker', () => {
  test('what policies outside of it refuse, and what is the caller’s fault, it never counts', async () => {
    const clock = new ManualClock();
    const breaker = new FakeBreaker(1, 5_000);
    const guard = guardOf({ breaker, bulkhead: { concurrency: 1 }, rateLimit: { permits: 2, perMs: 60_000 } }, clock);
    const work = held();
    const first = guard.run(work.call, once);
    await clock.settle();
    expect(await codeOf(guard.run(work.call, once))).toBe('BULKHEAD_FULL');
    work.release();
    await first;
    const wrong = async (): Promise<never> => {
      throw new ContractViolationError('cents: expected a number');
    };
    expect(await codeOf(guard.run(wrong, once))).toBe('CONTRACT_VIOLATION');
    expect(await codeOf(guard.run(work.call, once))).toBe('RATE_LIMITED');
    expect([breaker.failures, breaker.state]).toEqual([0, 'closed']);
  });

  test('its refusal is the caller’s at once; one with patience waits as long as it says', async () => {
    const clock = new ManualClock();
    const breaker = new FakeBreaker(1, 400);
    const guard = guardOf({ breaker: () => breaker, retry: { maxAttempts: 5 } }, clock);
    const fail = async (): Promise<never> => {
      throw new Error('broken');
    };
    await expect(guard.run(fail, once)).rejects.toThrow('broken');
    expect(guard.figures()).toMatchObject({ breaker: 'open', failed: 1 });
    expect(await codeOf(guard.run(fail, repeatable))).toBe('CIRCUIT_OPEN');
    const patient = guard.run(async () => 'handled', { ...once, patienceMs: 1_000 });
    await clock.advance(399);
    breaker.state = 'closed';
    await clock.advance(1);
    expect(await patient).toBe('handled');
    expect(guard.figures()).toMatchObject({ refused: { breaker: 1 }, retries: 0 });
  });

  test('one that cannot be had fails the call, and the next call asks again', async () => {
    let asked = 0;
    const breaker = async (): Promise<CallBreaker> => {
      asked += 1;
      if (asked === 1) throw new Error('no breaker yet');
      return new FakeBreaker(1, 0);
    };
    const guard = guardOf({ breaker });
    await expect(guard.run(async () => 1, once)).rejects.toThrow('no breaker yet');
    expect(await guard.run(async () => 1, once)).toBe(1);
    expect(asked).toBe(2);
  });
});

test('the error rate: of the last calls, within its time, and only of enough of them', () => {
  const rate = new ErrorRate({ errorRate: 0.5, ofCalls: 4, withinMs: 1_000 });
  for (const failed of [true, true, true]) rate.add(failed, 0);
  expect(rate.isFaulty(0)).toBe(false);
  rate.add(false, 0);
  expect(rate.rate(0)).toBe(0.75);
  expect(rate.isFaulty(1_000)).toBe(true);
  expect(rate.isFaulty(1_001)).toBe(false);
  for (const failed of [false, false, false, true]) rate.add(failed, 2_000);
  expect(rate.rate(2_000)).toBe(0.25);
});

test('every call is in the figures once', async () => {
  const clock = new ManualClock();
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('ok', 'fail', 'wrong', 'abort', 'hang'), { maxLength: 30 }),
      async (kinds) => {
        const guard = guardOf(
          { bulkhead: { concurrency: 2, queue: 3 }, rateLimit: { permits: 12, perMs: 1e9 }, tryTimeoutMs: 50 },
          clock,
        );
        const calls = kinds.map((kind) => {
          const controller = new AbortController();
          const call = (signal: AbortSignal): Promise<string> => {
            if (kind === 'fail') throw new Error('broken');
            if (kind === 'wrong') return Promise.reject(new ContractViolationError('wrong'));
            if (kind === 'ok') return Promise.resolve('ok');
            return new Promise((_resolve, reject) => {
              signal.addEventListener('abort', () => reject(signal.reason as Error));
            });
          };
          const result = guard.run(call, { ...once, signal: controller.signal }).catch(() => {});
          if (kind === 'abort') controller.abort(new Error('enough'));
          return result;
        });
        await clock.advance(1_000);
        await Promise.all(calls);
        const { succeeded, failed, cancelled, refused, ...figures } = guard.figures();
        expect(succeeded + failed + cancelled + refused.bulkhead + refused.rateLimit + refused.breaker).toBe(
          kinds.length,
        );
        expect(figures).toMatchObject({ calls: kinds.length, running: 0, waiting: 0 });
      },
    ),
    { numRuns: 50 },
  );
});
