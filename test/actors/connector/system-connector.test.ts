/** Connectors on one broker: commands, events and queries, who is not there, and coming and going. */
import { describe, expect, test } from 'vitest';
import type { HandlerContext } from '../../../actors/connector/handler-table.ts';
import { SystemConnector } from '../../../actors/connector/system-connector.ts';
import { systemClock } from '../../../runtime/kernel/clock.ts';
import { createTestSystem, ManualClock } from '../../../runtime/testing/index.ts';
import { MemoryBroker } from '../../support/memory-broker.ts';
import { codeOf, errorOf, until } from '../../support/until.ts';

const pair = async (): Promise<{
  readonly broker: MemoryBroker;
  readonly orders: SystemConnector;
  readonly billing: SystemConnector;
}> => {
  const broker = new MemoryBroker();
  const orders = new SystemConnector('orders', broker);
  const billing = new SystemConnector('billing', broker);
  await billing.connect();
  return { broker, orders, billing };
};

describe('commands', () => {
  test('a command is handled, its receipt says so, and its reply comes back', async () => {
    const { orders, billing } = await pair();
    const seen: unknown[] = [];
    await billing.onCommand<{ cents: number }>('charge', async ({ cents }, { message, attempt }) => {
      seen.push([cents, message.source, message.target, message.type, message.kind, attempt]);
      return { charged: cents };
    });
    const receipt = await orders.sendCommand('billing', 'charge', { cents: 990 });
    expect(await receipt.settled()).toMatchObject({
      status: 'handled',
      subscriptions: { billing: { reply: { charged: 990 } } },
    });
    expect(await orders.sendCommand('billing', 'charge', { cents: 5 }, { reply: true })).toEqual({ charged: 5 });
    expect(seen).toEqual([
      [990, 'orders', 'billing', 'charge', 'COMMAND', 1],
      [5, 'orders', 'billing', 'charge', 'COMMAND', 1],
    ]);
  });

  test('those of one sender are handled in order, whatever their actions, also through tries; those of others beside them', async () => {
    const { broker, orders, billing } = await pair();
    const shipping = new SystemConnector('shipping', broker);
    const log: string[] = [];
    let failures = 2;
    const note =
      (word: string) =>
      async (n: unknown, { message }: HandlerContext) => {
        if (word === 'open' && n === 1 && failures-- > 0) throw new Error('not yet');
        log.push(`${message.source} ${word} ${String(n)}`);
      };
    await billing.onCommand('open', note('open'));
    await billing.onCommand('close', note('close'));
    const receipts = [
      await orders.sendCommand('billing', 'open', 1),
      await orders.sendCommand('billing', 'close', 1),
      await shipping.sendCommand('billing', 'close', 9),
      await orders.sendCommand('billing', 'open', 2),
    ];
    await Promise.all(receipts.map((receipt) => receipt.settled()));
    expect(log.filter((line) => line.startsWith('orders'))).toEqual([
      'orders open 1',
      'orders close 1',
      'orders open 2',
    ]);
    expect(log[0]).toBe('shipping close 9');
  });

  test('a handler that fails for good leaves a dead letter, its sender the error', async () => {
    const { broker, orders, billing } = await pair();
    await billing.onCommand('charge', () => {
      throw new Error('insufficient funds');
    });
    const receipt = await orders.sendCommand('billing', 'charge', {}, { retry: { maxAttempts: 2, initialMs: 1 } });
    expect(await receipt.settled()).toMatchObject({ status: 'dead' });
    const asked = orders.sendCommand('billing', 'charge', {}, { reply: true, retry: { maxAttempts: 1 } });
    await expect(asked).rejects.toThrow('insufficient funds');
    expect(broker.dead).toHaveLength(2);
    expect(billing.health().deliveries).toEqual({ handled: 0, failed: 3, underWay: 0 });
  });

  test('the same id or key twice is one command', async () => {
    const { orders, billing } = await pair();
    let charges = 0;
    await billing.onCommand('charge', () => void (charges += 1));
    const first = await orders.sendCommand('billing', 'charge', {}, { idempotencyKey: 'o-42' });
    const again = await orders.sendCommand('billing', 'charge', {}, { idempotencyKey: 'o-42' });
    await again.settled();
    expect([first.duplicate, again.duplicate, again.id === first.id, charges]).toEqual([false, true, true, 1]);
  });

  test('a handler has its deadline', async () => {
    const { orders, billing } = await pair();
    let aborted: AbortSignal | undefined;
    await billing.onCommand(
      'charge',
      (_payload, { signal }) => {
        aborted = signal;
        return new Promise(() => {});
      },
      { timeoutMs: 5 },
    );
    const receipt = await orders.sendCommand('billing', 'charge', {}, { retry: { maxAttempts: 1 } });
    expect(await receipt.settled()).toMatchObject({
      status: 'dead',
      subscriptions: {
        billing: { error: { code: 'ACK_TIMEOUT', message: expect.stringContaining('longer than 5 ms') } },
      },
    });
    expect(aborted?.aborted).toBe(true);
  });

  test('what follows from a message says so', async () => {
    const { broker, orders, billing } = await pair();
    await billing.onCommand('charge', async (_payload, { message, publish }) => {
      await billing.publishEvent('billing.charged', {}, { causedBy: message });
      await publish({ type: 'billing.booked', source: 'billing' });
    });
    const { id } = await orders.sendCommand('billing', 'charge', {}, { correlationId: 'case-7' });
    const follows = await until('both events', () => broker.accepted.length === 3 && broker.accepted.slice(1));
    for (const event of follows)
      expect(event).toMatchObject({ correlationId: 'case-7', causationId: id, kind: 'EVENT' });
  });
});

