/**
 * A schema as a list of plain schemas that all hold, and what they say together: which kinds of value, between which bounds, what may
 * stand at a property or an index.
 *
 * Owns: taking `$ref` and `allOf` apart, and reading several schemas as one. Compares nothing: that is `schema-inclusion.ts`.
 *
 * Invariants:
 * SA1. Every value that satisfies the schema satisfies what is read here: a keyword that is not understood only takes values away,
 *      so leaving it out is safe on the side of who writes.
 */
import {
  isSchemaObject,
  type JsonSchema,
  type JsonSchemaObject,
  resolveReference,
  type SchemaNode,
} from './json-schema.ts';
import { every, matchesPattern, type Verdict, verdictOn } from './schema-verdict.ts';

/** Kinds of JSON values; numbers with a fraction apart from integers, which JSON Schema counts among both. */
export const KINDS = ['null', 'boolean', 'integer', 'fraction', 'string', 'array', 'object'] as const;
export type Kind = (typeof KINDS)[number];

/** One of the schemas that all hold. */
export interface Atom {
  readonly schema: JsonSchemaObject;
  readonly root: JsonSchema;
  /** Its alternatives were taken apart already. */
  readonly split?: true;
  /** Only these kinds are looked at. */
  readonly kinds?: readonly Kind[];
}

/** Schemas that all hold; `never`: nothing satisfies them. */
export type Atoms = readonly Atom[] | 'never';

const REFERENCES_LIMIT = 64;

/** A reference that leads back to itself without going into the value. */
export class EndlessReference extends Error {}

/** Takes `$ref` and `allOf` of `node` apart. */
export function atomsOf({ schema, root }: SchemaNode, depth = 0): Atoms {
  if (schema === true) return [];
  if (schema === false) return 'never';
  if (depth > REFERENCES_LIMIT) throw new EndlessReference();
  const below: JsonSchema[] = [];
  const target = schema['$ref'] === undefined ? undefined : resolveReference(root, schema['$ref']);
  if (target !== undefined) below.push(target);
  for (const one of listIn(schema, 'allOf')) below.push(one);
  return both([{ schema, root }], ...below.map((one) => atomsOf({ schema: one, root }, depth + 1)));
}

/** Everything that `sides` say, together; what two of them say is said once, or schemas that refer to themselves would grow at each step. */
export function both(...sides: readonly Atoms[]): Atoms {
  if (sides.includes('never')) return 'never';
  const all = (sides as readonly (readonly Atom[])[]).flat();
  return all.filter((one, i) => all.findIndex((other) => isSameAtom(one, other)) === i);
}

function isSameAtom(one: Atom, other: Atom): boolean {
  return one.schema === other.schema && one.split === other.split && one.kinds === other.kinds;
}

/** The schemas in the list at `keyword`. */
export function listIn(schema: JsonSchemaObject, keyword: string): readonly JsonSchema[] {
  const list = schema[keyword];
  return Array.isArray(list) ? list.filter(isSchema) : [];
}

/** The schemas by name at `keyword`. */
export function namedIn(schema: JsonSchemaObject, keyword: string): ReadonlyMap<string, JsonSchema> {
  const map = schema[keyword];
  return new Map(
    isSchemaObject(map) ? (Object.entries(map).filter(([, one]) => isSchema(one)) as [string, JsonSchema][]) : [],
  );
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'boolean' || isSchemaObject(value);
}

/** Kinds that `atoms` allow. */
export function kindsOf(atoms: readonly Atom[]): readonly Kind[] {
  return KINDS.filter((kind) => atoms.every((atom) => (atom.kinds ?? kindsIn(atom.schema)).includes(kind)));
}

function kindsIn(schema: JsonSchemaObject): readonly Kind[] {
  const { type } = schema;
  if (type === undefined) return KINDS;
  const kinds = (Array.isArray(type) ? (type as unknown[]) : [type]).flatMap((one): Kind[] =>
    one === 'number' ? ['integer', 'fraction'] : KINDS.filter((kind) => kind === one),
  );
  return kinds;
}

/** The values that `atoms` allow, where these are few and can be listed; they may be more than are allowed, never fewer. */
export function listedValues(atoms: readonly Atom[]): readonly unknown[] | undefined {
  const lists = atoms.flatMap(({ schema }): (readonly unknown[])[] => [
    ...(Object.hasOwn(schema, 'const') ? [[schema['const']]] : []),
    ...(Array.isArray(schema['enum']) ? [schema['enum'] as unknown[]] : []),
  ]);
  const kinds = kindsOf(atoms);
  if (kinds.every((kind) => kind === 'null' || kind === 'boolean'))
    lists.push(kinds.flatMap((kind) => (kind === 'null' ? [null] : [true, false])));
  const shortest = lists.sort((a, b) => a.length - b.length)[0];
  return shortest?.filter((value) => verdictOnAtoms(atoms, value) !== false);
}

