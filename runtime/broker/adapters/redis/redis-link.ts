/**
 * One connection to Redis, whichever client makes it.
 *
 * Owns: what the adapter needs of a client, and which replies of the server mean what. The clients are `ioredis-link.ts` and
 * `node-redis-link.ts`; reconnecting is theirs, with the waits of `reconnectDelayMs`.
 *
 * Invariants:
 * RL1. A call whose connection is lost rejects with `LinkLostError` at once: whether it was done is not known.
 * RL2. Calls are done in the order in which they were made, as long as the connection lasts.
 * RL3. After `up` every channel that was subscribed is subscribed again.
 */

/** Texts, numbers and bytes, as commands have them. */
export type RedisArgument = string | Uint8Array;

/** What comes back: bulk strings as bytes. */
export type RedisReply = null | number | string | Uint8Array | Error | readonly RedisReply[];

export interface LinkEvents {
  up(): void;
  down(error: Error | undefined): void;
  /** The client goes on by itself. */
  failed(error: Error): void;
}

export interface RedisLink {
  /** For messages: `ioredis`. */
  readonly client: string;
  /** Resolves when it is up for the first time; the first error ends it. */
  connect(): Promise<void>;
  call(args: readonly RedisArgument[]): Promise<RedisReply>;
  subscribe(channel: string, hear: (message: Uint8Array, channel: string) => void): Promise<() => Promise<void>>;
  /** `pattern` is a glob of Redis. */
  subscribePattern(pattern: string, hear: (message: Uint8Array, channel: string) => void): Promise<() => Promise<void>>;
  close(): void;
}

/** The connection was lost while a call was under way, or is not there. */
export class LinkLostError extends Error {
  override readonly name = 'LinkLostError';
}

const RECONNECT_FIRST_MS = 50;
const RECONNECT_MOST_MS = 2_000;

/** The wait before reconnecting for the `attempt`th time (1, 2, …): half of it is chance, so that not all come at once. */
export function reconnectDelayMs(attempt: number, random: number): number {
  const full = Math.min(RECONNECT_MOST_MS, RECONNECT_FIRST_MS * 2 ** Math.min(10, attempt - 1));
  return Math.round(full * (0.5 + random / 2));
}

/** The code that begins an error of the server (`WRONGPASS`), undefined when it is none of the server's. */
export function replyCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || error instanceof LinkLostError) return undefined;
  return /^-?([A-Z][A-Z0-9]+)\b/.exec(error.message)?.[1];
}

/** What the server says while it cannot, and will be able to. */
const PASSING = new Set([
  'LOADING',
  'BUSY',
  'MASTERDOWN',
  'CLUSTERDOWN',
  'TRYAGAIN',
  'READONLY',
  'MISCONF',
  'OOM',
  'NOREPLICAS',
]);
const CREDENTIALS = new Set(['NOAUTH', 'WRONGPASS', 'NOPERM']);

export const isPassing = (error: unknown): boolean =>
  error instanceof LinkLostError || PASSING.has(replyCode(error) ?? '');

export const isCredentials = (error: unknown): boolean =>
  CREDENTIALS.has(replyCode(error) ?? '') ||
  (error instanceof Error && /invalid (?:username-)?password|without any password configured/i.test(error.message));

/** The calls that are under way on one connection: all of them end when it does. */
export class CallsUnderWay {
  readonly #rejects = new Set<(error: Error) => void>();

  track(start: () => Promise<RedisReply>): Promise<RedisReply> {
    return new Promise((resolve, reject) => {
      this.#rejects.add(reject);
      start().then(
        (reply) => {
          this.#rejects.delete(reject);
          resolve(reply);
        },
        (error: unknown) => {
          this.#rejects.delete(reject);
          reject(replyCode(error) === undefined ? lost(error) : (error as Error));
        },
      );
    });
  }

  loseAll(error: Error | undefined): void {
    const rejects = [...this.#rejects];
    this.#rejects.clear();
    for (const reject of rejects) reject(lost(error));
  }
}

export const lost = (cause: unknown): LinkLostError =>
  cause instanceof LinkLostError
    ? cause
    : new LinkLostError(`the connection to Redis is lost${cause instanceof Error ? `: ${cause.message}` : ''}`, {
        cause,
      });

export const textOf = (reply: RedisReply | undefined): string => {
  if (reply instanceof Uint8Array) return Buffer.from(reply.buffer, reply.byteOffset, reply.byteLength).toString();
  return reply === null || reply === undefined ? '' : String(reply);
};

export const listOf = (reply: RedisReply | undefined): readonly RedisReply[] =>
  Array.isArray(reply) ? (reply as readonly RedisReply[]) : [];
