/** Bridges, functions and transports of one's own, with the policies around them; and degraded over a transport. */
import { describe, expect, test } from 'vitest';
import { brokerTransport } from '../../../actors/connector/broker-transport.ts';
import type { CallBreaker } from '../../../actors/connector/call-guard.ts';
import { handlerTransport } from '../../../actors/connector/handler-transport.ts';
import { SystemConnector } from '../../../actors/connector/system-connector.ts';
import type { ConnectorTransport, TransportContext } from '../../../actors/connector/transport.ts';
import { CircuitOpenError, ConnectorUnavailableError } from '../../../runtime/kernel/errors.ts';
import { ManualClock } from '../../../runtime/testing/index.ts';
import { MemoryBroker } from '../../support/memory-broker.ts';
import { codeOf, errorOf, until } from '../../support/until.ts';

describe('a bridge to another broker', () => {
  test('commands, queries and events cross it, ids and all', async () => {
    const here = new MemoryBroker();
    const there = new MemoryBroker();
    await using far = new SystemConnector('billing', there);
    await far.onCommand('charge', () => 'charged');
    await far.onQuery('balance', () => 7);
    const seen: unknown[] = [];
    await far.onEvent('orders.>', (data, { message }) => void seen.push([data, message.source]));
    await using billing = await SystemConnector.start('billing', {
      broker: here,
      transport: brokerTransport(there),
      forward: ['orders.>'],
    });
    await using orders = new SystemConnector('orders', here);
    expect(billing.health().transport).toBe('broker');
    expect(await orders.sendCommand('billing', 'charge', {}, { reply: true })).toBe('charged');
    expect(await orders.query('billing', 'balance')).toBe(7);
    const receipt = await orders.sendCommand('billing', 'charge', {});
    await receipt.settled();
    expect(there.accepted.at(-1)).toMatchObject({ id: receipt.id, source: 'orders', correlationId: receipt.id });
    await orders.publishEvent('orders.o-1.placed', 1);
    await until('the event', () => seen.length === 1);
    expect(seen).toEqual([[1, 'orders']]);
    expect(await codeOf(orders.query('billing', 'unknown'))).toBe('NO_HANDLER');
  });

  test('while the other broker is away commands wait, and none is lost or doubled', async () => {
    const here = new MemoryBroker();
    const there = new MemoryBroker();
    await using far = new SystemConnector('billing', there, { checkEveryMs: 1e9 });
    const handled: number[] = [];
    await far.onCommand<number>('count', (n) => void handled.push(n));
    there.down = true;
    let opened = 0;
    let closed = 0;
    const transport = brokerTransport(async () => {
      opened += 1;
      return Object.assign(there, { close: async () => void (closed += 1) });
    });
    await using billing = await SystemConnector.start('billing', {
      broker: here,
      transport,
      backoff: { initialMs: 1, maxMs: 5 },
      checkEveryMs: 5,
    });
    expect(billing.state).not.toBe('connected');
    await using orders = new SystemConnector('orders', here);
    // Not there yet, and its queue is: what is sent to it now waits.
    for (let n = 0; n < 10; n++) await orders.sendCommand('billing', 'count', n);
    expect(handled).toEqual([]);
    there.down = false;
    await until('the connection', () => billing.state === 'connected');
    for (let n = 10; n < 50; n++) {
      if (n === 20) there.down = true;
      if (n === 40) there.down = false;
      await orders.sendCommand('billing', 'count', n);
    }
    await until('all of them', () => handled.length >= 50);
    expect(handled).toEqual(Array.from({ length: 50 }, (_, n) => n));
    expect(here.dead).toEqual([]);
    await billing[Symbol.asyncDispose]();
    expect(closed).toBe(opened);
  });

  test('what is no broker is refused', () => {
    expect(() => brokerTransport({} as never)).toThrow(/expected a broker/);
  });
});

/** Opens at the third failure in a row for `openMs`; the first call after that decides. */
class TimedBreaker implements CallBreaker {
  state = 'closed';
  readonly log: string[] = [];
  readonly #clock: ManualClock;
  readonly #openMs: number;
  #failures = 0;
  #untilMs = 0;

  constructor(clock: ManualClock, openMs: number) {
    this.#clock = clock;
    this.#openMs = openMs;
  }

