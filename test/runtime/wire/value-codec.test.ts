import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { pack, unpack } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import {
  AskTimeoutError,
  encodeError,
  FencedError,
  FrameError,
  MessageTooLargeError,
  RemoteError,
  UnserializableValueError,
} from '../../../runtime/kernel/errors.ts';
import { MESSAGE_BYTES_LIMIT, MESSAGE_DEPTH_LIMIT } from '../../../runtime/kernel/limits.ts';
import { seededRandom } from '../../../runtime/kernel/random.ts';
import { Reference } from '../../../runtime/kernel/reference.ts';
import { createValueCodec, decodeValue, encodedSizeOf, encodeValue } from '../../../runtime/wire/value-codec.ts';
import { carriedValue, HOSTILE, HOSTILE_VALUES } from './carried-values.ts';

const roundTrip = (value: unknown): unknown => decodeValue(encodeValue(value).slice());

const nested = (depth: number): unknown => {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
};

test('X1: a value comes back as it was', () => {
  fc.assert(
    fc.property(carriedValue, (value) => {
      const bytes = encodeValue(value);
      expect(encodedSizeOf(value)).toBe(bytes.length);
      // Not `toStrictEqual`, which takes a key named `constructor` for a class.
      assert.deepStrictEqual(decodeValue(bytes), value);
    }),
    { numRuns: 500 },
  );
});

test('X1: bytes are never written to again', () => {
  const values = Array.from({ length: 3_000 }, (_, i) => ({ i, text: 'x'.repeat(i % 50) }));
  const all = values.map((value) => encodeValue(value));
  expect(all.map((bytes) => decodeValue(bytes))).toStrictEqual(values);
});

test('what is documented to change does', () => {
  expect(Object.is(roundTrip(-0), 0)).toBe(true);
  expect(roundTrip([1, , 3])).toStrictEqual([1, undefined, 3]); // oxlint-disable-line no-sparse-arrays
  expect(roundTrip({ a: undefined })).toStrictEqual({ a: undefined });
  expect(roundTrip('a\ud800b')).toContain('\ufffd');
  expect(roundTrip(new Date(NaN))).toEqual(new Date(NaN));
  expect(roundTrip(Buffer.from('hi'))).toStrictEqual(new Uint8Array([104, 105]));
  expect(roundTrip(Object.assign(Object.create(null), { a: 1 }))).toStrictEqual({ a: 1 });
  expect(roundTrip({ [Symbol('s')]: 1, a: 1 })).toStrictEqual({ a: 1 });
  expect(roundTrip(new URL('http://a.example/x'))).toBe('http://a.example/x');
  expect(roundTrip({ amount: { toJSON: undefined, minor: 5 } })).toStrictEqual({
    amount: { toJSON: undefined, minor: 5 },
  });
});

test('objects of another realm, and those with odd keys, are plain', () => {
  const foreign: unknown = runInNewContext('({ a: [1, { b: 2 }] })');
  expect(roundTrip(foreign)).toStrictEqual({ a: [1, { b: 2 }] });
  const odd = { constructor: 'x', hasOwnProperty: 1, toString: null, __proto: 1 };
  expect(roundTrip(odd)).toStrictEqual(odd);
});

test('an object with more keys than 16 bits can count', () => {
  const value = Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`k${i}`, i]));
  expect(roundTrip(value)).toStrictEqual(value);
});

test('references are revived as the codec says', () => {
  class LiveRef extends Reference {}
  const codec = createValueCodec({ reviveReference: (key) => new LiveRef(key) });
  const bytes = codec.encodeValue({ to: new LiveRef('order/1'), in: new Map([['x', new Reference('order/2')]]) });
  expect(decodeValue(bytes)).toStrictEqual({
    to: new Reference('order/1'),
    in: new Map([['x', new Reference('order/2')]]),
  });
  const live = codec.decodeValue(bytes) as { to: unknown };
  expect(live.to).toBeInstanceOf(LiveRef);
});

