/**
 * The adapter's two connections to one Redis: one for commands, one that listens.
 *
 * Owns: opening them and refusing a server that cannot keep what it is given; the scripts on the server; trying again, up to a deadline,
 * what a lost connection has cut off.
 *
 * Invariants:
 * RS1. `run` calls a script until it has an answer, so that scripts must bear being called twice. At the deadline it is given up with
 *      `BrokerUnavailableError`; whether it was done is not known then.
 * RS2. `up` is told after both connections are there and the scripts are loaded.
 */
import { createHash } from 'node:crypto';
import { BrokerClosedError, BrokerConfigurationError, BrokerUnavailableError } from '../../../kernel/errors.ts';
import type { Clock } from '../../../kernel/clock.ts';
import type { Random } from '../../../kernel/random.ts';
import { distrustOf } from '../server-adapter.ts';
import { ACCEPT_SCRIPT } from './accept-script.ts';
import { type LinkMaker, linkMaker, type RedisSource } from './redis-client.ts';
import {
  isCredentials,
  isPassing,
  LinkLostError,
  listOf,
  lost,
  type RedisArgument,
  type RedisLink,
  type RedisReply,
  reconnectDelayMs,
  replyCode,
  textOf,
} from './redis-link.ts';
import { SETTLE_SCRIPT } from './settle-script.ts';
import { TAKE_SCRIPT } from './take-script.ts';
import { GIVE_BACK_SCRIPT, REAP_SCRIPT } from './takeover-scripts.ts';

export interface SessionEvents {
  up(): void;
  down(error: Error | undefined): void;
  failed(error: Error): void;
}

/** What the server says of how it keeps data; what that means is in `promise`. */
export interface RedisDurability {
  readonly appendOnly: boolean;
  readonly appendFsync: string;
  readonly promise: string;
}

const LEAST_VERSION = [6, 2] as const;
/** Sent often: loaded when a connection is made. */
const HOT = [ACCEPT_SCRIPT, TAKE_SCRIPT, SETTLE_SCRIPT, REAP_SCRIPT, GIVE_BACK_SCRIPT];

const shas = new Map<string, string>();
const shaOf = (script: string): string => {
  let sha = shas.get(script);
  if (sha === undefined) {
    sha = createHash('sha1').update(script).digest('hex');
    shas.set(script, sha);
  }
  return sha;
};

export interface SessionOptions {
  readonly source: RedisSource;
  readonly prefix: string;
  readonly callTimeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

export class RedisSession {
  readonly prefix: string;
  readonly clock: Clock;
  readonly #options: SessionOptions;
  readonly #events: SessionEvents;
  readonly #waiting = new Set<() => void>();
  #commands: RedisLink | undefined;
  #listening: RedisLink | undefined;
  #commandsUp = false;
  #listeningUp = false;
  #state: 'new' | 'up' | 'down' | 'closed' = 'new';

  constructor(options: SessionOptions, events: SessionEvents) {
    this.#options = options;
    this.#events = events;
    this.prefix = options.prefix;
    this.clock = options.clock;
  }

  get isUp(): boolean {
    return this.#state === 'up';
  }

