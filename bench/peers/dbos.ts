/**
 * DBOS on PostgreSQL: a workflow without steps, which is the least that it records: that it started, with what, and what came of it.
 *
 * Owns: a database of its own on a server that is there already (127.0.0.1:5432, or `PGHOST`, `PGPORT`, `PGUSER`), made anew for each
 * contender and dropped afterwards.
 */
import { type Order, order } from '../actors/messages.ts';
import { NOTHING, tally } from '../actors/tally.ts';
import type { Contender } from '../contract.ts';
import { inFlight, Pace, roundTrips } from '../pace.ts';
import { latencies } from '../statistics.ts';
import { load, missingPackage, versioned } from './packages.ts';
import { answers } from './server.ts';

const POOL = 10;
const UNDER_WAY = 64;

const host = process.env['PGHOST'] ?? '127.0.0.1';
const port = Number(process.env['PGPORT'] ?? 5432);
const user = process.env['PGUSER'] ?? 'postgres';
const urlOf = (database: string): string => `postgresql://${user}@${host}:${port}/${database}`;

interface PostgresClient {
  connect(): Promise<void>;
  query(sql: string): Promise<{ readonly rows: readonly Readonly<Record<string, string>>[] }>;
  end(): Promise<void>;
}

interface Pg {
  readonly Client: new (options: { readonly connectionString: string }) => PostgresClient;
}

interface Dbos {
  readonly DBOS: {
    registerWorkflow<Run>(run: Run, options: { readonly name: string }): Run;
    setConfig(config: Readonly<Record<string, unknown>>): void;
    launch(): Promise<void>;
    shutdown(): Promise<void>;
  };
}

async function missing(): Promise<string | undefined> {
  const reason = missingPackage('@dbos-inc/dbos-sdk');
  if (reason !== undefined) return reason;
  return (await answers(port, host)) ? undefined : `no PostgreSQL answers at ${host}:${port}`;
}

async function administer<Answer>(work: (client: PostgresClient) => Promise<Answer>): Promise<Answer> {
  const { Client } = load<Pg>('pg');
  const client = new Client({ connectionString: urlOf('postgres') });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

interface OwnDbos {
  readonly note: string;
  readonly handled: () => number;
  workflow(message: Order): Promise<unknown>;
  stop(): Promise<void>;
}

async function startDbos(database: string): Promise<OwnDbos> {
  const { fsync, commit, version } = await administer(async (client) => {
    await client.query(`drop database if exists ${database} with (force)`);
    await client.query(`create database ${database}`);
    const settings = ['fsync', 'synchronous_commit', 'server_version'].map((name) => `current_setting('${name}')`);
    const { rows } = await client.query(`select ${settings[0]} fsync, ${settings[1]} commit, ${settings[2]} version`);
    return rows[0] as Readonly<Record<'fsync' | 'commit' | 'version', string>>;
  });
  if (fsync !== 'on' || commit !== 'on')
    throw new Error(`this server has fsync ${fsync}, synchronous_commit ${commit}`);
  const { DBOS } = load<Dbos>('@dbos-inc/dbos-sdk');
  let state = NOTHING;
  const workflow = DBOS.registerWorkflow(
    async (message: Order): Promise<number> => {
      state = tally(state, message);
      return state.handled;
    },
    { name: 'count' },
  );
  DBOS.setConfig({
    name: 'bench',
    applicationVersion: '1',
    systemDatabaseUrl: urlOf(database),
    systemDatabasePoolSize: POOL,
    logLevel: 'error',
    runAdminServer: false,
  });
  await DBOS.launch();
  return {
    note: `${versioned('@dbos-inc/dbos-sdk')}, PostgreSQL ${version.split(' ')[0]}, fsync ${fsync}, synchronous_commit ${commit}`,
    handled: () => state.handled,
    // As a method of ours it would be taken for one of a configured instance.
    workflow: (message) => workflow(message),
    async stop() {
      await DBOS.shutdown();
      await administer((client) => client.query(`drop database if exists ${database} with (force)`));
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
