/** Options and their faults, defaults from the environment, and what an error says of a dependency. */
import { describe, expect, test } from 'vitest';
import { resolveBreaker } from '../../../actors/circuit-breaker/breaker-settings.ts';
import { verdictOn } from '../../../actors/circuit-breaker/call-fault.ts';
import { CircuitOpenError, InvalidOptionsError } from '../../../runtime/kernel/errors.ts';

const faultsOf = (options: unknown, environment = {}): string[] => {
  try {
    resolveBreaker('circuit breaker "x"', options as never, environment);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidOptionsError);
    const { message, details } = error as InvalidOptionsError;
    expect(message).toMatch(/^circuit breaker "x": /);
    return details['faults'] as string[];
  }
};

test('every default', () => {
  expect(resolveBreaker('x', {}, {}).settings).toEqual({
    policy: { kind: 'consecutive', failures: 5 },
    slowCall: null,
    openMs: 60_000,
    openFactor: 2,
    openMsLimit: 600_000,
    halfOpen: { probes: 1, toleratedFailures: 0, timeoutMs: 30_000 },
  });
  const window = { minimumCalls: 20, failureRate: 0.5 };
  expect(resolveBreaker('x', { policy: { kind: 'count_window' } }, {}).settings.policy).toEqual({
    kind: 'count_window',
    size: 100,
    ...window,
  });
  expect(resolveBreaker('x', { policy: { kind: 'count_window', size: 5 } }, {}).settings.policy).toMatchObject({
    minimumCalls: 5,
  });
  expect(resolveBreaker('x', { policy: { kind: 'time_window' } }, {}).settings.policy).toEqual({
    kind: 'time_window',
    durationMs: 30_000,
    ...window,
  });
});

test('the environment has the defaults, and the code wins', () => {
  const environment = { CIRCUIT_BREAKER_FAILURE_THRESHOLD: '8', CIRCUIT_BREAKER_TIMEOUT_SECONDS: '1.5' };
  expect(resolveBreaker('x', {}, environment).settings).toMatchObject({
    policy: { failures: 8 },
    openMs: 1_500,
    openMsLimit: 15_000,
  });
  expect(resolveBreaker('x', { policy: { kind: 'consecutive' } }, environment).settings.policy).toEqual({
    kind: 'consecutive',
    failures: 8,
  });
  const options = { policy: { kind: 'consecutive', failures: 2 }, openMs: 10 } as const;
  expect(resolveBreaker('x', options, environment).settings).toMatchObject({ policy: { failures: 2 }, openMs: 10 });
  expect(resolveBreaker('x', {}, { CIRCUIT_BREAKER_TIMEOUT_SECONDS: '' }).settings.openMs).toBe(60_000);
});

test('all faults at once, each with its value and what would do', () => {
  const faults = faultsOf(
    {
      policy: { kind: 'count_window', size: 0, minimumCalls: 1.5, failureRate: 2, durationMs: 1 },
      slowCall: { durationMs: 0, rate: 0 },
      openMs: -1,
      openFactor: 0,
      openMsLimit: Number.NaN,
      halfOpen: { probes: 2, toleratedFailures: 2, timeoutMs: '5', more: 1 },
      isFailure: true,
      reportDelayMs: Number.POSITIVE_INFINITY,
      treshold: 3,
    },
    { CIRCUIT_BREAKER_FAILURE_THRESHOLD: 'many', CIRCUIT_BREAKER_TIMEOUT_SECONDS: '-3' },
  );
  const named = [
    'treshold: no such option (known: policy,',
    'CIRCUIT_BREAKER_FAILURE_THRESHOLD (environment): "many" is not a whole number of 1 or more',
    'CIRCUIT_BREAKER_TIMEOUT_SECONDS (environment): "-3" is not a number above 0',
    'policy.durationMs: no such option',
    'policy.size: 0 is not a whole number of 1 or more, up to 10000',
    'policy.minimumCalls: 1.5',
    'policy.failureRate: 2 is not a number above 0, up to 1',
    'slowCall.durationMs: 0 is not a number above 0',
    'slowCall.rate: 0',
    'openMs: -1',
    'openFactor: 0',
    'openMsLimit: NaN',
    'halfOpen.more: no such option',
    'halfOpen.toleratedFailures: 2 is not a whole number of 0 or more, up to 1',
    'halfOpen.timeoutMs: "5"',
    'isFailure: true is not a function',
    'reportDelayMs: Infinity',
  ];
  for (const start of named)
    expect(
      faults.filter((fault) => fault.startsWith(start)),
      start,
    ).toHaveLength(1);
  expect(faults).toHaveLength(named.length);
});

test.each([
  [null, 'options: null is not an object'],
  [{ policy: 5 }, "policy.kind: undefined is not 'consecutive', 'count_window' or 'time_window'"],
  [{ policy: { kind: 'slowCall' } }, 'policy.kind: "slowCall"'],
  [{ slowCall: {} }, 'slowCall.durationMs: undefined is not a number above 0'],
  [{ slowCall: 7 }, 'slowCall: 7 is not an object'],
  [{ halfOpen: null }, 'halfOpen: null is not an object'],
  [
    { policy: { kind: 'consecutive' }, slowCall: { durationMs: 1, rate: 0.5 } },
    "slowCall.rate: 0.5 is not for policy 'consecutive'",
  ],
  [{ openMs: 10, openMsLimit: 5 }, 'openMsLimit: 5 is not a number of 10 or more'],
])('%j', (options, fault) => {
  expect(faultsOf(options)).toEqual([expect.stringContaining(fault)]);
});

describe('what an error says', () => {
  const aborted = (reason: unknown): AbortSignal => AbortSignal.abort(reason);
  const withStatus = (status: number): Error => Object.assign(new Error('http'), { status });

  test.each([
    ['any error', new Error('ill'), undefined, 'failure'],
    ['anything thrown', 'ill', undefined, 'failure'],
    ['a refused request', withStatus(404), undefined, 'success'],
    ['a broken server', withStatus(503), undefined, 'failure'],
    ['a server that timed out', withStatus(408), undefined, 'failure'],
    ['a server with too much to do', withStatus(429), undefined, 'failure'],
    ['a response inside', Object.assign(new Error('http'), { response: { statusCode: 422 } }), undefined, 'success'],
    ['another circuit', new CircuitOpenError('open'), undefined, 'unused'],
    ['the caller changed its mind', new DOMException('x', 'AbortError'), aborted(new Error('never mind')), 'unused'],
    ['an abort that nobody asked for', new DOMException('x', 'AbortError'), undefined, 'failure'],
    ['a failure, though the caller had aborted', new Error('ill'), aborted(new Error('never mind')), 'failure'],
  ])('%s', (_what, error, signal, verdict) => {
    expect(verdictOn(error, signal, undefined)).toBe(verdict);
  });

  test('a timeout is a failure, whoever set it, and also where it is the cause', () => {
    const signal = aborted(new DOMException('too slow', 'TimeoutError'));
    expect(verdictOn(signal.reason, signal, undefined)).toBe('failure');
    expect(verdictOn(new DOMException('x', 'AbortError'), signal, () => false)).toBe('failure');
    const reason = new Error('never mind');
    expect(verdictOn(new Error('fetch failed', { cause: reason }), aborted(reason), undefined)).toBe('unused');
  });

  test("the breaker's own rule", () => {
    expect(verdictOn(new Error('ill'), undefined, () => false)).toBe('success');
    expect(verdictOn(withStatus(404), undefined, () => true)).toBe('failure');
  });
});
