/** Redis for tests: the one of this machine, when it is there, and servers of a test's own that may be killed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Redis } from 'ioredis';
import { answers, freePort, onPath } from '../../bench/peers/server.ts';
import { until } from './until.ts';

export const REDIS_URL = 'redis://127.0.0.1:6379';

/** Why tests on the machine's Redis are skipped; undefined when it is there. */
export const noRedis = (await answers(6_379)) ? undefined : 'no redis';
/** Why tests with servers of their own are skipped. */
export const noRedisServer = onPath('redis-server') ? undefined : 'no redis-server';

export async function dropKeys(url: string, broker: string): Promise<void> {
  const redis = new Redis(url);
  for (let cursor = '0'; ; ) {
    const [next, keys] = await redis.scan(cursor, 'MATCH', `cb:{${broker}}:*`, 'COUNT', 1_000);
    if (keys.length > 0) await redis.del(...keys);
    cursor = next;
    if (cursor === '0') break;
  }
  redis.disconnect();
}

/** One on a port of its own, which writes each change into its log. */
export class OwnRedis {
  readonly port: number;
  readonly #args: readonly string[];
  #process: ChildProcess | undefined;

  private constructor(port: number, dir: string, more: Readonly<Record<string, string>>, portOption: string) {
    this.port = port;
    const options = {
      [portOption]: String(port),
      bind: '127.0.0.1',
      dir,
      appendonly: 'yes',
      appendfsync: 'always',
      save: '',
      ...more,
    };
    this.#args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  }

  /** `portOption`: `tls-port` for one that speaks TLS alone. */
  static async start(
    dir: string,
    more: Readonly<Record<string, string>> = {},
    portOption: 'port' | 'tls-port' = 'port',
  ): Promise<OwnRedis> {
    const server = new OwnRedis(await freePort(), dir, more, portOption);
    await server.restart();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  async restart(): Promise<void> {
    this.#process = spawn('redis-server', this.#args, { stdio: 'ignore' });
    await until('redis-server', () => answers(this.port));
  }

  async kill(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (process === undefined || process.exitCode !== null) return;
    const ended = once(process, 'exit');
    process.kill('SIGKILL');
    await ended;
  }
}
