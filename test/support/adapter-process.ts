/**
 * One end of a broker in a process of its own: `<kind> <url> <broker> hold|publish …`.
 *
 * `hold`: takes messages of subscription `a` and says their ids, and never settles them. `publish <count>`: publishes m0, m1, … at once
 * and says how many were no duplicates.
 */
import { NatsAdapter } from '../../runtime/broker/adapters/nats/nats-adapter.ts';
import { RedisAdapter } from '../../runtime/broker/adapters/redis/redis-adapter.ts';
import { carried, specOf, Taker, Told } from './adapter-bench.ts';

const [kind, url = '', name = '', what, number = '0'] = process.argv.slice(2);
const adapter = kind === 'redis' ? new RedisAdapter({ name, url }) : new NatsAdapter({ name, url });
await adapter.open(new Told());
if (what === 'hold') {
  const taker = await Taker.join(adapter, specOf('a', { ackTimeoutMs: Number(number) }), ({ message }) =>
    process.stdout.write(`${message.header.id}\n`),
  );
  taker.request(5);
  setInterval(() => {}, 60_000);
} else {
  process.stdout.write('ready\n');
  await new Promise((resolve) => process.stdin.once('data', resolve));
  const accepted = await Promise.all(
    Array.from({ length: Number(number) }, (_, i) => adapter.accept(carried(`m${i}`))),
  );
  process.stdout.write(`${accepted.filter(({ duplicate }) => !duplicate).length}\n`);
  await adapter.close();
  process.exit(0);
}