test('errors come back with class, code, details and causes', () => {
  const error = new AskTimeoutError('late', {
    cause: new TypeError('inner', { cause: 'a string' }),
    details: { to: 'order/1', at: new Date(5), n: 5n, bad: () => 1, deep: { socket: new WeakMap() }, huge: 2n ** 80n },
  });
  const back = roundTrip({ error }) as { error: AskTimeoutError };
  expect(back.error).toBeInstanceOf(AskTimeoutError);
  expect(back.error.stack).toBe(error.stack);
  expect(back.error.details).toStrictEqual({
    to: 'order/1',
    at: new Date(5),
    n: 5n,
    bad: 'a function (bad)',
    deep: { socket: 'an instance of WeakMap' },
    huge: `${2n ** 80n}n`,
  });
  expect(back.error.cause).toBeInstanceOf(RemoteError);
  expect(back.error.cause).toMatchObject({ name: 'TypeError', message: 'inner' });
  const plain = new FencedError('x', { details: { slot: 1 } });
  expect(encodeError(roundTrip(plain))).toStrictEqual(encodeError(plain));
});

test('toJSON that uses msgpackr or this codec itself', () => {
  class Money {
    toJSON(): unknown {
      return { packed: pack(new Error('theirs')), ours: encodeValue(new Set([1])) };
    }
  }
  const [json] = roundTrip([new Money(), 1]) as [{ packed: Uint8Array; ours: Uint8Array }];
  expect(unpack(json.packed)).toEqual(['Error', 'theirs', undefined]);
  expect(decodeValue(json.ours)).toStrictEqual(new Set([1]));
});

test('V2: msgpackr of the application is as it was', () => {
  expect(unpack(pack({ set: new Set([1]), map: new Map([['a', 1]]) }))).toEqual({ set: [1], map: { a: 1 } });
  expect(unpack(pack(new Reference('a/b')))).toEqual({ actor$: 'a/b' });
  const { pack: commonPack } = createRequire(import.meta.url)('msgpackr') as { pack: typeof pack };
  expect(() => unpack(encodeValue(new Set([1])))).toThrow('Unknown extension');
  expect(decodeValue(new Uint8Array(commonPack([1])))).toEqual([1]);
});

describe('refused, by path', () => {
  class Money {
    amount = 1;
  }
  class Itself {
    toJSON(): unknown {
      return this;
    }
  }
  const cycle: Record<string, unknown> = { a: 1 };
  cycle['next'] = { back: [cycle] };
  test.each<[string, unknown, string, RegExp]>([
    ['a function', () => 1, '', /the value cannot be carried: a function/],
    [
      'a function in an array',
      { items: [1, 2, { callback: () => 1 }] },
      'items[2].callback',
      /a function \(callback\)/,
    ],
    ['a symbol', { a: { 'b c': Symbol('s') } }, 'a["b c"]', /a symbol \(s\)/],
    ['a class instance', { price: new Money() }, 'price', /an instance of Money/],
    ['a toJSON that returns itself', [new Itself()], '[0]', /an instance of Itself whose toJSON/],
    ['a promise', [Promise.resolve()], '[0]', /an instance of Promise/],
    ['a weak map', { w: new WeakMap() }, 'w', /an instance of WeakMap/],
    ['a regular expression', { r: /x/ }, 'r', /an instance of RegExp/],
    ['a data view', { v: new DataView(new ArrayBuffer(1)) }, 'v', /an instance of DataView/],
    ['a boxed string', [new String('x')], '[0]', /an instance of String/], // oxlint-disable-line no-new-wrappers
    ['a subclass of Map', { m: new (class Lru extends Map {})() }, 'm', /an instance of Lru/],
    ['a subclass of Array', { l: new (class List extends Array {})() }, 'l', /an instance of List/],
    ['65 bits', { n: 2n ** 64n }, 'n', /more than 64 bits/],
    ['65 bits below', [-(2n ** 63n) - 1n], '[0]', /more than 64 bits/],
    ['a cycle', cycle, 'next.back[0]', /it contains itself/],
    ['in a map', new Map([['k', [Symbol('s')]]]), '.get("k")[0]', /a symbol/],
    ['in a set', { s: new Set([1, { f: () => 1 }]) }, '[...s][1].f', /a function/],
    ['the key __proto__', JSON.parse('{"a":{"__proto__":{"x":1}}}'), 'a.__proto__', /no object may have this key/],
    [
      'the key __proto__ beside a map',
      [new Map(), JSON.parse('{"__proto__":1}')],
      '[1].__proto__',
      /no object may have/,
    ],
  ])('%s', (_what, value, path, message) => {
    const attempt = (): unknown => encodeValue(value);
    expect(attempt).toThrow(UnserializableValueError);
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(expect.objectContaining({ details: expect.objectContaining({ path }) }));
    // X4
    expect(roundTrip({ sound: [1] })).toStrictEqual({ sound: [1] });
  });

  test('a getter or a toJSON that throws', () => {
    const failing = {
      get x(): never {
        throw new Error('boo');
      },
    };
    expect(() => encodeValue([failing])).toThrow(/boo/);
  });
});

