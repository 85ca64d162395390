/**
 * Publishes a backlog, works it off, and says by how much its memory had grown at the most, after garbage collection: with all of it
 * waiting, and while it is worked off. Arguments: server's URL, broker, messages, bytes of each.
 */
import { RedisAdapter } from '../../runtime/broker/adapters/redis/redis-adapter.ts';
import { carried, handled, specOf, Taker, Told } from './adapter-bench.ts';

const [url = '', name = '', messages = '0', bytes = '0'] = process.argv.slice(2);
const count = Number(messages);
const payload = Buffer.alloc(Number(bytes), 'x');
const UNDER_WAY = 200;
const LOOK_EACH = 2_000;

const used = (): number => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

const adapter = new RedisAdapter({ name, url });
await adapter.open(new Told());
let settled = 0;
let grownBytes = 0;
const { promise: allSettled, resolve } = Promise.withResolvers<void>();
const taker = await Taker.join(adapter, specOf('a'), (handOut) => {
  taker.handOuts.length = 0;
  void taker.settle(handOut, handled).then(() => {
    settled += 1;
    if (settled % LOOK_EACH === 0) grownBytes = Math.max(grownBytes, used() - begun);
    if (settled === count) resolve();
    else taker.request(1);
  });
});
await adapter.accept(carried('first', { subject: 'nobody' }, payload));
const begun = used();
let sent = 0;
await Promise.all(
  Array.from({ length: UNDER_WAY }, async () => {
    while (sent < count) await adapter.accept(carried(`m${sent++}`, {}, payload));
  }),
);
grownBytes = Math.max(grownBytes, used() - begun);
taker.request(UNDER_WAY);
await allSettled;
process.stdout.write(JSON.stringify({ handled: settled, grownBytes }));
await adapter.close();
process.exit(0);
