/**
 * A connection by ioredis.
 *
 * Owns: its options and events. No queue of its own while it is offline, nothing sent again by itself: what is tried again is the
 * adapter's to say.
 */
import type { Redis, RedisOptions } from 'ioredis';
import type { Random } from '../../../kernel/random.ts';
import { CallsUnderWay, type LinkEvents, lost, type RedisLink, reconnectDelayMs } from './redis-link.ts';

export type IoredisTemplate = { duplicate(options?: Partial<RedisOptions>): Redis };

export const ioredisOptions = (random: Random): RedisOptions => ({
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: true,
  enableAutoPipelining: false,
  maxRetriesPerRequest: 0,
  keyPrefix: '',
  protocol: 2,
  retryStrategy: (attempt) => reconnectDelayMs(attempt, random.next()),
});

export function ioredisLink(redis: Redis, events: LinkEvents): RedisLink {
  const calls = new CallsUnderWay();
  const hearers = new Map<string, (message: Uint8Array, channel: string) => void>();
  let lastError: Error | undefined;
  let wasUp = false;
  redis.on('error', (error: Error) => {
    lastError = error;
    if (wasUp) events.failed(error);
  });
  redis.on('ready', () => {
    wasUp = true;
    lastError = undefined;
    events.up();
  });
  redis.on('close', () => {
    calls.loseAll(lastError);
    if (wasUp) events.down(lastError);
  });
  redis.on('messageBuffer', (channel: Buffer, message: Buffer) => {
    const name = channel.toString();
    hearers.get(name)?.(message, name);
  });
  redis.on('pmessageBuffer', (pattern: Buffer | string, channel: Buffer, message: Buffer) => {
    hearers.get(`*${pattern.toString()}`)?.(message, channel.toString());
  });
  return {
    client: 'ioredis',
    async connect() {
      try {
        await redis.connect();
      } catch (error) {
        // The client would go on trying with wrong credentials for ever.
        redis.disconnect();
        throw lastError ?? error;
      }
    },
    call: (args) =>
      redis.status === 'ready'
        ? calls.track(() => redis.callBuffer(args[0] as string, args.slice(1) as Buffer[]) as Promise<Buffer>)
        : Promise.reject(lost(lastError)),
    async subscribe(channel, hear) {
      hearers.set(channel, hear);
      await redis.subscribe(channel);
      return async () => {
        // Somebody may hear it again by now.
        if (hearers.get(channel) !== hear) return;
        hearers.delete(channel);
        await redis.unsubscribe(channel);
      };
    },
    async subscribePattern(pattern, hear) {
      hearers.set(`*${pattern}`, hear);
      await redis.psubscribe(pattern);
      return async () => {
        if (hearers.get(`*${pattern}`) !== hear) return;
        hearers.delete(`*${pattern}`);
        await redis.punsubscribe(pattern);
      };
    },
    close() {
      wasUp = false;
      redis.disconnect();
      calls.loseAll(undefined);
    },
  };
}
