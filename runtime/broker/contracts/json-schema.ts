/**
 * JSON Schema, draft 2020-12, as data: where schemas are inside a schema, what is only words, where references lead.
 *
 * Owns: the tables of keywords, local references, and when two schemas say the same. Judges no values.
 *
 * Invariants:
 * JS1. `sameSchema` is never wrong when it says yes: it follows references on both sides, and compares everything but annotations.
 * JS2. In a schema without `findUnsupported`, every reference is local and leads to a schema.
 */

/** A schema, as JSON. */
export type JsonSchema = boolean | JsonSchemaObject;
export interface JsonSchemaObject {
  readonly [keyword: string]: unknown;
}

/** A schema and the document that its references are resolved in. */
export interface SchemaNode {
  readonly schema: JsonSchema;
  readonly root: JsonSchema;
}

/** Whose value is a schema. */
const SCHEMA_AT = new Set([
  'additionalProperties',
  'contains',
  'else',
  'if',
  'items',
  'not',
  'propertyNames',
  'then',
  'unevaluatedItems',
  'unevaluatedProperties',
]);
/** Whose value is an object of schemas. */
const SCHEMAS_BY_NAME = new Set(['$defs', 'definitions', 'dependentSchemas', 'patternProperties', 'properties']);
/** Whose value is a list of schemas. */
const SCHEMAS_IN_LIST = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);

/** Keywords that no value fails. `contentSchema` and its like are annotations since 2019-09. */
const ANNOTATIONS: ReadonlySet<string> = new Set([
  '$anchor',
  '$comment',
  '$defs',
  '$id',
  '$schema',
  'contentEncoding',
  'contentMediaType',
  'contentSchema',
  'default',
  'definitions',
  'deprecated',
  'description',
  'examples',
  'readOnly',
  'title',
  'writeOnly',
]);

/** Whether `keyword` is only words: one of the draft's annotations, or one of somebody's own, which begin with `x-` by custom. */
export function isAnnotation(keyword: string): boolean {
  return ANNOTATIONS.has(keyword) || keyword.startsWith('x-');
}

/** Keywords that lead out of the document, or change what a reference means on the way. */
const UNSUPPORTED = ['$dynamicRef', '$dynamicAnchor', '$recursiveRef', '$recursiveAnchor'];

export function isSchemaObject(schema: unknown): schema is JsonSchemaObject {
  return typeof schema === 'object' && schema !== null && !Array.isArray(schema);
}

/** What the keywords of `schema` hold, as schemas: with the path from it. */
export function* schemasIn(schema: JsonSchemaObject): IterableIterator<readonly [path: string, schema: unknown]> {
  for (const [keyword, value] of Object.entries(schema)) {
    if (SCHEMA_AT.has(keyword)) yield [`/${keyword}`, value];
    else if (SCHEMAS_BY_NAME.has(keyword) && isSchemaObject(value)) {
      for (const [name, inner] of Object.entries(value)) yield [`/${keyword}/${pointerToken(name)}`, inner];
    } else if (SCHEMAS_IN_LIST.has(keyword) && Array.isArray(value)) {
      for (const [index, inner] of value.entries()) yield [`/${keyword}/${index}`, inner];
    }
  }
}

/** What keeps the differences of `root` to another schema from being found, with its place; undefined when nothing does. */
export function findUnsupported(root: JsonSchema): { readonly path: string; readonly what: string } | undefined {
  const open: (readonly [path: string, schema: unknown])[] = [['', root]];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [path, schema] = next;
    if (typeof schema === 'boolean') continue;
    if (!isSchemaObject(schema)) return { path, what: 'is no schema of draft 2020-12' };
    const keyword = UNSUPPORTED.find((one) => Object.hasOwn(schema, one));
    if (keyword !== undefined) return { path, what: `uses ${keyword}` };
    if (path !== '' && Object.hasOwn(schema, '$id')) return { path, what: 'has a $id inside of another schema' };
    const reference = schema['$ref'];
    if (reference !== undefined && resolveReference(root, reference) === undefined)
      return {
        path,
        what: `refers to ${JSON.stringify(reference)}: only "#" and "#/…" that lead to a schema are followed`,
      };
    for (const [step, inner] of schemasIn(schema)) open.push([path + step, inner]);
  }
  return undefined;
}

