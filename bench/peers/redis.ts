/**
 * A Redis of a contender's own, which flushes its log before it answers.
 *
 * Owns: its start with `appendfsync always` on a port and in a folder of its own, and what it says of itself.
 */
import { load, missingPackage } from './packages.ts';
import { answers, freePort, onPath, Server } from './server.ts';

/** What we use of ioredis. */
export interface RedisClient {
  call(command: string, ...args: readonly (string | number)[]): Promise<unknown>;
  disconnect(): void;
}

interface Ioredis {
  readonly Redis: new (options: Readonly<Record<string, unknown>>) => RedisClient;
}

export interface OwnRedis {
  readonly port: number;
  /** For the result: what the server itself says. */
  readonly note: string;
  client(): RedisClient;
  stop(): Promise<void>;
}

export const missingRedis = (): string | undefined =>
  onPath('redis-server') ? missingPackage('ioredis') : 'redis-server is not on the PATH';

export async function startRedis(dir: string): Promise<OwnRedis> {
  const port = await freePort();
  const options = { port: String(port), bind: '127.0.0.1', dir, appendonly: 'yes', appendfsync: 'always', save: '' };
  const server = await Server.start({
    command: 'redis-server',
    args: Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]),
    dir,
    ready: () => answers(port),
  });
  const { Redis } = load<Ioredis>('ioredis');
  const client = (): RedisClient => new Redis({ host: '127.0.0.1', port, maxRetriesPerRequest: null });
  const asking = client();
  const info = String(await asking.call('INFO', 'server'));
  const [, sync] = (await asking.call('CONFIG', 'GET', 'appendfsync')) as string[];
  asking.disconnect();
  if (sync !== 'always') throw new Error(`this Redis has appendfsync ${sync}`);
  const version = /redis_version:(\S+)/.exec(info)?.[1] ?? 'of unknown version';
  return { port, note: `Redis ${version}, appendfsync ${sync}`, client, stop: () => server.stop() };
}
