/**
 * What every broker keeps, whatever is behind it: the cases that its adapter's tests run.
 */
import { expect } from 'vitest';
import { z } from 'zod';
import { ContractRegistry } from '../../runtime/broker/contracts/contract-registry.ts';
import type { MessageBroker } from '../../runtime/broker/message-broker.ts';
import type { Message } from '../../runtime/broker/contract/message.ts';
import { codeOf, until } from '../support/until.ts';
import { type BrokerCase, gate, numbers, QUICK } from './broker-case.ts';
import { brokerRefusals } from './broker-refusals.ts';

const startedMs = Date.now();

export const brokerContract: readonly BrokerCase[] = [
  ...brokerRefusals,
  {
    name: 'a message reaches the handler whole, and its receipt ends as handled with the reply',
    run: async (world) => {
      const broker = await world.start();
      const got: Message[] = [];
      await broker.subscribe(
        'orders.*',
        (message) => {
          got.push(message);
          return { ok: true };
        },
        { name: 'a' },
      );
      const receipt = await broker.publish({
        type: 'orders.placed',
        payload: { n: 1, at: new Date(5), big: 7n },
        key: 'k',
        extensions: { region: 'eu' },
      });
      const state = await receipt.settled({ timeoutMs: 10_000 });
      expect(state.status).toBe('handled');
      expect(state.subscriptions['a']).toMatchObject({ status: 'handled', attempt: 1, reply: { ok: true } });
      expect(got).toHaveLength(1);
      expect(got[0]).toMatchObject({
        id: receipt.id,
        kind: 'EVENT',
        type: 'orders.placed',
        subject: 'orders.placed',
        source: broker.name,
        correlationId: receipt.id,
        delivery: 'AT_LEAST_ONCE',
        key: 'k',
        payload: { n: 1, at: new Date(5), big: 7n },
        extensions: { region: 'eu' },
      });
      expect(await broker.receipt(receipt.id)).toMatchObject({ status: 'handled' });
    },
  },
  {
    name: 'BA1: what was accepted while nobody listened is handled after a restart, in order',
    run: async (world) => {
      const first = await world.start();
      await (await first.subscribe('jobs', () => {}, { name: 'w' })).close();
      for (const n of numbers(50)) await first.publish({ type: 'jobs', payload: n });
      await world.restart();
      const second = await world.start();
      const got: unknown[] = [];
      await second.subscribe('jobs', ({ payload }) => void got.push(payload), { name: 'w' });
      await until('all are handled', () => got.length >= 50);
      expect(got).toEqual(numbers(50));
    },
  },
  {
    name: 'BA2: a message that is published again is a duplicate, also at the same moment, also after a restart',
    run: async (world) => {
      const broker = await world.start();
      let handled = 0;
      await broker.subscribe('pay', () => ++handled, { name: 'p' });
      const publish = (by: MessageBroker) =>
        by.publish({ type: 'pay', idempotencyKey: 'pay-1', delivery: 'EXACTLY_ONCE' });
      const receipts = await Promise.all(numbers(8).map(() => publish(broker)));
      expect(receipts.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
      expect(new Set(receipts.map(({ id }) => id)).size).toBe(1);
      for (const receipt of receipts) expect((await receipt.settled({ timeoutMs: 10_000 })).status).toBe('handled');
      await world.restart();
      const again = await world.start();
      await again.subscribe('pay', () => ++handled, { name: 'p' });
      const late = await publish(again);
      expect(late.duplicate).toBe(true);
      expect(await late.settled({ timeoutMs: 10_000 })).toMatchObject({
        status: 'handled',
        subscriptions: { p: { reply: 1 } },
      });
      expect(handled).toBe(1);
    },
  },
  {
    name: 'BC1, hold: messages of a key wait behind one that is tried again; other keys go past',
    run: async (world) => {
      const broker = await world.start();
      const got: string[] = [];
      await broker.subscribe(
        'k',
        ({ payload }, { attempt }) => {
          if (payload === 'a0' && attempt < 3) throw new Error('not yet');
          got.push(payload as string);
        },
        { name: 'k', retry: { initialMs: 20, maxMs: 20, maxAttempts: 9 }, concurrency: 4 },
      );
      const receipts = await Promise.all(
        numbers(20).flatMap((n) => [
          broker.publish({ type: 'k', key: 'a', payload: `a${n}` }),
          broker.publish({ type: 'k', key: 'b', payload: `b${n}` }),
        ]),
      );
      for (const receipt of receipts) expect((await receipt.settled({ timeoutMs: 10_000 })).status).toBe('handled');
      expect(got.filter((one) => one.startsWith('a'))).toEqual(numbers(20).map((n) => `a${n}`));
      expect(got.filter((one) => one.startsWith('b'))).toEqual(numbers(20).map((n) => `b${n}`));
      expect(got.indexOf('b0')).toBeLessThan(got.indexOf('a0'));
    },
  },
  {
    name: 'BC1, pass: messages of a key go past one that is tried again',
    run: async (world) => {
      const broker = await world.start();
      const got: unknown[] = [];
      await broker.subscribe(
        'k',
        ({ payload }, { attempt }) => {
          if (payload === 0 && attempt < 3) throw new Error('not yet');
          got.push(payload);
        },
        { name: 'k', order: 'pass', retry: { initialMs: 200, maxMs: 200, jitter: 'none', maxAttempts: 9 } },
      );
      const receipts = await Promise.all(numbers(10).map((payload) => broker.publish({ type: 'k', payload })));
      for (const receipt of receipts) await receipt.settled({ timeoutMs: 10_000 });
      expect(got).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
    },
  },
  {
    name: 'messages of one key are never handled beside each other, whatever the concurrency',
    run: async (world) => {
      const broker = await world.start();
      const now = new Map<string, number>();
      let most = 0;
      let together = 0;
      await broker.subscribe(
        'c',
        async ({ key = '' }) => {
          now.set(key, (now.get(key) ?? 0) + 1);
          most = Math.max(most, now.get(key) ?? 0);
          together = Math.max(
            together,
            [...now.values()].reduce((sum, n) => sum + n, 0),
          );
          await new Promise((resolve) => setImmediate(resolve));
          now.set(key, (now.get(key) ?? 0) - 1);
        },
        { name: 'c', concurrency: 8 },
      );
      const receipts = await Promise.all(numbers(60).map((n) => broker.publish({ type: 'c', key: `k${n % 4}` })));
      for (const receipt of receipts) await receipt.settled({ timeoutMs: 10_000 });
      expect(most).toBe(1);
      expect(together).toBe(4);
    },
  },
  {
    name: 'competing consumers share messages, each is handled once; what one has is given to another when it closes',
    run: async (world) => {
      const one = await world.start();
      const two = await world.start();
      const got: [string, unknown][] = [];
      const { opened, open } = gate();
      const slow = await one.subscribe('job', ({ payload }) => opened.then(() => void got.push(['one', payload])), {
        name: 'j',
        order: world.sharedOrder,
        concurrency: 2,
      });
      const receipts = await Promise.all(
        numbers(30).map((n) => one.publish({ type: 'job', key: `k${n}`, payload: n })),
      );
      const order = world.sharedOrder;
      await two.subscribe('job', ({ payload }) => void got.push(['two', payload]), { name: 'j', order });
      await until('the other one goes on', () => got.length > 0);
      const closing = slow.close();
      open();
      await closing;
      for (const receipt of receipts) expect((await receipt.settled({ timeoutMs: 10_000 })).status).toBe('handled');
      expect(got.map(([, n]) => n as number).sort((a, b) => a - b)).toEqual(numbers(30));
      expect(got.filter(([by]) => by === 'one').length).toBeLessThanOrEqual(2);
    },
  },
  {
    name: 'a delayed message is not handled before its time, and others go past it',
    run: async (world) => {
      const broker = await world.start();
      const got: [unknown, number][] = [];
      await broker.subscribe('d', ({ payload }) => void got.push([payload, Date.now()]), { name: 'd' });
      const beganMs = Date.now();
      const late = await broker.publish({ type: 'd', payload: 'late', delayMs: 150 });
      const soon = await broker.publish({ type: 'd', payload: 'soon' });
      await soon.settled({ timeoutMs: 10_000 });
      await late.settled({ timeoutMs: 10_000 });
      expect(got.map(([payload]) => payload)).toEqual(['soon', 'late']);
      expect((got[1]?.[1] ?? 0) - beganMs).toBeGreaterThanOrEqual(149);
    },
  },
  {
    name: 'each durable subscription that matches gets the message once; wildcards as in NATS',
    run: async (world) => {
      const broker = await world.start();
      const got: Record<string, unknown[]> = { star: [], rest: [], exact: [], other: [] };
      for (const [name, pattern] of [
        ['star', 'orders.*.paid'],
        ['rest', 'orders.>'],
        ['exact', 'orders.eu.paid'],
        ['other', 'orders.*'],
      ] as const) {
        await broker.subscribe(pattern, ({ subject }) => void got[name]?.push(subject), { name });
      }
      for (const type of ['orders.eu.paid', 'orders.us.paid', 'orders.eu', 'orders.eu.paid.late']) {
        const receipt = await broker.publish({ type });
        await receipt.settled({ timeoutMs: 10_000 });
      }
      expect(got).toEqual({
        star: ['orders.eu.paid', 'orders.us.paid'],
        rest: ['orders.eu.paid', 'orders.us.paid', 'orders.eu', 'orders.eu.paid.late'],
        exact: ['orders.eu.paid'],
        other: ['orders.eu'],
      });
    },
  },
  {
    name: 'AT_MOST_ONCE: whoever listens hears it, one of each queue; a failing handler gets it once',
    run: async (world) => {
      const broker = await world.start();
      const heard: string[] = [];
      await broker.subscribe('tick', () => void heard.push('a'));
      await broker.subscribe('tick', () => void heard.push('q'), { queue: 'q' });
      await broker.subscribe('tick', () => void heard.push('q'), { queue: 'q' });
      const dropped: unknown[] = [];
      broker.on('dropped', (event) => dropped.push(event.error?.message));
      await broker.subscribe('tick', () => {
        heard.push('bad');
        throw new Error('no');
      });
      for (const n of numbers(4)) await broker.publish({ type: 'tick', payload: n, delivery: 'AT_MOST_ONCE' });
      // It is told of after the last try: whoever tries again is seen.
      await until('all are told of', () => dropped.length === 4);
      await until('all have heard', () => heard.length >= 12);
      for (const who of ['a', 'q', 'bad']) expect(heard.filter((one) => one === who)).toHaveLength(4);
    },
  },
  {
    name: 'BC2: a request that expires while it waits is told so, and not when its own time is over',
    run: async (world) => {
      const broker = await world.start();
      const late: unknown[] = [];
      const dead: string[] = [];
      broker.on('late_reply', ({ message }) => late.push(message.payload));
      broker.on('dead_letter', ({ messageId }) => dead.push(messageId));
      const { opened, open } = gate();
      let begun = 0;
      const handle = async ({ payload }: Message): Promise<unknown> => {
        begun += 1;
        if (payload === 'slow') await opened;
        return payload;
      };
      await broker.subscribe('work.do', handle, { name: 'w' });
      await broker.publish({ type: 'work.do', payload: 'slow' });
      await until('the first one is in hands', () => begun === 1);
      const work = { kind: 'COMMAND', type: 'work.do', subject: 'work.do', payload: 'quick' } as const;
      // One behind it, whose key is not free, and one beside it.
      for (const key of [undefined, 'other']) {
        const draft = { ...work, ttlMs: 100, ...(key === undefined ? {} : { key }) };
        expect(await codeOf(broker.request(draft, { timeoutMs: 60_000 }))).toBe('MESSAGE_EXPIRED');
      }
      open();
      expect(await broker.request({ ...work, ttlMs: 30_000 }, { timeoutMs: 30_000 })).toBe('quick');
      expect(begun).toBe(2);
      expect(late).toEqual([]);
      // Whoever finds them, each is told of once.
      expect(new Set(dead).size).toBe(dead.length);
    },
  },
  {
    name: 'request: the reply, the handler’s error, no handler, timeout, cancellation, and the late answer',
    run: async (world) => {
      const broker = await world.start();
      const late: unknown[] = [];
      broker.on('late_reply', ({ message }) => late.push(message.correlationId));
      const { opened, open } = gate();
      await broker.subscribe('$query.shop.price', ({ payload }) => ({ price: (payload as number) * 2 }));
      await broker.subscribe('$query.shop.broken', () => {
        throw Object.assign(new Error('out of stock'), { code: 'E_STOCK' });
      });
      await broker.subscribe('$query.shop.slow', () => opened.then(() => 'at last'));
      const query = (type: string, payload?: unknown) =>
        ({ kind: 'QUERY', target: 'shop', type, payload, id: `q-${type}` }) as const;
      expect(await broker.request(query('price', 21))).toEqual({ price: 42 });
      await expect(broker.request(query('broken'))).rejects.toThrow('out of stock');
      expect(await codeOf(broker.request(query('nothing'), { timeoutMs: 2_000 }))).toMatch(
        /NO_HANDLER|REQUEST_TIMEOUT/,
      );
      expect(await codeOf(broker.request(query('slow'), { timeoutMs: 50 }))).toBe('REQUEST_TIMEOUT');
      const controller = new AbortController();
      const cancelled = broker.request({ ...query('slow'), id: 'q-2' }, { signal: controller.signal });
      controller.abort(new Error('changed my mind'));
      await expect(cancelled).rejects.toThrow('changed my mind');
      open();
      await until('late answers are told of', () => late.length >= 1);
      expect(late).toContain('q-slow');
    },
  },
  {
    name: 'a command to nobody is refused; one that was asked before gets the answer again',
    run: async (world) => {
      const broker = await world.start();
      expect(await codeOf(broker.publish({ type: 'ship', target: 'depot' }))).toBe('NO_SUBSCRIBER');
      let shipped = 0;
      await broker.subscribe('$command.depot.*', () => ({ shipped: ++shipped }), { name: 'depot' });
      const command = { type: 'ship', target: 'depot', id: 'ship-1' } as const;
      expect(await broker.request(command, { timeoutMs: 10_000 })).toEqual({ shipped: 1 });
      expect(await broker.request(command, { timeoutMs: 10_000 })).toEqual({ shipped: 1 });
    },
  },
  {
    name: 'what a handler publishes follows from its message, by the context and by itself',
    run: async (world) => {
      const broker = await world.start();
      const got: Message[] = [];
      await broker.subscribe(
        'first',
        async (_message, context) => {
          await context.publish({ type: 'second', payload: 'by context' });
          await broker.publish({ type: 'second', payload: 'by itself' });
        },
        { name: 'f' },
      );
      await broker.subscribe('second', (message) => void got.push(message), { name: 's' });
      const receipt = await broker.publish({ type: 'first', correlationId: 'c-1' });
      await until('both have come', () => got.length === 2);
      for (const message of got) expect(message).toMatchObject({ correlationId: 'c-1', causationId: receipt.id });
    },
  },
  {
    name: 'close: what is being handled is finished, what waits comes again, later calls are refused',
    run: async (world) => {
      const broker = await world.start();
      const { opened, open } = gate();
      const began: unknown[] = [];
      await broker.subscribe(
        'c',
        async ({ payload }) => {
          began.push(payload);
          await opened;
        },
        { name: 'c' },
      );
      for (const n of numbers(5)) await broker.publish({ type: 'c', payload: n });
      await until('the first has begun', () => began.length === 1);
      const closing = broker.close();
      open();
      await closing;
      expect(began).toEqual([0]);
      expect(await codeOf(broker.publish({ type: 'c' }))).toBe('BROKER_CLOSED');
      const next = await world.start();
      const got: unknown[] = [];
      await next.subscribe('c', ({ payload }, { attempt }) => void got.push([payload, attempt]), { name: 'c' });
      await until('the others have come', () => got.length === 4);
      expect(got).toEqual([1, 2, 3, 4].map((n) => [n, 1]));
    },
  },
  {
    name: 'a subscription that is deleted takes nothing more; its name may be used again',
    run: async (world) => {
      const broker = await world.start();
      const subscription = await broker.subscribe('x', () => {}, { name: 'x' });
      expect(await codeOf(broker.subscribe('y', () => {}, { name: 'x' }))).toBe('INVALID_OPTIONS');
      await subscription.delete();
      expect((await broker.publish({ type: 'x' })).subscriptions).toBe(0);
      const got: unknown[] = [];
      await broker.subscribe('y', ({ payload }) => void got.push(payload), { name: 'x' });
      await (await broker.publish({ type: 'y', payload: 1 })).settled({ timeoutMs: 10_000 });
      expect(got).toEqual([1]);
    },
  },
  {
    name: 'a receipt does not wait for a subscription that is deleted meanwhile',
    run: async (world) => {
      const broker = await world.start();
      const working = gate();
      await broker.subscribe('x', () => 'done', { name: 'quick' });
      let began = 0;
      const slow = await broker.subscribe(
        'x',
        () => {
          began += 1;
          return working.opened;
        },
        { name: 'slow' },
      );
      const [first, second] = [await broker.publish({ type: 'x' }), await broker.publish({ type: 'x' })];
      expect(first.subscriptions).toBe(2);
      const settling = [first, second].map((receipt) => receipt.settled({ timeoutMs: 20_000 }));
      await until('the slow one works', () => began === 1);
      const deleting = slow.delete();
      working.open();
      await deleting;
      for (const state of await Promise.all([...settling, second.settled({ timeoutMs: 20_000 })])) {
        expect(state.subscriptions['quick']).toMatchObject({ status: 'handled', reply: 'done' });
      }
    },
  },
  {
    name: 'contracts: what violates one is refused when it is sent; what comes from elsewhere is a dead letter, and nothing waits for it',
    run: async (world) => {
      const contracts = new ContractRegistry();
      contracts.register({
        type: 'bill',
        schema: z.object({ total: z.number().min(0), currency: z.string().default('EUR') }),
      });
      const strict = await world.start({ contracts });
      const elsewhere = await world.start();
      const got: unknown[] = [];
      const told: unknown[] = [];
      strict.on('dead_letter', ({ messageId, reason }) => void told.push([messageId, reason]));
      await strict.subscribe('bill', ({ payload, contractVersion }) => void got.push([payload, contractVersion]), {
        name: 'b',
        retry: { ...QUICK, maxAttempts: 3 },
      });
      expect(await codeOf(strict.publish({ type: 'bill', payload: { total: -1 } }))).toBe('CONTRACT_VIOLATION');
      const bad = await elsewhere.publish({ type: 'bill', id: 'bad', key: 'k', payload: { total: 'much' } });
      const good = await elsewhere.publish({ type: 'bill', key: 'k', payload: { total: 2 } });
      expect((await bad.settled({ timeoutMs: 10_000 })).subscriptions['b']).toMatchObject({
        status: 'dead',
        attempt: 1,
        error: { code: 'CONTRACT_VIOLATION' },
      });
      expect((await good.settled({ timeoutMs: 10_000 })).status).toBe('handled');
      const own = await strict.publish({ type: 'bill', payload: { total: 3, currency: 'CHF' } });
      expect((await own.settled({ timeoutMs: 10_000 })).status).toBe('handled');
      expect(got).toEqual([
        [{ total: 2, currency: 'EUR' }, 1],
        [{ total: 3, currency: 'CHF' }, 1],
      ]);
      expect(told).toEqual([['bad', 'contract']]);
      const { letters } = await strict.deadLetters.list({ reason: 'contract' });
      expect(letters).toMatchObject([{ message: { id: 'bad', payload: { total: 'much' } }, attempts: 1 }]);
    },
  },
  {
    name: 'BC2: every receipt of a thousand messages to unsteady handlers ends, in order per key',
    run: async (world) => {
      const broker = await world.start();
      const got = new Map<string, number[]>();
      await broker.subscribe(
        'u',
        async ({ payload, key = '' }, { attempt }) => {
          const n = payload as number;
          if (n % 7 === 0 && attempt === 1) throw new Error('once');
          if (n % 50 === 0) throw new Error('always');
          if (n % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
          got.set(key, [...(got.get(key) ?? []), n]);
        },
        { name: 'u', concurrency: 3, retry: { ...QUICK, maxAttempts: 2 } },
      );
      const receipts = await Promise.all(
        numbers(1_000).map((n) =>
          broker.publish({ type: 'u', payload: n, key: `k${n % 5}`, delivery: 'EXACTLY_ONCE' }),
        ),
      );
      const states = await Promise.all(receipts.map((receipt) => receipt.settled({ timeoutMs: 25_000 })));
      for (const [n, { status }] of states.entries())
        expect([n, status]).toEqual([n, n % 50 === 0 ? 'dead' : 'handled']);
      for (const [, list] of got) expect(list).toEqual([...list].sort((a, b) => a - b));
      expect([...got.values()].flat()).toHaveLength(980);
    },
  },
  {
    name: 'a subscription begins in the past of retained subjects: from the beginning, from a time; then goes on, in order',
    run: async (world) => {
      const broker = await world.start();
      await broker.retain('past.>');
      for (const n of numbers(30)) await broker.publish({ type: 'past.x', payload: n });
      await broker.publish({ type: 'other', payload: 'not kept' });
      await new Promise((resolve) => setImmediate(resolve));
      const middleMs = await until('the clock has moved on', () => {
        const nowMs = Date.now();
        return nowMs > startedMs && nowMs;
      });
      const got: Record<string, unknown[]> = { all: [], later: [], now: [] };
      await until('time has passed', () => Date.now() > middleMs + 2);
      for (const n of numbers(10)) await broker.publish({ type: 'past.x', payload: 30 + n });
      const hear = (name: string) => (message: Message) => void got[name]?.push(message.payload);
      await broker.subscribe('past.x', hear('all'), { name: 'all', from: 'beginning' });
      await broker.subscribe('past.*', hear('later'), { name: 'later', from: { timeMs: middleMs + 2 } });
      await broker.subscribe('past.*', hear('now'), { name: 'now' });
      for (const n of numbers(10)) await broker.publish({ type: 'past.x', payload: 40 + n });
      await until('all have come', () => got['all']?.length === 50 && got['now']?.length === 10);
      await until('the later ones', () => got['later']?.length === 20);
      expect(got['all']).toEqual(numbers(50));
      expect(got['later']).toEqual(numbers(20).map((n) => 30 + n));
      expect(got['now']).toEqual(numbers(10).map((n) => 40 + n));
    },
  },
  {
    name: 'retained subjects say where they begin and go on, also after a restart; a subscription begins at such a position',
    run: async (world) => {
      const broker = await world.start();
      expect(await broker.retained()).toEqual(new Map());
      await broker.retain('kept.>');
      const before = (await broker.retained()).get('kept.>');
      expect(before?.firstPosition).toBe(before?.nextPosition);
      for (const n of numbers(5)) await broker.publish({ type: 'kept.x', payload: n });
      const first = before?.nextPosition ?? 0;
      const next = (await broker.retained()).get('kept.>')?.nextPosition ?? 0;
      expect(await broker.retained()).toEqual(new Map([['kept.>', { firstPosition: first, nextPosition: first + 5 }]]));
      await world.restart();
      const again = await world.start();
      expect((await again.retained()).get('kept.>')?.firstPosition).toBe(first);
      for (const n of numbers(3)) await again.publish({ type: 'kept.x', payload: 5 + n });
      const got: unknown[] = [];
      await again.subscribe('kept.x', ({ payload }) => void got.push(payload), { name: 'k', from: { position: next } });
      await until('what was kept since has come', () => got.length >= 3);
      await again.publish({ type: 'kept.x', payload: 'last' });
      await until('it goes on', () => got.includes('last'));
      expect(got).toEqual([5, 6, 7, 'last']);
    },
  },
  {
    name: 'a schedule publishes each time once, whoever runs, and goes on after a restart; it can be ended',
    run: async (world) => {
      const broker = await world.start();
      const other = await world.start();
      const got: string[] = [];
      await broker.subscribe('tick', ({ id }) => void got.push(id), { name: 't' });
      await broker.schedule('beat', { everyMs: 50 }, { type: 'tick', payload: 'x' });
      await other.schedule('beat', { everyMs: 50 }, { type: 'tick', payload: 'x' });
      await until('it beats', () => got.length >= 4);
      expect(new Set(got).size).toBe(got.length);
      for (const id of got) expect(Number(id.split(':')[2]) % 50).toBe(0);
      await world.restart();
      const again = await world.start();
      const before = got.length;
      await again.subscribe('tick', ({ id }) => void got.push(id), { name: 't' });
      await until('it beats on', () => got.length >= before + 3);
      expect(new Set(got).size).toBe(got.length);
      expect([...(await again.schedules()).keys()]).toEqual(['beat']);
      expect(await again.unschedule('beat')).toBe(true);
      expect(await again.unschedule('beat')).toBe(false);
      await again.schedule('once', { at: Date.now() - 5 }, { type: 'tick' });
      await until('what is past comes at once', () => got.some((id) => id.startsWith('schedule:once:')));
      expect(await codeOf(again.schedule('bad', { cron: '61 * * * *' }, { type: 'tick' }))).toBe('INVALID_SCHEDULE');
    },
  },
];
