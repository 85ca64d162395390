/** Equality of what turns ask for: by content, as the codec carries it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { firstDifference } from '../../../runtime/cell/same-value.ts';
import { Reference } from '../../../runtime/kernel/reference.ts';
import { decodeValue, encodeValue } from '../../../runtime/wire/value-codec.ts';

describe('the same', () => {
  test.each([
    [{ a: 1 }, { a: 1, b: undefined }],
    [
      { b: 2, a: 1 },
      { a: 1, b: 2 },
    ],
    [Number.NaN, Number.NaN],
    // The codec does not tell them apart, so a replay must not.
    [0, -0],
    [new Date(5), new Date(5)],
    [new Map([['a', { b: 1 }]]), new Map([['a', { b: 1 }]])],
    [new Set([1, 2]), new Set([1, 2])],
    [new Uint8Array([1, 2]), Buffer.from([1, 2])],
    [new Reference('a/b'), new Reference('a/b')],
    [{ error: { message: 'm', stack: 'here' } }, { error: { message: 'm', stack: 'there' } }],
    [new TypeError('m'), new TypeError('m')],
  ])('%o and %o', (a, b) => {
    expect(firstDifference(a, b)).toBeUndefined();
    expect(firstDifference(b, a)).toBeUndefined();
  });

  test('whatever has been through the codec is the same as before', () => {
    const value = fc.anything({
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withBigInt: false,
      withNullPrototype: false,
    });
    fc.assert(
      fc.property(value, (each) => {
        let bytes: Uint8Array;
        try {
          bytes = encodeValue(each);
        } catch {
          return;
        }
        expect(firstDifference(each, decodeValue(bytes))).toBeUndefined();
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('different, and where', () => {
  test.each([
    [{ a: [1, { b: 2 }] }, { a: [1, { b: 3 }] }, '.a[1].b'],
    [{ a: 1 }, {}, '.a'],
    [{}, { a: 1 }, '.a'],
    [[1], [1, 2], '.length'],
    [new Date(5), new Date(6), ''],
    [{ d: new Date(5) }, { d: 5 }, '.d'],
    [{ m: new Map([[1, 2]]) }, { m: new Map([[1, 3]]) }, '.m[0][1]'],
    [{ s: new Set([1]) }, { s: new Set([2]) }, '.s[0]'],
    [{ b: new Uint8Array([1]) }, { b: new Uint8Array([2]) }, '.b'],
    [{ r: new Reference('a/b') }, { r: new Reference('a/c') }, '.r'],
    [{ r: new Reference('a/b') }, { r: { key: 'a/b' } }, '.r'],
    [{ e: new TypeError('m') }, { e: new RangeError('m') }, '.e'],
    [1, '1', 'value'],
    [null, undefined, 'value'],
    [{ a: null }, { a: undefined }, '.a'],
  ])('%o and %o', (a, b, path) => {
    expect(firstDifference(a, b)).toBe(path);
    expect(firstDifference(b, a)).toBe(path);
  });
});
