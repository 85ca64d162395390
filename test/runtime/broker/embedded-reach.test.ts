/** Where an embedded subscription begins (`from: { position }`), and where a live one ends: when it is slower than what comes. */
import { expect, test } from 'vitest';
import { ActorSystem } from '../../../runtime/index.ts';
import { MessageBroker } from '../../../runtime/broker/message-broker.ts';
import { type TmpDir, tmpDir } from '../../support/tmp-dir.ts';
import { codeOf, until } from '../../support/until.ts';

const inBroker = async (run: (broker: MessageBroker, dir: TmpDir) => Promise<void>): Promise<void> => {
  await using dir = await tmpDir('broker-reach');
  await using system = await ActorSystem.start({ dataDir: dir.path, threads: 0 });
  await using broker = await MessageBroker.start({ system, env: {} });
  await run(broker, dir);
};

const publishAll = (broker: MessageBroker, type: string, count: number): Promise<unknown> =>
  Promise.all(Array.from({ length: count }, (_, n) => broker.publish({ type, payload: n + 1 })));

test.each([1, 2, 700, 1_300, 1_301])('from position %i, in segments and in the tail, then what is new', (position) =>
  inBroker(async (broker) => {
    await broker.retain('log.>');
    await publishAll(broker, 'log.a', 1_300);
    const got: unknown[] = [];
    await broker.subscribe('log.*', ({ payload }) => void got.push(payload), { name: 'l', from: { position } });
    await broker.publish({ type: 'log.a', payload: 'new' });
    await until('the new one has come', () => got.at(-1) === 'new');
    expect(got).toEqual([...Array.from({ length: 1_301 - position }, (_, n) => n + position), 'new']);
  }),
);

test('what is dropped by the limits is not there: a position before it begins with the oldest', () =>
  inBroker(async (broker) => {
    await broker.retain('log.>', { messages: 100 });
    await publishAll(broker, 'log.a', 250);
    const got: unknown[] = [];
    await broker.subscribe('log.*', ({ payload }) => void got.push(payload), { name: 'l', from: { position: 5 } });
    await until('the last has come', () => got.at(-1) === 250);
    expect(got).toEqual(Array.from({ length: 100 }, (_, n) => n + 151));
    expect((await broker.retained()).get('log.>')).toEqual({ firstPosition: 151, nextPosition: 251 });
  }));

test('what is older than the limit is not there, in segments and in the tail', () =>
  inBroker(async (broker) => {
    await broker.retain('log.>', { ageMs: 1 });
    await publishAll(broker, 'log.a', 1_300);
    const all = { firstPosition: 1_301, nextPosition: 1_301 };
    await until('all are too old', async () => (await broker.retained()).get('log.>')?.firstPosition === 1_301);
    expect((await broker.retained()).get('log.>')).toEqual(all);
  }));

test('a position where two streams have one is refused, and the subscription is not made', () =>
  inBroker(async (broker) => {
    await broker.retain('log.>');
    await broker.retain('log.a');
    const options = { name: 'l', from: { position: 1 } } as const;
    expect(await codeOf(broker.subscribe('log.*', () => {}, options))).toBe('INVALID_OPTIONS');
    expect([...(await broker.subscriptions()).keys()]).toEqual([]);
  }));

test('a slow live subscriber: what has no room is dropped, newest first, and told; the others hear everything', () =>
  inBroker(async (broker) => {
    const dropped: string[] = [];
    broker.on('dropped', ({ messageId }) => void dropped.push(messageId));
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    const slow: string[] = [];
    const quick: string[] = [];
    await broker.subscribe(
      'tick',
      async ({ id }) => {
        await opened;
        slow.push(id);
      },
      { waitingLimit: 10 },
    );
    await broker.subscribe('tick', ({ id }) => void quick.push(id));
    const ids = Array.from({ length: 50 }, (_, n) => `t${n}`);
    for (const id of ids) await broker.publish({ type: 'tick', id, delivery: 'AT_MOST_ONCE' });
    await until('the quick one has heard all', () => quick.length === ids.length);
    open();
    await until('all are heard or dropped', () => slow.length + dropped.length === ids.length);
    expect(quick).toEqual(ids);
    expect(slow.length).toBeGreaterThanOrEqual(10);
    expect(dropped.length).toBeGreaterThan(0);
    expect([...slow, ...dropped]).toEqual(ids);
    await broker.publish({ type: 'tick', id: 'later', delivery: 'AT_MOST_ONCE' });
    await until('there is room again', () => slow.at(-1) === 'later');
  }));
