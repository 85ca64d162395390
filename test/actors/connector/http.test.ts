/** Systems over HTTP: they look like local ones, and bad input gets an answer with a reason. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { ConnectorServer, type ConnectorServerOptions } from '../../../actors/connector/connector-server.ts';
import { httpTransport, type HttpTransportOptions } from '../../../actors/connector/http-transport.ts';
import { SystemConnector } from '../../../actors/connector/system-connector.ts';
import { HandlerError, RateLimitedError } from '../../../runtime/kernel/errors.ts';
import { MemoryBroker } from '../../support/memory-broker.ts';
import { codeOf, errorOf, until } from '../../support/until.ts';

const cleanups: AsyncDisposable[] = [];
const kept = <T extends AsyncDisposable>(thing: T): T => {
  cleanups.push(thing);
  return thing;
};
afterEach(async () => {
  for (const thing of cleanups.splice(0).reverse()) await thing[Symbol.asyncDispose]();
});

/** Somewhere else: a broker with a billing system, behind a server. */
const remote = async (
  options: Omit<ConnectorServerOptions, 'broker'> = {},
): Promise<{ readonly broker: MemoryBroker; readonly billing: SystemConnector; readonly server: ConnectorServer }> => {
  const broker = new MemoryBroker();
  const billing = kept(new SystemConnector('billing', broker));
  await billing.onCommand<{ cents: number }>('charge', ({ cents }) => {
    if (cents < 0) throw new HandlerError('negative');
    return cents === 0 ? undefined : { charged: cents };
  });
  await billing.onQuery('balance', (params) => ({ cents: 7, params }));
  await billing.onQuery('limited', () => {
    throw new RateLimitedError('slowly', { details: { retryAfterMs: 2_500 } });
  });
  await billing.onQuery('bytes', () => new Uint8Array([1, 2, 3]));
  await billing.onQuery('nothing', () => undefined);
  const server = kept(await ConnectorServer.start({ broker, requestTimeoutMs: 300, ...options }));
  return { broker, billing, server };
};

/** Here: callers, and a connector that leads there. */
const local = async (
  url: string,
  options: Partial<HttpTransportOptions> = {},
): Promise<{ readonly broker: MemoryBroker; readonly orders: SystemConnector; readonly billing: SystemConnector }> => {
  const broker = new MemoryBroker();
  const transport = httpTransport({ url, ...options });
  const backoff = { initialMs: 5, maxMs: 20 };
  const billing = kept(
    await SystemConnector.start('billing', { broker, transport, backoff, checkEveryMs: 20, forward: ['orders.>'] }),
  );
  const orders = kept(new SystemConnector('orders', broker));
  return { broker, orders, billing };
};

/** A plain server that is no connector. */
const plain = async (
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void,
): Promise<{ readonly url: string; readonly server: Server }> => {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += String(chunk);
    });
    request.on('end', () => answer(request, response, body));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  kept({
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, server };
};

