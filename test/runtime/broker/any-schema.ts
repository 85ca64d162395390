/** Random JSON Schemas, small changes of them, and values that mostly satisfy them. */
import fc from 'fast-check';
import type { JsonSchema, JsonSchemaObject } from '../../../runtime/broker/contracts/json-schema.ts';

const NAMES = ['a', 'b', 'c', 'x-1'];
const STRINGS = ['', 'a', 'ab', 'abc', 'b1', '2026-11-28', 'a@b.example'];
const name = fc.constantFrom(...NAMES);
const small = fc.integer({ min: 0, max: 3 });
const bound = fc.constantFrom(-1, 0, 0.5, 1, 2, 2.5, 5);
const scalar = fc.constantFrom<unknown>(null, true, false, 0, 1, 1.5, 2, ...STRINGS);

const some = (model: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<JsonSchemaObject> =>
  fc.record(model, { requiredKeys: [] }) as fc.Arbitrary<JsonSchemaObject>;

const typed = (type: unknown, model: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<JsonSchemaObject> =>
  some(model).chain((rest) => fc.boolean().map((isTyped) => (isTyped ? { type, ...rest } : { ...rest, type })));

const numeric = {
  minimum: bound,
  maximum: bound,
  exclusiveMinimum: bound,
  exclusiveMaximum: bound,
  multipleOf: fc.constantFrom(1, 2, 0.5, 4),
};
const textual = {
  minLength: small,
  maxLength: small,
  pattern: fc.constantFrom('^a', 'b', '^[a-z]*$'),
  format: fc.constantFrom('date', 'email'),
};

/** With `$defs` d and e at the root, which every schema may refer to. */
const { schema } = fc.letrec<{ schema: JsonSchema; leaf: JsonSchema }>((tie) => ({
  leaf: fc.oneof(
    { weight: 1, arbitrary: fc.boolean() },
    { weight: 1, arbitrary: fc.constant({}) },
    { weight: 3, arbitrary: typed('integer', numeric) },
    { weight: 2, arbitrary: typed('number', numeric) },
    { weight: 4, arbitrary: typed('string', textual) },
    { weight: 1, arbitrary: some({ ...numeric, ...textual }) },
    {
      weight: 2,
      arbitrary: fc
        .uniqueArray(fc.constantFrom('null', 'boolean', 'integer', 'number', 'string', 'array', 'object'), {
          minLength: 1,
          maxLength: 3,
        })
        .map((type) => ({ type })),
    },
    { weight: 2, arbitrary: fc.array(scalar, { minLength: 1, maxLength: 4 }).map((list) => ({ enum: list })) },
    { weight: 1, arbitrary: scalar.map((value) => ({ const: value })) },
  ),
  schema: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'schema' },
    { weight: 4, arbitrary: tie('leaf') },
    {
      weight: 5,
      arbitrary: typed('object', {
        properties: fc.dictionary(name, tie('schema'), { maxKeys: 3, noNullPrototype: true }),
        required: fc.uniqueArray(name, { maxLength: 2 }),
        additionalProperties: fc.oneof(fc.constant(false), tie('schema')),
        patternProperties: fc.dictionary(fc.constantFrom('^x-', '^a'), tie('schema'), {
          maxKeys: 1,
          minKeys: 1,
          noNullPrototype: true,
        }),
        minProperties: small,
        maxProperties: small,
      }),
    },
    {
      weight: 3,
      arbitrary: typed('array', {
        items: tie('schema'),
        prefixItems: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }),
        minItems: small,
        maxItems: small,
        uniqueItems: fc.boolean(),
        contains: tie('leaf'),
      }),
    },
    { weight: 2, arbitrary: fc.record({ anyOf: fc.array(tie('schema'), { minLength: 1, maxLength: 3 }) }) },
    { weight: 2, arbitrary: fc.record({ oneOf: fc.array(tie('schema'), { minLength: 1, maxLength: 3 }) }) },
    { weight: 1, arbitrary: fc.record({ allOf: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }) }) },
    { weight: 1, arbitrary: fc.record({ not: tie('leaf') }) },
    { weight: 1, arbitrary: fc.record({ if: tie('leaf'), else: tie('schema') }) },
    {
      weight: 1,
      arbitrary: fc.record({
        anyOf: fc.array(tie('leaf'), { minLength: 1, maxLength: 2 }),
        properties: fc.dictionary(name, tie('schema'), { maxKeys: 2, noNullPrototype: true }),
      }),
    },
    { weight: 2, arbitrary: fc.constantFrom({ $ref: '#/$defs/d' }, { $ref: '#/$defs/e' }) },
  ),
}));

/** A reference may not lead to itself at the same place: no validator could decide. So the definitions put it into a property. */
const definitions = fc.record({
  d: fc.record({
    type: fc.constant('object'),
    properties: fc.dictionary(name, schema, { maxKeys: 2, noNullPrototype: true }),
    additionalProperties: fc.oneof(fc.boolean(), schema),
  }),
  e: fc.record({ type: fc.constant('array'), items: schema }),
});

export const anySchema: fc.Arbitrary<JsonSchema> = fc
  .tuple(schema, definitions)
  .map(([one, $defs]) => (typeof one === 'boolean' ? one : { ...one, $defs }));

/** Two schemas: the second is the first, changed somewhere; sometimes another one. */
export const schemaPair: fc.Arbitrary<readonly [JsonSchema, JsonSchema]> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(anySchema, fc.array(fc.tuple(fc.nat(), fc.nat(), schema), { minLength: 1, maxLength: 2 }))
      .map(([one, changes]) => [one, changes.reduce((all, change) => changed(all, ...change), one)] as const),
  },
  { weight: 1, arbitrary: fc.tuple(anySchema, anySchema) },
);

