/**
 * Node's own way between two threads: `postMessage`.
 *
 * Owns: one message a call, arrays of messages, and the round trip.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { order } from '../actors/messages.ts';
import type { Contender } from '../contract.ts';
import { Pace, roundTrips } from '../pace.ts';
import { latencies } from '../statistics.ts';

const THREAD = new URL('post-message-thread.ts', import.meta.url);
/** Both directions are drained so often; an unbounded port would measure the garbage collector. */
const BATCH = 20_000;

export const singlePosts: Contender = posts('post-message', 'single postMessage calls', 1);
export const arrayPosts: Contender = posts('post-message-arrays', 'postMessage of arrays of 256', 256);

function posts(name: string, label: string, width: number): Contender {
  return {
    name,
    kind: 'baseline',
    label,
    async open({ sampleMs }) {
      const worker = new Worker(THREAD);
      const pace = new Pace(
        sampleMs,
        async (size) => {
          for (let i = 0; i < size; i += width) {
            if (width === 1) worker.postMessage(order(i));
            else worker.postMessage(Array.from({ length: width }, (_, j) => order(i + j)));
          }
          worker.postMessage('REPORT');
          await once(worker, 'message');
          return Math.ceil(size / width) * width;
        },
        { most: BATCH },
      );
      await pace.warmUp();
      return {
        sample: async () => ({ rate: await pace.rate() }),
        close: async () => void (await worker.terminate()),
      };
    },
  };
}

/** There and back, one at a time. */
export const postRoundTrip: Contender = {
  name: 'post-message',
  kind: 'baseline',
  label: 'raw MessagePort round trip',
  async open({ sampleMs }) {
    const worker = new Worker(THREAD);
    let i = 0;
    const trip = (): Promise<unknown> => {
      const answer = once(worker, 'message');
      worker.postMessage({ ...order(i++), echo: true });
      return answer;
    };
    await roundTrips(sampleMs / 2, 100, trip);
    return {
      sample: async () => latencies(await roundTrips(sampleMs, 100, trip)),
      close: async () => void (await worker.terminate()),
    };
  },
};
