/** Restate: calls of a virtual object. */
import { type Order, order } from '../actors/messages.ts';
import { NOTHING, type Tally, tally } from '../actors/tally.ts';
import type { Contender } from '../contract.ts';
import { inFlight, Pace, roundTrips } from '../pace.ts';
import { latencies } from '../statistics.ts';
import { missingRestate as missing, type OwnRestate, startRestate, UNDER_WAY } from './restate-server.ts';

const KEYS = 100;

interface ObjectContext {
  get(name: string): Promise<Tally | null>;
  set(name: string, value: Tally): void;
}

interface OwnCounter extends OwnRestate {
  /** Resolves when that many messages are handled. */
  whenHandled(count: number): Promise<void>;
}

/** The virtual object `counter`. */
async function startCounter(dir: string): Promise<OwnCounter> {
  let handled = 0;
  let awaited: { readonly count: number; readonly resolve: () => void } | undefined;
  const own = await startRestate<ObjectContext>(dir, (sdk) => [
    sdk.object({
      name: 'counter',
      handlers: {
        async add(context, message: Order) {
          const state = tally((await context.get('state')) ?? NOTHING, message);
          context.set('state', state);
          handled += 1;
          if (awaited !== undefined && handled >= awaited.count) awaited.resolve();
          return state.handled;
        },
        report: async (context) => ((await context.get('state')) ?? NOTHING).handled,
      },
    }),
  ]);
  return {
    ...own,
    async whenHandled(count) {
      if (handled >= count) return;
      await new Promise<void>((resolve) => {
        awaited = { count, resolve };
      });
      awaited = undefined;
    },
  };
}

/** One-way calls of 100 objects, handled, a second. */
export const restate: Contender = {
  name: 'restate',
  kind: 'baseline',
  label: 'Restate, one-way calls of virtual objects',
  note: `${UNDER_WAY} under way, ${KEYS} objects`,
  missing,
  async open({ dir, sampleMs }) {
    const own = await startCounter(dir);
    let sent = 0;
    const pace = new Pace(
      sampleMs,
      async (size) => {
        await inFlight(size, UNDER_WAY, (i) => own.call(`/counter/k${i % KEYS}/add/send`, order(i)));
        sent += size;
        await own.whenHandled(sent);
        return size;
      },
      { first: UNDER_WAY, most: 5_000 },
    );
    await pace.warmUp();
    return {
      note: own.note,
      sample: async () => ({ rate: await pace.rate() }),
      async close() {
        const keys = Array.from({ length: KEYS }, (_, key) => own.call(`/counter/k${key}/report`, null));
        const sum = ((await Promise.all(keys)) as number[]).reduce((a, b) => a + b, 0);
        await own.stop();
        if (sum !== sent) throw new Error(`${sum} counted of ${sent} sent`);
      },
    };
  },
};

/** One call of one object and its answer. */
export const restateTrip: Contender = {
  name: 'restate',
  kind: 'baseline',
  label: 'Restate: a call of a virtual object',
  missing,
  async open({ dir, sampleMs }) {
    const own = await startCounter(dir);
    let id = 0;
    const trip = (): Promise<unknown> => own.call('/counter/k/add', order(id++));
    await roundTrips(sampleMs, 20, trip);
    return {
      note: own.note,
      sample: async () => latencies(await roundTrips(sampleMs, 20, trip)),
      close: () => own.stop(),
    };
  },
};
