/** Actors at both ends of the embedded broker: as handlers, each message one turn; and as publishers, each draft once. */
import { describe, expect, test } from 'vitest';
import { MessageBroker } from '../../../runtime/broker/message-broker.ts';
import { ActorSystem } from '../../../runtime/index.ts';
import { announcer } from '../../support/actors/announcer.ts';
import { bookkeeper, type BookkeeperState } from '../../support/actors/bookkeeper.ts';
import { tmpDir } from '../../support/tmp-dir.ts';
import { until } from '../../support/until.ts';

describe.each([0, 2])('threads: %i', (threads) => {
  test('a message to an actor is one turn of it; a duplicate is none; its reply is the answer', async () => {
    await using dir = await tmpDir('broker');
    await using system = await ActorSystem.start({ dataDir: dir.path, threads });
    await using broker = await MessageBroker.start({ system, env: {} });
    const actor = await system.spawn(bookkeeper, { id: 'l' });
    await broker.subscribe('$command.ledger.book', actor, { name: 'ledger' });
    const book = { type: 'book', target: 'ledger', id: 'b-1', payload: { n: 1 }, delivery: 'EXACTLY_ONCE' } as const;
    expect(await broker.request(book)).toEqual({ booked: 1 });
    await Promise.all([broker.publish(book), broker.publish(book)]);
    const receipt = await broker.publish({ ...book, id: 'b-2', payload: { n: 2 } });
    expect(await receipt.settled()).toMatchObject({
      status: 'handled',
      subscriptions: { ledger: { reply: { booked: 2 } } },
    });
    const { view, sequence } = await actor.snapshot();
    expect((view as BookkeeperState).seen).toEqual([1, 2]);
    // The first turn is its start.
    expect(sequence).toBe(3);
    // What has to wait waits in the queue, and is handled by the actor all the same.
    const later = await broker.publish({ ...book, id: 'b-3', payload: { n: 3 }, delayMs: 30 });
    expect((await later.settled({ timeoutMs: 10_000 })).status).toBe('handled');
    expect(((await actor.snapshot()).view as BookkeeperState).seen).toEqual([1, 2, 3]);
  });

  test('what an actor cannot handle follows its own policy, and the sender learns', async () => {
    await using dir = await tmpDir('broker');
    await using system = await ActorSystem.start({ dataDir: dir.path, threads });
    await using broker = await MessageBroker.start({ system, env: {} });
    const actor = await system.spawn(bookkeeper, { id: 'l' });
    await broker.subscribe('book', actor, { name: 'ledger' });
    const receipt = await broker.publish({ type: 'book', payload: { n: 7, fail: true } });
    const state = await receipt.settled();
    expect(state.subscriptions['ledger']).toMatchObject({ status: 'dead', error: { code: 'HANDLER_FAILED' } });
    await until('it is set aside', async () => (await broker.deadLetters.list()).letters.length > 0);
    const { letters } = await broker.deadLetters.list();
    expect(letters).toMatchObject([
      { subscription: 'ledger', reason: 'attempts', attempts: 2, redrives: 0, message: { id: receipt.id } },
    ]);
    // It is set aside in one place.
    await until('the system has it no more', async () => (await system.deadLetters.list()).length === 0);
    expect(await broker.deadLetters.purge({ subscription: 'ledger' })).toBe(1);
    expect((await broker.deadLetters.list()).letters).toEqual([]);
  });

  test('what an actor could not handle is told of, redriven, and then handled', async () => {
    await using dir = await tmpDir('broker');
    await using system = await ActorSystem.start({ dataDir: dir.path, threads });
    await using broker = await MessageBroker.start({ system, env: {} });
    const told: unknown[] = [];
    broker.on('dead_letter', ({ messageId, reason, attempts }) => told.push({ messageId, reason, attempts }));
    const actor = await system.spawn(bookkeeper, { id: 'l' });
    await broker.subscribe('book', actor, { name: 'ledger' });
    const receipt = await broker.publish({ type: 'book', id: 'b', payload: { n: 7, failBefore: 1 } });
    expect((await receipt.settled()).status).toBe('dead');
    await until('it is told', () => told.length > 0);
    expect(told).toEqual([{ messageId: 'b', reason: 'attempts', attempts: 2 }]);
    await broker.publish({ type: 'book', payload: { n: 8 } });
    expect(await broker.deadLetters.redrive({ type: 'book' })).toBe(1);
    await until('it is handled', async () => (await broker.receipt('b'))?.status === 'handled');
    expect((await actor.snapshot()).view).toEqual({ seen: [8, 7] });
    expect((await broker.deadLetters.list()).letters).toEqual([]);
    // Published once more, it is a duplicate.
    expect((await broker.publish({ type: 'book', id: 'b', payload: { n: 7, failBefore: 1 } })).duplicate).toBe(true);
    expect((await actor.snapshot()).view).toEqual({ seen: [8, 7] });
  });

  test('its receipt is known to anyone, also after a restart, with the reply; so are its letters', async () => {
    await using dir = await tmpDir('broker');
    const actors = [new URL('../../support/actors/bookkeeper.ts', import.meta.url)];
    {
      await using system = await ActorSystem.start({ dataDir: dir.path, threads, actors });
      await using broker = await MessageBroker.start({ system, env: {} });
      await broker.subscribe('book', system.ref(bookkeeper, 'l'), { name: 'ledger' });
      await broker.publish({ type: 'book', id: 'good', payload: { n: 1 } });
      await broker.publish({ type: 'book', id: 'bad', payload: { n: 2, fail: true } });
      await broker.publish({ type: 'book', id: 'late', payload: { n: 3 }, idempotencyKey: 'k', ttlMs: 60_000 });
      const again = await broker.publish({ type: 'book', id: 'other', payload: { n: 3 }, idempotencyKey: 'k' });
      expect(again).toMatchObject({ duplicate: true, id: 'late' });
    }
    await using system = await ActorSystem.start({ dataDir: dir.path, threads, actors });
    await using broker = await MessageBroker.start({ system, env: {} });
    expect(await broker.receipt('good')).toMatchObject({
      status: 'handled',
      subscriptions: { ledger: { status: 'handled', reply: { booked: 1 } } },
    });
    expect(await broker.receipt('bad')).toMatchObject({ status: 'dead' });
    expect((await broker.receipt('late'))?.status).toBe('handled');
    expect(await broker.receipt('other')).toBeUndefined();
    expect((await broker.deadLetters.list()).letters.map(({ message }) => message.id)).toEqual(['bad']);
    expect((await broker.subscriptions()).get('ledger')).toMatchObject({ waiting: 0, dead: 1 });
  });

  test('a reply that is too large to be remembered is given, and the message is handled', async () => {
    await using dir = await tmpDir('broker');
    await using system = await ActorSystem.start({ dataDir: dir.path, threads });
    await using broker = await MessageBroker.start({ system, env: {} });
    await broker.subscribe('book', await system.spawn(bookkeeper, { id: 'l' }), { name: 'ledger' });
    const book = { type: 'book', delivery: 'EXACTLY_ONCE' } as const;
    const large = await broker.request<{ booked: string }>({
      ...book,
      id: 'b',
      payload: { n: 1, replyBytes: 1_000_000 },
    });
    expect(large.booked.length).toBe(1_000_000);
    expect((await broker.receipt('b'))?.status).toBe('handled');
    // Many replies that are too large together.
    const each = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        broker.request<{ booked: string }>({ ...book, payload: { n, replyBytes: 100_000 } }),
      ),
    );
    expect(each.every(({ booked }) => booked.length === 100_000)).toBe(true);
  });

  test('an actor is told directly also after a restart, before anybody subscribes again', async () => {
    await using dir = await tmpDir('broker');
    const actors = [new URL('../../support/actors/bookkeeper.ts', import.meta.url)];
    {
      await using system = await ActorSystem.start({ dataDir: dir.path, threads, actors });
      await using broker = await MessageBroker.start({ system, env: {} });
      await broker.subscribe('book', system.ref(bookkeeper, 'l'), { name: 'ledger' });
    }
    await using system = await ActorSystem.start({ dataDir: dir.path, threads, actors });
    await using broker = await MessageBroker.start({ system, env: {} });
    const receipt = await broker.publish({ type: 'book', payload: { n: 9 } });
    expect((await receipt.settled({ timeoutMs: 10_000 })).status).toBe('handled');
    expect((await system.ref(bookkeeper, 'l').snapshot()).view).toEqual({ seen: [9] });
  });

  test('what an actor sends to the exchange is published once, in order, and waits for a broker', async () => {
    await using dir = await tmpDir('broker');
    await using system = await ActorSystem.start({ dataDir: dir.path, threads });
    const actor = await system.spawn(bookkeeper, { id: 'l' });
    const got: unknown[] = [];
    {
      await using broker = await MessageBroker.start({ system, env: {} });
      await broker.subscribe('booked', ({ payload, source }) => void got.push([payload, source]), { name: 'b' });
      for (let n = 0; n < 20; n++) await actor.tell({ type: 'book', payload: { n, tell: true } } as never);
      await until('all are published', () => got.length === 20);
    }
    for (let n = 20; n < 30; n++) await actor.tell({ type: 'book', payload: { n, tell: true } } as never);
    await using broker = await MessageBroker.start({ system, env: {} });
    await broker.subscribe('booked', ({ payload, source }) => void got.push([payload, source]), { name: 'b' });
    await until('the others too', () => got.length === 30);
    expect(got).toEqual(Array.from({ length: 30 }, (_, n) => [n, actor.key]));
  });

  test('a broker that starts after its actors were spoken to brings them back, with what waits for them', async () => {
    await using dir = await tmpDir('broker');
    {
      await using system = await ActorSystem.start({ dataDir: dir.path, threads });
      await using broker = await MessageBroker.start({ system, env: {} });
      await broker.subscribe('booked', () => {}, { name: 'b' });
      const actor = await system.spawn(bookkeeper, { id: 'l' });
      await actor.tell({ type: 'book', payload: { n: 0, tell: true } } as never);
      await until('the exchange has been at work', async () => (await broker.stats()).waiting === 0);
    }
    await using system = await ActorSystem.start({ dataDir: dir.path, threads });
    const actor = await system.spawn(bookkeeper, { id: 'l', ifExists: 'attach' });
    await actor.tell({ type: 'book', payload: { n: 1, tell: true } } as never);
    await until('the exchange is found without its definition', () => system.blocked().size > 0);
    const got: unknown[] = [];
    await using broker = await MessageBroker.start({ system, env: {} });
    await broker.subscribe('booked', ({ payload }) => void got.push(payload), { name: 'b' });
    await until('it is published', () => got.includes(1));
    expect(system.blocked().size).toBe(0);
    // Without the system there is nothing left to give back.
    await system.stop();
    await broker.close();
  });

  test('a machine publishes with sendTo(exchangeOf(), …)', async () => {
    await using dir = await tmpDir('broker');
    await using system = await ActorSystem.start({ dataDir: dir.path, threads });
    await using broker = await MessageBroker.start({ system, env: {} });
    const got: unknown[] = [];
    await broker.subscribe('counted', ({ payload }) => void got.push(payload), { name: 'c' });
    const actor = await system.spawn(announcer, { id: 'a' });
    for (let n = 0; n < 3; n++) await actor.tell({ type: 'COUNT' });
    await until('all are published', () => got.length === 3);
    expect(got).toEqual([1, 2, 3]);
  });
});
