/**
 * A connection by node-redis (`redis`, or `@redis/client` alone).
 *
 * Owns: its options and events. No queue of its own while it is offline: what is tried again is the adapter's to say.
 */
import type { Random } from '../../../kernel/random.ts';
import {
  CallsUnderWay,
  type LinkEvents,
  lost,
  type RedisArgument,
  type RedisLink,
  type RedisReply,
  reconnectDelayMs,
} from './redis-link.ts';

type Hear = (message: Uint8Array, channel: Uint8Array) => void;

/** What is used of a client: its own type has a parameter for each module. */
export interface NodeRedisClient {
  readonly isReady: boolean;
  on(event: string, listener: (error?: Error) => void): unknown;
  connect(): Promise<unknown>;
  sendCommand(args: readonly RedisArgument[], options?: { typeMapping?: Record<number, unknown> }): Promise<unknown>;
  subscribe(channel: string, listener: Hear, bufferMode: true): Promise<void>;
  unsubscribe(channel: string, listener: Hear, bufferMode: true): Promise<void>;
  pSubscribe(pattern: string, listener: Hear, bufferMode: true): Promise<void>;
  pUnsubscribe(pattern: string, listener: Hear, bufferMode: true): Promise<void>;
  destroy(): void;
  duplicate(overrides?: Record<string, unknown>): NodeRedisClient;
  readonly options?: { readonly socket?: Record<string, unknown> };
}

/** Maps as Redis had them before RESP3: keys and values in turn. */
const flat = (reply: unknown): RedisReply =>
  typeof reply !== 'object' || reply === null || Array.isArray(reply) || reply instanceof Uint8Array
    ? (reply as RedisReply)
    : (Object.entries(reply).flat() as RedisReply);

/** `$` of RESP. */
const BLOB_STRING = 36;
const AS_BYTES = { typeMapping: { [BLOB_STRING]: Buffer } };

export const nodeRedisOptions = (random: Random, first: { failed: boolean }, socket = {}): Record<string, unknown> => ({
  disableOfflineQueue: true,
  keyPrefix: '',
  socket: {
    ...socket,
    // Before it has been up once, the first error is for whoever connects.
    reconnectStrategy: (retries: number, cause: Error) =>
      first.failed ? cause : reconnectDelayMs(retries + 1, random.next()),
  },
});

export function nodeRedisLink(client: NodeRedisClient, first: { failed: boolean }, events: LinkEvents): RedisLink {
  const calls = new CallsUnderWay();
  let wasUp = false;
  let isUp = false;
  const down = (error?: Error): void => {
    calls.loseAll(error);
    if (!isUp) return;
    isUp = false;
    events.down(error);
  };
  client.on('error', (error = new Error('the client failed')) => {
    down(error);
    if (wasUp) events.failed(error);
  });
  client.on('reconnecting', () => down());
  client.on('end', () => down());
  client.on('ready', () => {
    wasUp = true;
    isUp = true;
    first.failed = false;
    events.up();
  });
  return {
    client: 'node-redis',
    async connect() {
      await client.connect();
    },
    call: (args) =>
      client.isReady
        ? calls.track(async () => flat(await client.sendCommand(args, AS_BYTES)))
        : Promise.reject(lost(undefined)),
    async subscribe(channel, hear) {
      const listener: Hear = (message, name) => hear(message, Buffer.from(name).toString());
      await client.subscribe(channel, listener, true);
      return () => client.unsubscribe(channel, listener, true);
    },
    async subscribePattern(pattern, hear) {
      const listener: Hear = (message, name) => hear(message, Buffer.from(name).toString());
      await client.pSubscribe(pattern, listener, true);
      return () => client.pUnsubscribe(pattern, listener, true);
    },
    close() {
      wasUp = false;
      isUp = false;
      try {
        client.destroy();
      } catch {
        // It is closed already.
      }
      calls.loseAll(undefined);
    },
  };
}