/** `whole` with one of its parts changed: loosened, tightened, or replaced. */
function changed(whole: JsonSchema, at: number, how: number, other: JsonSchema): JsonSchema {
  const copy = structuredClone({ whole }) as unknown as Record<string, unknown>;
  const places: { readonly of: Record<string, unknown>; readonly key: string }[] = [];
  const walk = (of: Record<string, unknown>): void => {
    for (const key of Object.keys(of)) {
      places.push({ of, key });
      const inner = of[key];
      if (typeof inner === 'object' && inner !== null && key !== 'enum' && key !== 'const')
        walk(inner as Record<string, unknown>);
    }
  };
  walk(copy);
  const { key, of } = places[at % places.length] as (typeof places)[number];
  const value = of[key];
  if (typeof value === 'number' && !Array.isArray(of))
    of[key] = Math.max(
      key.startsWith('m') && key !== 'minimum' && key !== 'maximum' ? (key === 'multipleOf' ? 1 : 0) : -5,
      Math.floor(value) + [1, -1, 2][how % 3]!,
    );
  else if (key === 'type') of[key] = ['number', ['integer', 'null'], ['string', 'null'], ['object', 'string']][how % 4];
  else if (key === 'enum') of[key] = [...(value as unknown[]), 'new'];
  else if (key === 'required')
    of[key] = how % 2 === 0 ? (value as string[]).slice(1) : [...new Set([...(value as string[]), 'b'])];
  else if (key === 'properties' && how % 2 === 0) of[key] = { ...(value as object), c: other };
  else if (key === 'anyOf') of[key] = how % 2 === 0 ? [...(value as unknown[]), other] : value;
  else if (['additionalProperties', 'items', 'whole', 'not', 'contains'].includes(key) && how % 2 === 0)
    of[key] = other;
  else if (
    ['minLength', 'maxLength', 'pattern', 'format', 'additionalProperties', 'uniqueItems', 'const'].includes(key)
  )
    delete of[key];
  const { whole: after } = copy as { whole: JsonSchema };
  // What it refers to must be there.
  return typeof whole === 'object' && typeof after === 'object'
    ? { ...after, $defs: after['$defs'] ?? whole['$defs'] }
    : after;
}

/** A value that often satisfies `node`, made with the numbers of `dice`. */
export function valueFor(node: JsonSchema, root: JsonSchema, dice: () => number, depth = 0): unknown {
  const roll = (sides: number): number => Math.floor(dice() * sides);
  const pick = <T>(list: readonly T[]): T => list[roll(list.length)] as T;
  if (typeof node === 'boolean' || depth > 5 || dice() < 0.06) return anyValue(dice, depth);
  if (node['const'] !== undefined) return node['const'];
  if (Array.isArray(node['enum'])) return pick(node['enum'] as unknown[]);
  if (typeof node['$ref'] === 'string')
    return valueFor(
      (root as Record<string, Record<string, JsonSchema>>)['$defs']?.[node['$ref'].slice(8)] ?? true,
      root,
      dice,
      depth + 1,
    );
  for (const keyword of ['anyOf', 'oneOf', 'allOf'] as const)
    if (Array.isArray(node[keyword]) && dice() < 0.8)
      return valueFor(pick(node[keyword] as JsonSchema[]), root, dice, depth + 1);
  const types = [node['type'] ?? impliedType(node)].flat() as (string | undefined)[];
  switch (pick(types)) {
    case 'null':
      return null;
    case 'boolean':
      return dice() < 0.5;
    case 'integer':
      return roll(9) - 2;
    case 'number':
      return roll(18) / 2 - 2;
    case 'string':
      return pick(STRINGS);
    case 'array': {
      const prefix = (node['prefixItems'] ?? []) as JsonSchema[];
      return Array.from({ length: roll(4) }, (_, i) =>
        valueFor(prefix[i] ?? (node['items'] as JsonSchema | undefined) ?? true, root, dice, depth + 1),
      );
    }
    case 'object': {
      const declared = (node['properties'] ?? {}) as Record<string, JsonSchema>;
      const names = new Set([
        ...((node['required'] ?? []) as string[]),
        ...Object.keys(declared).filter(() => dice() < 0.6),
        ...NAMES.filter(() => dice() < 0.15),
      ]);
      return Object.fromEntries(
        [...names].map((key) => [
          key,
          valueFor(
            declared[key] ?? (node['additionalProperties'] as JsonSchema | undefined) ?? true,
            root,
            dice,
            depth + 1,
          ),
        ]),
      );
    }
    default:
      return anyValue(dice, depth);
  }
}

function impliedType(node: JsonSchemaObject): string | undefined {
  if (['properties', 'required', 'additionalProperties', 'patternProperties'].some((key) => key in node))
    return 'object';
  if (['items', 'prefixItems'].some((key) => key in node)) return 'array';
  return undefined;
}

function anyValue(dice: () => number, depth: number): unknown {
  const roll = Math.floor(dice() * (depth > 3 ? 12 : 14));
  if (roll < 5) return [null, true, false, 0, 1][roll];
  if (roll < 7) return Math.floor(dice() * 18) / 2 - 2;
  if (roll < 12) return STRINGS[Math.floor(dice() * STRINGS.length)];
  const inner = Array.from({ length: Math.floor(dice() * 3) }, () => anyValue(dice, depth + 1));
  return roll === 12
    ? inner
    : Object.fromEntries(inner.map((one, i) => [NAMES[(i + Math.floor(dice() * 4)) % 4], one]));
}