  async open(): Promise<RedisDurability> {
    const make: LinkMaker = await linkMaker(this.#options.source, this.#options.random);
    this.#commands = make({
      up: () => void this.#commandsAreUp(),
      down: (error) => this.#linkDown('commands', error),
      failed: (error) => this.#events.failed(error),
    });
    this.#listening = make({
      up: () => {
        this.#listeningUp = true;
        this.#linkUp();
      },
      down: (error) => this.#linkDown('listening', error),
      failed: (error) => this.#events.failed(error),
    });
    try {
      await this.#commands.connect();
      await this.#select();
      const durability = await this.#inspect();
      await this.#listening.connect();
      await this.#whenUp(this.clock.monotonicMs() + this.#options.callTimeoutMs);
      return durability;
    } catch (error) {
      this.close();
      throw this.#translated(error);
    }
  }

  /** Once, on the connection that is there. @throws LinkLostError and the server's errors as they are */
  async once(script: string, args: readonly RedisArgument[]): Promise<RedisReply> {
    try {
      return await this.#call(['EVALSHA', shaOf(script), '1', this.prefix, ...args]);
    } catch (error) {
      if (replyCode(error) !== 'NOSCRIPT') throw error;
      return this.#call(['EVAL', script, '1', this.prefix, ...args]);
    }
  }

  /** Only by its name: calls that follow keep their order. @throws also NOSCRIPT */
  onceInOrder(script: string, args: readonly RedisArgument[]): Promise<RedisReply> {
    return this.#call(['EVALSHA', shaOf(script), '1', this.prefix, ...args]);
  }

  loadScripts(): Promise<unknown> {
    return Promise.all(HOT.map((script) => this.#call(['SCRIPT', 'LOAD', script])));
  }

  /**
   * `again`: the arguments when it was called before, and nobody knows whether it was done.
   * @throws BrokerUnavailableError, BrokerConfigurationError, BrokerClosedError
   */
  run(script: string, args: readonly RedisArgument[], again = () => args): Promise<RedisReply> {
    let isFirst = true;
    return this.#again(() => {
      const given = isFirst ? args : again();
      isFirst = false;
      return this.once(script, given);
    });
  }

  command(args: readonly RedisArgument[]): Promise<RedisReply> {
    return this.#again(() => this.#call(args));
  }

  /** Waits for the connection as `command` does, and does it once: undefined when it was lost before the answer. */
  commandOnce(args: readonly RedisArgument[]): Promise<RedisReply | undefined> {
    return this.#again(async () => {
      if (!this.isUp) throw lost(undefined);
      try {
        return await this.#call(args);
      } catch (error) {
        if (error instanceof LinkLostError) return undefined;
        throw error;
      }
    });
  }

  subscribe(channel: string, hear: (message: Uint8Array, channel: string) => void): Promise<() => Promise<void>> {
    return this.#again(() => this.#listeningLink().subscribe(channel, hear));
  }

  subscribePattern(glob: string, hear: (message: Uint8Array, channel: string) => void): Promise<() => Promise<void>> {
    return this.#again(() => this.#listeningLink().subscribePattern(glob, hear));
  }

  close(): void {
    this.#state = 'closed';
    this.#commands?.close();
    this.#listening?.close();
    this.#wake();
  }

  async #again<T>(call: () => Promise<T>): Promise<T> {
    const endMs = this.clock.monotonicMs() + this.#options.callTimeoutMs;
    for (let attempt = 1; ; attempt++) {
      if (this.#state === 'closed') throw new BrokerClosedError('the connection to Redis is closed');
      try {
        return await this.#within(endMs, call());
      } catch (error) {
        if (!isPassing(error) && this.#state !== 'down') throw this.#translated(error);
        await this.pause(reconnectDelayMs(attempt, this.#options.random.next()) / 5);
        await this.#whenUp(endMs, error);
      }
    }
  }

  /** A server that holds the connection and does not answer must not hold the caller. */
  #within<T>(endMs: number, call: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const wait = this.clock.wait(Math.max(0, endMs - this.clock.monotonicMs()), () =>
        reject(this.#unavailable(undefined)),
      );
      call.then(resolve, reject).finally(() => wait.cancel());
    });
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.clock.wait(ms, resolve);
    });
  }

  #whenUp(endMs: number, cause?: unknown): Promise<void> {
    if (this.#state === 'up') {
      if (this.clock.monotonicMs() > endMs) return Promise.reject(this.#unavailable(cause));
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const look = (): void => {
        wait.cancel();
        this.#waiting.delete(look);
        if (this.#state === 'up') resolve();
        else if (this.#state === 'closed') reject(new BrokerClosedError('the connection to Redis is closed'));
        else reject(this.#unavailable(cause));
      };
      const wait = this.clock.wait(Math.max(0, endMs - this.clock.monotonicMs()), look);
      this.#waiting.add(look);
    });
  }

  #wake(): void {
    for (const look of this.#waiting) look();
  }

  #call(args: readonly RedisArgument[]): Promise<RedisReply> {
    if (this.#commands === undefined) throw new BrokerClosedError('the connection to Redis is not open');
    return this.#commands.call(args);
  }

  #listeningLink(): RedisLink {
    if (this.#listening === undefined) throw new BrokerClosedError('the connection to Redis is not open');
    return this.#listening;
  }

  async #commandsAreUp(): Promise<void> {
    try {
      await this.loadScripts();
      this.#commandsUp = true;
      this.#linkUp();
    } catch (error) {
      // Still loading its data, or lost again: a script that is not there is sent whole.
      if (!isPassing(error)) this.#events.failed(error as Error);
      else if (replyCode(error) !== undefined) this.clock.wait(100, () => void this.#commandsAreUp());
    }
  }

  #linkUp(): void {
    if (this.#state === 'closed' || this.#state === 'up' || !this.#commandsUp || !this.#listeningUp) return;
    this.#state = 'up';
    this.#wake();
    this.#events.up();
  }

  #linkDown(which: 'commands' | 'listening', error: Error | undefined): void {
    if (which === 'commands') this.#commandsUp = false;
    else this.#listeningUp = false;
    if (this.#state !== 'up') return;
    this.#state = 'down';
    this.#events.down(error);
  }

  #unavailable(cause: unknown): BrokerUnavailableError {
    const why = cause instanceof Error ? `: ${cause.message}` : '';
    return new BrokerUnavailableError(`Redis at ${this.#options.source.where} does not answer${why}`, { cause });
  }

  #translated(error: unknown): unknown {
    const where = this.#options.source.where;
    if (isCredentials(error)) {
      const words = `Redis at ${where} refuses the credentials: ${(error as Error).message}. Give user and password in the URL`;
      return new BrokerConfigurationError(words, { cause: error });
    }
    if (error instanceof Error && /DB index|value is not an integer/i.test(error.message)) {
      const words = `Redis at ${where} has no such database: the number at the end of the URL must be below its setting \`databases\``;
      return new BrokerConfigurationError(words, { cause: error });
    }
    const distrust = distrustOf(error, where);
    if (distrust !== undefined) return distrust;
    if (isPassing(error)) return this.#unavailable(error);
    if (
      error instanceof Error &&
      replyCode(error) === undefined &&
      /ECONN|ENOTFOUND|ETIMEDOUT|EAI_AGAIN|EHOST|closed|timeout/i.test(
        `${(error as { code?: string }).code} ${error.message}`,
      )
    )
      return this.#unavailable(error);
    return error;
  }

  /** Clients choose it as they connect, and one of them hears no refusal: it goes on with the first. */
  async #select(): Promise<void> {
    const { database } = this.#options.source;
    if (database !== undefined) await this.#call(['SELECT', database]);
  }

  async #inspect(): Promise<RedisDurability> {
    const where = this.#options.source.where;
    const info = textOf(await this.#call(['INFO']));
    const field = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
    const version = field('redis_version');
    const [major = 0, minor = 0] = version.split('.').map(Number);
    if (major < LEAST_VERSION[0] || (major === LEAST_VERSION[0] && minor < LEAST_VERSION[1]))
      throw new BrokerConfigurationError(
        `Redis at ${where} is ${version}: at least ${LEAST_VERSION.join('.')} is needed`,
        {
          details: { version },
        },
      );
    const policy = field('maxmemory_policy');
    if (policy !== 'noeviction') {
      throw new BrokerConfigurationError(
        `Redis at ${where} has maxmemory-policy ${policy}, which drops messages when memory runs out: set maxmemory-policy noeviction`,
        { details: { maxmemoryPolicy: policy } },
      );
    }
    const appendOnly = field('aof_enabled') === '1';
    // A server that somebody else runs may not show its configuration.
    const shown = await this.#call(['CONFIG', 'GET', 'appendfsync']).catch(() => null);
    const appendFsync = textOf(listOf(shown)[1]) || 'unknown';
    return { appendOnly, appendFsync, promise: promiseOf(appendOnly, appendFsync) };
  }
}

function promiseOf(appendOnly: boolean, appendFsync: string): string {
  if (!appendOnly) return 'appendonly no: what was accepted since the last snapshot is lost when the server stops';
  if (appendFsync === 'always') return 'appendfsync always: what is accepted is on disk';
  if (appendFsync === 'everysec')
    return 'appendfsync everysec: a killed server loses nothing, a machine without power up to about 2 s';
  return `appendfsync ${appendFsync}: a killed server loses nothing, a machine without power what its system had not written`;
}
