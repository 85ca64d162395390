/**
 * One call with a deadline and a signal; and a wait with a signal.
 *
 * Owns: what ends first wins. A call that goes on after its deadline is told by its signal, and what it brings is dropped.
 *
 * Invariants:
 * TC1. Nothing is left behind when it is over: no wait of the clock, no listener on the caller's signal.
 * TC2. The call's own signal aborts when the caller's does and at the deadline, before the promise is rejected.
 */
import type { Clock } from '../../runtime/kernel/clock.ts';

export interface CallLimits {
  readonly clock: Clock;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What the call is rejected with at the deadline. */
  readonly overdue: () => Error;
}

export function timedCall<T>(call: (signal: AbortSignal) => Promise<T>, limits: CallLimits): Promise<T> {
  const { clock, timeoutMs, signal, overdue } = limits;
  if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
  const controller = new AbortController();
  return new Promise<T>((resolve, reject) => {
    const end = (): void => {
      wait?.cancel();
      signal?.removeEventListener('abort', onAbort);
    };
    const abort = (error: Error): void => {
      end();
      controller.abort(error);
      reject(error);
    };
    const onAbort = (): void => abort(signal?.reason as Error);
    const wait =
      timeoutMs === undefined || timeoutMs === Number.POSITIVE_INFINITY
        ? undefined
        : clock.wait(timeoutMs, () => abort(overdue()));
    signal?.addEventListener('abort', onAbort, { once: true });
    // In a then: what a call throws before it returns is a rejection like any other.
    Promise.resolve()
      .then(() => call(controller.signal))
      .then(
        (value) => {
          end();
          resolve(value);
        },
        (error: Error) => {
          end();
          reject(error);
        },
      );
  });
}

/** Resolves after `ms`; rejects with the signal's reason when that aborts first. */
export function pause(ms: number, clock: Clock, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      wait.cancel();
      reject(signal?.reason as Error);
    };
    const wait = clock.wait(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