describe('who is not there', () => {
  test('an unknown target, an action and a query without handler: three errors, and nothing is published', async () => {
    const { broker, orders, billing } = await pair();
    expect(await errorOf(orders.sendCommand('biling', 'charge'))).toMatchObject({
      code: 'UNKNOWN_TARGET',
      message: expect.stringContaining('no system "biling" is known'),
      cause: { code: 'NO_SUBSCRIBER' },
    });
    expect(await codeOf(orders.query('biling', 'balance'))).toBe('UNKNOWN_TARGET');
    expect(await codeOf(orders.sendCommand('billing', 'charge'))).toBe('NO_SUBSCRIBER');
    expect(await codeOf(orders.query('billing', 'balance'))).toBe('NO_HANDLER');
    await billing.onCommand('refund', () => {});
    expect(await errorOf(orders.sendCommand('billing', 'charge'))).toMatchObject({
      code: 'NO_SUBSCRIBER',
      retryable: true,
      details: { target: 'billing', action: 'charge' },
    });
    expect(broker.accepted).toEqual([]);
    expect(Object.keys(orders.health().dependencies)).toEqual(['billing']);
  });

  test('a command for a system that has gone waits for it, and a query does not', async () => {
    const { broker, orders, billing } = await pair();
    await billing.onCommand('charge', () => 'charged');
    await billing.onQuery('balance', () => 7);
    await billing[Symbol.asyncDispose]();
    const receipt = await orders.sendCommand('billing', 'charge', {});
    expect(await receipt.state()).toMatchObject({ status: 'accepted' });
    expect(await codeOf(orders.query('billing', 'balance'))).toBe('NO_HANDLER');
    const next = new SystemConnector('billing', broker);
    await next.onCommand('charge', () => 'charged later');
    expect(await receipt.settled()).toMatchObject({ subscriptions: { billing: { reply: 'charged later' } } });
  });

  test('a command that meets a process without its handler is tried again, then dead with the words that it has', async () => {
    const { broker, orders, billing } = await pair();
    await billing.onCommand('refund', () => {});
    // As from another process: published past the connector's own list.
    await broker.publish({ type: 'charge', target: 'billing', retry: { maxAttempts: 2, initialMs: 1 } });
    await until('the dead letter', () => broker.dead.length === 1);
    expect(broker.dead[0]?.error).toMatchObject({ code: 'NO_SUBSCRIBER', details: { known: ['refund'] } });
    expect(orders.state).toBe('disconnected');
  });

  test('a second handler for one word is refused, and may come when the first is closed', async () => {
    const { orders, billing } = await pair();
    const first = await billing.onCommand('charge', () => 1);
    expect(await codeOf(billing.onCommand('charge', () => 2))).toBe('INVALID_OPTIONS');
    await first.close();
    await billing.onCommand('charge', () => 2);
    expect(await orders.sendCommand('billing', 'charge', {}, { reply: true })).toBe(2);
    await billing.onQuery('balance', () => 1);
    expect(await codeOf(billing.onQuery('balance', () => 2))).toBe('INVALID_OPTIONS');
    await billing.onEvent('a.>', () => {});
    expect(await codeOf(billing.onEvent('a.>', () => {}))).toBe('INVALID_OPTIONS');
  });

  test.each<readonly [unknown, string]>([
    [{ timeoutMs: Number.NaN }, 'timeoutMs: NaN'],
    [{ timeoutMs: -5 }, 'timeoutMs: -5'],
    [{ timeoutMs: 'soon' }, 'timeoutMs: "soon"'],
    [{ timeout: 7 }, 'timeout: no such option (known: timeoutMs'],
    [5, 'options: 5'],
  ])('options of a handler: %o is refused', async (options, words) => {
    const { billing } = await pair();
    for (const refused of [
      billing.onCommand('charge', () => 1, options as never),
      billing.onQuery('balance', () => 1, options as never),
      billing.onEvent('a.>', () => {}, options as never),
    ]) {
      expect(await errorOf(refused)).toMatchObject({
        code: 'INVALID_OPTIONS',
        message: expect.stringContaining(words),
      });
    }
    const error = await errorOf(billing.onEvent('a.>', () => {}, { durable: false, name: 'x' }));
    expect(error.message).toContain('name');
  });
});

