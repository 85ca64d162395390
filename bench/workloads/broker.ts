/**
 * The embedded broker: durable messages from publish to receipt, one message's way to its handler, fan-out, and a backlog.
 *
 * Owns: four workloads. A message counts when its receipt says that it was handled; both commits, of its acceptance and of its end, are
 * synced by then.
 */
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { orderTaker } from '../actors/order-taker.ts';
import { type Order, order, sizeOf } from '../actors/messages.ts';
import { eventEmitter, keptInAnArray } from '../baselines/event-emitter.ts';
import { lmdbOnePut, lmdbPutsWith } from '../baselines/lmdb-put.ts';
import { type Contender, type Metric, P50, P99, RATE, type Workload } from '../contract.ts';
import { heapBytes } from '../heap.ts';
import { startSystem } from '../own-system.ts';
import { inFlight, Pace, roundTrips } from '../pace.ts';
import { latencies } from '../statistics.ts';
import { type ActorSystem, MessageBroker } from '../../runtime/index.ts';

export const WIDTH = 10_000;
const SUBSCRIBERS = 100;

interface Opened {
  readonly system: ActorSystem;
  readonly broker: MessageBroker;
  close(): Promise<void>;
}

const openBroker = async (dir: string, threads: number): Promise<Opened> => {
  const system = await startSystem({ threads, dataDir: dir, retention: 'trim' });
  const broker = await MessageBroker.start({ system, env: {} });
  broker.on('failed', ({ error }) => {
    throw error;
  });
  const close = async (): Promise<void> => {
    await broker.close();
    await system.stop();
  };
  return { system, broker, close };
};

const handled = async (broker: MessageBroker, i: number): Promise<void> => {
  const receipt = await broker.publish({ type: 'orders.placed', payload: order(i), delivery: 'EXACTLY_ONCE' });
  const { status } = await receipt.settled();
  if (status !== 'handled') throw new Error(`message ${i} is ${status}`);
};

const rate = (name: string, label: string, threads: number, handler: 'function' | 'actor'): Contender => ({
  name,
  kind: 'ours',
  label,
  note: `${WIDTH.toLocaleString('en')} under way`,
  async open({ dir, sampleMs }) {
    const { system, broker, close } = await openBroker(dir, threads);
    let sum = 0;
    if (handler === 'function') {
      await broker.subscribe<Order>('orders.placed', ({ payload }) => void (sum += payload.by), { name: 'orders' });
    } else {
      await broker.subscribe('orders.placed', await system.spawn(orderTaker, { id: 'o' }), { name: 'orders' });
    }
    let i = 0;
    const pace = new Pace(sampleMs, async (size) => {
      await inFlight(size, WIDTH, () => handled(broker, i++));
      return size;
    });
    await pace.warmUp();
    if (handler === 'function' && sum === 0) throw new Error('nothing was handled');
    return { sample: async () => ({ rate: await pace.rate() }), close };
  },
});

export const brokerFunction = rate('function', 'publish → function → receipt', 1, 'function');
export const brokerActor = rate('actor', 'publish → actor → receipt', 1, 'actor');

export const brokerRate: Workload = {
  name: 'broker-rate',
  title: 'Broker: effectively once, to the receipt',
  what: 'The application publishes EXACTLY_ONCE to a durable subscription; a message counts when its receipt says that it was handled.',
  conditions: {
    durability: 'journal, fsync',
    messageBytes: sizeOf('order'),
    concurrency: '10,000 under way',
    hosts: 1,
  },
  metrics: [RATE],
  contenders: [
    brokerFunction,
    brokerActor,
    {
      ...rate('inline', 'the same, no thread', 0, 'function'),
      note: `threads: 0, ${WIDTH.toLocaleString('en')} under way`,
    },
    lmdbPutsWith(WIDTH),
  ],
};

export const brokerTripFromOutside = (threads: number): Contender => ({
  name: threads === 0 ? 'inline' : 'thread',
  kind: 'ours',
  label: threads === 0 ? 'publish → handler, no thread' : 'publish → handler',
  async open({ dir, sampleMs }) {
    const { broker, close } = await openBroker(dir, threads);
    let arrived = (): void => {};
    await broker.subscribe('orders.placed', () => arrived(), { name: 'orders' });
    let i = 0;
    const trip = async (): Promise<void> => {
      const arrival = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      const published = broker.publish({ type: 'orders.placed', payload: order(i++), delivery: 'EXACTLY_ONCE' });
      await arrival;
      // The rest of its way is not measured, and not left to be beside the next one.
      settling = published.then((receipt) => receipt.settled());
    };
    let settling: Promise<unknown> = Promise.resolve();
    const sample = async (): Promise<number[]> => {
      const took: number[] = [];
      const endMs = performance.now() + sampleMs;
      while (took.length < 100 || performance.now() < endMs) {
        took.push(...(await roundTrips(0, 1, trip)));
        await settling;
      }
      return took;
    };
    await sample();
    return { sample: async () => latencies(await sample()), close };
  },
});

