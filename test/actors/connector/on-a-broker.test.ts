/** Connectors on the real broker: the specification's snippets as written, over restarts, and one trace through all of it. */
import { describe, expect, test } from 'vitest';
import { connector } from '../../../actors/connector/connector-actor.ts';
import { ConnectorServer } from '../../../actors/connector/connector-server.ts';
import { httpTransport } from '../../../actors/connector/http-transport.ts';
import { handlerTransport } from '../../../actors/connector/handler-transport.ts';
import { SystemConnector } from '../../../actors/connector/system-connector.ts';
import { MessageBroker } from '../../../runtime/broker/message-broker.ts';
import { ContractRegistry } from '../../../runtime/broker/contracts/contract-registry.ts';
import { ActorSystem, brokerActors } from '../../../runtime/index.ts';
import { tmpDir } from '../../support/tmp-dir.ts';
import { codeOf, errorOf, until } from '../../support/until.ts';

const start = (dataDir?: string): Promise<ActorSystem> =>
  ActorSystem.start({
    threads: 1,
    actors: [connector.module, brokerActors],
    ...(dataDir === undefined ? {} : { dataDir }),
  });

describe('the snippets of the specification, in camel case', () => {
  test('as written', async () => {
    await using system = await start();
    await using broker = await MessageBroker.start({ system });

    const inventory = new SystemConnector('inventory', broker);
    await inventory.onCommand('reserve', async ({ sku }: { sku: string }) => ({ reserved: sku }));
    await inventory.onQuery('stock', async ({ sku }: { sku: string }) => ({ sku, count: 12 }));
    const heard: unknown[] = [];
    const shipping = new SystemConnector('shipping', broker);
    await shipping.onEvent('orders.>', (data) => void heard.push(data));

    const orders = new SystemConnector('orders', broker);
    const receipt = await orders.sendCommand('inventory', 'reserve', { sku: 's-1' }, { delivery: 'EXACTLY_ONCE' });
    const placed = await orders.publishEvent('orders.placed', { id: 'o-1' });
    const stock = await orders.query('inventory', 'stock', { sku: 's-1' }, { timeoutMs: 2_000 });

    expect(stock).toEqual({ sku: 's-1', count: 12 });
    expect(await receipt.settled()).toMatchObject({ status: 'handled' });
    expect(await placed.settled()).toMatchObject({ status: 'handled' });
    expect(heard).toEqual([{ id: 'o-1' }]);
    expect(await broker.receipt(receipt.id)).toMatchObject({ status: 'handled' });
    for (const one of [orders, shipping, inventory]) await one[Symbol.asyncDispose]();
  });
});

test('who is not there, what is expired, what comes twice: typed errors, and a sender learns', async () => {
  await using system = await start();
  await using broker = await MessageBroker.start({ system });
  await using orders = await SystemConnector.start('orders', { broker, system });
  await using billing = await SystemConnector.start('billing', { broker, system });
  expect(await codeOf(orders.sendCommand('biling', 'charge'))).toBe('UNKNOWN_TARGET');
  expect(await codeOf(orders.query('biling', 'balance'))).toBe('UNKNOWN_TARGET');
  expect(await codeOf(orders.sendCommand('billing', 'charge'))).toBe('NO_SUBSCRIBER');
  expect(await codeOf(orders.query('billing', 'balance'))).toBe('NO_HANDLER');
  const handled: unknown[] = [];
  await billing.onCommand('charge', (payload) => void handled.push(payload));
  await billing.onCommand('fail', () => {
    throw new Error('insufficient funds');
  });
  expect(await codeOf(orders.sendCommand('billing', 'refund'))).toBe('NO_SUBSCRIBER');
  await expect(
    orders.sendCommand('billing', 'fail', {}, { reply: true, retry: { maxAttempts: 2, initialMs: 1 } }),
  ).rejects.toThrow('insufficient funds');
  await billing.disconnect();
  const late = await orders.sendCommand('billing', 'charge', 'too late', { ttlMs: 1 });
  const once = await orders.sendCommand('billing', 'charge', 'once', { idempotencyKey: 'k', delivery: 'EXACTLY_ONCE' });
  const twice = await orders.sendCommand('billing', 'charge', 'twice', {
    idempotencyKey: 'k',
    delivery: 'EXACTLY_ONCE',
  });
  expect([once.duplicate, twice.duplicate]).toEqual([false, true]);
  await new Promise((resolve) => setTimeout(resolve, 5));
  await billing.connect();
  expect(await late.settled()).toMatchObject({
    status: 'dead',
    subscriptions: { billing: { error: { code: 'MESSAGE_EXPIRED' } } },
  });
  expect(await twice.settled()).toMatchObject({ status: 'handled' });
  expect(handled).toEqual(['once']);
});