/** The schema that a local reference leads to; undefined for any other. */
export function resolveReference(root: JsonSchema, reference: unknown): JsonSchema | undefined {
  if (typeof reference !== 'string' || !reference.startsWith('#')) return undefined;
  let pointer: string;
  try {
    pointer = decodeURIComponent(reference.slice(1));
  } catch {
    return undefined;
  }
  if (pointer !== '' && !pointer.startsWith('/')) return undefined;
  let place: unknown = root;
  for (const token of pointer.split('/').slice(1)) {
    const name = token.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof place !== 'object' || place === null || !Object.hasOwn(place, name)) return undefined;
    place = (place as Record<string, unknown>)[name];
  }
  return typeof place === 'boolean' || isSchemaObject(place) ? place : undefined;
}

/** `name` as one step of a JSON Pointer (RFC 6901). */
export function pointerToken(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** Whether two schemas say the same: equal but for annotations, references followed. */
export function sameSchema(a: SchemaNode, b: SchemaNode): boolean {
  return new Likeness(a.root, b.root).schemas(a.schema, b.schema);
}

/** Whether two schemas say the same about `keyword`. */
export function sameKeyword(a: SchemaNode, b: SchemaNode, keyword: string): boolean {
  const [left, right] = [a.schema, b.schema];
  if (!isSchemaObject(left) || !isSchemaObject(right)) return false;
  if (!Object.hasOwn(left, keyword) || !Object.hasOwn(right, keyword))
    return Object.hasOwn(left, keyword) === Object.hasOwn(right, keyword);
  return new Likeness(a.root, b.root).keywords(keyword, left[keyword], right[keyword]);
}

class Likeness {
  readonly #roots: readonly [JsonSchema, JsonSchema];
  /** Pairs of references that are being compared: taken for alike, until something else differs. */
  readonly #assumed = new Set<string>();

  constructor(left: JsonSchema, right: JsonSchema) {
    this.#roots = [left, right];
  }

  schemas(a: unknown, b: unknown): boolean {
    if (!isSchemaObject(a) || !isSchemaObject(b)) return typeof a === 'boolean' && a === b;
    const keys = (schema: JsonSchemaObject): string[] => Object.keys(schema).filter((key) => !isAnnotation(key));
    const [left, right] = [keys(a), keys(b)];
    return (
      left.length === right.length && left.every((key) => Object.hasOwn(b, key) && this.keywords(key, a[key], b[key]))
    );
  }

  keywords(keyword: string, a: unknown, b: unknown): boolean {
    if (keyword === '$ref') return this.#references(a, b);
    if (SCHEMA_AT.has(keyword)) return this.schemas(a, b);
    if (SCHEMAS_BY_NAME.has(keyword)) {
      if (!isSchemaObject(a) || !isSchemaObject(b)) return false;
      const names = Object.keys(a);
      return (
        names.length === Object.keys(b).length &&
        names.every((name) => Object.hasOwn(b, name) && this.schemas(a[name], b[name]))
      );
    }
    if (SCHEMAS_IN_LIST.has(keyword)) {
      if (!Array.isArray(a) || !Array.isArray(b)) return false;
      return a.length === b.length && a.every((one, i) => this.schemas(one, b[i]));
    }
    return sameJson(a, b);
  }

  #references(a: unknown, b: unknown): boolean {
    const pair = `${String(a)} ${String(b)}`;
    if (this.#assumed.has(pair)) return true;
    this.#assumed.add(pair);
    const [left, right] = [resolveReference(this.#roots[0], a), resolveReference(this.#roots[1], b)];
    return left !== undefined && right !== undefined && this.schemas(left, right);
  }
}

/** Equality of JSON: the order of keys does not count. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b))
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((one, i) => sameJson(one, b[i]));
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every(
      (key) =>
        Object.hasOwn(b, key) && sameJson((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]),
    )
  );
}
