/**
 * The clock port: the only way the runtime learns the time or waits for it.
 *
 * Owns: the contract and the real clock. The testkit has a virtual one.
 *
 * Invariants:
 * K1. A wait of any length ends no earlier than asked (setTimeout alone fires at once beyond 24.8 days).
 */
import { TIMER_CHUNK_MS } from './limits.ts';

/** A wait that can be given up. */
export interface Wait {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since 1970, as written into the journal. May jump. */
  now(): number;
  /** Milliseconds of a clock that never jumps, for measuring spans. */
  monotonicMs(): number;
  /** Calls `fire` once after `ms`. Does not keep the process alive. */
  wait(ms: number, fire: () => void): Wait;
  /** Calls `run` in a later turn of the event loop, after I/O had its chance. */
  defer(run: () => void): void;
}

// The global is a getter of Node's, which costs more than the look at the clock; hosts look several times while they run a mailbox.
const { performance } = globalThis;

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  wait(ms, fire) {
    let left = ms;
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const chunk = Math.min(left, TIMER_CHUNK_MS);
      left -= chunk;
      timer = setTimeout(() => (left > 0 ? arm() : fire()), Math.max(0, chunk));
      timer.unref();
    };
    arm();
    return { cancel: () => clearTimeout(timer) };
  },
  defer: (run) => void setImmediate(run),
};

/** Keeps the process alive until the returned function is called: waits of the clock alone do not. */
export function holdProcess(): () => void {
  const timer = setInterval(() => {}, TIMER_CHUNK_MS);
  return () => clearInterval(timer);
}
