/**
 * Circuit breakers that live in one thread and forget when it ends: cockatiel and opossum.
 *
 * Owns: each as its documentation says, with a window and threshold like ours.
 */
import { executed, timed, trivial } from '../baselines/guarded-call.ts';
import type { Contender } from '../contract.ts';
import { load, missingPackage, versioned } from './packages.ts';

interface Cockatiel {
  readonly handleAll: unknown;
  readonly CountBreaker: new (options: { threshold: number; size: number; minimumNumberOfCalls: number }) => unknown;
  circuitBreaker(
    handled: unknown,
    options: { halfOpenAfter: number; breaker: unknown },
  ): { execute<T>(run: () => Promise<T>): Promise<T> };
}

type Opossum = new (
  run: () => Promise<unknown>,
  options: { timeout: false; errorThresholdPercentage: number; volumeThreshold: number; resetTimeout: number },
) => { fire(): Promise<unknown>; shutdown(): void };

export const cockatiel: Contender = {
  name: 'cockatiel',
  kind: 'baseline',
  label: 'cockatiel execute, last 100 calls',
  missing: () => missingPackage('cockatiel'),
  async open({ sampleMs }) {
    const { CountBreaker, circuitBreaker, handleAll } = load<Cockatiel>('cockatiel');
    const breaker = new CountBreaker({ threshold: 0.5, size: 100, minimumNumberOfCalls: 20 });
    const policy = circuitBreaker(handleAll, { halfOpenAfter: 30_000, breaker });
    const many = (count: number): Promise<void> => executed(count, (call) => policy.execute(call));
    return timed(sampleMs, many, async () => {}, versioned('cockatiel'));
  },
};

export const opossum: Contender = {
  name: 'opossum',
  kind: 'baseline',
  label: 'opossum fire, last 10 s',
  missing: () => missingPackage('opossum'),
  async open({ sampleMs }) {
    const Breaker = load<Opossum>('opossum');
    const breaker = new Breaker(trivial, {
      timeout: false,
      errorThresholdPercentage: 50,
      volumeThreshold: 20,
      resetTimeout: 30_000,
    });
    const many = (count: number): Promise<void> => executed(count, () => breaker.fire());
    return timed(sampleMs, many, async () => breaker.shutdown(), versioned('opossum'));
  },
};
