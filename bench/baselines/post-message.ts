/**
 * Node's own way between two threads: `postMessage`.
 *
 * Owns: one message a call, arrays of messages, and the round trip.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { order } from '../actors/messages.ts';
import type { Contender } from '../contract.ts';
import { Pace } from '../pace.ts';
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
      let sent = 0;
      const pace = new Pace(
        sampleMs,
        async (size) => {
          for (let i = 0; i < size; i += width) {
            if (width === 1) worker.postMessage(order(i));
            else worker.postMessage(Array.from({ length: width }, (_, j) => order(i + j)));
          }
          worker.postMessage('REPORT');
          const [handled] = (await once(worker, 'message')) as [number];
          const total = Math.ceil(size / width) * width;
          sent += total;
          if (handled !== sent) throw new Error(`${handled} handled of ${sent} sent`);
          return total;
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
    await bareTrips(worker, sampleMs);
    return {
      sample: async () => latencies(await bareTrips(worker, sampleMs)),
      close: async () => void (await worker.terminate()),
    };
  },
};

/** Nanoseconds of round trips, each begun by the listener that got the answer before: no promise is in the way. */
function bareTrips(worker: Worker, forMs: number): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const took: number[] = [];
    const endNs = process.hrtime.bigint() + BigInt(Math.round(forMs * 1e6));
    let startNs = 0n;
    const post = (): void => {
      startNs = process.hrtime.bigint();
      worker.postMessage({ ...order(took.length), echo: true });
    };
    const answered = (): void => {
      const nowNs = process.hrtime.bigint();
      took.push(Number(nowNs - startNs));
      if (nowNs < endNs || took.length < 100) post();
      else {
        worker.off('message', answered).off('error', reject);
        resolve(took);
      }
    };
    worker.on('message', answered).on('error', reject);
    post();
  });
}
