/**
 * Whether one value satisfies a schema, as far as can be said without doubt: for the values of an `enum`, when schemas are compared.
 *
 * Owns: a small reading of JSON Schema with three answers. Payloads are validated by `ajv-door.ts`, not here.
 *
 * Invariants:
 * SV1. `true` and `false` are what a validator says; anything not understood, as a format, is `undefined`.
 */
import {
  isAnnotation,
  isSchemaObject,
  type JsonSchemaObject,
  resolveReference,
  sameJson,
  type SchemaNode,
} from './json-schema.ts';

/** `undefined`: cannot be said. */
export type Verdict = boolean | undefined;

/** References that lead to references, and schemas nested as deep: nobody's are, on purpose. */
const DEPTH_LIMIT = 64;

export function verdictOn(node: SchemaNode, value: unknown, depth = 0): Verdict {
  const { root, schema } = node;
  if (typeof schema === 'boolean') return schema;
  if (depth > DEPTH_LIMIT) return undefined;
  const judge = (inner: unknown, of: unknown): Verdict =>
    typeof inner === 'boolean' || isSchemaObject(inner) ? verdictOn({ schema: inner, root }, of, depth + 1) : undefined;
  return every(Object.keys(schema), (keyword) => verdictOfKeyword(keyword, schema, value, root, judge));
}

/** False if one is false, else undefined if one is. */
export function every<T>(items: Iterable<T>, judge: (item: T) => Verdict): Verdict {
  let all: Verdict = true;
  for (const item of items) {
    const verdict = judge(item);
    if (verdict === false) return false;
    if (verdict === undefined) all = undefined;
  }
  return all;
}

const not = (verdict: Verdict): Verdict => (verdict === undefined ? undefined : !verdict);

function some<T>(items: Iterable<T>, judge: (item: T) => Verdict): Verdict {
  return not(every(items, (item) => not(judge(item))));
}

function exactlyOne<T>(items: readonly T[], judge: (item: T) => Verdict): Verdict {
  const verdicts = items.map(judge);
  const yes = verdicts.filter((one) => one === true).length;
  if (yes > 1) return false;
  return verdicts.includes(undefined) ? undefined : yes === 1;
}

type Judge = (schema: unknown, value: unknown) => Verdict;

function verdictOfKeyword(
  keyword: string,
  schema: JsonSchemaObject,
  value: unknown,
  root: SchemaNode['root'],
  judge: Judge,
): Verdict {
  if (isAnnotation(keyword)) return true;
  const given = schema[keyword];
  switch (keyword) {
    case '$ref':
      return judge(resolveReference(root, given), value);
    case 'type':
      return (Array.isArray(given) ? given : [given]).some((type) => isOfType(value, type));
    case 'const':
      return sameJson(given, value);
    case 'enum':
      return Array.isArray(given) ? given.some((one) => sameJson(one, value)) : undefined;
    case 'allOf':
      return Array.isArray(given) ? every(given, (one) => judge(one, value)) : undefined;
    case 'anyOf':
      return Array.isArray(given) ? some(given, (one) => judge(one, value)) : undefined;
    case 'oneOf':
      return Array.isArray(given) ? exactlyOne(given, (one) => judge(one, value)) : undefined;
    case 'not':
      return not(judge(given, value));
  }
  if (typeof value === 'number') return verdictOnNumber(keyword, given, value);
  if (typeof value === 'string') return verdictOnString(keyword, given, value);
  if (Array.isArray(value)) return verdictOnArray(keyword, schema, value, judge);
  if (typeof value === 'object' && value !== null) return verdictOnObject(keyword, schema, value, judge);
  return FOR_KINDS.has(keyword) ? true : undefined;
}

/** Keywords that speak of numbers, strings, arrays or objects, and say yes to everything else. */
const FOR_NUMBERS = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'];
const FOR_STRINGS = ['minLength', 'maxLength', 'pattern'];
const FOR_ARRAYS = ['items', 'prefixItems', 'minItems', 'maxItems', 'uniqueItems'];
const FOR_OBJECTS = [
  'required',
  'properties',
  'patternProperties',
  'additionalProperties',
  'minProperties',
  'maxProperties',
];
const FOR_KINDS = new Set([...FOR_NUMBERS, ...FOR_STRINGS, ...FOR_ARRAYS, ...FOR_OBJECTS, 'format']);

