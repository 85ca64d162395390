/**
 * A contender as the harness sees it: a child process that is opened, sampled and closed.
 *
 * Owns: the process and its folder, and deadlines: one that hangs is ended, and the bench goes on without it.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FromContender, ToContender } from './contender-process.ts';
import type { Contender, Sample, Setting, Workload } from './contract.ts';
import { LIMIT_MS } from './contract.ts';

const ENTRY = fileURLToPath(new URL('contender-process.ts', import.meta.url));

export interface ClientOptions {
  /** Folder in which each contender gets one of its own. */
  readonly scratch: string;
  readonly setting: Omit<Setting, 'dir'>;
  /** Where to write a CPU profile of every thread. */
  readonly profileDir?: string | undefined;
  /** The contender process of another copy of the bench. Default: this one's. */
  readonly entry?: string;
  /** Where two copies run the same contender: which of them this is. */
  readonly side?: string;
}

/** A sample with what it took. */
export interface Measured {
  readonly sample: Sample;
  /** CPU time of all threads of the process while it was taken. */
  readonly cpuMs: number;
  readonly tookMs: number;
}

export class ContenderClient {
  readonly contender: Contender;
  /** What the running contender says of itself. */
  note: string | undefined;
  readonly #child: ChildProcess;
  readonly #dir: string;
  readonly #limitMs: number;
  #stderr = '';
  #waiting: { resolve(message: FromContender): void; reject(error: Error): void } | undefined;
  #ended: Error | undefined;

  private constructor(workload: Workload, contender: Contender, options: ClientOptions, dir: string) {
    this.contender = contender;
    this.#dir = dir;
    this.#limitMs = workload.limitMs ?? LIMIT_MS;
    const profile = options.profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profileDir}`];
    const setting: Setting = { ...options.setting, dir };
    this.#child = fork(options.entry ?? ENTRY, [workload.name, contender.name, JSON.stringify(setting)], {
      execArgv: [...(contender.execArgv ?? []), ...profile],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // Stripping types takes longer than most contenders take to open.
      env: { ...process.env, NODE_COMPILE_CACHE: join(options.scratch, 'compile-cache') },
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-4_000);
    });
    this.#child.on('message', (message: FromContender) => {
      // Between two orders only a fault is worth a word.
      if (this.#waiting !== undefined) this.#waiting.resolve(message);
      else if (message.kind === 'failed') this.#end(new Error(message.message));
    });
    this.#child.on('error', (error) => this.#end(error));
    this.#child.on('exit', (code, signal) => {
      const words = this.#stderr.trim();
      this.#end(new Error(`its process ended (${signal ?? `code ${code}`})${words === '' ? '' : `: ${words}`}`));
    });
  }

  /** Starts the process; resolves when the contender is warm. */
  static async open(workload: Workload, contender: Contender, options: ClientOptions): Promise<ContenderClient> {
    const side = options.side === undefined ? '' : `-${options.side}`;
    const dir = join(options.scratch, `${workload.name}-${contender.name}${side}`);
    await mkdir(dir, { recursive: true });
    const client = new ContenderClient(workload, contender, options, dir);
    try {
      const opened = await client.#answer('opening', 'opened');
      if (opened.kind === 'opened') client.note = opened.note;
      return client;
    } catch (error) {
      await client.kill();
      throw error;
    }
  }

  async sample(): Promise<Measured> {
    const answer = await this.#ask('sample', 'sample');
    if (answer.kind !== 'sample') throw new Error(`${answer.kind} in place of a sample`);
    return { sample: answer.sample, cpuMs: answer.cpuMs, tookMs: answer.tookMs };
  }

  /** In good order; by force when that fails. */
  async close(): Promise<void> {
    try {
      await this.#ask('close', 'closed');
      await this.#exit();
    } finally {
      await this.kill();
    }
  }

  /** Ends the process at once and removes its folder. */
  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
    await this.#exit();
    await rm(this.#dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }

  #ask(order: ToContender, kind: FromContender['kind']): Promise<FromContender> {
    const answer = this.#answer(order, kind);
    this.#child.send(order, (error) => {
      if (error !== null) this.#end(error);
    });
    return answer;
  }

  async #answer(doing: string, kind: FromContender['kind']): Promise<FromContender> {
    if (this.#ended !== undefined) throw this.#ended;
    let timer: NodeJS.Timeout | undefined;
    try {
      const message = await new Promise<FromContender>((resolve, reject) => {
        this.#waiting = { resolve, reject };
        timer = setTimeout(() => reject(new Error(`${doing} took more than ${this.#limitMs} ms`)), this.#limitMs);
      });
      if (message.kind === 'failed') throw new Error(message.message);
      if (message.kind !== kind) throw new Error(`it answered "${message.kind}" to ${doing}`);
      return message;
    } finally {
      clearTimeout(timer);
      this.#waiting = undefined;
    }
  }

  async #exit(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
      this.#child.once('exit', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #end(error: Error): void {
    this.#ended ??= error;
    this.#waiting?.reject(this.#ended);
  }
}
