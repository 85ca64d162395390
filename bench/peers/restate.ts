/**
 * Restate: calls of a virtual object, through a server of its own with one node and its defaults.
 *
 * Owns: the server, from its npm package; the service, which lives in the contender's process; and the calls over HTTP.
 */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { createServer, type Http2Server, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { join } from 'node:path';
import { type Order, order } from '../actors/messages.ts';
import { NOTHING, type Tally, tally } from '../actors/tally.ts';
import type { Contender } from '../contract.ts';
import { inFlight, Pace, roundTrips } from '../pace.ts';
import { latencies } from '../statistics.ts';
import { folderOf, load, missingPackage, versioned } from './packages.ts';
import { freePort, Server } from './server.ts';

const UNDER_WAY = 256;
const KEYS = 100;

interface ObjectContext {
  get(name: string): Promise<Tally | null>;
  set(name: string, value: Tally): void;
}

interface Restate {
  object(definition: {
    readonly name: string;
    readonly handlers: Readonly<Record<string, (context: ObjectContext, message: Order) => Promise<unknown>>>;
  }): unknown;
  createEndpointHandler(options: {
    readonly services: readonly unknown[];
  }): (request: Http2ServerRequest, response: Http2ServerResponse) => void;
}

const PLATFORM = `@restatedev/restate-server-${process.platform}-${process.arch}`;

const missing = (): string | undefined =>
  missingPackage('@restatedev/restate-sdk') ?? missingPackage('@restatedev/restate-server');

interface OwnRestate {
  readonly note: string;
  /** Messages that handlers have handled. */
  readonly handled: () => number;
  /** Resolves when that many are handled. */
  whenHandled(count: number): Promise<void>;
  call(path: string, body: unknown): Promise<unknown>;
  stop(): Promise<void>;
}

async function startRestate(dir: string): Promise<OwnRestate> {
  const [service, node, admin, ingress] = [await freePort(), await freePort(), await freePort(), await freePort()];
  let handled = 0;
  let awaited: { readonly count: number; readonly resolve: () => void } | undefined;
  const http2 = await serve(service, () => {
    handled += 1;
    if (awaited !== undefined && handled >= awaited.count) awaited.resolve();
  });
  const config = [
    `base-dir = ${JSON.stringify(join(dir, 'data'))}`,
    'node-name = "one"',
    'cluster-name = "bench"',
    `bind-address = "127.0.0.1:${node}"`,
    `advertised-address = "http://127.0.0.1:${node}/"`,
    'disable-telemetry = true',
    'log-filter = "warn"',
    `[admin]\nbind-address = "127.0.0.1:${admin}"`,
    `[ingress]\nbind-address = "127.0.0.1:${ingress}"`,
  ].join('\n');
  await writeFile(join(dir, 'restate.toml'), config);
  const agent = new Agent({ keepAlive: true, maxSockets: UNDER_WAY });
  const post = poster(agent);
  const server = await Server.start({
    command: join(folderOf('@restatedev/restate-server'), '..', '..', PLATFORM, 'bin', 'restate-server'),
    args: ['--config-file', join(dir, 'restate.toml')],
    dir,
    ready: () => deployed(post, admin, service),
  });
  return {
    note: `${versioned('@restatedev/restate-server')}, ${versioned('@restatedev/restate-sdk')}, its defaults`,
    handled: () => handled,
    async whenHandled(count) {
      if (handled >= count) return;
      await new Promise<void>((resolve) => {
        awaited = { count, resolve };
      });
      awaited = undefined;
    },
    call: (path, body) => post(ingress, path, body),
    async stop() {
      agent.destroy();
      await server.stop();
      http2.close();
    },
  };
}

/** The virtual object `counter`, served in this process. */
async function serve(port: number, count: () => void): Promise<Http2Server> {
  process.env['RESTATE_LOGGING'] = 'ERROR';
  const restate = load<Restate>('@restatedev/restate-sdk');
  const counter = restate.object({
    name: 'counter',
    handlers: {
      async add(context, message) {
        const state = tally((await context.get('state')) ?? NOTHING, message);
        context.set('state', state);
        count();
        return state.handled;
      },
      report: async (context) => ((await context.get('state')) ?? NOTHING).handled,
    },
  });
  const server = createServer(restate.createEndpointHandler({ services: [counter] }));
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

type Post = (port: number, path: string, body: unknown) => Promise<unknown>;

const poster =
  (agent: Agent): Post =>
  (port, path, body) =>
    new Promise((resolve, reject) => {
      const json = JSON.stringify(body);
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) };
      const call = request({ host: '127.0.0.1', port, path, method: 'POST', agent, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => {
          const { statusCode = 0 } = response;
          if (statusCode < 300) resolve(text === '' ? undefined : JSON.parse(text));
          else reject(new Error(`${path}: ${statusCode} ${text.slice(0, 500)}`));
        });
      });
      call.on('error', reject);
      call.end(json);
    });

/** Whether the server is up and has taken our service. */
async function deployed(post: Post, admin: number, service: number): Promise<boolean> {
  try {
    await post(admin, '/deployments', { uri: `http://127.0.0.1:${service}` });
    return true;
  } catch {
    return false;
  }
}

/** One-way calls of 100 objects, handled, a second. */
export const restate: Contender = {
  name: 'restate',
  kind: 'baseline',
  label: 'Restate, one-way calls of virtual objects',
  note: `${UNDER_WAY} under way, ${KEYS} objects`,
  missing,
  async open({ dir, sampleMs }) {
    const own = await startRestate(dir);
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
    const own = await startRestate(dir);
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
