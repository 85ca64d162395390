import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { JsonSchema } from '../../../runtime/broker/contracts/json-schema.ts';
import { schemaDifferences } from '../../../runtime/broker/contracts/schema-inclusion.ts';
import { seededRandom } from '../../../runtime/kernel/random.ts';
import { schemaPair, valueFor } from './any-schema.ts';

const ajv = new Ajv2020({ strict: false, logger: false, ownProperties: true, addUsedSchema: false });
(addFormats as unknown as (one: Ajv2020) => void)(ajv);
const validatorOf = (schema: JsonSchema): ValidateFunction => ajv.compile(schema as object);

test('SI1: what it says is compatible is, for every value that ajv takes', () => {
  let compatible = 0;
  let taken = 0;
  fc.assert(
    fc.property(schemaPair, fc.nat(), ([written, reading], seed) => {
      if (schemaDifferences(written, reading).length > 0) return;
      compatible += 1;
      const [before, after] = [validatorOf(written), validatorOf(reading)];
      const dice = seededRandom(seed, 7);
      for (let i = 0; i < 60; i++) {
        // Of the one that reads too: what it refuses is close to what it takes.
        const value = valueFor(i % 3 === 0 ? reading : written, i % 3 === 0 ? reading : written, () => dice.next());
        if (before(value) !== true) continue;
        taken += 1;
        if (after(value) !== true) {
          throw new Error(
            `${JSON.stringify(value)} satisfies\n${JSON.stringify(written)}\nand not\n${JSON.stringify(reading)}\n${JSON.stringify(after.errors)}`,
          );
        }
      }
    }),
    // To shrink a pair of schemas takes minutes; the seed is in the report.
    { numRuns: Number(process.env['CB_SCHEMA_RUNS'] ?? 400), endOnFailure: true },
  );
  // A checker that says no to everything would pass too.
  expect({ compatible, taken }).toSatisfy(() => compatible > 50 && taken > 1_000);
}, 120_000);

const object = (properties: Record<string, JsonSchema>, rest: object = {}): JsonSchema => ({
  type: 'object',
  properties,
  ...rest,
});
const closed = (properties: Record<string, JsonSchema>, rest: object = {}): JsonSchema =>
  object(properties, { additionalProperties: false, ...rest });
const text = { type: 'string' };
const whole = { type: 'integer' };

const TREE = {
  $ref: '#/$defs/node',
  $defs: { node: closed({ name: text, children: { type: 'array', items: { $ref: '#/$defs/node' } } }) },
};
const LOOSER_TREE = {
  $ref: '#/$defs/n',
  $defs: {
    n: closed({ name: { type: ['string', 'null'] }, children: { type: 'array', items: { $ref: '#/$defs/n' } } }),
  },
};
const PAYMENT = {
  oneOf: [
    closed({ by: { const: 'card' }, number: text }, { required: ['by'] }),
    closed({ by: { const: 'cash' } }, { required: ['by'] }),
  ],
};