/** For a keyword that says nothing of a value of this kind: yes, where it is known to be of another one. */
const foreign = (keyword: string, own: readonly string[]): Verdict =>
  FOR_KINDS.has(keyword) && keyword !== 'format' && !own.includes(keyword) ? true : undefined;

function isOfType(value: unknown, type: unknown): boolean {
  switch (type) {
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

function verdictOnNumber(keyword: string, given: unknown, value: number): Verdict {
  if (typeof given !== 'number') return foreign(keyword, FOR_NUMBERS);
  switch (keyword) {
    case 'minimum':
      return value >= given;
    case 'maximum':
      return value <= given;
    case 'exclusiveMinimum':
      return value > given;
    case 'exclusiveMaximum':
      return value < given;
    case 'multipleOf':
      // With fractions, validators differ in how they round.
      return Number.isSafeInteger(value) && Number.isSafeInteger(given) ? value % given === 0 : undefined;
    default:
      return foreign(keyword, FOR_NUMBERS);
  }
}

function verdictOnString(keyword: string, given: unknown, value: string): Verdict {
  switch (keyword) {
    case 'minLength':
      return typeof given === 'number' ? Array.from(value).length >= given : undefined;
    case 'maxLength':
      return typeof given === 'number' ? Array.from(value).length <= given : undefined;
    case 'pattern':
      return matchesPattern(given, value);
    default:
      return foreign(keyword, FOR_STRINGS);
  }
}

/** Whether `text` matches a `pattern`; undefined when that is no regular expression. */
export function matchesPattern(pattern: unknown, text: string): Verdict {
  if (typeof pattern !== 'string') return undefined;
  try {
    return new RegExp(pattern, 'u').test(text);
  } catch {
    return undefined;
  }
}

function verdictOnArray(keyword: string, schema: JsonSchemaObject, value: readonly unknown[], judge: Judge): Verdict {
  const given = schema[keyword];
  const prefix = Array.isArray(schema['prefixItems']) ? (schema['prefixItems'] as readonly unknown[]) : [];
  switch (keyword) {
    case 'minItems':
      return typeof given === 'number' ? value.length >= given : undefined;
    case 'maxItems':
      return typeof given === 'number' ? value.length <= given : undefined;
    case 'uniqueItems':
      return given !== true || !value.some((one, i) => value.slice(0, i).some((other) => sameJson(one, other)));
    case 'prefixItems':
      return every(prefix.slice(0, value.length).entries(), ([i, one]) => judge(one, value[i]));
    case 'items':
      return every(value.slice(prefix.length), (one) => judge(given, one));
    default:
      return foreign(keyword, FOR_ARRAYS);
  }
}

function verdictOnObject(keyword: string, schema: JsonSchemaObject, value: object, judge: Judge): Verdict {
  const given = schema[keyword];
  const names = Object.keys(value);
  const at = (name: string): unknown => (value as Record<string, unknown>)[name];
  switch (keyword) {
    case 'required':
      return Array.isArray(given) ? given.every((name) => Object.hasOwn(value, name as string)) : undefined;
    case 'minProperties':
      return typeof given === 'number' ? names.length >= given : undefined;
    case 'maxProperties':
      return typeof given === 'number' ? names.length <= given : undefined;
    case 'properties':
      if (!isSchemaObject(given)) return undefined;
      return every(names, (name) => (Object.hasOwn(given, name) ? judge(given[name], at(name)) : true));
    case 'patternProperties':
      if (!isSchemaObject(given)) return undefined;
      return every(Object.entries(given), ([pattern, inner]) =>
        every(names, (name) => {
          const matches = matchesPattern(pattern, name);
          return matches === true ? judge(inner, at(name)) : not(matches);
        }),
      );
    case 'additionalProperties': {
      const declared = isSchemaObject(schema['properties']) ? schema['properties'] : {};
      const patterns = Object.keys(isSchemaObject(schema['patternProperties']) ? schema['patternProperties'] : {});
      return every(names, (name) => {
        if (Object.hasOwn(declared, name)) return true;
        const matches = some(patterns, (pattern) => matchesPattern(pattern, name));
        return matches === false ? judge(given, at(name)) : matches;
      });
    }
    default:
      return foreign(keyword, FOR_OBJECTS);
  }
}