test('a query whose handler throws is asked once, also over a transport: its error is the caller’s, at once', async () => {
  await using system = await start();
  await using broker = await MessageBroker.start({ system });
  await using orders = await SystemConnector.start('orders', { broker, system });
  await using billing = await SystemConnector.start('billing', { broker, system });
  let asked = 0;
  const fail = (): never => {
    asked += 1;
    throw new Error('no such customer');
  };
  await billing.onQuery('balance', fail);
  const transport = handlerTransport({ queries: { balance: fail } });
  await using legacy = await SystemConnector.start('legacy', { broker, system, transport });
  await expect(orders.query('billing', 'balance')).rejects.toThrow('no such customer');
  expect(asked).toBe(1);
  await expect(orders.query('legacy', 'balance')).rejects.toThrow('no such customer');
  expect([asked, legacy.health().deliveries.failed]).toEqual([2, 1]);
});

test('a system whose process is gone is known by its queue: a query has no handler, not an unknown target', async () => {
  await using system = await start();
  await using broker = await MessageBroker.start({ system });
  await using orders = await SystemConnector.start('orders', { broker, system });
  // As a connector of another process has made it.
  await broker.subscribe('$command.billing.>', () => {}, { name: 'billing' });
  expect(await codeOf(orders.query('billing', 'balance'))).toBe('NO_HANDLER');
  expect(await codeOf(orders.query('biling', 'balance'))).toBe('UNKNOWN_TARGET');
});

test('a payload that its contract does not allow: the sender is told path and rule, also over HTTP, and nothing is sent', async () => {
  await using system = await start();
  const contracts = new ContractRegistry();
  contracts.register({
    type: 'charge',
    schema: { type: 'object', required: ['cents'], properties: { cents: { type: 'number' } } },
  });
  await using far = await MessageBroker.start({ system, contracts });
  await using near = await MessageBroker.start({ system, name: 'near' });
  await using billing = await SystemConnector.start('billing', { broker: far });
  const handled: unknown[] = [];
  await billing.onCommand('charge', (payload) => void handled.push(payload));
  await using orders = await SystemConnector.start('orders', { broker: far });
  const faults = [{ path: '/cents', rule: 'type' }];
  expect(await errorOf(orders.sendCommand('billing', 'charge', { cents: '990' }))).toMatchObject({
    code: 'CONTRACT_VIOLATION',
    details: { faults },
  });
  await using server = await ConnectorServer.start({ broker: far });
  const transport = httpTransport({ url: server.url });
  await using _bridge = await SystemConnector.start('billing', { broker: near, transport });
  await using shop = await SystemConnector.start('shop', { broker: near });
  expect(await errorOf(shop.sendCommand('billing', 'charge', { cents: '990' }, { reply: true }))).toMatchObject({
    code: 'CONTRACT_VIOLATION',
    details: { faults },
  });
  expect(server.figures().answers['422']).toBe(1);
  await shop.sendCommand('billing', 'charge', { cents: 990 }, { reply: true });
  expect(handled).toEqual([{ cents: 990 }]);
});

