/** NATS for tests: the one of this machine, when it is there, and servers of a test's own that may be killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { answers, freePort, onPath } from '../../bench/peers/server.ts';
import { until } from './until.ts';

export const NATS_URL = 'nats://127.0.0.1:4222';

/** Why tests on the machine's NATS are skipped; undefined when it is there. */
export const noNats = (await answers(4_222)) ? undefined : 'no nats';
/** Why tests with servers of their own are skipped. */
export const noNatsServer = onPath('nats-server') ? undefined : 'no nats-server';

export async function dropStreams(url: string, broker: string): Promise<void> {
  const connection = await connect({ servers: url.replace('nats://', '') });
  const manager = await jetstreamManager(connection);
  for (const part of ['', '_TABLE', '_RECEIPTS', '_DEAD'])
    await manager.streams.delete(`CB_${broker}${part}`).catch(() => {});
  await connection.close();
}

/** One on a port of its own, with JetStream in its folder. */
export class OwnNats {
  readonly port: number;
  readonly #config: string;
  #process: ChildProcess | undefined;

  private constructor(port: number, config: string) {
    this.port = port;
    this.#config = config;
  }

  /** `more`: further lines of its configuration. `jetstream: false`: without it. */
  static async start(dir: string, more = '', { jetstream = true } = {}): Promise<OwnNats> {
    const port = await freePort();
    const config = join(dir, `nats-${port}.conf`);
    const store = jetstream ? `jetstream { store_dir: ${JSON.stringify(join(dir, `jetstream-${port}`))} }\n` : '';
    await writeFile(config, `port: ${port}\nhost: 127.0.0.1\n${store}${more}\n`);
    const server = new OwnNats(port, config);
    await server.restart();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  async restart(): Promise<void> {
    this.#process = spawn('nats-server', ['-c', this.#config], { stdio: 'ignore' });
    await until('nats-server', () => answers(this.port));
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
