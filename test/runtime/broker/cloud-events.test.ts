import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CloudEvent, cloudEventOf, messageOfCloudEvent } from '../../../runtime/broker/cloud-events.ts';
import { binaryHttpOf, messageOfHttp, structuredHttpOf } from '../../../runtime/broker/cloud-events-http.ts';
import type { Message } from '../../../runtime/broker/contract/message.ts';
import { InvalidMessageError, MalformedCloudEventError } from '../../../runtime/kernel/errors.ts';
import { anyMessage } from './any-message.ts';

const NOW = { nowMs: Date.UTC(2026, 10, 28) };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** JSON leaves undefined properties out; nothing else may be lost. */
const withoutUndefined = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutUndefined);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .map(([key, inner]) => [key, withoutUndefined(inner)]),
  );
};

const same = (actual: Message, expected: Message): void => {
  const [a, b] = [actual, expected].map(({ payload, ...rest }) => ({ rest, payload: withoutUndefined(payload) }));
  assert.deepStrictEqual(a, b);
};

describe('CE1, CH1: there and back', () => {
  test('structured, as an object and as text', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        same(messageOfCloudEvent(cloudEventOf(message), NOW), message);
        same(messageOfCloudEvent(JSON.parse(JSON.stringify(cloudEventOf(message))), NOW), message);
        const { body, headers } = structuredHttpOf(message);
        same(messageOfHttp(headers, body, NOW), message);
      }),
      { numRuns: 400 },
    );
  });

  test('binary: extensions come back as text', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const { body, headers } = binaryHttpOf(message);
        for (const value of Object.values(headers)) expect(value).toMatch(/^[\x20-\x7e]*$/);
        const { extensions } = message;
        const texts =
          extensions && Object.fromEntries(Object.entries(extensions).map(([key, one]) => [key, String(one)]));
        // As another server would give them.
        const entries = Object.entries(headers).map(([key, value]) => [key.toUpperCase(), value] as const);
        same(messageOfHttp(entries, body, NOW), { ...message, ...(texts && { extensions: texts }) });
      }),
      { numRuns: 400 },
    );
  });
});

const MESSAGE: Message = {
  id: 'm-1',
  kind: 'COMMAND',
  type: 'charge',
  subject: '$command.billing.charge',
  source: 'shop',
  target: 'billing',
  payload: { amount: 42 },
  timeMs: Date.UTC(2026, 10, 28, 3, 4, 5, 6),
  correlationId: 'c-1',
  causationId: 'm-0',
  delivery: 'EXACTLY_ONCE',
  key: 'o-1',
  retry: { maxAttempts: 5, whenExhausted: 'answer' },
  contractVersion: 2,
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  extensions: { tenant: 'größe "5" 50%' },
};

test('how a message looks as an event, and over HTTP', () => {
  const attributes = {
    specversion: '1.0',
    id: 'm-1',
    source: 'shop',
    type: 'charge',
    subject: '$command.billing.charge',
    time: '2026-11-28T03:04:05.006Z',
    kind: 'COMMAND',
    delivery: 'EXACTLY_ONCE',
    target: 'billing',
    correlationid: 'c-1',
    causationid: 'm-0',
    partitionkey: 'o-1',
    retrypolicy: '{"maxAttempts":5,"whenExhausted":"answer"}',
    contractversion: 2,
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    tenant: 'größe "5" 50%',
  };
  expect(cloudEventOf(MESSAGE)).toEqual({ ...attributes, datacontenttype: 'application/json', data: { amount: 42 } });
  const { body, headers } = binaryHttpOf(MESSAGE);
  expect(headers).toEqual({
    ...Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, String(value)])),
    'ce-retrypolicy': '{%22maxAttempts%22:5,%22whenExhausted%22:%22answer%22}',
    'ce-tenant': 'gr%C3%B6%C3%9Fe%20%225%22%2050%25',
    'content-type': 'application/json',
  });
  expect(new TextDecoder().decode(body)).toBe('{"amount":42}');
});