describe('queries and events', () => {
  test('a query is answered, or not in time, or given up', async () => {
    const { orders, billing } = await pair();
    await billing.onQuery<{ customer: string }>('balance', ({ customer }) => ({ customer, cents: 7 }));
    await billing.onQuery('never', () => new Promise(() => {}));
    expect(await orders.query('billing', 'balance', { customer: 'c-7' }, { timeoutMs: 2_000 })).toEqual({
      customer: 'c-7',
      cents: 7,
    });
    expect(await errorOf(orders.query('billing', 'never', {}, { timeoutMs: 10 }))).toMatchObject({
      code: 'REQUEST_TIMEOUT',
      retryable: true,
    });
    const signal = AbortSignal.abort(new Error('no longer wanted'));
    await expect(orders.query('billing', 'never', {}, { signal })).rejects.toThrow('no longer wanted');
    expect(orders.health().dependencies['billing']).toMatchObject({
      calls: 3,
      succeeded: 1,
      failed: 1,
      timedOut: 1,
      cancelled: 1,
    });
  });

  test('events reach all who listen; a durable one also what came while it did not', async () => {
    const { broker, orders, billing } = await pair();
    const seen: string[] = [];
    const statistics = new SystemConnector('statistics', broker);
    const listening = await statistics.onEvent<string>('orders.>', (data) => void seen.push(`statistics ${data}`));
    await billing.onEvent<string>('orders.*.paid', (data) => void seen.push(`billing ${data}`), { durable: false });
    const first = await orders.publishEvent('orders.o-1.paid', 'one');
    await first.settled();
    await listening.close();
    await orders.publishEvent('orders.o-2.placed', 'two');
    expect(seen.sort()).toEqual(['billing one', 'statistics one']);
    await statistics.onEvent<string>('orders.>', (data) => void seen.push(`statistics ${data} again`));
    await until('the kept event', () => seen.includes('statistics two again'));
    expect((await orders.publishEvent('nobody.listens', 'three')).subscriptions).toBe(0);
  });
});