test('commands that were accepted survive the process, and are handled in order by the next one', async () => {
  await using dir = await tmpDir('connectors');
  const handled: number[] = [];
  {
    await using system = await start(dir.path);
    await using broker = await MessageBroker.start({ system });
    await using orders = await SystemConnector.start('orders', { broker, system });
    await using billing = await SystemConnector.start('billing', { broker, system });
    await billing.onCommand<number>('count', (n) => void handled.push(n));
    for (let n = 0; n < 10; n++) await (await orders.sendCommand('billing', 'count', n)).settled();
    await billing[Symbol.asyncDispose]();
    for (let n = 10; n < 30; n++) await orders.sendCommand('billing', 'count', n);
  }
  await using system = await start(dir.path);
  await using broker = await MessageBroker.start({ system });
  await using billing = await SystemConnector.start('billing', { broker, system });
  await billing.onCommand<number>('count', (n) => void handled.push(n));
  await until('all of them', () => handled.length >= 30);
  expect(handled).toEqual(Array.from({ length: 30 }, (_, n) => n));
});

test('a breaker of the actor system opens and closes again, and the commands are handled', async () => {
  await using system = await start();
  await using broker = await MessageBroker.start({ system });
  let broken = true;
  let tries = 0;
  const handled: number[] = [];
  const transport = handlerTransport({
    commands: {
      refuel: (n: number) => {
        tries += 1;
        if (broken) throw new Error('the pump is broken');
        handled.push(n);
      },
    },
  });
  const breaker = { policy: { kind: 'consecutive', failures: 3 }, openMs: 500, openFactor: 1 } as const;
  const commands = { retry: { maxAttempts: 50, initialMs: 1, maxMs: 5 } };
  await using ground = await SystemConnector.start('ground', {
    broker,
    system,
    transport,
    policies: { breaker },
    commands,
  });
  await using orders = await SystemConnector.start('orders', { broker, system });
  for (let n = 0; n < 20; n++) await orders.sendCommand('ground', 'refuel', n);
  await until('the open circuit', () => ground.health().dependencies['ground']?.breaker === 'open');
  const triesAtOpening = tries;
  expect(triesAtOpening).toBe(3);
  broken = false;
  await until('all of them', () => handled.length === 20);
  expect(handled).toEqual(Array.from({ length: 20 }, (_, n) => n));
  await until('the closed circuit', () => ground.health().dependencies['ground']?.breaker === 'closed');
  expect(await errorOf(SystemConnector.start('other', { broker, policies: { breaker: true } }))).toMatchObject({
    code: 'INVALID_OPTIONS',
    message: expect.stringContaining('there is no system'),
  });
});

test('one trace and one correlation through connector, broker, HTTP, the other broker, handler and reply', async () => {
  await using here = await start();
  await using there = await start();
  await using near = await MessageBroker.start({ system: here, name: 'near' });
  await using far = await MessageBroker.start({ system: there, name: 'far' });
  await using billing = await SystemConnector.start('billing', { broker: far, system: there });
  const seen: unknown[] = [];
  await billing.onCommand('charge', async (_payload, { message }) => {
    seen.push([message.traceparent?.slice(3, 35), message.correlationId]);
    await billing.publishEvent('billing.charged', { at: new Date(0) });
    return { charged: 990n, at: new Date(7) };
  });
  await billing.onEvent(
    'billing.>',
    (data, { message }) => void seen.push([message.traceparent?.slice(3, 35), message.correlationId, data]),
  );
  await using server = await ConnectorServer.start({ broker: far, system: there });
  await using _bridge = await SystemConnector.start('billing', {
    broker: near,
    system: here,
    transport: httpTransport({ url: server.url }),
  });
  await using orders = await SystemConnector.start('orders', { broker: near, system: here });
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const reply = await orders.sendCommand(
    'billing',
    'charge',
    { cents: 990n },
    { reply: true, correlationId: 'case-7', traceparent: `00-${traceId}-b7ad6b7169203331-01` },
  );
  // What JSON cannot say goes over HTTP all the same.
  expect(reply).toEqual({ charged: 990n, at: new Date(7) });
  await until('the event', () => seen.length === 2);
  expect(seen).toEqual([
    [traceId, 'case-7'],
    [traceId, 'case-7', { at: new Date(0) }],
  ]);
});
