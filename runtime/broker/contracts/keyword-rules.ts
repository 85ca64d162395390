/**
 * Keyword by keyword: does what was written keep what the reading schema asks for?
 *
 * Owns: the rules for one keyword of the reading schema each; a keyword without a rule is not understood, and refused by
 * `schema-inclusion.ts`. Alternatives (`anyOf`, `oneOf`) are there, since they need the whole comparison.
 *
 * Each rule is called with what holds of every value written (`written`), and answers with what the reading schema would refuse.
 */
import { isSchemaObject, type JsonSchema, pointerToken, sameJson } from './json-schema.ts';
import {
  areIntegral,
  type Atom,
  atomsOf,
  greatest,
  itemOf,
  itemsLimitOf,
  kindsOf,
  lowerBoundOf,
  namedIn,
  partsOfProperty,
  prefixLengthOf,
  propertiesLimitOf,
  propertyOf,
  requiredBy,
  upperBoundOf,
  least,
} from './schema-atoms.ts';
import type { Inclusion, SchemaDifference } from './schema-inclusion.ts';

export interface RuleInput {
  readonly written: readonly Atom[];
  readonly reading: Atom;
  readonly path: string;
  readonly depth: number;
  readonly inclusion: Inclusion;
}

type Rule = (input: RuleInput) => SchemaDifference[];

const OPEN =
  'what was written says nothing of it, so that anything may stand there: only a closed schema ("additionalProperties": false) can get new properties';

const no = ({ path }: RuleInput, rule: string, reason: string): SchemaDifference[] => [{ path, rule, reason }];

const when =
  (kinds: readonly string[], rule: Rule): Rule =>
  (input) =>
    kindsOf(input.written).some((kind) => kinds.includes(kind)) ? rule(input) : [];

const numeric = (rule: Rule): Rule => when(['integer', 'fraction'], rule);

const atLeast = (kind: string, keyword: string, lowest: (written: readonly Atom[]) => number): Rule =>
  when([kind], (input) => {
    const wanted = input.reading.schema[keyword];
    const has = Math.max(0, lowest(input.written));
    if (typeof wanted === 'number' && has >= wanted) return [];
    return no(
      input,
      keyword,
      `it must be ${String(wanted)} at least, and ${has === 0 ? 'had no bound' : `was ${has}`}`,
    );
  });

const atMost = (kind: string, keyword: string, highest: (written: readonly Atom[]) => number): Rule =>
  when([kind], (input) => {
    const wanted = input.reading.schema[keyword];
    const has = highest(input.written);
    if (typeof wanted === 'number' && has <= wanted) return [];
    return no(
      input,
      keyword,
      `it may be ${String(wanted)} at most, and ${has === Infinity ? 'had no bound' : `was ${has}`}`,
    );
  });

const bound = (keyword: string, side: 'lower' | 'upper'): Rule =>
  numeric((input) => {
    const wanted = input.reading.schema[keyword];
    const has = side === 'lower' ? lowerBoundOf(input.written) : upperBoundOf(input.written);
    const isOpen = keyword.startsWith('exclusive');
    if (typeof wanted === 'number') {
      const isInside = side === 'lower' ? has.value > wanted : has.value < wanted;
      if (isInside || (has.value === wanted && (has.isOpen || !isOpen))) return [];
    }
    const was = Number.isFinite(has.value) ? `was ${has.isOpen ? 'beyond ' : ''}${has.value}` : 'there was none';
    return no(input, keyword, `the bound is ${String(wanted)}, and ${was}`);
  });

const type: Rule = (input) => {
  const allowed = kindsOf([{ schema: { type: input.reading.schema['type'] }, root: true }]);
  const refused = kindsOf(input.written).filter(
    (kind) => !allowed.includes(kind) && !(kind === 'fraction' && areIntegral(input.written)),
  );
  // Of a number, the integers may be allowed.
  const words = refused.includes('fraction') ? refused.filter((kind) => kind !== 'integer') : refused;
  return words.flatMap((kind) =>
    no(
      input,
      'type',
      `${kind === 'fraction' ? 'number' : kind} is not allowed: ${JSON.stringify(input.reading.schema['type'])}`,
    ),
  );
};

const listed =
  (keyword: string): Rule =>
  (input) =>
    no(
      input,
      keyword,
      `only ${shorten(JSON.stringify(input.reading.schema[keyword]))} is allowed, and more could be written`,
    );

