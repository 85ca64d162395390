/**
 * BullMQ: jobs added, worked on by a worker in the same process, completed.
 *
 * Owns: the rate with jobs added in bulk (a few per cent faster than one by one), and the round trip of a single job.
 */
import { type Order, order } from '../actors/messages.ts';
import { NOTHING, tally } from '../actors/tally.ts';
import type { Contender } from '../contract.ts';
import { inFlight, Pace, roundTrips } from '../pace.ts';
import { latencies } from '../statistics.ts';
import { load, missingPackage, versioned } from './packages.ts';
import { missingRedis, type OwnRedis, startRedis } from './redis.ts';

const QUEUE = 'orders';
const BULK = 500;
const WORKER_CONCURRENCY = 100;

interface Job {
  readonly data: Order;
  waitUntilFinished(events: QueueEvents): Promise<unknown>;
}

interface Closing {
  waitUntilReady(): Promise<unknown>;
  close(): Promise<void>;
}

interface Queue extends Closing {
  add(name: string, data: Order): Promise<Job>;
  addBulk(jobs: readonly { readonly name: string; readonly data: Order }[]): Promise<unknown>;
}

interface Worker extends Closing {
  on(event: 'completed', listener: () => void): void;
}

type QueueEvents = Closing;

type Options = Readonly<Record<string, unknown>>;

interface Bullmq {
  readonly Queue: new (name: string, options: Options) => Queue;
  readonly Worker: new (name: string, handle: (job: Job) => Promise<unknown>, options: Options) => Worker;
  readonly QueueEvents: new (name: string, options: Options) => QueueEvents;
}

const missing = (): string | undefined => missingPackage('bullmq') ?? missingRedis();

const connectionTo = ({ port }: OwnRedis): Options => ({
  connection: { host: '127.0.0.1', port, maxRetriesPerRequest: null },
});

/** Jobs completed a second. */
export const bullmq: Contender = {
  name: 'bullmq',
  kind: 'baseline',
  label: 'BullMQ',
  note: `addBulk of ${BULK}, worker concurrency ${WORKER_CONCURRENCY}`,
  missing,
  async open({ dir, sampleMs }) {
    const redis = await startRedis(dir);
    const { Queue, Worker } = load<Bullmq>('bullmq');
    const queue = new Queue(QUEUE, {
      ...connectionTo(redis),
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
    });
    let state = NOTHING;
    let completed = 0;
    let all: (() => void) | undefined;
    let added = 0;
    const worker = new Worker(
      QUEUE,
      async ({ data }) => {
        state = tally(state, data);
        return 1;
      },
      { ...connectionTo(redis), concurrency: WORKER_CONCURRENCY },
    );
    worker.on('completed', () => {
      completed += 1;
      if (completed === added) all?.();
    });
    await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);
    const pace = new Pace(
      sampleMs,
      async (size) => {
        const bulks = Math.ceil(size / BULK);
        added += bulks * BULK;
        const done = new Promise<void>((resolve) => {
          all = resolve;
        });
        await inFlight(bulks, 2, (bulk) =>
          queue.addBulk(Array.from({ length: BULK }, (_, i) => ({ name: 'order', data: order(bulk * BULK + i) }))),
        );
        await done;
        if (state.handled !== added) throw new Error(`${state.handled} handled of ${added} added`);
        return bulks * BULK;
      },
      { first: BULK, most: 20_000 },
    );
    await pace.warmUp();
    return {
      note: `${versioned('bullmq')}, ${redis.note}`,
      sample: async () => ({ rate: await pace.rate() }),
      async close() {
        await worker.close();
        await queue.close();
        await redis.stop();
      },
    };
  },
};

/** From adding one job until its result is known. */
export const bullmqTrip: Contender = {
  name: 'bullmq',
  kind: 'baseline',
  label: 'BullMQ: add, work, waitUntilFinished',
  missing,
  async open({ dir, sampleMs }) {
    const redis = await startRedis(dir);
    const { Queue, QueueEvents, Worker } = load<Bullmq>('bullmq');
    // Results that are removed at once cannot be waited for.
    const queue = new Queue(QUEUE, {
      ...connectionTo(redis),
      defaultJobOptions: { removeOnComplete: { count: 1_000 } },
    });
    const events = new QueueEvents(QUEUE, connectionTo(redis));
    const worker = new Worker(QUEUE, async ({ data }) => data, connectionTo(redis));
    await Promise.all([queue, events, worker].map((one) => one.waitUntilReady()));
    let id = 0;
    const trip = async (): Promise<void> => {
      const job = await queue.add('order', order(id++));
      await job.waitUntilFinished(events);
    };
    await roundTrips(sampleMs, 20, trip);
    return {
      note: `${versioned('bullmq')}, ${redis.note}`,
      sample: async () => latencies(await roundTrips(sampleMs, 20, trip)),
      async close() {
        for (const one of [worker, events, queue]) await one.close();
        await redis.stop();
      },
    };
  },
};
