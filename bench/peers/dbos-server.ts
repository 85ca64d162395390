/**
 * DBOS on PostgreSQL, for one contender.
 *
 * Owns: a database of its own on a server that is there already (127.0.0.1:5432, or `PGHOST`, `PGPORT`, `PGUSER`), made anew, or as a
 * copy of another one, and dropped afterwards; and the launch of DBOS on it.
 */
import { load, missingPackage, versioned } from './packages.ts';
import { answers } from './server.ts';

/** Connections. */
export const POOL = 10;

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

/** What of DBOS the bench uses. */
export interface Dbos {
  registerWorkflow<Run>(run: Run, options: { readonly name: string }): Run;
  startWorkflow<Input>(
    run: (input: Input) => Promise<unknown>,
    options: { readonly workflowID: string },
  ): (input: Input) => Promise<unknown>;
  runStep<Result>(step: () => Promise<Result>, options: { readonly name: string }): Promise<Result>;
  setConfig(config: Readonly<Record<string, unknown>>): void;
  launch(): Promise<void>;
  shutdown(): Promise<void>;
}

export async function missingDbos(): Promise<string | undefined> {
  const reason = missingPackage('@dbos-inc/dbos-sdk');
  if (reason !== undefined) return reason;
  return (await answers(port, host)) ? undefined : `no PostgreSQL answers at ${host}:${port}`;
}

/** Asks a database of the server. */
export async function administer<Answer>(
  work: (client: PostgresClient) => Promise<Answer>,
  database = 'postgres',
): Promise<Answer> {
  const { Client } = load<Pg>('pg');
  const client = new Client({ connectionString: urlOf(database) });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

export const dropDatabase = (database: string): Promise<unknown> =>
  administer((client) => client.query(`drop database if exists ${database} with (force)`));

/** Makes a database, of nothing or of all that is in `template`; resolves with what the server says of itself. */
export async function makeDatabase(database: string, template?: string): Promise<string> {
  await dropDatabase(database);
  return administer(async (client) => {
    await client.query(`create database ${database}${template === undefined ? '' : ` template ${template}`}`);
    const settings = ['fsync', 'synchronous_commit', 'server_version'].map((name) => `current_setting('${name}')`);
    const { rows } = await client.query(`select ${settings[0]} fsync, ${settings[1]} commit, ${settings[2]} version`);
    const { fsync, commit, version } = rows[0] as Readonly<Record<'fsync' | 'commit' | 'version', string>>;
    if (fsync !== 'on' || commit !== 'on')
      throw new Error(`this server has fsync ${fsync}, synchronous_commit ${commit}`);
    return `${versioned('@dbos-inc/dbos-sdk')}, PostgreSQL ${version.split(' ')[0]}, fsync ${fsync}, synchronous_commit ${commit}`;
  });
}

/** Launches DBOS on a database, with the workflows that `register` makes known. */
export async function launchDbos<Workflows>(
  database: string,
  register: (dbos: Dbos) => Workflows,
): Promise<{ readonly workflows: Workflows; readonly dbos: Dbos }> {
  const { DBOS } = load<{ readonly DBOS: Dbos }>('@dbos-inc/dbos-sdk');
  const workflows = register(DBOS);
  DBOS.setConfig({
    name: 'bench',
    applicationVersion: '1',
    systemDatabaseUrl: urlOf(database),
    systemDatabasePoolSize: POOL,
    logLevel: 'error',
    runAdminServer: false,
  });
  await DBOS.launch();
  return { workflows, dbos: DBOS };
}
