/**
 * Which client of Redis is used: the one that is handed in, or the one that is installed.
 *
 * Owns: finding it, and making connections of it. A client that is handed in is a template: it is duplicated for connections of our own,
 * with our options for reconnecting, and never used or closed itself.
 */
import { BrokerConfigurationError, MissingPackageError } from '../../../kernel/errors.ts';
import type { Random } from '../../../kernel/random.ts';
import { assertAddress } from '../server-adapter.ts';
import { type IoredisTemplate, ioredisLink, ioredisOptions } from './ioredis-link.ts';
import { type NodeRedisClient, nodeRedisLink, nodeRedisOptions } from './node-redis-link.ts';
import type { LinkEvents, RedisLink } from './redis-link.ts';

export type LinkMaker = (events: LinkEvents) => RedisLink;

/** A client of `ioredis`, `redis` or `@redis/client`, connected or not. */
export type RedisClientLike = { duplicate(...args: never[]): unknown };

export interface RedisSource {
  readonly url: string | undefined;
  readonly client: RedisClientLike | undefined;
  /** The server without credentials, for messages. */
  readonly where: string;
  /** As the URL says; undefined: the client's own, or the first. */
  readonly database: string | undefined;
}

/** @throws BrokerConfigurationError for a URL that is none of Redis, or a client that is none */
export function redisSource(url: string | undefined, client: RedisClientLike | undefined): RedisSource {
  if (client !== undefined) {
    if (typeof client.duplicate !== 'function')
      throw new BrokerConfigurationError('the client given is neither of ioredis nor of redis: it has no duplicate()');
    return { url: undefined, client, where: 'the given client', database: undefined };
  }
  const forms = 'redis://user:password@host:6379/0, or rediss:// for TLS';
  const where = assertAddress(url, ['redis:', 'rediss:'], 'Redis', forms);
  const database = new URL(url as string).pathname.slice(1);
  // A client would take it for the first one, or end the process.
  if (!/^\d*$/.test(database))
    throw new BrokerConfigurationError(
      `${JSON.stringify(database)} in ${where} is no database of Redis: give ${forms}`,
    );
  return { url, client: undefined, where, database: database === '' ? undefined : database };
}

export async function linkMaker(source: RedisSource, random: Random): Promise<LinkMaker> {
  const { client, url } = source;
  if (client !== undefined) {
    if ('callBuffer' in client) {
      const template = client as unknown as IoredisTemplate;
      return (events) => ioredisLink(template.duplicate(ioredisOptions(random)), events);
    }
    const template = client as unknown as NodeRedisClient;
    return (events) => {
      const first = { failed: true };
      const options = nodeRedisOptions(random, first, template.options?.socket);
      return nodeRedisLink(template.duplicate(options), first, events);
    };
  }
  const ioredis = await installed(() => import('ioredis'));
  if (ioredis !== undefined)
    return (events) => ioredisLink(new ioredis.Redis(url as string, ioredisOptions(random) as object), events);
  const nodeRedis = (await installed(() => import('@redis/client'))) ?? (await installed(() => import(REDIS)));
  if (nodeRedis !== undefined) {
    const create = nodeRedis.createClient as unknown as (options: Record<string, unknown>) => NodeRedisClient;
    return (events) => {
      const first = { failed: true };
      return nodeRedisLink(create({ url, ...nodeRedisOptions(random, first) }), first, events);
    };
  }
  throw new MissingPackageError(
    'a broker on Redis needs a client: npm install ioredis (or @redis/client), or hand one in as `client`',
    { details: { packages: ['ioredis', '@redis/client', 'redis'] } },
  );
}

/** It has the client in it, and is what most have installed. */
const REDIS: string = 'redis';

async function installed<T>(load: () => Promise<T>): Promise<T | undefined> {
  try {
    return await load();
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}