describe.each(['binary', 'structured'] as const)('a remote system, %s', (mode) => {
  test('looks like a local one', async () => {
    const there = await remote();
    const { orders, billing } = await local(there.server.url, { mode });
    expect(billing.health()).toMatchObject({ state: 'connected', transport: 'http' });
    expect(await orders.sendCommand('billing', 'charge', { cents: 990 }, { reply: true })).toEqual({ charged: 990 });
    expect(await orders.sendCommand('billing', 'charge', { cents: 0 }, { reply: true })).toBeUndefined();
    expect(await orders.query('billing', 'balance', { customer: 'Käthe "x" 100 %' })).toEqual({
      cents: 7,
      params: { customer: 'Käthe "x" 100 %' },
    });
    expect(await orders.query('billing', 'bytes')).toEqual(new Uint8Array([1, 2, 3]));
    expect(await orders.query('billing', 'nothing')).toBeUndefined();
    const receipt = await orders.sendCommand(
      'billing',
      'charge',
      { cents: 1 },
      { extensions: { tenant: 'ä b%' }, key: 'k 1' },
    );
    expect(await receipt.settled()).toMatchObject({ status: 'handled' });
    const arrived = there.broker.accepted.at(-1);
    expect(arrived).toMatchObject({
      id: receipt.id,
      kind: 'COMMAND',
      type: 'charge',
      source: 'orders',
      target: 'billing',
      payload: { cents: 1 },
      correlationId: receipt.id,
      key: 'k 1',
      extensions: { tenant: 'ä b%' },
    });
    const event = await orders.publishEvent('orders.o-1.placed', new Uint8Array([9, 8]));
    await event.settled();
    expect(there.broker.accepted.at(-1)).toMatchObject({
      id: event.id,
      kind: 'EVENT',
      payload: new Uint8Array([9, 8]),
    });
  });

  test('its errors are the errors of a local one', async () => {
    const there = await remote();
    const { orders } = await local(there.server.url, { mode });
    expect(await codeOf(orders.query('billing', 'unknown'))).toBe('NO_HANDLER');
    expect(await codeOf(orders.sendCommand('billing', 'charge', { cents: -1 }, { reply: true }))).toBe(
      'HANDLER_FAILED',
    );
    expect(await errorOf(orders.query('billing', 'limited'))).toMatchObject({
      code: 'RATE_LIMITED',
      message: 'slowly',
      retryable: true,
      details: { retryAfterMs: 2_500 },
    });
    expect(JSON.stringify(await errorOf(orders.query('billing', 'limited')))).not.toContain('http.test.ts');
  });
});

test('the same command twice is one there, too', async () => {
  const there = await remote();
  const { orders } = await local(there.server.url);
  for (let i = 0; i < 2; i++) {
    const receipt = await orders.sendCommand('billing', 'charge', { cents: 5 }, { idempotencyKey: 'o-42' });
    await receipt.settled();
  }
  expect(there.broker.accepted.filter(({ idempotencyKey }) => idempotencyKey === 'o-42')).toHaveLength(1);
  const again = await fetch(there.server.url, {
    method: 'POST',
    headers: {
      'ce-specversion': '1.0',
      'ce-id': 'x',
      'ce-source': 's',
      'ce-type': 'charge',
      'ce-kind': 'COMMAND',
      'ce-target': 'billing',
      'idempotency-key': 'o-42',
    },
  });
  expect([again.status, ((await again.json()) as { duplicate: boolean }).duplicate]).toEqual([202, true]);
});

test('a server that dies and returns in mid-traffic: backing off, connected again, nothing lost or doubled', {
  timeout: 60_000,
}, async () => {
  const there = await remote();
  const port = Number(new URL(there.server.url).port);
  const { broker, orders, billing } = await local(there.server.url);
  const states: string[] = [];
  void (async () => {
    for await (const event of billing.events()) if (event.kind === 'state') states.push(event.to);
  })();
  const handled: number[] = [];
  await there.billing.onCommand<number>('count', (n) => void handled.push(n));
  const send = async (from: number, to: number): Promise<void> => {
    for (let n = from; n < to; n++) await orders.sendCommand('billing', 'count', n);
  };
  const before = send(0, 100);
  await until('some of them', () => handled.length > 20);
  await there.server.close();
  await before;
  await send(100, 200);
  await until('backing off', () => states.includes('backingOff'));
  expect(await errorOf(orders.query('billing', 'balance'))).toMatchObject({ code: 'CONNECTOR_UNAVAILABLE' });
  expect(handled.length).toBeLessThan(200);
  kept(await ConnectorServer.start({ broker: there.broker, port }));
  await send(200, 300);
  await until('all of them', () => new Set(handled).size === 300);
  expect(handled.filter((n, i) => handled.indexOf(n) !== i)).toEqual([]);
  expect(handled).toEqual([...handled].sort((a, b) => a - b));
  expect(broker.dead.filter(({ message }) => message.kind === 'COMMAND')).toEqual([]);
  expect(states).toContain('connected');
  expect(billing.health().connections).toBeGreaterThan(1);
});

