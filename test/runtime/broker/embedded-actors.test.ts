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
    const letters = await system.deadLetters.list();
    expect(letters.map(({ attempts }) => attempts)).toEqual([2]);
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