/** What all of `atoms` say of `value`. */
export function verdictOnAtoms(atoms: readonly Atom[], value: unknown): Verdict {
  return every(atoms, (atom) => (atom.kinds?.includes(kindOf(value)) === false ? false : verdictOn(atom, value)));
}

function kindOf(value: unknown): Kind {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'fraction';
  return KINDS.find((kind) => kind === typeof value) ?? 'object';
}

/** The greatest of the numbers that `atoms` have at `keyword`. */
export function greatest(atoms: readonly Atom[], keyword: string): number {
  return Math.max(...numbersAt(atoms, keyword));
}

/** The least of the numbers that `atoms` have at `keyword`. */
export function least(atoms: readonly Atom[], keyword: string): number {
  return Math.min(...numbersAt(atoms, keyword));
}

function numbersAt(atoms: readonly Atom[], keyword: string): number[] {
  return atoms.map(({ schema }) => schema[keyword]).filter((one) => typeof one === 'number');
}

/** Names that an object must have. */
export function requiredBy(atoms: readonly Atom[]): ReadonlySet<string> {
  return new Set(
    atoms.flatMap(({ schema }) => (Array.isArray(schema['required']) ? (schema['required'] as string[]) : [])),
  );
}

/** What may stand at the property `name`. Where it cannot be said whether a pattern takes the name, less is said. */
export function propertyOf(atoms: readonly Atom[], name: string): Atoms {
  return both(
    ...atoms.flatMap(({ root, schema }) => partsOfProperty(schema, name).map((one) => atomsOf({ schema: one, root }))),
  );
}

/** The schemas inside of `schema` that apply to the property `name`. */
export function partsOfProperty(schema: JsonSchemaObject, name: string): readonly JsonSchema[] {
  const parts: JsonSchema[] = [];
  const declared = namedIn(schema, 'properties').get(name);
  if (declared !== undefined) parts.push(declared);
  let mayBeTaken = declared !== undefined;
  for (const [pattern, inner] of namedIn(schema, 'patternProperties')) {
    const matches = matchesPattern(pattern, name);
    if (matches === true) parts.push(inner);
    if (matches !== false) mayBeTaken = true;
  }
  const additional = schema['additionalProperties'];
  if (!mayBeTaken && isSchema(additional)) parts.push(additional);
  return parts;
}

/** What may stand at `index` of an array. */
export function itemOf(atoms: readonly Atom[], index: number): Atoms {
  return both(
    ...atoms.map(({ root, schema }) => {
      const prefix = listIn(schema, 'prefixItems');
      const item = index < prefix.length ? prefix[index] : schema['items'];
      return isSchema(item) ? atomsOf({ schema: item, root }) : [];
    }),
  );
}

/** How many places of an array have a schema of their own. */
export function prefixLengthOf(atoms: readonly Atom[]): number {
  return Math.max(0, ...atoms.map(({ schema }) => listIn(schema, 'prefixItems').length));
}

/** How long an array can be. */
export function itemsLimitOf(atoms: readonly Atom[]): number {
  const closed = atoms.filter(({ schema }) => schema['items'] === false);
  return Math.min(least(atoms, 'maxItems'), ...closed.map(({ schema }) => listIn(schema, 'prefixItems').length));
}

/** How many properties an object can have. */
export function propertiesLimitOf(atoms: readonly Atom[]): number {
  const closed = atoms.filter(
    ({ schema }) => schema['additionalProperties'] === false && namedIn(schema, 'patternProperties').size === 0,
  );
  return Math.min(least(atoms, 'maxProperties'), ...closed.map(({ schema }) => namedIn(schema, 'properties').size));
}

/** Whether numbers are integers all. */
export function areIntegral(atoms: readonly Atom[]): boolean {
  return (
    !kindsOf(atoms).includes('fraction') ||
    atoms.some(({ schema }) => Number.isSafeInteger(schema['multipleOf']) && (schema['multipleOf'] as number) > 0)
  );
}

/** A bound that numbers keep: `value` itself is out when `isOpen`. */
export interface Bound {
  readonly value: number;
  readonly isOpen: boolean;
}

export function lowerBoundOf(atoms: readonly Atom[]): Bound {
  const [closed, open] = [greatest(atoms, 'minimum'), greatest(atoms, 'exclusiveMinimum')];
  const bound = { value: Math.max(closed, open), isOpen: open >= closed };
  if (!areIntegral(atoms) || !Number.isSafeInteger(Math.floor(bound.value))) return bound;
  return { value: bound.isOpen ? Math.floor(bound.value) + 1 : Math.ceil(bound.value), isOpen: false };
}

export function upperBoundOf(atoms: readonly Atom[]): Bound {
  const [closed, open] = [least(atoms, 'maximum'), least(atoms, 'exclusiveMaximum')];
  const bound = { value: Math.min(closed, open), isOpen: open <= closed };
  if (!areIntegral(atoms) || !Number.isSafeInteger(Math.ceil(bound.value))) return bound;
  return { value: bound.isOpen ? Math.ceil(bound.value) - 1 : Math.floor(bound.value), isOpen: false };
}