  async execute<T>(call: (signal: AbortSignal | undefined) => Promise<T>): Promise<T> {
    const leftMs = this.#untilMs - this.#clock.now();
    if (this.state === 'open' && leftMs > 0) throw new CircuitOpenError('open', { details: { retryAfterMs: leftMs } });
    if (this.state === 'open') this.#enter('half-open');
    try {
      const value = await call(new AbortController().signal);
      this.#failures = 0;
      if (this.state !== 'closed') this.#enter('closed');
      return value;
    } catch (error) {
      this.#failures += 1;
      if (this.state === 'half-open' || (this.state === 'closed' && this.#failures >= 3)) {
        this.#untilMs = this.#clock.now() + this.#openMs;
        this.#enter('open');
      }
      throw error;
    }
  }

  #enter(state: string): void {
    this.state = state;
    this.log.push(state);
  }
}

describe('functions as a system', () => {
  test('a failing one opens its breaker; commands wait for it, queries do not; then it closes, and all are handled', async () => {
    const clock = new ManualClock();
    const broker = new MemoryBroker(clock);
    const breaker = new TimedBreaker(clock, 1_000);
    let broken = true;
    const handled: number[] = [];
    const transport = handlerTransport({
      commands: {
        refuel: (n: number) => {
          if (broken) throw new Error('the pump is broken');
          handled.push(n);
        },
      },
      queries: { level: () => 7 },
    });
    const options = {
      broker,
      transport,
      policies: { breaker },
      commands: { retry: { maxAttempts: 5, initialMs: 10, jitter: 'none' as const } },
      degraded: { ofCalls: 3 },
    };
    const [ground] = await Promise.all([SystemConnector.startWith('ground', options, { clock }), clock.settle()]);
    const orders = new SystemConnector('orders', broker, {}, { clock });
    const receipts = [];
    for (let n = 0; n < 10; n++) receipts.push(await orders.sendCommand('ground', 'refuel', n));
    await clock.advance(200);
    expect(breaker.log).toEqual(['open']);
    expect(ground.health()).toMatchObject({
      state: 'degraded',
      dependencies: { ground: { failed: 3, breaker: 'open' } },
    });
    expect(await codeOf(orders.query('ground', 'level'))).toBe('CIRCUIT_OPEN');
    broken = false;
    await clock.advance(2_000);
    expect(breaker.log).toEqual(['open', 'half-open', 'closed']);
    expect(handled).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(broker.dead.filter(({ message }) => message.kind === 'COMMAND')).toEqual([]);
    for (const receipt of receipts) expect(await receipt.state()).toMatchObject({ status: 'handled' });
    await clock.advance(60_000);
    expect(ground.state).toBe('connected');
  });

  test('a bulkhead and a rate limit hold its commands back, and lose none', async () => {
    const clock = new ManualClock();
    const broker = new MemoryBroker(clock);
    let running = 0;
    let most = 0;
    const startsMs: number[] = [];
    const transport = handlerTransport({
      commands: {
        refuel: async () => {
          startsMs.push(clock.now());
          running += 1;
          most = Math.max(most, running);
          await new Promise<void>((resolve) => {
            clock.wait(500, resolve);
          });
          running -= 1;
        },
      },
    });
    const policies = { bulkhead: { concurrency: 2 }, rateLimit: { permits: 2, perMs: 1_000, burst: 1 } };
    const [ground] = await Promise.all([
      SystemConnector.startWith('ground', { broker, transport, policies }, { clock }),
      clock.settle(),
    ]);
    for (let n = 0; n < 6; n++) {
      await new SystemConnector(`orders${n}`, broker, {}, { clock }).sendCommand('ground', 'refuel', n);
    }
    await clock.advance(10_000);
    expect(most).toBeLessThanOrEqual(2);
    expect(startsMs.map((ms) => ms - (startsMs[0] ?? 0))).toEqual([0, 500, 1_000, 1_500, 2_000, 2_500]);
    expect(ground.health()).toMatchObject({
      deliveries: { handled: 6, failed: 0 },
      dependencies: { ground: { refused: { bulkhead: 0, rateLimit: 0 } } },
    });
  });

  test('words that it does not know have the errors of a local system, and handlers beside it are refused', async () => {
    const broker = new MemoryBroker();
    await using ground = await SystemConnector.start('ground', { broker, transport: handlerTransport({}) });
    await using orders = new SystemConnector('orders', broker);
    expect(await codeOf(orders.query('ground', 'toString'))).toBe('NO_HANDLER');
    const once = { maxAttempts: 1 };
    expect(await codeOf(orders.sendCommand('ground', 'constructor', {}, { reply: true, retry: once }))).toBe(
      'NO_SUBSCRIBER',
    );
    expect(await errorOf(ground.onCommand('refuel', () => {}))).toMatchObject({
      code: 'INVALID_OPTIONS',
      message: expect.stringContaining('over its transport (handlers)'),
    });
  });
});

