/**
 * A Restate server of its own for one contender, with one node and its defaults.
 *
 * Owns: the server, from its npm package; the services, which live in the contender's process; and the calls over HTTP.
 */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { createServer, type Http2Server, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { join } from 'node:path';
import { folderOf, load, missingPackage, versioned } from './packages.ts';
import { freePort, Server } from './server.ts';

/** Calls under way. */
export const UNDER_WAY = 256;

/** What of Restate the bench uses. `Context` is what handlers get. */
export interface Restate<Context> {
  object(definition: ServiceDefinition<Context>): unknown;
  service(definition: ServiceDefinition<Context>): unknown;
  readonly TerminalError: new (message: string) => Error;
  createEndpointHandler(options: {
    readonly services: readonly unknown[];
  }): (request: Http2ServerRequest, response: Http2ServerResponse) => void;
}

interface ServiceDefinition<Context> {
  readonly name: string;
  readonly handlers: Readonly<Record<string, (context: Context, message: never) => Promise<unknown>>>;
}

const PLATFORM = `@restatedev/restate-server-${process.platform}-${process.arch}`;

export const missingRestate = (): string | undefined =>
  missingPackage('@restatedev/restate-sdk') ?? missingPackage('@restatedev/restate-server');

export interface OwnRestate {
  readonly note: string;
  call(path: string, body: unknown): Promise<unknown>;
  stop(): Promise<void>;
}

/** Starts a server that knows the services which `define` makes. */
export async function startRestate<Context>(
  dir: string,
  define: (restate: Restate<Context>) => readonly unknown[],
): Promise<OwnRestate> {
  const [service, node, admin, ingress] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const http2 = await serve(service, define);
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
    call: (path, body) => post(ingress, path, body),
    async stop() {
      agent.destroy();
      await server.stop();
      http2.close();
    },
  };
}

async function serve<Context>(
  port: number,
  define: (restate: Restate<Context>) => readonly unknown[],
): Promise<Http2Server> {
  process.env['RESTATE_LOGGING'] = 'ERROR';
  const restate = load<Restate<Context>>('@restatedev/restate-sdk');
  const server = createServer(restate.createEndpointHandler({ services: define(restate) }));
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
