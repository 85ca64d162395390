/**
 * Messages through a broker's adapter on a server: accepted, handed out, settled. Beside a loop written by hand on the same server.
 *
 * Owns: our contenders for Redis and NATS, which differ in the adapter only.
 */
import type { BrokerAdapter, CarriedMessage, HandOut } from '../../runtime/broker/broker-adapter.ts';
import { type Order, order } from '../actors/messages.ts';
import { NOTHING, tally } from '../actors/tally.ts';
import type { Contestant, Setting } from '../contract.ts';
import { inFlight, Pace } from '../pace.ts';

/** As many as the loops have. */
export const UNDER_WAY = 5_000;
export const FIRST_BATCH = 1_000;
export const MOST_A_BATCH = 100_000;
const REQUESTED = 5_000;

const HEADER = {
  kind: 'EVENT',
  type: 'order.placed',
  subject: 'orders.placed',
  source: 'bench',
  delivery: 'AT_LEAST_ONCE',
} as const;
const handled = { kind: 'handled' } as const;

export async function throughAdapter(
  adapter: BrokerAdapter,
  { sampleMs }: Setting,
  note: string,
  stop: () => Promise<void>,
): Promise<Contestant> {
  const fail = (error: Error): never => {
    throw error;
  };
  await adapter.open({ dead: () => fail(new Error('a message is dead')), connection: () => {}, failed: fail });
  let state = NOTHING;
  let left = 0;
  let allSettled = (): void => {};
  const deliver = (handOuts: readonly HandOut[]): void => {
    for (const handOut of handOuts) {
      state = tally(state, JSON.parse(Buffer.from(handOut.message.payload).toString()) as Order);
      consumer.settle(handOut, handled).then(() => {
        left -= 1;
        if (left === 0) allSettled();
      }, fail);
    }
    consumer.request(handOuts.length);
  };
  const consumer = await adapter.subscribe(
    { name: 'orders', pattern: 'orders.>', from: 'now', waitingLimit: 1_000_000, order: 'hold', ackTimeoutMs: 30_000 },
    deliver,
  );
  consumer.request(REQUESTED);
  let sent = 0;
  const messageOf = (i: number): CarriedMessage => {
    const id = `m${sent++}`;
    const header = { ...HEADER, id, timeMs: Date.now(), correlationId: id };
    return { header, payload: Buffer.from(JSON.stringify(order(i))) };
  };
  const pace = new Pace(
    sampleMs,
    async (size) => {
      left = size;
      const settled = new Promise<void>((resolve) => {
        allSettled = resolve;
      });
      await inFlight(size, UNDER_WAY, (i) => adapter.accept(messageOf(i)));
      await settled;
      if (state.handled !== sent) throw new Error(`${state.handled} handled of ${sent}`);
      return size;
    },
    { first: FIRST_BATCH, most: MOST_A_BATCH },
  );
  await pace.warmUp();
  return {
    note,
    sample: async () => ({ rate: await pace.rate() }),
    async close() {
      await adapter.close();
      await stop();
    },
  };
}