describe('CE2: a foreign event', () => {
  const FOREIGN = {
    specversion: '1.0',
    type: 'com.github.pull_request.opened',
    source: 'https://github.example/cloudevents/spec/pull',
    subject: '123',
    id: 'A234-1234-1234',
    time: '2018-04-05T17:31:00.5+02:00',
    comexampleextension1: 'value',
    comexampleothervalue: 5,
    kind: 'surprise',
    delivery: 'by bike',
    datacontenttype: 'text/xml',
    dataschema: 'https://a.example/schema',
    data: '<much wow="xml"/>',
  };

  test('is an EVENT, published to its type, and keeps all that it has', () => {
    const message = messageOfCloudEvent(FOREIGN, NOW);
    expect(message).toEqual({
      id: 'A234-1234-1234',
      kind: 'EVENT',
      type: 'com.github.pull_request.opened',
      subject: 'com.github.pull_request.opened',
      source: 'https://github.example/cloudevents/spec/pull',
      payload: '<much wow="xml"/>',
      timeMs: Date.UTC(2018, 3, 5, 15, 31, 0, 500),
      correlationId: 'A234-1234-1234',
      delivery: 'AT_LEAST_ONCE',
      extensions: {
        subject: '123',
        comexampleextension1: 'value',
        comexampleothervalue: 5,
        kind: 'surprise',
        delivery: 'by bike',
        datacontenttype: 'text/xml',
        dataschema: 'https://a.example/schema',
      },
    });
    expect(messageOfCloudEvent(FOREIGN, { ...NOW, subject: 'pulls.opened' }).subject).toBe('pulls.opened');
  });

  test('goes out as it came, beside what we say of it', () => {
    const { delivery: _d, kind: _k, ...plain } = FOREIGN;
    const message = messageOfCloudEvent(plain, NOW);
    const again = cloudEventOf(message);
    expect(again).toMatchObject({
      ...plain,
      time: '2018-04-05T15:31:00.500Z',
      kind: 'EVENT',
      messagesubject: message.subject,
    });
    expect(messageOfCloudEvent(again, NOW)).toEqual(message);
    const { body, headers } = binaryHttpOf(message);
    expect(headers).toMatchObject({ 'content-type': 'text/xml', 'ce-subject': '123' });
    expect(new TextDecoder().decode(body)).toBe(plain.data);
  });

  test('with the least that an event may have', () => {
    const least = { specversion: '1.0', id: '1', source: '/a', type: 'a.b' };
    expect(messageOfCloudEvent(least, NOW)).toEqual({
      id: '1',
      kind: 'EVENT',
      type: 'a.b',
      subject: 'a.b',
      source: '/a',
      payload: undefined,
      timeMs: NOW.nowMs,
      correlationId: '1',
      delivery: 'AT_LEAST_ONCE',
    });
  });

  test('null is as if it were not there, but for data', () => {
    const event = {
      specversion: '1.0',
      id: '1',
      source: '/a',
      type: 'a.b',
      subject: null,
      time: null,
      x: null,
      data: null,
    };
    const message = messageOfCloudEvent(event, NOW);
    expect(message.payload).toBeNull();
    expect(message.extensions).toBeUndefined();
  });

  test('data in base64 is what its type says', () => {
    const read = (datacontenttype: string | undefined, text: string): unknown =>
      messageOfCloudEvent(
        {
          specversion: '1.0',
          id: '1',
          source: '/a',
          type: 'a.b',
          datacontenttype,
          data_base64: Buffer.from(text).toString('base64'),
        },
        NOW,
      ).payload;
    expect(read('application/octet-stream', 'ab')).toEqual(bytes('ab'));
    expect(read('image/png', 'ab')).toEqual(bytes('ab'));
    expect(read('text/plain; charset=utf-8', 'ab')).toBe('ab');
    expect(read('application/problem+json', '{"a":1}')).toEqual({ a: 1 });
    expect(read(undefined, '[1]')).toEqual([1]);
  });

  test('over HTTP, with headers as node gives them and in quotation marks', () => {
    const headers = {
      'ce-specversion': '1.0',
      'ce-id': '"a \\"b\\""',
      'ce-source': '/a',
      'ce-type': 'a.b',
      host: 'x',
      'content-type': 'application/json',
    };
    expect(messageOfHttp(headers, bytes('{"a":1}'), NOW)).toMatchObject({ id: 'a "b"', payload: { a: 1 } });
    expect(messageOfHttp(new Headers(headers), bytes('7'), NOW)).toMatchObject({ payload: 7 });
    const { 'content-type': _, ...untyped } = headers;
    expect(messageOfHttp(untyped, new Uint8Array(0), NOW).payload).toBeUndefined();
  });
});