describe('what a client that is no connector answers', () => {
  const answering = async (
    status: number,
    headers: Record<string, string> = {},
    body = '',
  ): Promise<SystemConnector> => {
    const { url } = await plain((_request, response) => {
      response.writeHead(status, headers);
      response.end(body);
    });
    const { orders } = await local(url, { healthUrl: false, replyLimitBytes: 1_000 });
    return orders;
  };

  test.each([
    [400, {}, 'INVALID_MESSAGE', false, undefined],
    [401, {}, 'REMOTE_REFUSED', false, undefined],
    [404, {}, 'NO_HANDLER', true, undefined],
    [409, {}, 'REMOTE_REFUSED', false, undefined],
    [413, {}, 'MESSAGE_TOO_LARGE', false, undefined],
    [429, { 'retry-after': '3' }, 'RATE_LIMITED', true, 3_000],
    [500, {}, 'REMOTE_FAILED', true, undefined],
    [502, { 'retry-after': 'soon' }, 'REMOTE_FAILED', true, undefined],
    [504, {}, 'REQUEST_TIMEOUT', true, undefined],
    [301, { location: 'http://elsewhere/' }, 'REMOTE_REFUSED', false, undefined],
    [503, { 'retry-after': '7' }, 'CONNECTOR_UNAVAILABLE', true, 7_000],
  ])('%i %o is %s', async (status, headers, code, retryable, retryAfterMs) => {
    const orders = await answering(status, headers as Record<string, string>);
    const error = await errorOf(orders.query('billing', 'balance'));
    expect(error).toMatchObject({ code, retryable });
    expect(error.details?.['retryAfterMs']).toBe(retryAfterMs);
  });

  test('a date says when, too', async () => {
    const orders = await answering(429, { 'retry-after': new Date(Date.now() + 60_000).toUTCString() });
    const { details } = await errorOf(orders.query('billing', 'balance'));
    expect(details?.['retryAfterMs']).toBeGreaterThan(57_000);
    expect(details?.['retryAfterMs']).toBeLessThan(61_000);
  });

  test('a body beyond the limit, JSON that is none, a problem that is none', async () => {
    const large = await answering(200, { 'content-type': 'application/json' }, JSON.stringify('x'.repeat(1_000)));
    expect(await errorOf(large.query('billing', 'balance'))).toMatchObject({
      code: 'MESSAGE_TOO_LARGE',
      details: { limitBytes: 1_000 },
    });
    const wrong = await answering(200, { 'content-type': 'application/json' }, '{');
    expect(await codeOf(wrong.query('billing', 'balance'))).toBe('REMOTE_FAILED');
    const text = await answering(200, { 'content-type': 'text/plain' }, 'seven');
    expect(await text.query('billing', 'balance')).toBe('seven');
    for (const body of [
      '{',
      '[]',
      'null',
      '{"error":{"name":1}}',
      '{"error":{"name":"X","code":"Y","message":"Z","cause":7}}',
    ]) {
      const orders = await answering(500, { 'content-type': 'application/problem+json' }, body);
      expect(await codeOf(orders.query('billing', 'balance')), body).toBe('REMOTE_FAILED');
    }
  });

  test('no answer, half an answer, and nobody there', async () => {
    const { url } = await plain((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half');
      setImmediate(() => response.destroy());
    });
    const half = await local(url, { healthUrl: false });
    expect(await codeOf(half.orders.query('billing', 'balance'))).toBe('CONNECTOR_UNAVAILABLE');
    const silent = await plain(() => {});
    const none = await local(silent.url, { healthUrl: false, timeoutMs: 20 });
    expect(await errorOf(none.orders.query('billing', 'balance'))).toMatchObject({ code: 'REQUEST_TIMEOUT' });
    const nobody = await local('http://127.0.0.1:1/');
    expect(nobody.billing.state).not.toBe('connected');
    expect(await errorOf(nobody.orders.query('billing', 'balance'))).toMatchObject({
      code: 'CONNECTOR_UNAVAILABLE',
      message: expect.stringContaining('127.0.0.1:1'),
    });
  });

  test('what is too large is not sent, and is dead at once with its size', async () => {
    let requests = 0;
    const { url } = await plain((_request, response) => {
      requests += 1;
      response.end();
    });
    const { broker, orders } = await local(url, { healthUrl: false, bodyLimitBytes: 100 });
    await orders.query('billing', 'balance').catch(() => {});
    requests = 0;
    const error = await errorOf(orders.query('billing', 'balance', 'x'.repeat(200)));
    expect(error).toMatchObject({ code: 'MESSAGE_TOO_LARGE', details: { bytes: 202, limitBytes: 100 } });
    expect([requests, broker.dead.at(-1)?.error.name]).toEqual([0, 'MessageTooLargeError']);
  });

  test('every try has the same key, its trace, and headers that may change', async () => {
    const seen: IncomingMessage['headers'][] = [];
    const { url } = await plain((request, response) => {
      seen.push(request.headers);
      response.writeHead(seen.length < 3 ? 500 : 202);
      response.end();
    });
    let token = 0;
    const { orders } = await local(url, {
      healthUrl: false,
      headers: async () => ({ authorization: `Bearer ${++token}` }),
    });
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const receipt = await orders.sendCommand(
      'billing',
      'charge',
      { cents: 1 },
      { traceparent, retry: { initialMs: 1 } },
    );
    expect(await receipt.settled()).toMatchObject({ status: 'handled' });
    expect(seen.map((headers) => [headers['idempotency-key'], headers['ce-id'], headers['authorization']])).toEqual([
      [receipt.id, receipt.id, 'Bearer 1'],
      [receipt.id, receipt.id, 'Bearer 2'],
      [receipt.id, receipt.id, 'Bearer 3'],
    ]);
    expect(seen[0]).toMatchObject({ traceparent, 'content-type': 'application/json', 'ce-specversion': '1.0' });
    expect(seen[0]?.['prefer']).toBeUndefined();
  });
});

