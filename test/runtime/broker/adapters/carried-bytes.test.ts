import assert from 'node:assert/strict';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeHeader, encodeHeader } from '../../../../runtime/broker/adapters/carried-bytes.ts';
import * as nats from '../../../../runtime/broker/adapters/nats/nats-frame.ts';
import * as redis from '../../../../runtime/broker/adapters/redis/redis-frame.ts';
import { carried } from '../../../../runtime/broker/message-codec.ts';
import { anyMessage } from '../any-message.ts';

test('a header, and a message on either server, is what it was', () => {
  fc.assert(
    fc.property(anyMessage, fc.boolean(), (message, isFirst) => {
      const { header, payload } = carried(isFirst ? { ...message, correlationId: message.id } : message);
      assert.deepStrictEqual(decodeHeader(encodeHeader(header)), header);
      const onRedis = redis.decodeFrame(redis.encodeFrame({ header, payload }));
      assert.deepStrictEqual(onRedis.header, header);
      assert.deepStrictEqual([...onRedis.payload], [...payload]);
      const onNats = nats.decodeFrame(nats.encodeFrame({ header, payload }, { redrives: 2 }));
      assert.deepStrictEqual(onNats?.message.header, header);
      assert.deepStrictEqual([...onNats.message.payload], [...payload]);
      assert.deepStrictEqual(onNats.facts, { redrives: 2 });
    }),
    { numRuns: 300 },
  );
});

const WHOLE = ['m1', 'EVENT', 'order.placed', 'orders.placed', 'shop', 1, 'AT_LEAST_ONCE', 0];

test('CY1: what is no header gives none', () => {
  const { id, correlationId } = decodeHeader(JSON.stringify(WHOLE)) ?? {};
  expect([id, correlationId]).toEqual(['m1', 'm1']);
  for (let at = 0; at < WHOLE.length; at++) {
    for (const wrong of [null, {}, [], at === 5 ? 'x' : 1]) {
      const list = WHOLE.with(at, wrong as never);
      expect(decodeHeader(JSON.stringify(list)), JSON.stringify(list)).toBeUndefined();
    }
    expect(decodeHeader(JSON.stringify(WHOLE.slice(0, at)))).toBeUndefined();
  }
  for (const more of [null, 1, 'x', []]) expect(decodeHeader(JSON.stringify([...WHOLE, more]))).toBeUndefined();
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      expect(decodeHeader(text)).toBeUndefined();
    }),
  );
});

test('what stands beside the list cannot pass for what is in it, nor for a prototype', () => {
  const header = decodeHeader(
    `${JSON.stringify(WHOLE).slice(0, -1)},{"id":"m2","timeMs":"x","key":"k","__proto__":{"admin":true}}]`,
  );
  expect(header).toMatchObject({ id: 'm1', timeMs: 1, key: 'k' });
  expect((header as { admin?: unknown }).admin).toBeUndefined();
});