test('a system that is away from the start: its commands wait in the broker, and lose one try at most', async () => {
  const clock = new ManualClock();
  const broker = new MemoryBroker(clock);
  let away = true;
  const attempts: number[] = [];
  const transport: ConnectorTransport = {
    kind: 'pigeon',
    open: async () => {
      if (away) throw new ConnectorUnavailableError('no pigeon');
    },
    deliver: async () => {},
    close: async () => {},
  };
  const retry = { maxAttempts: 2, initialMs: 10, jitter: 'none' as const };
  const options = { broker, transport, backoff: { maxMs: 1_000 }, commands: { retry } };
  const [pigeon] = await Promise.all([SystemConnector.startWith('pigeon', options, { clock }), clock.settle()]);
  void (async () => {
    for await (const event of pigeon.events()) if (event.kind === 'delivery_failed') attempts.push(event.attempt);
  })();
  const orders = new SystemConnector('orders', broker, {}, { clock });
  const receipt = await orders.sendCommand('pigeon', 'fly', 1);
  await clock.advance(600_000);
  expect(attempts).toEqual([1]);
  expect(broker.waiting('pigeon')).toBe(1);
  away = false;
  await clock.advance(5_000);
  expect(await receipt.state()).toMatchObject({ status: 'handled', subscriptions: { pigeon: { attempt: 2 } } });
});

test('a transport of one’s own: it says that it is lost, is closed and opened again, and may not answer for ever', async () => {
  const clock = new ManualClock();
  const broker = new MemoryBroker(clock);
  const log: string[] = [];
  let context: TransportContext | undefined;
  let hang = false;
  const transport: ConnectorTransport = {
    kind: 'pigeon',
    open: async (given) => {
      log.push('open');
      context = given;
      if (hang) await new Promise(() => {});
    },
    deliver: async (message) => {
      if (message.type === 'fall') throw new ConnectorUnavailableError('the pigeon is gone');
      return `${message.type} delivered`;
    },
    close: async () => void log.push('close'),
  };
  const options = { broker, transport, connectTimeoutMs: 100, backoff: { initialMs: 50, jitter: 'none' as const } };
  const [pigeon] = await Promise.all([SystemConnector.startWith('pigeon', options, { clock }), clock.settle()]);
  const orders = new SystemConnector('orders', broker, {}, { clock });
  expect(await orders.sendCommand('pigeon', 'fly', 1, { reply: true })).toBe('fly delivered');
  hang = true;
  context?.lost(new Error('the rope broke'));
  await clock.settle();
  expect(pigeon.health()).toMatchObject({ state: 'backingOff', reason: 'the rope broke' });
  await clock.advance(60);
  expect(pigeon.state).toBe('connecting');
  await clock.advance(100);
  expect(pigeon.state).toBe('backingOff');
  hang = false;
  await clock.advance(150);
  expect([pigeon.state, log]).toEqual(['connected', ['open', 'close', 'open', 'close', 'open']]);
  const falling = codeOf(orders.query('pigeon', 'fall'));
  await clock.advance(1);
  expect(await falling).toBe('CONNECTOR_UNAVAILABLE');
  expect(pigeon.state).toBe('backingOff');
  expect(await codeOf(orders.query('pigeon', 'fly'))).toBe('CONNECTOR_UNAVAILABLE');
  await clock.advance(1_000);
  expect(await orders.query('pigeon', 'fly')).toBe('fly delivered');
});
