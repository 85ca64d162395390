/**
 * The contract of `BrokerAdapter` (BA1 to BA5), case by case, on the port itself. Every adapter runs all of it.
 */
import { afterEach, expect, test } from 'vitest';
import type { BrokerAdapter } from '../../runtime/broker/broker-adapter.ts';
import { encodeValue } from '../../runtime/wire/value-codec.ts';
import { carried, dead, handled, ownName, retryIn, specOf, Taker, Told } from '../support/adapter-bench.ts';
import { codeOf, until } from '../support/until.ts';

export interface AdapterUnderTest {
  /** One more process's end of the broker of this name. */
  make(broker: string): BrokerAdapter;
  /** Removes everything of this broker from the server. */
  clean(broker: string): Promise<void>;
  /** What this adapter does not promise; its head says why. */
  readonly without?: readonly 'keys over processes'[];
}

const within = (ms: number): AbortSignal => AbortSignal.timeout(ms);

export function adapterSuite(kind: string, under: AdapterUnderTest, skip: string | undefined): void {
  const it = (name: string, body: () => Promise<void>): void => {
    const title = skip === undefined ? `${kind}: ${name}` : `${kind}: ${name} [skipped: ${skip}]`;
    test.skipIf(skip !== undefined)(title, body);
  };
  const opened: BrokerAdapter[] = [];
  let broker = '';
  const open = async (events = new Told()): Promise<BrokerAdapter> => {
    if (broker === '') broker = ownName('suite');
    const adapter = under.make(broker);
    await adapter.open(events);
    opened.push(adapter);
    return adapter;
  };
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((adapter) => adapter.close()));
    if (broker !== '') await under.clean(broker);
    broker = '';
  });

  it('a message is kept for every subscription that matches, whether anyone listens or not', async () => {
    const adapter = await open();
    await Taker.join(adapter, specOf('a'));
    await Taker.join(adapter, specOf('b', { pattern: 'orders.*.placed' }));
    await Taker.join(adapter, specOf('c', { pattern: 'invoices.>' }));
    const accepted = await adapter.accept(carried('m1'));
    expect(accepted.duplicate).toBe(false);
    expect([...accepted.subscriptions].sort()).toEqual(['a', 'b']);
    const taker = await Taker.join(adapter, specOf('b', { pattern: 'orders.*.placed' }));
    const { message, attempt } = await taker.next();
    expect(message.header).toEqual(expect.objectContaining({ id: 'm1', subject: 'orders.eu.placed', source: 'shop' }));
    expect(Buffer.from(message.payload).toString()).toBe('payload of m1');
    expect(attempt).toBe(1);
    // In hands is not settled.
    expect((await adapter.subscriptions()).get('b')?.waiting).toBe(1);
    const subscriptions = await adapter.subscriptions();
    expect(subscriptions.get('a')).toEqual({ pattern: 'orders.>', waiting: 1, dead: 0 });
    expect(subscriptions.get('c')?.waiting).toBe(0);
  });

  it('payloads are bytes, whatever they are', async () => {
    const adapter = await open();
    const taker = await Taker.join(adapter, specOf('a'));
    const bytes = Uint8Array.from({ length: 1_024 }, (_, i) => i % 256);
    await adapter.accept(carried('bytes', {}, bytes));
    await adapter.accept(carried('none', {}, new Uint8Array(0)));
    taker.request(2);
    expect(Buffer.from((await taker.at(0)).message.payload).equals(bytes)).toBe(true);
    expect((await taker.at(1)).message.payload.length).toBe(0);
  });

  it('all of a header comes back', async () => {
    const adapter = await open();
    const taker = await Taker.join(adapter, specOf('a'));
    const message = carried('full', {
      target: 'bank',
      causationId: 'c0',
      replyTo: '$reply.shop',
      key: 'käse\t"1"',
      idempotencyKey: 'once\nonly',
      retry: { maxAttempts: 7 },
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      extensions: { tenant: 'ü', count: 3, flag: true },
      expiresAtMs: Date.now() + 60_000,
    });
    await adapter.accept(message);
    expect((await taker.next()).message.header).toEqual(message.header);
  });

  it('no more is handed out than was requested', async () => {
    const adapter = await open();
    const taker = await Taker.join(adapter, specOf('a', { order: 'pass' }));
    await Promise.all(Array.from({ length: 20 }, (_, i) => adapter.accept(carried(`m${i}`))));
    taker.request(3);
    await taker.at(2);
    await adapter.accept(carried('later'));
    expect(taker.handOuts).toHaveLength(3);
    taker.request(18);
    await taker.at(20);
    expect(new Set(taker.ids).size).toBe(21);
  });

  it('messages are handed out in the order of their acceptance', async () => {
    const adapter = await open();
    const taker = await Taker.join(adapter, specOf('a'));
    const ids = Array.from({ length: 300 }, (_, i) => `m${i}`);
    const accepts = ids.map((id) => adapter.accept(carried(id)));
    taker.request(300);
    await Promise.all(accepts);
    await taker.at(299);
    expect(taker.ids).toEqual(ids);
  });

  it('an id that was accepted is a duplicate: from here, from elsewhere, at the same time, after it was handled', async () => {
    const [one, two] = [await open(), await open()];
    const taker = await Taker.join(one, specOf('a'));
    const [first, second, third] = await Promise.all([
      one.accept(carried('same')),
      two.accept(carried('same')),
      one.accept(carried('same')),
    ]);
    expect([first, second, third].filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    await taker.settle(await taker.next(), handled);
    const late = await two.accept(carried('same'));
    expect(late).toEqual(expect.objectContaining({ duplicate: true, id: 'same' }));
    await one.accept(carried('other'));
    expect((await taker.next()).message.header.id).toBe('other');
  });

  it('an idempotency key that was accepted is a duplicate of the first id', async () => {
    const adapter = await open();
    const taker = await Taker.join(adapter, specOf('a'));
    await adapter.accept(carried('m1', { idempotencyKey: 'pay 7' }));
    const second = await adapter.accept(carried('m2', { idempotencyKey: 'pay 7' }));
    expect(second).toEqual(expect.objectContaining({ duplicate: true, id: 'm1' }));
    await adapter.accept(carried('m3', { idempotencyKey: 'pay 8' }));
    taker.request(2);
    await taker.at(1);
    expect(taker.ids).toEqual(['m1', 'm3']);
  });

  it('what waits for its next try holds back what has its key, and nothing else', async () => {
    const adapter = await open();
    const taker = await Taker.join(adapter, specOf('a'));
    await adapter.accept(carried('k1', { key: 'k' }));
    // Longer than any machine is busy.
    await taker.settle(await taker.next(), retryIn(3_600_000));
    await adapter.accept(carried('k2', { key: 'k' }));
    await adapter.accept(carried('other', { key: 'o' }));
    await adapter.accept(carried('another', { key: 'p' }));
    taker.request(3);
    await taker.at(2);
    expect(taker.ids).toEqual(['k1', 'other', 'another']);
  });

  it('what is tried again comes as the next attempt, and before what has its key', async () => {
    const adapter = await open();
    const taker = await Taker.join(adapter, specOf('a'));
    await adapter.accept(carried('k1', { key: 'k' }));
    const first = await taker.next();
    await taker.settle(first, retryIn(20));
    await adapter.accept(carried('k2', { key: 'k' }));
    const again = await taker.next();
    expect([again.message.header.id, again.attempt]).toEqual(['k1', 2]);
    expect(again.firstDeliveredMs).toBe(first.firstDeliveredMs);
    await taker.settle(again, handled);
    const last = await taker.next();
    expect([last.message.header.id, last.attempt]).toEqual(['k2', 1]);
  });

  it('with order "pass" others overtake what is tried again', async () => {
    const adapter = await open();
    const taker = await Taker.join(adapter, specOf('a', { order: 'pass' }));
    await adapter.accept(carried('k1', { key: 'k' }));
    // Longer than any machine is busy.
    await taker.settle(await taker.next(), retryIn(3_600_000));
    await adapter.accept(carried('k2', { key: 'k' }));
    taker.request(2);
    await taker.at(1);
    expect(taker.ids).toEqual(['k1', 'k2']);
  });

  it('what is released comes again in its old place, as the same attempt', async () => {
    const adapter = await open();
    const taker = await Taker.join(adapter, specOf('a'));
    for (const id of ['m1', 'm2', 'm3']) await adapter.accept(carried(id));
    taker.request(2);
    const [one, two] = [await taker.at(0), await taker.at(1)];
    await Promise.all([taker.settle(one, { kind: 'released' }), taker.settle(two, { kind: 'released' })]);
    taker.request(3);
    await until('three more, one after another', async () => {
      for (const handOut of taker.handOuts.splice(2)) {
        expect(handOut.attempt).toBe(1);
        seen.push(handOut.message.header.id);
        await taker.settle(handOut, handled);
      }
      return seen.length === 3;
    });
    expect(seen).toEqual(['m1', 'm2', 'm3']);
  });
  const seen: string[] = [];

  if (!under.without?.includes('keys over processes'))
    it('messages of one key are with one consumer at a time, over processes', async () => {
      const [one, two] = [await open(), await open()];
      const [left, right] = [await Taker.join(one, specOf('a')), await Taker.join(two, specOf('a'))];
      await one.accept(carried('k1', { key: 'k' }));
      const first = await left.next();
      await one.accept(carried('k2', { key: 'k' }));
      await one.accept(carried('o1', { key: 'o' }));
      right.request(2);
      expect((await right.at(0)).message.header.id).toBe('o1');
      expect(right.ids).toEqual(['o1']);
      await left.settle(first, handled);
      expect((await right.at(1)).message.header.id).toBe('k2');
    });

  it("one message goes to one of a subscription's consumers", async () => {
    const [one, two] = [await open(), await open()];
    const takers = [await Taker.join(one, specOf('a')), await Taker.join(two, specOf('a'))];
    const ids = Array.from({ length: 100 }, (_, i) => `m${i}`);
    for (const taker of takers) taker.request(100);
    await Promise.all(ids.map((id, i) => one.accept(carried(id, { key: `k${i}` }))));
    await until('all of them', () => takers[0]!.handOuts.length + takers[1]!.handOuts.length >= 100);
    expect([...takers[0]!.ids, ...takers[1]!.ids].sort()).toEqual([...ids].sort());
  });

  it('what a consumer had when it closed goes to another, and its late settling is without effect', async () => {
    const [one, two] = [await open(), await open()];
    const left = await Taker.join(one, specOf('a'));
    const right = await Taker.join(two, specOf('a'));
    await one.accept(carried('m1'));
    const old = await left.next();
    await left.consumer.close();
    const taken = await right.next();
    expect([taken.message.header.id, taken.attempt]).toEqual(['m1', 1]);
    await left.settle(old, dead).catch(() => {});
    await right.settle(taken, handled);
    expect((await one.receipt('m1'))?.status).toBe('handled');
    expect(await one.deadLetters({ limit: 10 })).toEqual([]);
  });

  it('a slow consumer keeps what it has for as long as it lives, and others are not held up', async () => {
    const [adapter, elsewhere] = [await open(), await open()];
    const slow = await Taker.join(adapter, specOf('slow', { ackTimeoutMs: 3_000, order: 'pass' }));
    const rival = await Taker.join(elsewhere, specOf('slow', { ackTimeoutMs: 3_000, order: 'pass' }));
    const fast = await Taker.join(adapter, specOf('fast'), (handOut) => void fast.settle(handOut, handled));
    await adapter.accept(carried('m1'));
    const first = await slow.next();
    for (let i = 2; i <= 300; i++) void adapter.accept(carried(`m${i}`));
    fast.request(300);
    await fast.at(299);
    rival.request(300);
    await rival.at(298);
    // Twice as long as a dead consumer would keep it, which is longer than a busy machine lets nobody run.
    const endMs = performance.now() + 6_000;
    await until('it was slow', () => performance.now() > endMs);
    await slow.settle(first, handled);
    for (const handOut of rival.handOuts) await rival.settle(handOut, handled);
    expect([slow.ids, rival.ids.includes('m1'), new Set(rival.ids).size]).toEqual([['m1'], false, 299]);
    expect((await adapter.subscriptions()).get('slow')).toEqual({ pattern: 'orders.>', waiting: 0, dead: 0 });
  });

  it('settling twice is settling once', async () => {
    const adapter = await open();
    const taker = await Taker.join(adapter, specOf('a'));
    await adapter.accept(carried('m1'));
    await adapter.accept(carried('m2'));
    const first = await taker.next();
    await Promise.all([taker.settle(first, handled), taker.settle(first, dead), taker.settle(first, retryIn(0))]);
    expect((await adapter.receipt('m1'))?.status).toBe('handled');
    expect((await taker.next()).message.header.id).toBe('m2');
    expect(taker.handOuts).toHaveLength(2);
  });

  it('receipts say how far a message has come', async () => {
    const adapter = await open();
    const taker = await Taker.join(adapter, specOf('a'));
    const accepted = await adapter.accept(carried('m1', { delivery: 'EXACTLY_ONCE' }));
    expect((await adapter.receipt('m1'))?.subscriptions['a']?.status).toBe('accepted');
    const waiting = adapter.settled('m1', within(10_000), accepted.token);
    const handOut = await taker.next();
    expect((await adapter.receipt('m1'))?.subscriptions['a']).toEqual(
      expect.objectContaining({ status: 'delivered', attempt: 1 }),
    );
    await taker.settle(handOut, { kind: 'handled', reply: encodeValue({ answer: 42 }) });
    const state = await waiting;
    expect(state).toEqual(expect.objectContaining({ id: 'm1', status: 'handled' }));
    expect(state.subscriptions['a']).toEqual(
      expect.objectContaining({ status: 'handled', attempt: 1, reply: { answer: 42 } }),
    );
    expect(await (await open()).receipt('m1')).toEqual(state);
    expect(await adapter.receipt('nobody knows')).toBeUndefined();
  });

  it('a receipt is of all subscriptions: settled when the last one is, dead when one is', async () => {
    const [one, two] = [await open(), await open()];
    const [a, b] = [await Taker.join(one, specOf('a')), await Taker.join(two, specOf('b'))];
    // What one process has made, others know of soon, or when they ask.
    await one.subscriptions();
    const { token } = await one.accept(carried('m1', { delivery: 'EXACTLY_ONCE' }));
    const waiting = one.settled('m1', within(10_000), token);
    let over = false;
    void waiting.then(() => (over = true));
    await a.settle(await a.next(), handled);
    expect((await one.receipt('m1'))?.status).not.toBe('handled');
    expect(over).toBe(false);
    await b.settle(await b.next(), dead);
    const state = await waiting;
    expect(state.status).toBe('dead');
    expect(state.subscriptions['a']?.status).toBe('handled');
    expect(state.subscriptions['b']).toEqual(
      expect.objectContaining({ status: 'dead', error: expect.objectContaining({ code: 'FAILED' }) }),
    );
  });

  it('waiting for a receipt ends with its signal, and at once when it is settled or for nobody', async () => {
    const adapter = await open();
    const taker = await Taker.join(adapter, specOf('a'));
    const nobody = await adapter.accept(carried('nobody', { subject: 'invoices.1' }));
    expect(nobody.subscriptions).toEqual([]);
    expect((await adapter.settled('nobody', within(5_000), nobody.token)).status).toBe('accepted');
    const { token } = await adapter.accept(carried('m1'));
    const reason = new Error('no more time');
    const control = new AbortController();
    const given = adapter.settled('m1', control.signal, token);
    control.abort(reason);
    await expect(given).rejects.toBe(reason);
    await taker.settle(await taker.next(), handled);
    expect((await adapter.settled('m1', within(5_000), token)).status).toBe('handled');
  });

  it('dead letters are listed, filtered, paged, redriven up to a limit, and purged', async () => {
    const adapter = await open();
    const taker = await Taker.join(adapter, specOf('a'));
    const begin = Date.now();
    for (let i = 0; i < 5; i++) {
      await adapter.accept(
        carried(`m${i}`, { subject: i < 3 ? 'orders.eu.placed' : 'orders.us.paid', type: `t${i % 2}` }),
      );
      await taker.settle(await taker.next(), {
        kind: 'dead',
        reason: i === 4 ? 'refused' : 'attempts',
        error: { name: 'E', code: `E${i}`, message: 'm', stack: 'line 1\nline 2' },
      });
    }
    const all = await adapter.deadLetters({ limit: 100 });
    expect(all.map(({ message }) => message.header.id)).toEqual(['m0', 'm1', 'm2', 'm3', 'm4']);
    expect(all[0]).toEqual(
      expect.objectContaining({ subscription: 'a', reason: 'attempts', attempts: 1, redrives: 0 }),
    );
    expect(all[0]?.error).toEqual({ name: 'E', code: 'E0', message: 'm', stack: 'line 1\nline 2' });
    expect(all[0]?.deadMs).toBeGreaterThanOrEqual(begin - 1);
    const ids = async (query: object): Promise<string[]> =>
      (await adapter.deadLetters({ limit: 100, ...query })).map(({ message }) => message.header.id);
    expect(await ids({ subjectPattern: 'orders.us.>' })).toEqual(['m3', 'm4']);
    expect(await ids({ type: 't1' })).toEqual(['m1', 'm3']);
    expect(await ids({ reason: 'refused' })).toEqual(['m4']);
    expect(await ids({ errorCode: 'E2' })).toEqual(['m2']);
    expect(await ids({ subscription: 'b' })).toEqual([]);
    expect(await ids({ limit: 2, after: all[1]?.id })).toEqual(['m2', 'm3']);
    expect(await ids({ limit: 2, after: 'no letter' })).toEqual([]);
    expect((await adapter.subscriptions()).get('a')?.dead).toBe(5);

    expect(await adapter.redrive([all[0]!.id, 'no such letter'], 1)).toBe(1);
    expect((await adapter.receipt('m0'))?.status).not.toBe('dead');
    const again = await taker.next();
    expect([again.message.header.id, again.attempt, again.redrives]).toEqual(['m0', 1, 1]);
    await taker.settle(again, dead);
    const [back] = await adapter.deadLetters({ limit: 100, errorCode: 'FAILED' });
    expect(back).toEqual(expect.objectContaining({ redrives: 1 }));
    expect(await adapter.redrive([back!.id], 1)).toBe(0);
    expect(await adapter.purge([back!.id, all[1]!.id])).toBe(2);
    expect(await ids({})).toEqual(['m2', 'm3', 'm4']);
    expect((await adapter.subscriptions()).get('a')?.dead).toBe(3);
  });

  it('a message is not handed out before its time', async () => {
    const adapter = await open();
    const taker = await Taker.join(adapter, specOf('a'));
    const notBeforeMs = Date.now() + 400;
    await adapter.accept(carried('later', { notBeforeMs }));
    await adapter.accept(carried('now'));
    taker.request(2);
    const now = await taker.at(0);
    expect(now.message.header.id).toBe('now');
    await taker.settle(now, handled);
    const later = await taker.at(1);
    expect([later.message.header.id, later.attempt]).toEqual(['later', 1]);
    expect(Date.now()).toBeGreaterThanOrEqual(notBeforeMs - 2);
  });

  it('what expires while it waits is dead, its receipt and the adapter say so', async () => {
    const told = new Told();
    const adapter = await open(told);
    const taker = await Taker.join(adapter, specOf('a'));
    const expiresAtMs = Date.now() + 100;
    const { token } = await adapter.accept(carried('m1', { expiresAtMs, delivery: 'EXACTLY_ONCE' }));
    expect((await adapter.settled('m1', within(15_000), token)).status).toBe('dead');
    await until('the notice', () => told.dead_.length === 1);
    expect(told.dead_[0]).toEqual(expect.objectContaining({ messageId: 'm1', reason: 'expired', subscription: 'a' }));
    expect((await adapter.deadLetters({ limit: 10 }))[0]?.id).toBe(told.dead_[0]?.id);
    await adapter.accept(carried('m2'));
    taker.request(1);
    expect((await taker.at(0)).message.header.id).toBe('m2');
  });

  it('a full subscription refuses, and takes again when there is room', async () => {
    const adapter = await open();
    const taker = await Taker.join(adapter, specOf('a', { waitingLimit: 2 }));
    await adapter.accept(carried('m1'));
    await adapter.accept(carried('m2'));
    expect(await codeOf(adapter.accept(carried('m3')))).toBe('QUEUE_FULL');
    await taker.settle(await taker.next(), handled);
    await until('room', async () => {
      const code = await codeOf(adapter.accept(carried('m3')));
      return code === undefined;
    });
    taker.request(2);
    await taker.at(2);
    expect(taker.ids).toEqual(['m1', 'm2', 'm3']);
  });

  it('a subscription cannot be joined with another pattern', async () => {
    const adapter = await open();
    await Taker.join(adapter, specOf('a'));
    expect(await codeOf(adapter.subscribe(specOf('a', { pattern: 'invoices.>' }), () => {}))).toBe('INVALID_OPTIONS');
  });

  it('an ended subscription is gone with what waited for it, and its receipts end', async () => {
    const adapter = await open();
    await Taker.join(adapter, specOf('a'));
    const { token } = await adapter.accept(carried('m1'));
    await adapter.unsubscribe('a');
    expect((await adapter.subscriptions()).has('a')).toBe(false);
    expect((await adapter.settled('m1', within(10_000), token)).subscriptions).toEqual({});
    expect((await adapter.accept(carried('m2'))).subscriptions).toEqual([]);
    const taker = await Taker.join(adapter, specOf('a'));
    await adapter.accept(carried('m3'));
    expect((await taker.next()).message.header.id).toBe('m3');
  });

  it("patterns that begin with a wildcard are not for the system's subjects", async () => {
    const adapter = await open();
    const all = await Taker.join(adapter, specOf('all', { pattern: '>' }));
    const commands = await Taker.join(adapter, specOf('commands', { pattern: '$command.bank.>' }));
    expect((await adapter.accept(carried('c1', { subject: '$command.bank.pay' }))).subscriptions).toEqual(['commands']);
    expect((await adapter.accept(carried('e1'))).subscriptions).toEqual(['all']);
    expect((await commands.next()).message.header.id).toBe('c1');
    expect((await all.next()).message.header.id).toBe('e1');
  });

  it('what is retained is there for subscriptions that begin in the past, once and in order', async () => {
    const adapter = await open();
    await adapter.retain('orders.>', { messages: 100 });
    await adapter.accept(carried('m1'));
    await adapter.accept(carried('m2', { subject: 'orders.us.paid' }));
    await adapter.accept(carried('i1', { subject: 'invoices.1' }));
    const all = await Taker.join(adapter, specOf('all', { from: 'beginning' }));
    const some = await Taker.join(adapter, specOf('some', { from: 'beginning', pattern: 'orders.us.*' }));
    const none = await Taker.join(adapter, specOf('none'));
    const future = await Taker.join(adapter, specOf('future', { from: { timeMs: Date.now() + 60_000 } }));
    const past = await Taker.join(adapter, specOf('past', { from: { timeMs: Date.now() - 60_000 } }));
    const second = await Taker.join(adapter, specOf('second', { from: { position: 2 } }));
    const beyond = await Taker.join(adapter, specOf('beyond', { from: { position: 1_000 } }));
    await adapter.accept(carried('m3'));
    for (const taker of [all, some, none, future, past, second, beyond]) taker.request(10);
    await until('all three', () => all.handOuts.length >= 3 && past.handOuts.length >= 3);
    expect(all.ids).toEqual(['m1', 'm2', 'm3']);
    expect(past.ids).toEqual(['m1', 'm2', 'm3']);
    await none.at(0);
    await second.at(1);
    expect([some.ids, none.ids, second.ids]).toEqual([['m2'], ['m3'], ['m2', 'm3']]);
  });

  it('broadcasts and accepted messages are heard by who listens, once by each queue', async () => {
    const [one, two] = [await open(), await open()];
    const heard: string[] = [];
    const hear = (who: string) => (message: { header: { id: string } }) =>
      void heard.push(`${who} ${message.header.id}`);
    const stop = await one.listen('orders.*.placed', undefined, hear('alone'));
    await two.listen('orders.eu.placed', undefined, hear('exact'));
    await one.listen('orders.>', 'q', hear('queue'));
    await two.listen('orders.>', 'q', hear('queue'));
    await two.listen('invoices.>', undefined, hear('wrong'));
    await one.broadcast(carried('b1'));
    await two.accept(carried('a1'));
    await two.accept(carried('a1'));
    await until('all six', () => heard.length >= 6);
    await stop();
    await two.broadcast(carried('b2'));
    await until('two more', () => heard.length >= 8);
    expect(heard.sort()).toEqual(
      ['alone b1', 'alone a1', 'exact b1', 'exact a1', 'exact b2', 'queue b1', 'queue a1', 'queue b2'].sort(),
    );
    expect((await one.broadcast(carried('b3', { subject: 'nobody.listens' }))) ?? 0).toBe(0);
  });

  it('records are kept by kind and name', async () => {
    const [one, two] = [await open(), await open()];
    await one.records.put('schedule', 'a b', { cron: '* * * * *', n: 1 });
    await one.records.put('schedule', 'c', 2);
    await two.records.put('schedule', 'c', 3);
    await one.records.put('other', 'c', 4);
    expect(await two.records.list('schedule')).toEqual(
      new Map<string, unknown>([
        ['a b', { cron: '* * * * *', n: 1 }],
        ['c', 3],
      ]),
    );
    expect(await one.records.delete('schedule', 'c')).toBe(true);
    expect(await one.records.delete('schedule', 'c')).toBe(false);
    expect([...(await one.records.list('schedule')).keys()]).toEqual(['a b']);
    expect((await one.records.list('nothing')).size).toBe(0);
  });

  it('what has waited is there after everyone was away', async () => {
    const first = await open();
    await Taker.join(first, specOf('a'));
    for (let i = 0; i < 10; i++) await first.accept(carried(`m${i}`));
    await first.close();
    const taker = await Taker.join(await open(), specOf('a'));
    taker.request(10);
    await taker.at(9);
    expect(taker.ids).toEqual(Array.from({ length: 10 }, (_, i) => `m${i}`));
  });

  it('a closed adapter refuses', async () => {
    const adapter = await open();
    await adapter.close();
    expect(await codeOf(adapter.accept(carried('m1')))).toBe('BROKER_CLOSED');
  });
}