test('bad names, options and handlers are refused before anything happens, all faults at once', async () => {
  const broker = new MemoryBroker();
  for (const id of ['', 'a.b', 'a b', '$a', 'x'.repeat(129), 7, undefined]) {
    expect(() => new SystemConnector(id as string, broker), String(id)).toThrow(/is no id of a system/);
  }
  expect(() => new SystemConnector('a', {} as MemoryBroker)).toThrow(/broker is no broker/);
  const wrong = {
    checkEveryMs: 0,
    lostAfterChecks: 1.5,
    colour: 'red',
    transport: { kind: 'x', open: async () => {} },
    policies: {
      bulkhead: { concurrency: 0, size: 3 },
      rateLimit: { permits: '5' },
      breaker: {},
      retry: { maxAttempts: 0 },
    },
    commands: { order: 'random' },
    degraded: { errorRate: 2 },
    forward: 'orders.>',
  };
  let error: (Error & { details?: { faults?: string[] } }) | undefined;
  try {
    new SystemConnector('a', broker, wrong as never);
  } catch (caught) {
    error = caught as Error;
  }
  expect(error?.details?.faults).toHaveLength(12);
  expect(error?.message).toContain('policies.bulkhead.size: no such option (known: concurrency, queue)');
  expect(error?.message).toContain('transport: has no deliver, no close');
  const orders = new SystemConnector('orders', broker);
  expect(await codeOf(orders.sendCommand('a.b', 'charge'))).toBe('INVALID_SUBJECT');
  expect(await codeOf(orders.sendCommand('billing', 'char*ge'))).toBe('INVALID_SUBJECT');
  expect(await codeOf(orders.query('billing', ''))).toBe('INVALID_SUBJECT');
  expect(await codeOf(orders.publishEvent('$command.x', 1))).toBe('INVALID_SUBJECT');
  expect(await codeOf(orders.onCommand('charge', 'handler' as never))).toBe('INVALID_OPTIONS');
  expect(await errorOf(orders.sendCommand('billing', 'charge', {}, { idempotenceKey: 'x' } as never))).toMatchObject({
    code: 'INVALID_OPTIONS',
    message: expect.stringContaining('no such option: idempotenceKey'),
  });
});

