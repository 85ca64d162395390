/**
 * Whatever is settled in whatever order, by whomever: each message comes to one end, in the order of its key, and nothing stays behind in the
 * stream. It is cut off behind what is settled where nothing older is left, which must never take what waits, is in hands or set aside.
 */
import { expect } from 'vitest';
import type { HandOut } from '../../../../runtime/broker/broker-adapter.ts';
import { seededRandom } from '../../../../runtime/kernel/random.ts';
import { carried, dead, handled, retryIn, specOf, Taker } from '../../../support/adapter-bench.ts';
import { RedisBench } from '../../../support/redis-bench.ts';
import { until } from '../../../support/until.ts';

const MESSAGES = 600;
const KEYS = 12;

const bench = new RedisBench('settling');

const waiting = () => bench.redis.xlen(bench.key('q:a'));

bench.test(`what is settled last is in front: nothing behind it is cut off`, async () => {
  const taker = await Taker.join(bench.adapter, specOf('a', { order: 'pass' }));
  await Promise.all(Array.from({ length: 10 }, (_, i) => bench.adapter.accept(carried(`m${i}`))));
  taker.request(6);
  await taker.at(5);
  const [first, second, third, ...others] = taker.handOuts as [HandOut, HandOut, HandOut, ...HandOut[]];

  // In hands, in front.
  await taker.settle(second, handled);
  expect(await waiting()).toBe(9);
  // Set aside, in front.
  await taker.settle(first, retryIn(3_600_000));
  await taker.settle(third, handled);
  expect(await waiting()).toBe(8);
  await Promise.all(others.map((handOut) => taker.settle(handOut, handled)));
  expect(await waiting()).toBe(5);

  // Nothing of it is in front, and four have not been read.
  const again = await Taker.join(bench.adapter, specOf('b', { order: 'pass' }));
  await Promise.all(Array.from({ length: 10 }, (_, i) => bench.adapter.accept(carried(`n${i}`))));
  again.request(6);
  await again.at(5);
  await Promise.all(again.handOuts.map((handOut) => again.settle(handOut, handled)));
  expect(await bench.redis.xlen(bench.key('q:b'))).toBe(4);
  again.request(4);
  await again.at(9);
  expect(again.ids).toEqual(Array.from({ length: 10 }, (_, i) => `n${i}`));
});

for (const order of ['hold', 'pass'] as const) {
  const seed = Number(process.env['CB_PROOF_SEED'] ?? Math.floor(Math.random() * 1_000_000));
  bench.test(
    `any order of any outcomes, over two consumers, order ${order}, seed ${seed}`,
    async () => {
      const random = seededRandom(seed, order.length);
      const below = (limit: number): number => Math.floor(random.next() * limit);
      const ends = new Map<string, string[]>();
      const ended: number[][] = Array.from({ length: KEYS }, () => []);
      let over = 0;
      const takers: Taker[] = [];
      const settle = async (taker: Taker, handOut: HandOut): Promise<void> => {
        const { id } = handOut.message.header;
        // With `hold` whoever fails gives back what follows, which is the runner's part: here each comes to its end at once.
        const chance = order === 'hold' ? 0.25 + random.next() * 0.75 : random.next();
        if (chance < 0.15) await taker.settle(handOut, retryIn(below(20)));
        else if (chance < 0.25) await taker.settle(handOut, { kind: 'released' });
        else {
          ends.set(id, [...(ends.get(id) ?? []), chance < 0.3 ? 'dead' : 'handled']);
          ended[Number(id) % KEYS]?.push(Number(id));
          await taker.settle(handOut, chance < 0.3 ? dead : handled);
          over += 1;
        }
        taker.request(1);
      };
      for (let n = 0; n < 2; n++) {
        // Settled a few at a time, in an order of chance; but one after another in a key.
        const hands: HandOut[] = [];
        let busy = false;
        const work = async (taker: Taker): Promise<void> => {
          if (busy) return;
          busy = true;
          while (hands.length > 0) {
            const some = new Map<string, HandOut>();
            for (let picks = 1 + below(20); picks > 0 && hands.length > 0; picks--) {
              const at = below(hands.length);
              const key = hands[at]?.message.header.key ?? '';
              const oldest = hands.findIndex(({ message }) => message.header.key === key);
              if (some.has(key)) continue;
              const [handOut] = hands.splice(oldest, 1);
              if (handOut !== undefined) some.set(key, handOut);
            }
            await Promise.all([...some.values()].map((handOut) => settle(taker, handOut)));
          }
          busy = false;
        };
        const taker: Taker = await Taker.join(bench.adapter, specOf('a', { order }), (handOut) => {
          hands.push(handOut);
          queueMicrotask(() => void work(taker));
        });
        takers.push(taker);
      }
      for (const taker of takers) taker.request(50);
      for (let from = 0; from < MESSAGES; from += 50) {
        const ids = Array.from({ length: 50 }, (_, i) => String(from + i));
        await Promise.all(ids.map((id) => bench.adapter.accept(carried(id, { key: `k${Number(id) % KEYS}` }))));
      }
      await until('the last one is over', () => over >= MESSAGES || undefined);
      expect([...ends].filter(([, end]) => end.length !== 1)).toEqual([]);
      expect(ends.size).toBe(MESSAGES);
      expect(await waiting()).toBe(0);
      expect(await bench.redis.xpending(bench.key('q:a'), 'g')).toEqual([0, null, null, null]);
      if (order === 'hold') for (const of of ended) expect(of).toEqual([...of].sort((a, b) => a - b));
    },
    30_000,
  );
}