describe('CE3: malformed', () => {
  const good = { specversion: '1.0', id: '1', source: '/a', type: 'a.b' };
  const ours = { ...good, subject: 'a.b', kind: 'EVENT', delivery: 'AT_LEAST_ONCE' };
  const faultOf = (work: () => unknown): unknown => {
    try {
      work();
    } catch (error) {
      expect(error).toBeInstanceOf(MalformedCloudEventError);
      const { details, message } = error as MalformedCloudEventError;
      expect(message).toContain(String(details['attribute']));
      return details['attribute'];
    }
    throw new Error('it passed');
  };

  test.each<[string, unknown, string]>([
    ['no object', 'event', 'specversion'],
    ['a list', [good], 'specversion'],
    ['no version', { ...good, specversion: undefined }, 'specversion'],
    ['another version', { ...good, specversion: '0.3' }, 'specversion'],
    ['a version that is a number', { ...good, specversion: 1 }, 'specversion'],
    ['no id', { ...good, id: undefined }, 'id'],
    ['an empty id', { ...good, id: '' }, 'id'],
    ['an id that is a number', { ...good, id: 7 }, 'id'],
    ['no source', { ...good, source: null }, 'source'],
    ['a source with blanks', { ...good, source: 'my shop' }, 'source'],
    ['no type', { ...good, type: undefined }, 'type'],
    ['a type that is no subject', { ...good, type: 'a b' }, 'type'],
    ['a subject that is no text', { ...good, subject: 7 }, 'subject'],
    ['no time', { ...good, time: 'yesterday' }, 'time'],
    ['a time without zone', { ...good, time: '2026-11-28T03:00:00' }, 'time'],
    ['the 30th of February', { ...good, time: '2026-02-30T25:00:00Z' }, 'time'],
    ['a name in camel case', { ...good, correlationId: 'x' }, 'correlationId'],
    ['a name with a dash', { ...good, 'a-b': 'x' }, 'a-b'],
    ['an empty name', { ...good, '': 'x' }, ''],
    ['the prototype', JSON.parse('{"__proto__":{"a":1},"specversion":"1.0"}'), '__proto__'],
    ['an object for an extension', { ...good, x: { a: 1 } }, 'x'],
    ['half a number', { ...good, x: 1.5 }, 'x'],
    ['a number too large', { ...good, x: 2 ** 31 }, 'x'],
    ['a control character', { ...good, x: 'a\nb' }, 'x'],
    ['half a pair', { ...good, x: '\ud800' }, 'x'],
    ['both kinds of data', { ...good, data: 1, data_base64: 'AA==' }, 'data_base64'],
    ['no base64', { ...good, data_base64: 'A' }, 'data_base64'],
    ['bytes that are no JSON', { ...good, data_base64: 'AA==' }, 'data'],
    ['bytes that are no UTF-8', { ...good, datacontenttype: 'text/plain', data_base64: '/w==' }, 'data'],
    [
      'packed bytes that are none',
      { ...good, datacontenttype: 'application/vnd.collaborative-blocks.value', data_base64: 'kQ==' },
      'data',
    ],
    [
      'too many attributes',
      { ...good, ...Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`x${i}`, 1])) },
      'x124',
    ],
    ['ours, published to a pattern', { ...ours, subject: 'a.*' }, 'subject'],
    ['ours, without a subject', { ...ours, subject: undefined }, 'subject'],
    ['ours, without a guarantee', { ...ours, delivery: 'SOMETIMES' }, 'delivery'],
    ['ours, with a policy that ends unheard of', { ...ours, retrypolicy: '{"whenExhausted":"x"}' }, 'retrypolicy'],
    ['ours, with a policy that is none', { ...ours, retrypolicy: '{"maxAttempts":"many"}' }, 'retrypolicy'],
    ['ours, with a version that is none', { ...ours, contractversion: 0 }, 'contractversion'],
  ])('%s', (_what, event, attribute) => {
    expect(faultOf(() => messageOfCloudEvent(event, NOW))).toBe(attribute);
  });

  test('data nested deeper than any message', () => {
    const deep = JSON.parse(`${'['.repeat(200)}${']'.repeat(200)}`) as unknown;
    expect(faultOf(() => messageOfCloudEvent({ ...good, data: deep }, NOW))).toBe('data');
  });

  test.each<[string, Record<string, string>, string, string]>([
    ['no headers at all', {}, '', 'specversion'],
    [
      'a percent sign by itself',
      { 'ce-specversion': '1.0', 'ce-id': '50%', 'ce-source': '/a', 'ce-type': 'a' },
      '',
      'id',
    ],
    ['its type in the wrong header', { 'ce-datacontenttype': 'text/plain' }, '', 'datacontenttype'],
    ['a body that is no JSON', { 'ce-specversion': '1.0', 'content-type': 'application/json' }, '{', 'data'],
    ['a structured body that is no JSON', { 'content-type': 'application/cloudevents+json' }, '{', 'data'],
    ['another format', { 'content-type': 'application/cloudevents+avro' }, '{}', 'datacontenttype'],
    ['a batch', { 'content-type': 'application/cloudevents-batch+json' }, '[]', 'data'],
  ])('over HTTP: %s', (_what, headers, body, attribute) => {
    expect(faultOf(() => messageOfHttp(headers, bytes(body), NOW))).toBe(attribute);
  });

  test.each<[string, Partial<Message>, string]>([
    ['a source with blanks', { source: 'my shop' }, 'source'],
    ['an extension in camel case', { extensions: { tenantId: 'a' } }, 'tenantId'],
    ['an extension with the name of an attribute', { extensions: { id: 'a' } }, 'id'],
    ['half a number', { extensions: { x: 1.5 } }, 'x'],
    ['a key with a line break', { key: 'a\nb' }, 'partitionkey'],
    ['a time that is none', { timeMs: Number.NaN }, 'time'],
    ['a time beyond four digits', { expiresAtMs: Date.UTC(12_000, 0) }, 'expirytime'],
  ])('a message that cannot be an event: %s', (_what, change, attribute) => {
    const error = ((): unknown => {
      try {
        return cloudEventOf({ ...MESSAGE, ...change });
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(InvalidMessageError);
    expect((error as InvalidMessageError).details['attribute']).toBe(attribute);
  });

  test('garbage is read or refused by name, never anything else', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.anything(),
          fc
            .dictionary(fc.constantFrom(...Object.keys(ours), 'data', 'data_base64', 'time', 'x'), fc.anything())
            .map((one) => ({ ...ours, ...one })),
        ),
        (event) => {
          try {
            const read = messageOfCloudEvent(event, NOW);
            same(messageOfCloudEvent(cloudEventOf(read) satisfies CloudEvent, NOW), read);
          } catch (error) {
            if (!(error instanceof MalformedCloudEventError || error instanceof InvalidMessageError)) throw error;
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
