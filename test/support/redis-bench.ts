/** An adapter on the machine's Redis for each test of a file, and a connection that looks at what it keeps. Leaves nothing behind. */
import { Redis } from 'ioredis';
import { afterEach, beforeEach, test } from 'vitest';
import { RedisAdapter, type RedisAdapterOptions } from '../../runtime/broker/adapters/redis/redis-adapter.ts';
import { ownName, Told } from './adapter-bench.ts';
import { dropKeys, noRedis, REDIS_URL } from './redis-server.ts';

const skipped = noRedis === undefined ? '' : ` [skipped: ${noRedis}]`;

export class RedisBench {
  readonly #what: string;
  readonly #options: Partial<RedisAdapterOptions>;
  redis!: Redis;
  name!: string;
  adapter!: RedisAdapter;

  /** `what` names its brokers. Called where tests are written down. */
  constructor(what: string, options: Partial<RedisAdapterOptions> = {}) {
    this.#what = what;
    this.#options = options;
    if (noRedis !== undefined) return;
    beforeEach(async () => {
      this.redis = new Redis(REDIS_URL);
      this.name = ownName(this.#what);
      await this.open();
    });
    afterEach(async () => {
      await this.adapter.close();
      await dropKeys(REDIS_URL, this.name);
      this.redis.disconnect();
    });
  }

  /** Another adapter of the same name in place of the one before. */
  async open(): Promise<void> {
    this.adapter = new RedisAdapter({ name: this.name, url: REDIS_URL, ...this.#options });
    await this.adapter.open(new Told());
  }

  key(of: string): string {
    return `cb:{${this.name}}:${of}`;
  }

  /** A test, or that it is skipped and why. */
  test(title: string, body: () => Promise<void>, timeoutMs = 30_000): void {
    test.skipIf(noRedis !== undefined)(`${title}${skipped}`, body, timeoutMs);
  }
}