const multipleOf: Rule = numeric((input) => {
  const wanted = input.reading.schema['multipleOf'];
  if (typeof wanted !== 'number') return no(input, 'multipleOf', 'it is no number');
  if (wanted === 1 && areIntegral(input.written)) return [];
  const keeps = input.written.some(({ schema: { multipleOf: has } }) => {
    if (has === wanted) return true;
    return Number.isSafeInteger(has) && Number.isSafeInteger(wanted) && (has as number) % wanted === 0;
  });
  return keeps ? [] : no(input, 'multipleOf', `it must be a multiple of ${wanted}, and could be another number`);
});

/** Only the same again is known to hold. */
const unchanged = (keyword: string, kinds: readonly string[]): Rule =>
  when(kinds, (input) => {
    const wanted = input.reading.schema[keyword];
    if (input.written.some(({ schema }) => Object.hasOwn(schema, keyword) && sameJson(schema[keyword], wanted)))
      return [];
    const was = input.written.map(({ schema }) => schema[keyword]).find((one) => one !== undefined);
    return no(
      input,
      keyword,
      `it must be ${shorten(JSON.stringify(wanted))}, and ${was === undefined ? 'could be anything' : `was ${shorten(JSON.stringify(was))}`}`,
    );
  });

const uniqueItems: Rule = when(['array'], (input) => {
  if (input.reading.schema['uniqueItems'] !== true || itemsLimitOf(input.written) <= 1) return [];
  if (input.written.some(({ schema }) => schema['uniqueItems'] === true)) return [];
  return no(input, 'uniqueItems', 'no item may be there twice, and one could be');
});

/** Items with and without a place of their own. Called for either keyword; the places are looked at once, by the first of them. */
const items =
  (keyword: 'items' | 'prefixItems'): Rule =>
  (input) => {
    const { depth, inclusion, path, reading, written } = input;
    if (!kindsOf(written).includes('array')) return [];
    const { schema, root } = reading;
    const prefix = Array.isArray(schema['prefixItems']) ? (schema['prefixItems'] as JsonSchema[]) : [];
    const limit = itemsLimitOf(written);
    if (keyword === 'prefixItems')
      return prefix
        .slice(0, Math.min(limit, prefix.length))
        .flatMap((one, i) => inclusion.compare(itemOf(written, i), { schema: one, root }, `${path}/${i}`, depth + 1));
    const rest = schema['items'] as JsonSchema;
    const places = prefixLengthOf(written);
    const found: SchemaDifference[] = [];
    for (let i = prefix.length; i < places && i < limit; i++)
      found.push(...inclusion.compare(itemOf(written, i), { schema: rest, root }, `${path}/${i}`, depth + 1));
    const from = Math.max(places, prefix.length);
    if (limit > from)
      found.push(...inclusion.compare(itemOf(written, from), { schema: rest, root }, `${path}/*`, depth + 1));
    return found;
  };

const required: Rule = when(['object'], (input) => {
  const wanted = input.reading.schema['required'];
  const has = requiredBy(input.written);
  return (Array.isArray(wanted) ? (wanted as string[]) : [])
    .filter((name) => !has.has(name))
    .map((name) => ({
      path: `${input.path}/${pointerToken(name)}`,
      rule: 'required',
      reason: 'it must be there, and could be left out',
    }));
});

/** Properties that either side names: what the reading schema says of each, from `properties` and the keywords around it. */
const properties: Rule = when(['object'], (input) =>
  [...namedIn(input.reading.schema, 'properties').keys()].flatMap((name) => compareProperty(input, name)),
);

function compareProperty({ depth, inclusion, path, reading, written }: RuleInput, name: string): SchemaDifference[] {
  const { schema, root } = reading;
  const has = propertyOf(written, name);
  const at = `${path}/${pointerToken(name)}`;
  const found = partsOfProperty(schema, name).flatMap((part) =>
    inclusion.compare(has, { schema: part, root }, at, depth + 1),
  );
  return has !== 'never' && has.length === 0 && found.length > 0
    ? found.map((one) => (one.path === at ? { ...one, reason: OPEN } : one))
    : found;
}

/** Properties that the reading schema does not name: those that the written one names, and those that nobody does. */
const additionalProperties: Rule = when(['object'], (input) => {
  const { depth, inclusion, path, reading, written } = input;
  const { schema, root } = reading;
  const ownNames = namedIn(schema, 'properties');
  const names = new Set(written.flatMap((atom) => [...namedIn(atom.schema, 'properties').keys()]));
  const named = [...names].filter((name) => !ownNames.has(name)).flatMap((name) => compareProperty(input, name));
  const additional = { schema: schema['additionalProperties'] as JsonSchema, root };
  const ownPatterns = namedIn(schema, 'patternProperties');
  // A name that nobody declares is taken by a pattern of one who writes, or by none: each in its own way.
  const others = unnamed(written).flatMap(({ pattern, atoms }) =>
    pattern !== undefined && ownPatterns.has(pattern)
      ? []
      : inclusion.compare(atoms, additional, `${path}/*`, depth + 1),
  );
  const isOpen = written.every((atom) => atom.schema['additionalProperties'] === undefined);
  return [
    ...named,
    ...others.map((one) =>
      isOpen && one.path === `${path}/*`
        ? {
            ...one,
            rule: 'additionalProperties',
            reason: 'properties that nobody declares could be written, and are not allowed',
          }
        : one,
    ),
  ];
});

