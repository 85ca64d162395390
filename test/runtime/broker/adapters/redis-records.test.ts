/**
 * How long a message is known on Redis: one that is settled until its window is over, one that is not for as long as it is not, however
 * often what is over is dropped meanwhile. A window of a millisecond makes each look of the adapter the end of one.
 */
import { expect } from 'vitest';
import { carried, dead, handled, specOf, Taker } from '../../../support/adapter-bench.ts';
import { RedisBench } from '../../../support/redis-bench.ts';
import { until } from '../../../support/until.ts';

/** More than one look goes through, so that it takes several. */
const MANY = 5_000;

const bench = new RedisBench('records', { dedupWindowMs: 1 });

/** Until as many windows are over. */
async function windowsEnd(count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const begun = await bench.redis.hget(bench.key('age'), 'begun');
    await until(
      'the next window',
      async () => (await bench.redis.hget(bench.key('age'), 'begun')) !== begun || undefined,
    );
  }
}

/** No window ends until `windowsGoOn`, however slow the machine is: this one began an hour from now. */
const windowsStandStill = () => bench.redis.hset(bench.key('age'), 'begun', Date.now() + 3_600_000);
const windowsGoOn = () => bench.redis.hset(bench.key('age'), 'begun', 0);

const accept = (id: string) => bench.adapter.accept(carried(id));

bench.test(
  `what is not settled is known through any number of windows, and what is settled no longer than two`,
  async () => {
    const taker = await Taker.join(bench.adapter, specOf('a'));
    const ids = Array.from({ length: MANY }, (_, i) => `m${i}`);
    await Promise.all(ids.map(accept));
    await windowsEnd(4);
    const again = await Promise.all(ids.map(accept));
    expect(again.filter(({ duplicate }) => !duplicate)).toEqual([]);
    expect(await bench.redis.hlen(bench.key('o'))).toBe(MANY);
    expect((await bench.adapter.receipt('m7'))?.status).toBe('accepted');

    taker.request(MANY);
    await taker.at(MANY - 1);
    expect(taker.ids).toEqual(ids);
    await windowsStandStill();
    const [first, ...others] = taker.handOuts;
    const last = others.pop();
    if (first === undefined || last === undefined) throw new Error('nothing was handed out');
    await Promise.all([taker.settle(first, dead), ...others.map((handOut) => taker.settle(handOut, handled))]);
    // While one waits, records do not end by themselves either.
    expect((await bench.adapter.receipt('m0'))?.status).toBe('dead');
    expect((await bench.adapter.receipt('m7'))?.status).toBe('handled');
    await taker.settle(last, handled);
    expect(await bench.redis.exists(bench.key('o'))).toBe(0);
    await windowsGoOn();

    // Two that end, and the one that they began in.
    await windowsEnd(3);
    expect(await bench.adapter.receipt('m7')).toBeUndefined();
    expect(await bench.redis.exists(bench.key('r'), bench.key('r-'))).toBe(0);
    expect(await accept('m7')).toMatchObject({ duplicate: false });
  },
);

bench.test(`what is settled while its window is looked through is settled`, async () => {
  const taker = await Taker.join(bench.adapter, specOf('a'));
  const ids = Array.from({ length: MANY }, (_, i) => `m${i}`);
  await Promise.all(ids.map(accept));
  taker.request(MANY);
  await taker.at(MANY - 1);
  // Settled one after another, while windows end all the time.
  const begun = await bench.redis.hget(bench.key('age'), 'begun');
  let settled = 0;
  while (settled < MANY) {
    const some = taker.handOuts.slice(settled, (settled += 50));
    await Promise.all(some.map((handOut) => taker.settle(handOut, handled)));
    if (settled === MANY / 2) await windowsEnd(2);
  }
  expect(await bench.redis.hget(bench.key('age'), 'begun')).not.toBe(begun);
  await windowsEnd(3);
  expect(await bench.redis.exists(bench.key('o'), bench.key('r'), bench.key('r-'))).toBe(0);
});

bench.test(`records end by themselves when no process is left, but not while anything waits`, async () => {
  const taker = await Taker.join(bench.adapter, specOf('a'));
  await accept('m1');
  await windowsEnd(2);
  expect(await bench.redis.pttl(bench.key('r-'))).toBeLessThan(0);
  expect(await accept('m1')).toMatchObject({ duplicate: true });
  await taker.settle(await taker.next(), handled);
  await bench.adapter.close();
  await until(
    'the records end',
    async () => (await bench.redis.exists(bench.key('r'), bench.key('r-'), bench.key('o'))) === 0,
  );

  await bench.open();
  await accept('m2');
  await windowsEnd(3);
  expect(await accept('m2')).toMatchObject({ duplicate: true });
});

bench.test(`what is beyond the limits of its retention is not there, whether anything came since or not`, async () => {
  await bench.adapter.retain('orders.>', { ageMs: 3_600_000 });
  for (const id of ['m1', 'm2', 'm3']) await accept(id);
  expect((await bench.adapter.retained()).get('orders.>')).toEqual({ firstPosition: 1, nextPosition: 4 });
  await bench.adapter.retain('orders.>', { ageMs: 1 });
  await until(
    'they are too old',
    async () => (await bench.adapter.retained()).get('orders.>')?.firstPosition === 4 || undefined,
  );
  await accept('m4');

  await bench.adapter.retain('orders.>', { messages: 2 });
  for (const id of ['m5', 'm6']) await accept(id);
  expect((await bench.adapter.retained()).get('orders.>')?.firstPosition).toBe(5);
  await bench.adapter.retain('orders.>', { messages: 1 });
  const taker = await Taker.join(bench.adapter, specOf('a', { from: 'beginning' }));
  await accept('m7');
  taker.request(10);
  await taker.at(1);
  expect(taker.ids).toEqual(['m6', 'm7']);
});