test('limits hold on both sides', () => {
  expect(roundTrip(nested(MESSAGE_DEPTH_LIMIT))).toStrictEqual(nested(MESSAGE_DEPTH_LIMIT));
  expect(() => encodeValue(nested(MESSAGE_DEPTH_LIMIT + 1))).toThrow(/nested deeper than 128/);
  expect(() => encodeValue(nested(100_000))).toThrow(UnserializableValueError);
  const largest = 'x'.repeat(MESSAGE_BYTES_LIMIT - 5);
  expect(roundTrip(largest)).toBe(largest);
  expect(() => encodeValue(`${largest}x`)).toThrow(MessageTooLargeError);
  const roomy = createValueCodec({ bytesLimit: MESSAGE_BYTES_LIMIT * 2 });
  const bytes = roomy.encodeValue(`${largest}x`);
  expect(() => decodeValue(bytes)).toThrow(FrameError);
  expect(roomy.decodeValue(bytes)).toBe(`${largest}x`);
});

test.each([...HOSTILE, ...HOSTILE_VALUES])('X3: hostile bytes are refused: %s', (_what, bytes) => {
  expect(() => decodeValue(Uint8Array.from(bytes))).toThrow(FrameError);
  expect(decodeValue(encodeValue({ still: 'well' }))).toEqual({ still: 'well' });
});

test('X3: 100,000 mutations give a value or a FrameError, quickly', () => {
  const random = seededRandom(7, 11);
  const below = (n: number): number => Math.floor(random.next() * n);
  const corpus = [
    ...fc.sample(carriedValue, { numRuns: 500, seed: 5 }).map((value) => encodeValue(value).slice()),
    ...[...HOSTILE, ...HOSTILE_VALUES].map(([, bytes]) => Uint8Array.from(bytes)),
  ].filter((bytes) => bytes.length < 400);
  const prototype = Object.getOwnPropertyNames(Object.prototype).join();
  let refused = 0;
  let slowest = 0;
  for (let i = 0; i < 100_000; i++) {
    const bytes = mutate(corpus[below(corpus.length)] as Uint8Array, below);
    const start = performance.now();
    try {
      decodeValue(bytes);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      refused += 1;
    }
    slowest = Math.max(slowest, performance.now() - start);
  }
  expect(Object.getOwnPropertyNames(Object.prototype).join()).toBe(prototype);
  expect(refused).toBeGreaterThan(10_000);
  expect(slowest).toBeLessThan(1_000);
});

function mutate(source: Uint8Array, below: (n: number) => number): Uint8Array {
  const bytes = Buffer.from(source);
  for (let n = 1 + below(3); n > 0 && bytes.length > 0; n--) bytes[below(bytes.length)] = below(256);
  switch (below(4)) {
    case 0:
      return Uint8Array.from(bytes.subarray(0, below(bytes.length + 1)));
    case 1:
      return Uint8Array.from([
        ...bytes.subarray(0, below(bytes.length + 1)),
        below(256),
        ...bytes.subarray(below(bytes.length + 1)),
      ]);
    default:
      return Uint8Array.from(bytes);
  }
}
