/**
 * A call that costs next to nothing and fails once in a thousand times, guarded by whatever guards it.
 *
 * Owns: the call, and measuring what one more of it costs. Nobody's circuit opens: a failure in a thousand is far from every threshold.
 */
import type { Contender, Contestant } from '../contract.ts';
import { Pace } from '../pace.ts';

export const FAILS_ONCE_IN = 1_000;
/** Made once: the stack of an error costs more than all that is measured here. */
export const FAULT = new Error('once in a thousand times');

let calls = 0;

/** The call. */
export async function trivial(): Promise<number> {
  calls += 1;
  if (calls % FAILS_ONCE_IN === 0) throw FAULT;
  return calls;
}

/** Nanoseconds of one of `count` calls, one after the other; `many` makes so many. */
export async function timed(
  sampleMs: number,
  many: (count: number) => void | Promise<void>,
  close: () => Promise<void>,
  note?: string,
): Promise<Contestant> {
  const pace = new Pace(sampleMs, async (size) => {
    await many(size);
    // What is put off (reports, windows that move on) has its turn, and counts.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    return size;
  });
  await pace.warmUp();
  return {
    ...(note === undefined ? {} : { note }),
    sample: async () => ({ time: 1e9 / (await pace.rate()) }),
    close,
  };
}

/** `count` calls through `execute`, which hands on what the call threw. */
export async function executed(count: number, execute: (call: typeof trivial) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < count; i++) {
    try {
      await execute(trivial);
    } catch (error) {
      if (error !== FAULT) throw error;
    }
  }
}

export const bareCall: Contender = {
  name: 'bare-call',
  kind: 'baseline',
  label: 'await of the same call, nothing around it',
  open: ({ sampleMs }) =>
    timed(
      sampleMs,
      (count) => executed(count, (call) => call()),
      async () => {},
    ),
};
