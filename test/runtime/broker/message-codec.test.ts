import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { carried, decodePayload, encodePayload, headerOf, messageOf } from '../../../runtime/broker/message-codec.ts';
import { InvalidMessageError, MessageTooLargeError, UnserializableValueError } from '../../../runtime/kernel/errors.ts';
import { MESSAGE_BYTES_LIMIT } from '../../../runtime/kernel/limits.ts';
import { HOSTILE } from '../wire/carried-values.ts';
import { anyMessage } from './any-message.ts';

test('MC1, MC3: a message is what it was, its header by way of JSON too', () => {
  fc.assert(
    fc.property(anyMessage, (message) => {
      const { header, payload } = carried(message);
      expect(header).not.toHaveProperty('payload');
      assert.deepStrictEqual(messageOf({ header, payload }), message);
      assert.deepStrictEqual(messageOf({ header: headerOf(JSON.parse(JSON.stringify(header))), payload }), message);
    }),
    { numRuns: 300 },
  );
});

test('MC2: the bytes are its own, and can be handed to another thread', () => {
  const [first, second] = [encodePayload({ a: 1 }), encodePayload({ b: 2 })];
  expect(first.byteLength).toBe(first.buffer.byteLength);
  const moved = structuredClone(first, { transfer: [first.buffer] });
  expect(decodePayload(moved)).toEqual({ a: 1 });
  expect(decodePayload(second)).toEqual({ b: 2 });
});

describe('payloads that cannot be', () => {
  test('by path, and by size', () => {
    expect(() => encodePayload({ lines: [{ done: () => 1 }] })).toThrow(UnserializableValueError);
    expect(() => encodePayload({ lines: [{ done: () => 1 }] })).toThrow(/lines\[0\]\.done/);
    expect(() => encodePayload('x'.repeat(MESSAGE_BYTES_LIMIT))).toThrow(MessageTooLargeError);
  });

  test.each([...HOSTILE])('hostile bytes: %s', (_what, bytes) => {
    expect(() => decodePayload(Uint8Array.from(bytes))).toThrow(InvalidMessageError);
  });

  test('random bytes are a payload or an error of ours', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          decodePayload(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidMessageError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('MC3: headers from outside', () => {
  const good = {
    id: 'm-1',
    kind: 'EVENT',
    type: 'order.placed',
    subject: 'order.placed',
    source: 'shop',
    timeMs: 7,
    correlationId: 'm-1',
    delivery: 'AT_LEAST_ONCE',
  };

  test('unknown fields are left out, and null is none', () => {
    expect(headerOf({ ...good, target: null, key: undefined, hops: 3, payload: 'no' })).toEqual(good);
  });

  test.each([undefined, null, 7, 'header', [good]])('%j is none', (value) => {
    expect(() => headerOf(value)).toThrow(InvalidMessageError);
  });

  test('all faults at once', () => {
    try {
      headerOf(
        JSON.parse(
          '{"__proto__":{"id":"m"},"kind":"SHOUT","subject":"a..b","timeMs":"now","retry":{"maxMs":-1},"extensions":{"a":{}},"contractVersion":0,"replyTo":"a.*","key":""}',
        ),
      );
      throw new Error('it passed');
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidMessageError);
      const faults = (error as InvalidMessageError).details['faults'] as string[];
      expect(faults.map((fault) => fault.split(':')[0])).toEqual([
        'id',
        'kind',
        'type',
        'subject',
        'source',
        'timeMs',
        'correlationId',
        'delivery',
        'replyTo',
        'key',
        'retry',
        'contractVersion',
        'extensions',
      ]);
    }
  });

  test('anything is a header or an error of ours', () => {
    const field = fc.constantFrom(
      ...Object.keys(good),
      'target',
      'retry',
      'extensions',
      'expiresAtMs',
      'contractVersion',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.anything(),
          fc.dictionary(field, fc.anything()).map((change) => ({ ...good, ...change })),
        ),
        (value) => {
          try {
            headerOf(headerOf(value));
          } catch (error) {
            expect(error).toBeInstanceOf(InvalidMessageError);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