export const brokerTrip: Workload = {
  name: 'broker-trip',
  title: 'Broker: publish to handler, one at a time',
  what: 'From publish (EXACTLY_ONCE) until the handler begins; the next one when the receipt is there.',
  conditions: { durability: 'journal, fsync', messageBytes: sizeOf('order'), concurrency: '1 under way', hosts: 1 },
  metrics: [P50, P99],
  contenders: [brokerTripFromOutside(1), brokerTripFromOutside(0), lmdbOnePut],
};

const fanOut: Contender = {
  name: 'broker',
  kind: 'ours',
  label: 'publish AT_MOST_ONCE',
  async open({ dir, sampleMs }) {
    const { broker, close } = await openBroker(dir, 0);
    let heard = 0;
    for (let n = 0; n < SUBSCRIBERS; n++) await broker.subscribe('orders.placed', () => void heard++);
    let i = 0;
    const pace = new Pace(sampleMs, async (size) => {
      const before = heard;
      const messages = Math.max(1, Math.round(size / SUBSCRIBERS));
      await inFlight(messages, 64, () =>
        broker.publish({ type: 'orders.placed', payload: order(i++), delivery: 'AT_MOST_ONCE' }),
      );
      while (heard - before < messages * SUBSCRIBERS) await nextTurn();
      return messages * SUBSCRIBERS;
    });
    await pace.warmUp();
    return { sample: async () => ({ rate: await pace.rate() }), close };
  },
};

export const brokerFanOut: Workload = {
  name: 'broker-fan-out',
  title: 'Broker: AT_MOST_ONCE to 100 subscribers',
  what: 'Deliveries a second: each subscriber gets a message, and a payload, of its own.',
  conditions: { durability: 'in memory', messageBytes: sizeOf('order'), concurrency: '64 under way', hosts: 1 },
  metrics: [RATE],
  contenders: [fanOut, eventEmitter(SUBSCRIBERS)],
};

const HEAP: Metric = { name: 'heap', unit: 'B', better: 'lower' };

const backlog: Contender = {
  name: 'broker',
  kind: 'ours',
  label: 'waiting for a subscription',
  execArgv: ['--expose-gc'],
  async open({ dir, quick }) {
    const { broker, close } = await openBroker(dir, 0);
    const count = quick ? 50_000 : 1_000_000;
    let waiting = 0;
    return {
      note: `${count.toLocaleString('en')} messages`,
      async sample() {
        const absent = await broker.subscribe('orders.placed', () => {}, { name: 'orders', waitingLimit: count });
        await absent.close();
        const before = heapBytes();
        await inFlight(count, WIDTH, (i) => broker.publish({ type: 'orders.placed', payload: order(i) }));
        // Segments leave the memory when they have been idle for half a second.
        await pause(quick ? 1_000 : 3_000);
        const heap = Math.max(0, heapBytes() - before) / count;
        waiting = count;
        const startMs = performance.now();
        let allGone = (): void => {};
        const gone = new Promise<void>((resolve) => {
          allGone = resolve;
        });
        const taker = await broker.subscribe(
          'orders.placed',
          () => {
            waiting -= 1;
            if (waiting === 0) allGone();
          },
          { name: 'orders' },
        );
        await gone;
        const took = performance.now() - startMs;
        await taker.close();
        return { heap, rate: (count / took) * 1_000 };
      },
      close,
    };
  },
};

export const brokerBacklog: Workload = {
  name: 'broker-backlog',
  title: 'Broker: 1,000,000 messages that wait',
  what: 'Heap and buffers of one more waiting message (quick: of 50,000), after garbage collection; then, messages handled a second until none waits.',
  conditions: {
    durability: 'journal, fsync',
    messageBytes: sizeOf('order'),
    concurrency: '10,000 under way',
    hosts: 1,
  },
  metrics: [HEAP, RATE],
  oneAtATime: true,
  limitMs: 600_000,
  contenders: [backlog, keptInAnArray],
};