const patternProperties: Rule = when(['object'], (input) => {
  const { depth, inclusion, path, reading, written } = input;
  const { schema, root } = reading;
  const ownNames = namedIn(schema, 'properties');
  const names = new Set(written.flatMap((atom) => [...namedIn(atom.schema, 'properties').keys()]));
  const named = [...names].filter((name) => !ownNames.has(name)).flatMap((name) => compareProperty(input, name));
  const classes = unnamed(written);
  const others = [...namedIn(schema, 'patternProperties')].flatMap(([own, inner]) =>
    classes.flatMap(({ pattern, without, atoms }) =>
      pattern === undefined && without.has(own)
        ? []
        : inclusion.compare(atoms, { schema: inner, root }, `${path}/*`, depth + 1),
    ),
  );
  return [...named, ...others];
});

interface Unnamed {
  /** The pattern that takes the name; undefined: none of `without` does. */
  readonly pattern: string | undefined;
  readonly without: ReadonlySet<string>;
  readonly atoms: ReturnType<typeof propertyOf>;
}

/** What may stand at a name that no `properties` declare. Of several schemas with patterns, only the first one's are used (SA1). */
function unnamed(written: readonly Atom[]): readonly Unnamed[] {
  const withPatterns = written.find((atom) => namedIn(atom.schema, 'patternProperties').size > 0);
  const plain = written.filter((atom) => namedIn(atom.schema, 'patternProperties').size === 0);
  const parts = (atoms: readonly Atom[]): ReturnType<typeof propertyOf> =>
    atoms
      .map((atom) => ({ additional: atom.schema['additionalProperties'], root: atom.root }))
      .filter(({ additional }) => typeof additional === 'boolean' || isSchemaObject(additional))
      .map(({ additional, root }) => atomsOf({ schema: additional as JsonSchema, root }))
      .reduce<ReturnType<typeof propertyOf>>(
        (all, one) => (all === 'never' || one === 'never' ? 'never' : [...all, ...one]),
        [],
      );
  const others = parts(plain);
  const and = (atoms: ReturnType<typeof propertyOf>): ReturnType<typeof propertyOf> =>
    others === 'never' || atoms === 'never' ? 'never' : [...others, ...atoms];
  if (withPatterns === undefined) return [{ pattern: undefined, without: new Set(), atoms: others }];
  const patterns = namedIn(withPatterns.schema, 'patternProperties');
  return [
    { pattern: undefined, without: new Set(patterns.keys()), atoms: and(parts([withPatterns])) },
    ...[...patterns].map(([pattern, schema]) => ({
      pattern,
      without: new Set<string>(),
      atoms: and(atomsOf({ schema, root: withPatterns.root })),
    })),
  ];
}

function shorten(text: string | undefined): string {
  if (text === undefined) return 'nothing';
  return text.length <= 80 ? text : `${text.slice(0, 80)}…`;
}

export const keywordRules: Readonly<Record<string, Rule>> = {
  type,
  const: listed('const'),
  enum: listed('enum'),
  minimum: bound('minimum', 'lower'),
  exclusiveMinimum: bound('exclusiveMinimum', 'lower'),
  maximum: bound('maximum', 'upper'),
  exclusiveMaximum: bound('exclusiveMaximum', 'upper'),
  multipleOf,
  minLength: atLeast('string', 'minLength', (written) => greatest(written, 'minLength')),
  maxLength: atMost('string', 'maxLength', (written) => least(written, 'maxLength')),
  pattern: unchanged('pattern', ['string']),
  format: unchanged('format', ['string', 'integer', 'fraction']),
  minItems: atLeast('array', 'minItems', (written) => greatest(written, 'minItems')),
  maxItems: atMost('array', 'maxItems', itemsLimitOf),
  uniqueItems,
  prefixItems: items('prefixItems'),
  items: items('items'),
  required,
  minProperties: atLeast('object', 'minProperties', (written) =>
    Math.max(requiredBy(written).size, greatest(written, 'minProperties')),
  ),
  maxProperties: atMost('object', 'maxProperties', propertiesLimitOf),
  properties,
  additionalProperties,
  patternProperties,
};
