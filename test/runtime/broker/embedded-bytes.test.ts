/** A process keeps what it has published for its own consumers; where it cannot, the queue sends the bytes. And what expires says so. */
import { expect, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import { MessageBroker } from '../../../runtime/broker/message-broker.ts';
import { tmpDir } from '../../support/tmp-dir.ts';

const inBroker = async (run: (broker: MessageBroker) => Promise<void>): Promise<void> => {
  await using dir = await tmpDir('broker-bytes');
  await using system = await ActorSystem.start({ dataDir: dir.path, threads: 0 });
  await using broker = await MessageBroker.start({ system, env: {} });
  await run(broker);
};

const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

test('a consumer that comes after the one that messages were kept for gets them all, in order', () =>
  inBroker(async (broker) => {
    const first = await broker.subscribe('work', () => new Promise(() => undefined), {
      name: 'w',
      ackTimeoutMs: 60_000,
    });
    await Promise.all(numbers(700).map((n) => broker.publish({ type: 'work', payload: n })));
    const closing = first.close();
    const got: unknown[] = [];
    await broker.subscribe('work', ({ payload }) => void got.push(payload), { name: 'w' });
    await Promise.all(numbers(5).map((n) => broker.publish({ type: 'work', payload: 700 + n })));
    await broker.close();
    await closing;
    expect(got).toEqual(numbers(got.length).map((n) => n + 1));
  }));

test('a message that expires while it waits: its receipt says when, and its error which', () =>
  inBroker(async (broker) => {
    await (await broker.subscribe('late', () => undefined, { name: 'l' })).close();
    const beganMs = Date.now();
    const receipt = await broker.publish({ type: 'late', ttlMs: 5 });
    const { subscriptions } = await receipt.settled();
    const end = subscriptions['l'];
    if (end?.status !== 'dead') throw new Error(`it is ${end?.status}`);
    expect(end.atMs).toBeGreaterThanOrEqual(beganMs);
    expect(end.error.message).toContain(receipt.id);
    expect((await broker.receipt(receipt.id))?.subscriptions['l']).toEqual(end);
  }));
