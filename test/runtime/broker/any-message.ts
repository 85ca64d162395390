/** Random whole messages: every field there or not, payloads of every kind that can be carried. */
import fc from 'fast-check';
import type { Message } from '../../../runtime/broker/contract/message.ts';
import { carriedValue } from '../wire/carried-values.ts';

const token = fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/);
const subject = fc.array(token, { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join('.'));
/** Text without what no CloudEvent may have in an attribute. */
const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((one) => !/\p{Cc}/u.test(one));
const uri = fc.oneof(token, fc.constantFrom('urn:example:billing', '/shops/eu?x=1#y', 'https://a.example/b', 'größe'));
const timeMs = fc.integer({ min: 0, max: Date.UTC(9999, 0) });
const name = fc.stringMatching(/^x[a-z0-9]{0,8}$/);
const json = fc
  .jsonValue()
  .filter((value) => !JSON.stringify(value).includes('__proto__'))
  .map((value) => JSON.parse(JSON.stringify(value)) as unknown);

export const anyMessage: fc.Arbitrary<Message> = fc.record(
  {
    id: text,
    kind: fc.constantFrom('COMMAND', 'EVENT', 'QUERY', 'RESPONSE'),
    type: text,
    subject,
    source: uri,
    target: token,
    payload: fc.oneof(json, carriedValue, fc.uint8Array(), fc.constant(undefined)),
    timeMs,
    expiresAtMs: timeMs,
    notBeforeMs: timeMs,
    correlationId: text,
    causationId: text,
    replyTo: subject,
    delivery: fc.constantFrom('AT_MOST_ONCE', 'AT_LEAST_ONCE', 'EXACTLY_ONCE'),
    key: text,
    idempotencyKey: text,
    retry: fc.record(
      {
        maxAttempts: fc.nat(),
        initialMs: fc.nat(),
        maxMs: fc.nat(),
        factor: fc.double({ min: 1, max: 9, noNaN: true }),
        jitter: fc.constantFrom('full', 'none'),
      },
      { requiredKeys: [], noNullPrototype: true },
    ),
    contractVersion: fc.integer({ min: 1, max: 0xffff_ffff }),
    traceparent: fc.constant('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'),
    tracestate: fc.constant('rojo=00f067aa0ba902b7,congo=t61rcWkgMzE'),
    extensions: fc.dictionary(name, fc.oneof(text, fc.boolean(), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })), {
      minKeys: 1,
      maxKeys: 3,
      noNullPrototype: true,
    }),
  },
  {
    requiredKeys: ['id', 'kind', 'type', 'subject', 'source', 'payload', 'timeMs', 'correlationId', 'delivery'],
    noNullPrototype: true,
  },
) as fc.Arbitrary<Message>;