describe('what comes to a server', () => {
  const event = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/shop', 'ce-type': 'orders.o-1.placed' };
  const post = async (
    url: string,
    headers: Record<string, string>,
    body?: string,
  ): Promise<{ status: number; code: string | undefined; detail: string; retryAfter: string | null }> => {
    const response = await fetch(url, { method: 'POST', headers, ...(body === undefined ? {} : { body }) });
    const text = await response.text();
    const problem = (text === '' ? {} : JSON.parse(text)) as { code?: string; detail?: string };
    return {
      status: response.status,
      code: problem.code,
      detail: problem.detail ?? '',
      retryAfter: response.headers.get('retry-after'),
    };
  };

  test('a foreign CloudEvent is an event, and two sources may use one id', async () => {
    const there = await remote();
    const seen: unknown[] = [];
    await there.billing.onEvent(
      'orders.>',
      (data, { message }) => void seen.push([data, message.source, message.extensions]),
    );
    const json = { 'content-type': 'application/json' };
    const extra = { ...event, 'ce-kind': 'order', 'ce-tenant': 'caf%C3%A9' };
    expect(await post(there.server.url, { ...extra, ...json }, '{"total":990}')).toMatchObject({ status: 202 });
    expect(await post(there.server.url, { ...event, ...json, 'ce-source': '/other' }, '"text"')).toMatchObject({
      status: 202,
    });
    const structured = { specversion: '1.0', id: '1', source: '/third', type: 'orders.o-1.placed', data: [1] };
    const type = { 'content-type': 'application/cloudevents+json; charset=UTF-8' };
    expect(await post(there.server.url, type, JSON.stringify(structured))).toMatchObject({ status: 202 });
    expect(await post(there.server.url, type, JSON.stringify(structured))).toMatchObject({ status: 202 });
    await until('three events', () => seen.length === 3);
    expect(seen).toEqual([
      [{ total: 990 }, '/shop', { kind: 'order', tenant: 'café', datacontenttype: 'application/json' }],
      ['text', '/other', { datacontenttype: 'application/json' }],
      [[1], '/third', undefined],
    ]);
  });

  test.each<readonly [string, Record<string, string>, string | undefined, number, string, RegExp]>([
    ['no event', { 'content-type': 'application/json' }, '{}', 415, 'INVALID_MESSAGE', /no ce- headers/],
    ['no body at all', {}, undefined, 415, 'INVALID_MESSAGE', /send a CloudEvent/],
    ['a batch', { 'content-type': 'application/cloudevents-batch+json' }, '[]', 415, 'INVALID_MESSAGE', /batch/],
    ['another format', { 'content-type': 'application/cloudevents+avro' }, 'x', 415, 'INVALID_MESSAGE', /avro/],
    [
      'another charset',
      { ...event, 'content-type': 'application/json; charset=utf-16' },
      '{}',
      415,
      'INVALID_MESSAGE',
      /utf-16/,
    ],
    ['broken JSON', { ...event, 'content-type': 'application/json' }, '{"a":', 400, 'MALFORMED_CLOUD_EVENT', /no JSON/],
    [
      'no object',
      { 'content-type': 'application/cloudevents+json' },
      '[]',
      400,
      'MALFORMED_CLOUD_EVENT',
      /an event is an object/,
    ],
    [
      'nothing in it',
      { 'content-type': 'application/cloudevents+json' },
      '{}',
      400,
      'MALFORMED_CLOUD_EVENT',
      /specversion/,
    ],
    ['another version', { ...event, 'ce-specversion': '0.3' }, undefined, 400, 'MALFORMED_CLOUD_EVENT', /"0.3"/],
    ['a wrong escape', { ...event, 'ce-type': 'a%ZZ' }, undefined, 400, 'MALFORMED_CLOUD_EVENT', /type: a percent/],
    ['a wrong extension', { ...event, 'ce-my-thing': 'x' }, undefined, 400, 'MALFORMED_CLOUD_EVENT', /my-thing/],
    [
      'a command without target',
      { ...event, 'ce-kind': 'COMMAND' },
      undefined,
      400,
      'MALFORMED_CLOUD_EVENT',
      /target: it is missing/,
    ],
    [
      'a wrong kind',
      { ...event, 'ce-kind': 'COMAND', 'ce-target': 'billing' },
      undefined,
      400,
      'MALFORMED_CLOUD_EVENT',
      /kind/,
    ],
    [
      'a response',
      { ...event, 'ce-kind': 'RESPONSE', 'ce-target': 'billing' },
      undefined,
      400,
      'MALFORMED_CLOUD_EVENT',
      /kind/,
    ],
    [
      'an unknown target',
      { ...event, 'ce-kind': 'COMMAND', 'ce-target': 'biling' },
      undefined,
      404,
      'UNKNOWN_TARGET',
      /biling/,
    ],
    [
      'an unknown action',
      { ...event, 'ce-kind': 'COMMAND', 'ce-target': 'billing' },
      undefined,
      404,
      'NO_SUBSCRIBER',
      /no handler for the command/,
    ],
    [
      'an unknown query',
      { ...event, 'ce-kind': 'QUERY', 'ce-target': 'billing' },
      undefined,
      404,
      'NO_HANDLER',
      /nobody/,
    ],
    ...(['EVENT', 'COMMAND', 'QUERY'] as const).map(
      (kind) =>
        [
          `an expired ${kind}`,
          { ...event, 'ce-kind': kind, 'ce-target': 'billing', 'ce-expirytime': '2020-01-01T00:00:00Z' },
          undefined,
          410,
          'MESSAGE_EXPIRED',
          /had expired when it came/,
        ] as const,
    ),
    [
      'too much',
      { ...event, 'content-type': 'application/json' },
      JSON.stringify('x'.repeat(2_000)),
      413,
      'MESSAGE_TOO_LARGE',
      /1000/,
    ],
  ])('%s', async (_what, headers, body, status, code, detail) => {
    const there = await remote({ bodyLimitBytes: 1_000 });
    const answer = await post(there.server.url, headers, body);
    expect(answer).toMatchObject({ status, code, detail: expect.stringMatching(detail) });
    expect(there.broker.accepted).toEqual([]);
  });

  test('other methods and places, who may not come in, what is not for here', async () => {
    const there = await remote({
      path: '/in',
      targets: ['orders'],
      events: false,
      authorize: ({ headers }) => headers.authorization === 'yes',
    });
    const { url } = there.server;
    const yes = { authorization: 'yes' };
    expect((await fetch(url)).status).toBe(405);
    expect((await fetch(url)).headers.get('allow')).toBe('POST');
    expect((await fetch(url.replace('/in', '/out'))).status).toBe(404);
    expect(await post(url, event)).toMatchObject({ status: 401 });
    expect(await post(url, { ...event, ...yes })).toMatchObject({ status: 400, detail: 'events are not taken here' });
    expect(
      await post(url, { ...event, ...yes, 'ce-kind': 'COMMAND', 'ce-target': 'billing', 'ce-type': 'charge' }),
    ).toMatchObject({ status: 404, code: 'UNKNOWN_TARGET' });
    expect((await fetch(`${url}/health`)).status).toBe(200);
  });

  test('health says what it is told, and 503 when that throws', async () => {
    let ill = false;
    const there = await remote({
      health: () => {
        if (ill) throw new Error('no disk');
        return { version: 3 };
      },
    });
    const healthUrl = new URL('/health', there.server.url);
    expect(await (await fetch(healthUrl)).json()).toEqual({ status: 'ok', version: 3 });
    ill = true;
    const response = await fetch(healthUrl);
    expect([response.status, await response.json()]).toEqual([503, expect.objectContaining({ detail: 'no disk' })]);
  });

  test('a broker that is down: 503, and when to come again', async () => {
    const there = await remote();
    there.broker.down = true;
    expect(await post(there.server.url, event)).toMatchObject({
      status: 503,
      code: 'BROKER_UNAVAILABLE',
      retryAfter: '1',
    });
  });

  /** What a raw client gets back, until the server closes. */
  const raw = (url: string, text: string, andThen: 'wait' | 'destroy'): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1', () => {
        socket.write(text, () => andThen === 'destroy' && socket.destroy());
      });
      let answer = '';
      socket.on('data', (chunk) => {
        answer += String(chunk);
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(answer));
    });
  const head = `POST / HTTP/1.1\r\nhost: x\r\n${Object.entries(event)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\r\n')}\r\n`;

  test('a slow loris gets 408, in its headers and in its body; the others go on', async () => {
    const there = await remote({ requestTimeoutMs: 60 });
    const [headers, body] = await Promise.all([
      raw(there.server.url, 'POST / HTTP/1.1\r\nhost: x\r\nce-', 'wait'),
      raw(there.server.url, `${head}content-length: 10\r\ncontent-type: application/json\r\n\r\n{"a"`, 'wait'),
    ]);
    expect(headers).toContain('408 Request Timeout');
    expect(body).toMatch(/408 Request Timeout/);
    expect(await post(there.server.url, event)).toMatchObject({ status: 202 });
    expect(there.broker.accepted).toHaveLength(1);
  });

  test('a client that goes away in the middle leaves nothing behind', async () => {
    const there = await remote();
    await raw(there.server.url, `${head}content-length: 10\r\ncontent-type: application/json\r\n\r\n{"a"`, 'destroy');
    await until('the end of the request', () => there.server.figures().abandoned === 1);
    expect(there.broker.accepted).toEqual([]);
    let aborted = false;
    await there.billing.onQuery(
      'slow',
      (_params, { signal }) =>
        new Promise(() =>
          signal.addEventListener('abort', () => {
            aborted = true;
          }),
        ),
    );
    const giveUp = new AbortController();
    const query = { ...event, 'ce-kind': 'QUERY', 'ce-target': 'billing', 'ce-type': 'slow' };
    const asking = fetch(there.server.url, { method: 'POST', headers: query, signal: giveUp.signal });
    await until('the query', () => there.billing.health().deliveries.underWay === 1);
    giveUp.abort();
    await expect(asking).rejects.toThrow(/abort/);
    await until('the end of the request', () => there.server.figures().abandoned === 2);
    expect(there.server.figures().underWay).toBe(0);
    expect(aborted).toBe(false);
  });

  test('an endless body is cut off at the limit', async () => {
    const there = await remote({ bodyLimitBytes: 1_000 });
    const answer = await raw(
      there.server.url,
      `${head}transfer-encoding: chunked\r\ncontent-type: application/json\r\n\r\n${`400\r\n${'x'.repeat(0x400)}\r\n`.repeat(3)}`,
      'wait',
    );
    expect(answer).toMatch(/413 Payload Too Large[\s\S]*connection: close/i);
  });

  test('more requests than may are told to come again', async () => {
    const there = await remote({ requestsLimit: 1 });
    let finish = (): void => {};
    await there.billing.onQuery(
      'slow',
      () =>
        new Promise<void>((resolve) => {
          finish = resolve;
        }),
    );
    const query = { ...event, 'ce-kind': 'QUERY', 'ce-target': 'billing', 'ce-type': 'slow' };
    const first = post(there.server.url, query);
    await until('the query', () => there.billing.health().deliveries.underWay === 1);
    expect(await post(there.server.url, event)).toMatchObject({ status: 503, code: 'CONNECTOR_UNAVAILABLE' });
    finish();
    expect(await first).toMatchObject({ status: 204 });
  });

  test('closing finishes what is under way, refuses what comes on open connections, and ends', async () => {
    const there = await remote({ drainTimeoutMs: 20_000 });
    let finish = (): void => {};
    await there.billing.onQuery(
      'slow',
      () =>
        new Promise<string>((resolve) => {
          finish = () => resolve('in time');
        }),
    );
    const query = { ...event, 'ce-kind': 'QUERY', 'ce-target': 'billing', 'ce-type': 'slow' };
    const asking = fetch(there.server.url, { method: 'POST', headers: query });
    await until('the query', () => there.billing.health().deliveries.underWay === 1);
    const closing = there.server.close();
    await expect(fetch(there.server.url)).rejects.toThrow('fetch failed');
    finish();
    const response = await asking;
    expect([response.status, await response.json(), response.headers.get('connection')]).toEqual([
      200,
      'in time',
      'close',
    ]);
    await closing;
    expect(there.server.figures()).toMatchObject({ underWay: 0 });
    await there.server.close();
  });

  test('closing does not wait longer than it was told', async () => {
    const there = await remote({ drainTimeoutMs: 10 });
    await there.billing.onQuery('never', () => new Promise(() => {}));
    const query = { ...event, 'ce-kind': 'QUERY', 'ce-target': 'billing', 'ce-type': 'never' };
    const asking = fetch(there.server.url, { method: 'POST', headers: query });
    await until('the query', () => there.billing.health().deliveries.underWay === 1);
    await Promise.all([expect(asking).rejects.toThrow('fetch failed'), there.server.close()]);
  });

  test('faults of its options are named, all at once; a taken port has a name', async () => {
    const wrong = { broker: {}, port: 70_000, path: 'x', bodyLimitBytes: 0, colour: 'red', targets: 'billing' };
    expect((await errorOf(ConnectorServer.start(wrong as never))).details?.['faults']).toHaveLength(6);
    const there = await remote();
    const port = Number(new URL(there.server.url).port);
    expect(await errorOf(ConnectorServer.start({ broker: there.broker, port }))).toMatchObject({
      code: 'CONNECTOR_UNAVAILABLE',
      message: expect.stringContaining(String(port)),
    });
    expect(() => httpTransport({ url: 'ftp://x/' })).toThrow(/no http: or https: URL/);
  });
});
