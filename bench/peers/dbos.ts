/** DBOS on PostgreSQL: a workflow without steps, which is the least that it records: that it started, with what, and what came of it. */
import { type Order, order } from '../actors/messages.ts';
import { NOTHING, tally } from '../actors/tally.ts';
import type { Contender } from '../contract.ts';
import { inFlight, Pace, roundTrips } from '../pace.ts';
import { latencies } from '../statistics.ts';
import { dropDatabase, launchDbos, makeDatabase, missingDbos as missing, POOL } from './dbos-server.ts';

const UNDER_WAY = 64;

interface OwnDbos {
  readonly note: string;
  readonly handled: () => number;
  workflow(message: Order): Promise<unknown>;
  stop(): Promise<void>;
}

async function startDbos(database: string): Promise<OwnDbos> {
  const note = await makeDatabase(database);
  let state = NOTHING;
  const { workflows: workflow, dbos: launched } = await launchDbos(database, (sdk) =>
    sdk.registerWorkflow(
      async (message: Order): Promise<number> => {
        state = tally(state, message);
        return state.handled;
      },
      { name: 'count' },
    ),
  );
  return {
    note,
    handled: () => state.handled,
    // As a method of ours it would be taken for one of a configured instance.
    workflow: (message) => workflow(message),
    async stop() {
      await launched.shutdown();
      await dropDatabase(database);
    },
  };
}

/** Workflows finished a second. */
export const dbos: Contender = {
  name: 'dbos',
  kind: 'baseline',
  label: 'DBOS, workflows without steps',
  note: `${UNDER_WAY} under way, pool of ${POOL}`,
  missing,
  async open({ sampleMs }) {
    const own = await startDbos('collaborative_blocks_bench_rate');
    let started = 0;
    const pace = new Pace(
      sampleMs,
      async (size) => {
        await inFlight(size, UNDER_WAY, (i) => own.workflow(order(i)));
        started += size;
        if (own.handled() !== started) throw new Error(`${own.handled()} handled of ${started} started`);
        return size;
      },
      { first: UNDER_WAY, most: 5_000 },
    );
    await pace.warmUp();
    return { note: own.note, sample: async () => ({ rate: await pace.rate() }), close: () => own.stop() };
  },
};

/** From starting one workflow to its result. */
export const dbosTrip: Contender = {
  name: 'dbos',
  kind: 'baseline',
  label: 'DBOS: a workflow without steps',
  note: `pool of ${POOL}`,
  missing,
  async open({ sampleMs }) {
    const own = await startDbos('collaborative_blocks_bench_trip');
    let id = 0;
    const trip = (): Promise<unknown> => own.workflow(order(id++));
    await roundTrips(sampleMs, 20, trip);
    return {
      note: own.note,
      sample: async () => latencies(await roundTrips(sampleMs, 20, trip)),
      close: () => own.stop(),
    };
  },
};
