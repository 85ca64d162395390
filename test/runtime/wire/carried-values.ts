/** Values of every kind that the wire carries, for properties. Not among them: what is documented to change (-0, holes, lone surrogates). */
import fc from 'fast-check';
import { Reference } from '../../../runtime/kernel/reference.ts';

const text = fc.string({ unit: 'binary', maxLength: 80 });
const key = fc.oneof(
  fc.constantFrom('type', 'id', 'constructor', 'hasOwnProperty', 'toString', 'a b', '', '__proto', 'valueOf'),
  text,
);

const scalar = fc.oneof(
  fc.constantFrom(
    undefined,
    null,
    true,
    false,
    NaN,
    Infinity,
    -Infinity,
    0,
    63,
    64,
    127,
    128,
    0xffff,
    0x1_0000,
    -32,
    -33,
    2 ** 53,
  ),
  fc.integer(),
  fc.double().map((n) => (n === 0 ? 0 : n)),
  text,
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array({ maxLength: 300 }),
  fc.float64Array({ maxLength: 5 }),
  fc.bigInt64Array({ maxLength: 5 }),
  fc.int16Array({ maxLength: 5 }),
  fc.uint8Array({ maxLength: 5 }).map((bytes) => new Uint8Array(bytes).buffer),
  fc.constantFrom('order/o-1', 'a/b~c').map((cell) => new Reference(cell)),
);

export const carriedValue: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(
      key.filter((name) => name !== '__proto__'),
      tie('value'),
      { maxKeys: 20, noNullPrototype: true },
    ),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 5 }).map((entries) => new Map(entries)),
    fc.array(tie('value'), { maxLength: 5 }).map((entries) => new Set(entries)),
  ),
})).value;

const times = (count: number, byte: number): number[] => Array.from({ length: count }, () => byte);

type Payload = [what: string, bytes: readonly number[]];

/** Payloads that other decoders of msgpack have fallen for. */
export const HOSTILE: Payload[] = [
  ['nothing', []],
  ['a byte that is never used', [0xc1]],
  ['only the mark of records', [0xc1, 0xc1]],
  ['an array that ends early', [0x92, 0x01]],
  ['two values', [0x01, 0x02]],
  ['an array of 4 billion', [0xdd, 0xff, 0xff, 0xff, 0xff]],
  ['a map of 4 billion', [0xdf, 0xff, 0xff, 0xff, 0xff]],
  ['a string of 4 GB', [0xdb, 0xff, 0xff, 0xff, 0xff, 0x61]],
  ['bytes of 4 GB', [0xc6, 0xff, 0xff, 0xff, 0xff, 0x61]],
  ['nested too deep', [...times(200, 0x91), 0xc0]],
  ['nested far too deep', times(200_000, 0x91)],
  ['maps nested far too deep', Array.from({ length: 200_000 }, (_, i) => [0x81, 0xa1, 0x61][i % 3] as number)],
  ['a record with the key __proto__', [0xc1, 0xd4, 0x72, 0x40, 0x91, 0xa9, ...Buffer.from('__proto__'), 0x01]],
  ['a record that is not defined', [0xc1, 0x41]],
  ['a record out of range', [0xc1, 0xd4, 0x72, 0x20, 0x91, 0xa1, 0x61, 0x01]],
  ['a record of two bytes', [0xc1, 0xd5, 0x72, 0x40, 0x00, 0x91, 0xa1, 0x61, 0x01]],
  ['a record whose keys are a number', [0xc1, 0xd4, 0x72, 0x40, 0x05, 0x01]],
  ['a record that contains itself', [0xc1, 0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, ...times(500, 0x40)]],
  ['an error by name', [0xd4, 0x65, 0x00, 0x93, 0xa8, ...Buffer.from('toString'), 0xa1, 0x61, 0xc0]],
  ['a regular expression', [0xd4, 0x78, 0x00, 0x92, 0xa5, ...Buffer.from('(a+)+'), 0xa0]],
  ['a pointer', [0xd6, 0x70, 0x00, 0x00, 0x00, 0x01]],
  ['an id', [0xd6, 0x69, 0x00, 0x00, 0x00, 0x01, 0x91, 0xd6, 0x70, 0x00, 0x00, 0x00, 0x01]],
  ['bundled strings', [0xd6, 0x62, 0x00, 0x00, 0x00, 0x05, 0x91, 0xc1, 0x04, 0xa0, 0xa0]],
  ['a bigint of a kilobyte', [0xc8, 0x04, 0x00, 0x42, ...times(1024, 0x7f)]],
  ["msgpackr's own typed array", [0xc7, 0x05, 0x74, 0x08, 1, 2, 3, 4]],
  ["msgpackr's own set", [0xd4, 0x73, 0x00, 0x91, 0x01]],
  ['an extension of the application', [0xd4, 0x01, 0x00]],
  ['ours, with nothing behind it', [0xd4, 0x3b, 0x00]],
  ['ours, with a number behind it', [0xd4, 0x3b, 0x00, 0x05]],
  ['ours, of no kind', [0xd4, 0x3b, 0x00, 0x92, 0x63, 0x00]],
  ['a reference to a number', [0xd4, 0x3b, 0x00, 0x92, 0x00, 0x05]],
  ['an error without a name', [0xd4, 0x3b, 0x00, 0x92, 0x01, 0x81, 0xa4, ...Buffer.from('code'), 0xa1, 0x61]],
  [
    'an error with bytes for details',
    [
      ...[0xd4, 0x3b, 0x00, 0x92, 0x01, 0x84, 0xa4, ...Buffer.from('name'), 0xa1, 0x61, 0xa4, ...Buffer.from('code')],
      ...[0xa1, 0x61, 0xa7, ...Buffer.from('message'), 0xa0, 0xa7, ...Buffer.from('details'), 0xc4, 0x02, 1, 2],
    ],
  ],
  ['a set of a number', [0xd4, 0x3b, 0x00, 0x92, 0x02, 0x05]],
  ['a typed array of no type', [0xd4, 0x3b, 0x00, 0x92, 0x04, 0x92, 0x63, 0xc4, 0x01, 0x00]],
  ['a typed array cut short', [0xd4, 0x3b, 0x00, 0x92, 0x04, 0x92, 0x07, 0xc4, 0x03, 0, 0, 0]],
  ['a date of the wrong length', [0xc7, 0x05, 0xff, 1, 2, 3, 4, 5]],
];

/** Those that are lawful in a frame, where a map is a Map and records are allowed. */
export const HOSTILE_VALUES: Payload[] = [
  ['the key __proto__', [0x81, 0xa9, ...Buffer.from('__proto__'), 0x81, 0xa1, 0x78, 0x01]],
  ['the key __proto__, said long', [0x81, 0xd9, 9, ...Buffer.from('__proto__'), 0x01]],
  ['a key that is no string', [0x81, 0x01, 0x01]],
  ['a key that is an object', [0x81, 0x80, 0x01]],
  ['a record where there are none', [0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 0x01]],
];
