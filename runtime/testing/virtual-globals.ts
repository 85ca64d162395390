/**
 * Timers and dates of the thread, answered from the virtual clock while a simulation runs: effects written with `setTimeout` wait
 * in virtual time.
 *
 * Owns: `setTimeout`, `clearTimeout`, `setInterval`, `clearInterval` and `Date` of this thread. `AbortSignal.timeout` and
 * `node:timers/promises` stay real: they cannot be replaced from outside.
 *
 * Invariants:
 * VG1. What is returned puts back what was there.
 */
import type { Wait } from '../kernel/clock.ts';
import type { VirtualClock, VirtualThread } from './virtual-clock.ts';

/** Installs; `fallback` is the thread of code that no simulated thread runs. */
export function installVirtualGlobals(clock: VirtualClock, fallback: VirtualThread): () => void {
  const real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setInterval: globalThis.setInterval,
    clearInterval: globalThis.clearInterval,
    Date: globalThis.Date,
  };
  const here = (): VirtualThread => {
    const { current } = clock;
    return current === undefined || current.hasEnded ? fallback : current;
  };

  const setVirtualTimeout = (fire: (...args: unknown[]) => void, ms = 0, ...args: unknown[]): VirtualTimer =>
    new VirtualTimer(here().wait(Number(ms) || 0, () => fire(...args)));
  const setVirtualInterval = (fire: (...args: unknown[]) => void, ms = 0, ...args: unknown[]): VirtualTimer => {
    const thread = here();
    const timer = new VirtualTimer();
    const arm = (): void => {
      timer.wait = thread.wait(Math.max(1, Number(ms) || 0), () => {
        arm();
        fire(...args);
      });
    };
    arm();
    return timer;
  };
  const clear = (timer: unknown): void => {
    if (timer instanceof VirtualTimer) timer.wait?.cancel();
    else real.clearTimeout(timer as NodeJS.Timeout);
  };

  class VirtualDate extends real.Date {
    constructor(...args: unknown[]) {
      super(...((args.length === 0 ? [fallback.now()] : args) as [number]));
    }

    static override now(): number {
      return fallback.now();
    }
  }

  Object.assign(globalThis, {
    setTimeout: setVirtualTimeout,
    clearTimeout: clear,
    setInterval: setVirtualInterval,
    clearInterval: clear,
    Date: VirtualDate,
  });
  return () => {
    Object.assign(globalThis, real);
  };
}

class VirtualTimer {
  wait: Wait | undefined;

  constructor(wait?: Wait) {
    this.wait = wait;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }

  [Symbol.toPrimitive](): number {
    return 0;
  }
}