describe('what may follow', () => {
  test.each<[string, JsonSchema, JsonSchema]>([
    ['the same', object({ a: text }), object({ a: text })],
    [
      'other words',
      object({ a: text }),
      { title: 'A', ...(object({ a: { ...text, description: 'of a' } }) as object) },
    ],
    ['an optional property, to a closed schema', closed({ a: text }), closed({ a: text, b: whole })],
    ['a property that is not required any more', object({ a: text }, { required: ['a'] }), object({ a: text })],
    ['a closed schema opened', closed({ a: text }), object({ a: text })],
    ['integer to number', object({ a: whole }), object({ a: { type: 'number' } })],
    ['null, too, as a type', object({ a: text }), object({ a: { type: ['string', 'null'] } })],
    ['null, too, as an alternative', object({ a: text }), object({ a: { anyOf: [text, { type: 'null' }] } })],
    ['alternatives as types', { anyOf: [text, { type: 'null' }] }, { type: ['null', 'string'] }],
    [
      'types as alternatives',
      { type: ['null', 'string', 'number'] },
      { anyOf: [text, { type: 'number' }, { type: 'null' }] },
    ],
    ['one more of a list', { enum: ['a', 'b'] }, { enum: ['b', 'c', 'a'] }],
    ['a list that was one value', { const: 'a' }, { enum: ['a', 'b'] }],
    ['any text for a list', { enum: ['a', 'b'] }, text],
    ['true and false listed', { type: 'boolean' }, { enum: [true, false] }],
    [
      'wider bounds',
      { type: 'number', minimum: 1, exclusiveMaximum: 5 },
      { type: 'number', exclusiveMinimum: 0, maximum: 5 },
    ],
    ['bounds of integers', { type: 'integer', exclusiveMinimum: 0 }, { type: 'integer', minimum: 1 }],
    ['fewer multiples', { type: 'integer', multipleOf: 6 }, { type: 'number', multipleOf: 3 }],
    ['longer texts', { type: 'string', minLength: 2, maxLength: 3 }, { type: 'string', maxLength: 5 }],
    ['no pattern any more', { type: 'string', pattern: '^a' }, text],
    ['a pattern that listed values match', { enum: ['ab', 'ac'] }, { type: 'string', pattern: '^a' }],
    [
      'longer lists',
      { type: 'array', items: whole, maxItems: 3 },
      { type: 'array', items: { type: 'number' }, maxItems: 5 },
    ],
    [
      'a tuple that was closed',
      { type: 'array', prefixItems: [text], items: false },
      { type: 'array', prefixItems: [text, whole] },
    ],
    [
      'a tuple as a list',
      { type: 'array', prefixItems: [text, text], items: false },
      { type: 'array', items: text, maxItems: 2 },
    ],
    [
      'inside of an object inside of a list',
      { items: object({ a: object({ b: whole }) }) },
      { items: object({ a: object({ b: { type: 'number' } }) }) },
    ],
    [
      'a definition in its place',
      object({ a: text }),
      { ...(object({ a: { $ref: '#/$defs/t' } }) as object), $defs: { t: text } },
    ],
    ['a schema that refers to itself', TREE, LOOSER_TREE],
    [
      'one more alternative, told apart by a constant',
      PAYMENT,
      { oneOf: [...PAYMENT.oneOf, closed({ by: { const: 'iou' } }, { required: ['by'] })] },
    ],
    [
      'what is not understood, unchanged',
      object({ a: text }, { not: { required: ['b'] } }),
      { not: { required: ['b'] } },
    ],
    [
      'additional ones of a wider schema',
      object({}, { additionalProperties: whole }),
      object({}, { additionalProperties: { type: 'number' } }),
    ],
    [
      'a pattern of names, unchanged and wider',
      object({}, { patternProperties: { '^x-': whole }, additionalProperties: false }),
      object({}, { patternProperties: { '^x-': { type: 'number' } }, additionalProperties: false }),
    ],
    ['everything, where nothing was', { enum: [] }, false],
  ])('%s', (_what, written, reading) => {
    expect(schemaDifferences(written, reading)).toEqual([]);
  });
});

