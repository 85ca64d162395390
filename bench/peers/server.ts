/**
 * Servers that peers need, each for one contender.
 *
 * Owns: a server's process, from its start to an end that nothing can prevent: a shell holds it and kills it when the contender's end
 * of a pipe is gone, however the contender ended.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, openSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { readFile } from 'node:fs/promises';

/** The server reads nothing; the shell reads the pipe until it ends. */
const HOLD =
  '"$0" "$@" </dev/null & server=$!; cat >/dev/null; kill -KILL $server 2>/dev/null; wait $server 2>/dev/null';
const START_LIMIT_MS = 20_000;

export interface ServerOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Folder of its own; `server.log` is written there. */
  readonly dir: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Whether it is up. Asked again and again. */
  readonly ready: () => Promise<boolean>;
}

export class Server {
  readonly #holder: ChildProcess;

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  static async start({ args, command, dir, env, ready }: ServerOptions): Promise<Server> {
    const log = join(dir, 'server.log');
    const out = openSync(log, 'a');
    const holder = spawn('/bin/sh', ['-c', HOLD, command, ...args], {
      stdio: ['pipe', out, out],
      cwd: dir,
      env: { ...process.env, ...env },
    });
    const server = new Server(holder);
    const endMs = performance.now() + START_LIMIT_MS;
    while (!(await ready())) {
      if (performance.now() > endMs) {
        await server.stop();
        throw new Error(`${command} did not start: ${(await readFile(log, 'utf8')).slice(-1_000)}`);
      }
      await setTimeout(50);
    }
    return server;
  }

  async stop(): Promise<void> {
    if (this.#holder.exitCode !== null) return;
    const ended = once(this.#holder, 'exit');
    this.#holder.stdin?.end();
    await ended;
  }
}

/** A port that nobody listens on now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => {
        if (address === null || typeof address === 'string') reject(new Error('no port'));
        else resolve(address.port);
      });
    });
  });
}

/** Whether something accepts connections there. */
export function answers(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1_000 });
    const settle = (answer: boolean) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', settle(true)).once('timeout', settle(false)).once('error', settle(false));
  });
}

/** Whether `command` is on the PATH. */
export function onPath(command: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
