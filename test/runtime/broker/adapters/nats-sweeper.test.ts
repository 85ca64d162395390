/** What the sweeper drops from the stream of messages, and what it must not. */
import { expect, test } from 'vitest';
import { systemClock } from '../../../../runtime/kernel/clock.ts';
import { systemRandom } from '../../../../runtime/kernel/random.ts';
import { NatsAdapter } from '../../../../runtime/broker/adapters/nats/nats-adapter.ts';
import { NatsNames } from '../../../../runtime/broker/adapters/nats/nats-names.ts';
import { NatsSession, natsSource } from '../../../../runtime/broker/adapters/nats/nats-session.ts';
import { NatsSweeper } from '../../../../runtime/broker/adapters/nats/nats-sweeper.ts';
import { NatsTable } from '../../../../runtime/broker/adapters/nats/nats-table.ts';
import { carried, handled, ownName, specOf, Taker, Told } from '../../../support/adapter-bench.ts';
import { dropStreams, NATS_URL, noNats } from '../../../support/nats-server.ts';

const title = (name: string): string => (noNats === undefined ? name : `${name} [skipped: ${noNats}]`);

const throwIt = (error: Error): never => {
  throw error;
};

test.skipIf(noNats !== undefined)(title('what all have settled is dropped, but for what is retained'), async () => {
  const name = ownName('sweep');
  const adapter = new NatsAdapter({ name, url: NATS_URL });
  const names = new NatsNames(name);
  const times = { callTimeoutMs: 10_000, dedupWindowMs: 120_000, receiptTtlMs: 60_000 };
  const session = new NatsSession(
    { source: natsSource(NATS_URL, undefined), names, ...times, clock: systemClock, random: systemRandom },
    { up() {}, down() {}, failed: throwIt },
  );
  const stored = async (): Promise<number> => (await session.manager.streams.info(names.stream)).state.messages;
  try {
    await adapter.open(new Told());
    await session.open();
    await adapter.retain('orders.kept.*', { messages: 1 });
    const [quick, slow] = [await Taker.join(adapter, specOf('quick')), await Taker.join(adapter, specOf('slow'))];
    const table = new NatsTable(session, throwIt);
    await table.open();
    for (let i = 0; i < 6; i++) {
      const subject = i < 2 ? `orders.kept.${i}` : 'orders.eu.placed';
      await adapter.accept(carried(`m${i}`, { subject }));
    }
    const settle = async (taker: Taker, count: number): Promise<void> => {
      for (let i = 0; i < count; i++) await taker.settle(await taker.next(), handled);
    };
    await settle(quick, 6);
    await settle(slow, 3);
    // Within the window everything is kept.
    const careful = new NatsSweeper(session, table, 120_000, throwIt);
    await careful.sweep();
    expect(await stored()).toBe(6);
    const sweeper = new NatsSweeper(session, table, 0, throwIt);
    await sweeper.sweep();
    // Of the first three one is retained by nobody; the others wait for `slow`.
    expect(await stored()).toBe(5);
    await settle(slow, 3);
    expect(slow.ids).toEqual(['m0', 'm1', 'm2', 'm3', 'm4', 'm5']);
    await sweeper.sweep();
    expect(await stored()).toBe(1);
    const late = await Taker.join(adapter, specOf('late', { from: 'beginning' }));
    late.request(2);
    expect((await late.at(0)).message.header.id).toBe('m1');
    table.close();
  } finally {
    await adapter.close();
    await session.close();
    await dropStreams(NATS_URL, name);
  }
});