describe('what may not, where, and by which rule', () => {
  test.each<[string, JsonSchema, JsonSchema, string, string]>([
    ['a required property', object({ a: text }), object({ a: text, b: text }, { required: ['b'] }), '/b', 'required'],
    ['a property with a schema, to an open schema', object({ a: text }), object({ a: text, b: whole }), '/b', 'type'],
    ['an open schema closed', object({ a: text }), closed({ a: text }), '/*', 'additionalProperties'],
    ['a property taken out of a closed schema', closed({ a: text, b: text }), closed({ a: text }), '/b', 'false'],
    ['number to integer', object({ a: { type: 'number' } }), object({ a: whole }), '/a', 'type'],
    ['null no more', object({ a: { type: ['string', 'null'] } }), object({ a: text }), '/a', 'type'],
    ['one less of a list', { enum: ['a', 'b'] }, { enum: ['a'] }, '', 'enum'],
    ['a list for any text', text, { enum: ['a'] }, '', 'enum'],
    ['a constant for any text', text, { const: 'a' }, '', 'const'],
    ['a bound', { type: 'number' }, { type: 'number', minimum: 0 }, '', 'minimum'],
    [
      'a bound that excludes its end',
      { type: 'number', minimum: 0 },
      { type: 'number', exclusiveMinimum: 0 },
      '',
      'exclusiveMinimum',
    ],
    ['other multiples', { type: 'integer', multipleOf: 3 }, { type: 'integer', multipleOf: 6 }, '', 'multipleOf'],
    ['shorter texts', { type: 'string', maxLength: 5 }, { type: 'string', maxLength: 4 }, '', 'maxLength'],
    ['a pattern', text, { type: 'string', pattern: '^a' }, '', 'pattern'],
    ['another pattern', { type: 'string', pattern: '^ab' }, { type: 'string', pattern: '^a' }, '', 'pattern'],
    ['a format', object({ at: text }), object({ at: { type: 'string', format: 'date-time' } }), '/at', 'format'],
    ['items', { type: 'array', items: text }, { type: 'array', items: whole }, '/*', 'type'],
    [
      'one place of a tuple',
      { type: 'array', prefixItems: [text, text] },
      { type: 'array', prefixItems: [text, whole] },
      '/1',
      'type',
    ],
    ['no item twice', { type: 'array' }, { type: 'array', uniqueItems: true }, '', 'uniqueItems'],
    [
      'deep inside',
      object({ lines: { type: 'array', items: closed({ price: whole }) } }),
      object({ lines: { type: 'array', items: closed({ price: { type: 'integer', maximum: 9 } }) } }),
      '/lines/*/price',
      'maximum',
    ],
    ['a name with a slash', closed({ 'a/b~c': text }), closed({ 'a/b~c': whole }), '/a~1b~0c', 'type'],
    ['within a schema that refers to itself', LOOSER_TREE, TREE, '/name', 'type'],
    ['an alternative gone', { anyOf: [text, whole] }, { anyOf: [text] }, '', 'anyOf'],
    ['alternatives that overlap', text, { oneOf: [text, { minLength: 1 }] }, '', 'oneOf'],
    ['a condition', object({}), object({}, { if: { required: ['a'] }, else: { required: ['b'] } }), '', 'if'],
    ['a negation', text, { not: { const: 'a' } }, '', 'not'],
    ['a keyword that nobody knows', text, { type: 'string', checked: true }, '', 'checked'],
    ['another document', text, { $ref: 'https://schemas.example/text' }, '', '$ref'],
    ['a reference to nowhere', text, { $ref: '#/$defs/none' }, '', '$ref'],
    ['a schema that is only itself', text, { $ref: '#' }, '', '$ref'],
    ['nothing', text, false, '', 'false'],
    ['a list of items as in older drafts', text, { items: [text] } as JsonSchema, '', '$ref'],
  ])('%s', (_what, written, reading, path, rule) => {
    const found = schemaDifferences(written, reading);
    expect(found.map((one) => [one.path, one.rule])).toContainEqual([path, rule]);
  });

  test('all differences are told, and each once', () => {
    const found = schemaDifferences(
      closed({ a: text, b: whole, c: text }),
      closed({ a: whole, b: text, c: text }, { required: ['c'] }),
    );
    expect(found.map(({ path, rule }) => `${path} ${rule}`).sort()).toEqual(['/a type', '/b type', '/c required']);
  });

  test('a property that an open schema did not name says how it can be added', () => {
    expect(schemaDifferences(object({}), object({ b: whole }))[0]?.reason).toContain('"additionalProperties": false');
  });

  describe('schemas that refer to each other without an end are compared to an end', () => {
    const defs = ($defs: Record<string, JsonSchema>): JsonSchema => ({ $ref: '#/$defs/d', $defs });
    const d = { $ref: '#/$defs/d' };
    const few = defs({ d: object({ a: d }, { maxProperties: 3 }) });
    const ring = (name: string, length: number): [string, JsonSchema][] =>
      Array.from({ length }, (_, i) => [`${name}${i}`, object({ a: { $ref: `#/$defs/${name}${(i + 1) % length}` } })]);
    test.each<[string, JsonSchema, JsonSchema, string]>([
      ['twice at each step', defs({ d: object({ a: { allOf: [d, d] } }) }), few, 'maxProperties'],
      [
        'by name and by pattern',
        defs({ d: object({ a: d }, { patternProperties: { '^a': d } }) }),
        few,
        'maxProperties',
      ],
      ['at the same place', defs({ d: { anyOf: [d, text] } }), object({}, { minProperties: 1 }), '$ref'],
      [
        'in rings of 31, 37 and 41, which meet after 47,027 steps',
        {
          allOf: ['p0', 'q0', 'r0'].map((name) => ({ $ref: `#/$defs/${name}` })),
          $defs: Object.fromEntries([...ring('p', 31), ...ring('q', 37), ...ring('r', 41)]),
        },
        defs({ d: object({ a: d }, { additionalProperties: text }) }),
        '$ref',
      ],
    ])('%s', (_what, written, reading, rule) => {
      expect(schemaDifferences(written, reading).map((one) => one.rule)).toContain(rule);
    });
  });

  test('alternatives within alternatives end, undecided', () => {
    const wide = (depth: number): JsonSchema =>
      depth === 0
        ? { type: 'object', minProperties: 1 }
        : {
            allOf: Array.from({ length: 6 }, (_, i) => ({ anyOf: [{ required: [`a${depth}${i}`] }, wide(depth - 1)] })),
          };
    const found = schemaDifferences(wide(3), { allOf: [wide(3), { maxProperties: 3 }] });
    expect(found.some(({ reason }) => reason.includes('cannot be decided'))).toBe(true);
  });
});
