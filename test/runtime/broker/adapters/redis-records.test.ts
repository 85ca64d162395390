/**
 * How long a message is known on Redis: one that is settled until its window is over, one that is not for as long as it is not, however
 * often what is over is dropped meanwhile. A window of a millisecond makes each look of the adapter the end of one.
 */
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RedisAdapter } from '../../../../runtime/broker/adapters/redis/redis-adapter.ts';
import { carried, dead, handled, ownName, specOf, Taker, Told } from '../../../support/adapter-bench.ts';
import { dropKeys, noRedis, REDIS_URL } from '../../../support/redis-server.ts';
import { until } from '../../../support/until.ts';

const skipped = noRedis === undefined ? '' : ` [skipped: ${noRedis}]`;
/** More than one look goes through, so that it takes several. */
const MANY = 5_000;

let redis: Redis;
let name: string;
let adapter: RedisAdapter;

beforeEach(async () => {
  if (noRedis !== undefined) return;
  redis = new Redis(REDIS_URL);
  name = ownName('records');
  adapter = new RedisAdapter({ name, url: REDIS_URL, dedupWindowMs: 1 });
  await adapter.open(new Told());
});

afterEach(async () => {
  if (noRedis !== undefined) return;
  await adapter.close();
  await dropKeys(REDIS_URL, name);
  redis.disconnect();
});

const key = (of: string): string => `cb:{${name}}:${of}`;

/** Until as many windows are over. */
async function windowsEnd(count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const begun = await redis.hget(key('age'), 'begun');
    await until('the next window', async () => (await redis.hget(key('age'), 'begun')) !== begun || undefined);
  }
}

/** No window ends until `windowsGoOn`, however slow the machine is: this one began an hour from now. */
const windowsStandStill = () => redis.hset(key('age'), 'begun', Date.now() + 3_600_000);
const windowsGoOn = () => redis.hset(key('age'), 'begun', 0);

const accept = (id: string) => adapter.accept(carried(id));

test.skipIf(noRedis !== undefined)(
  `what is not settled is known through any number of windows, and what is settled no longer than two${skipped}`,
  async () => {
    const taker = await Taker.join(adapter, specOf('a'));
    const ids = Array.from({ length: MANY }, (_, i) => `m${i}`);
    await Promise.all(ids.map(accept));
    await windowsEnd(4);
    const again = await Promise.all(ids.map(accept));
    expect(again.filter(({ duplicate }) => !duplicate)).toEqual([]);
    expect(await redis.hlen(key('o'))).toBe(MANY);
    expect((await adapter.receipt('m7'))?.status).toBe('accepted');

    taker.request(MANY);
    await taker.at(MANY - 1);
    expect(taker.ids).toEqual(ids);
    await windowsStandStill();
    const [first, ...others] = taker.handOuts;
    const last = others.pop();
    if (first === undefined || last === undefined) throw new Error('nothing was handed out');
    await Promise.all([taker.settle(first, dead), ...others.map((handOut) => taker.settle(handOut, handled))]);
    // While one waits, records do not end by themselves either.
    expect((await adapter.receipt('m0'))?.status).toBe('dead');
    expect((await adapter.receipt('m7'))?.status).toBe('handled');
    await taker.settle(last, handled);
    expect(await redis.exists(key('o'))).toBe(0);
    await windowsGoOn();

    // Two that end, and the one that they began in.
    await windowsEnd(3);
    expect(await adapter.receipt('m7')).toBeUndefined();
    expect(await redis.exists(key('r'), key('r-'))).toBe(0);
    expect(await accept('m7')).toMatchObject({ duplicate: false });
  },
  30_000,
);

test.skipIf(noRedis !== undefined)(
  `what is settled while its window is looked through is settled${skipped}`,
  async () => {
    const taker = await Taker.join(adapter, specOf('a'));
    const ids = Array.from({ length: MANY }, (_, i) => `m${i}`);
    await Promise.all(ids.map(accept));
    taker.request(MANY);
    await taker.at(MANY - 1);
    // Settled one after another, while windows end all the time.
    const begun = await redis.hget(key('age'), 'begun');
    let settled = 0;
    while (settled < MANY) {
      const some = taker.handOuts.slice(settled, (settled += 50));
      await Promise.all(some.map((handOut) => taker.settle(handOut, handled)));
      if (settled === MANY / 2) await windowsEnd(2);
    }
    expect(await redis.hget(key('age'), 'begun')).not.toBe(begun);
    await windowsEnd(3);
    expect(await redis.exists(key('o'), key('r'), key('r-'))).toBe(0);
  },
  30_000,
);

test.skipIf(noRedis !== undefined)(
  `records end by themselves when no process is left, but not while anything waits${skipped}`,
  async () => {
    const taker = await Taker.join(adapter, specOf('a'));
    await accept('m1');
    await windowsEnd(2);
    expect(await redis.pttl(key('r-'))).toBeLessThan(0);
    expect(await accept('m1')).toMatchObject({ duplicate: true });
    await taker.settle(await taker.next(), handled);
    await adapter.close();
    await until('the records end', async () => (await redis.exists(key('r'), key('r-'), key('o'))) === 0);

    adapter = new RedisAdapter({ name, url: REDIS_URL, dedupWindowMs: 1 });
    await adapter.open(new Told());
    await accept('m2');
    await windowsEnd(3);
    expect(await accept('m2')).toMatchObject({ duplicate: true });
  },
  30_000,
);

test.skipIf(noRedis !== undefined)(
  `what is beyond the limits of its retention is not there, whether anything came since or not${skipped}`,
  async () => {
    await adapter.retain('orders.>', { ageMs: 3_600_000 });
    for (const id of ['m1', 'm2', 'm3']) await accept(id);
    expect((await adapter.retained()).get('orders.>')).toEqual({ firstPosition: 1, nextPosition: 4 });
    await adapter.retain('orders.>', { ageMs: 1 });
    await until(
      'they are too old',
      async () => (await adapter.retained()).get('orders.>')?.firstPosition === 4 || undefined,
    );
    await accept('m4');

    await adapter.retain('orders.>', { messages: 2 });
    for (const id of ['m5', 'm6']) await accept(id);
    expect((await adapter.retained()).get('orders.>')?.firstPosition).toBe(5);
    await adapter.retain('orders.>', { messages: 1 });
    const taker = await Taker.join(adapter, specOf('a', { from: 'beginning' }));
    await accept('m7');
    taker.request(10);
    await taker.at(1);
    expect(taker.ids).toEqual(['m6', 'm7']);
  },
  30_000,
);