describe('coming and going', () => {
  test('a broker that is down: backing off with growing waits, then connected, and what was asked meanwhile has an error', async () => {
    const clock = new ManualClock();
    const broker = new MemoryBroker(clock);
    broker.down = true;
    const options = { broker, backoff: { initialMs: 100, jitter: 'none' as const }, checkEveryMs: 1_000 };
    const made = SystemConnector.startWith('orders', options, { clock });
    await clock.settle();
    await using orders = await made;
    expect(orders.state).toBe('backingOff');
    expect(await errorOf(orders.sendCommand('billing', 'charge'))).toMatchObject({
      code: 'CONNECTOR_UNAVAILABLE',
      retryable: true,
      details: { state: 'backingOff', reason: expect.stringContaining('BROKER_UNAVAILABLE'), retryAfterMs: 100 },
    });
    const states: string[] = [];
    const reading = (async () => {
      for await (const event of orders.events()) if (event.kind === 'state') states.push(event.to);
    })();
    await clock.advance(100);
    await clock.advance(200);
    broker.down = false;
    expect(orders.state).toBe('backingOff');
    await clock.advance(399);
    expect(orders.state).toBe('backingOff');
    await clock.advance(1);
    expect(orders.state).toBe('connected');
    expect(states).toEqual(['connecting', 'backingOff', 'connecting', 'backingOff', 'connecting', 'connected']);
    await orders[Symbol.asyncDispose]();
    await reading;
    expect(states.at(-1)).toBe('disconnected');
  });

  test('failed checks make it degraded, then lost; a passed one makes it well', async () => {
    const clock = new ManualClock();
    const broker = new MemoryBroker(clock);
    const orders = new SystemConnector('orders', broker, { checkEveryMs: 1_000, lostAfterChecks: 3 }, { clock });
    await orders.connect();
    await clock.advance(1_000);
    broker.down = true;
    await clock.advance(1_000);
    expect(orders.health()).toMatchObject({ state: 'degraded', checks: { passed: 1, failed: 1 } });
    broker.down = false;
    await clock.advance(1_000);
    expect(orders.health()).toMatchObject({ state: 'connected', reason: '', checks: { passed: 2, failed: 1 } });
    broker.down = true;
    await clock.advance(2_000);
    expect(orders.state).toBe('degraded');
    await clock.advance(1_000);
    expect(['backingOff', 'connecting']).toContain(orders.state);
    broker.down = false;
    await clock.advance(60_000);
    expect(orders.health()).toMatchObject({ state: 'connected', connections: 2 });
    await orders[Symbol.asyncDispose]();
    await clock.advance(60_000);
    expect(orders.state).toBe('disconnected');
  });

  test('many failed calls make it degraded, and time makes it well again', async () => {
    const clock = new ManualClock();
    const broker = new MemoryBroker(clock);
    const degraded = { ofCalls: 4, errorRate: 0.5, withinMs: 10_000 };
    const orders = new SystemConnector('orders', broker, { degraded }, { clock });
    const billing = new SystemConnector('billing', broker, {}, { clock });
    await billing.onQuery('broken', () => {
      throw new Error('broken');
    });
    for (let i = 0; i < 4; i++) {
      expect(orders.state).not.toBe('degraded');
      await expect(orders.query('billing', 'broken')).rejects.toThrow('broken');
    }
    await clock.settle();
    expect(orders.health()).toMatchObject({ state: 'degraded', reason: expect.stringContaining('billing') });
    expect(orders.health().dependencies['billing']).toMatchObject({ errorRate: 1, failed: 4 });
    await clock.advance(15_000);
    expect(orders.state).toBe('connected');
  });

  test('stopped on purpose: nothing goes out or comes in, until it is connected again', async () => {
    const { broker, orders, billing } = await pair();
    await billing.onCommand('charge', () => 'charged');
    await billing.disconnect();
    expect(billing.state).toBe('stopped');
    expect(await errorOf(billing.publishEvent('a', 1))).toMatchObject({
      code: 'CONNECTOR_UNAVAILABLE',
      message: expect.stringContaining('connect() starts it again'),
    });
    const receipt = await orders.sendCommand('billing', 'charge', {});
    await new Promise<void>((resolve) => {
      systemClock.defer(resolve);
    });
    expect(await receipt.state()).toMatchObject({ status: 'accepted' });
    await billing.connect();
    expect(await receipt.settled()).toMatchObject({ status: 'handled' });
    await billing[Symbol.asyncDispose]();
    expect(await codeOf(billing.connect())).toBe('CONNECTOR_UNAVAILABLE');
    expect(broker.dead).toEqual([]);
  });

  test('disposal finishes what is being handled', async () => {
    const { orders, billing } = await pair();
    let finish = (): void => {};
    await billing.onCommand(
      'charge',
      () =>
        new Promise<void>((resolve) => {
          finish = resolve;
        }),
    );
    const receipt = await orders.sendCommand('billing', 'charge', {});
    await until('the handler', () => billing.health().deliveries.underWay === 1);
    let disposed = false;
    const disposing = billing[Symbol.asyncDispose]().then(() => {
      disposed = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(disposed).toBe(false);
    finish();
    await disposing;
    expect(await receipt.state()).toMatchObject({ status: 'handled' });
  });
});

test('on a system of actors the chart is a durable actor, and a target is known by it', async () => {
  await using test = await createTestSystem({});
  const broker = new MemoryBroker(test.clock);
  const start = (id: string): Promise<SystemConnector> => {
    const made = SystemConnector.startWith(id, { broker, system: test.system }, { clock: test.clock });
    return made;
  };
  const [orders] = await Promise.all([start('orders'), test.settle()]);
  expect(orders.state).toBe('connected');
  const sight = await test.system.refOf('connector/orders').snapshot();
  expect((sight.view as { tags: string[] }).tags).toContain('connected');
});
