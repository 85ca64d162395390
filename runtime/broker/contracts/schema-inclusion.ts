/**
 * Whether every value that one schema allows is allowed by another; if not, where and by which rule.
 *
 * Owns: the comparison. `written` is the schema that data was made by, `reading` the one that must be able to read it. What the keywords
 * of one kind of value say is in `keyword-rules.ts`.
 *
 * Made like a proof: each rule is sound by itself, and what no rule proves is a difference, with its reason. So it may refuse a change
 * that does no harm; it passes none that does.
 *
 * Invariants:
 * SI1. No differences: every value that satisfies `written` satisfies `reading`.
 * SI2. What cannot be decided is a difference that says so.
 * SI3. A schema that refers to itself is compared by induction on the depth of the value: a pair of schemas that is met again deeper in
 *      the value is taken for proved; one that is met again at the same place is undecided.
 */
import { SCHEMA_DIFFERENCES_LIMIT, SCHEMA_NESTING_LIMIT, SCHEMA_STEPS_LIMIT } from '../../kernel/limits.ts';
import {
  findUnsupported,
  isAnnotation,
  type JsonSchema,
  type JsonSchemaObject,
  sameKeyword,
  sameSchema,
  type SchemaNode,
} from './json-schema.ts';
import { keywordRules } from './keyword-rules.ts';
import {
  type Atom,
  type Atoms,
  atomsOf,
  both,
  EndlessReference,
  kindsOf,
  listedValues,
  listIn,
  propertyOf,
  requiredBy,
  verdictOnAtoms,
} from './schema-atoms.ts';
import { verdictOn } from './schema-verdict.ts';

/** Something that one schema allows and the other does not. */
export interface SchemaDifference {
  /** Where in the value, as a JSON Pointer; `*` stands for any property or index. */
  readonly path: string;
  /** The keyword that refuses. */
  readonly rule: string;
  readonly reason: string;
}

/** What `written` allows and `reading` does not, `SCHEMA_DIFFERENCES_LIMIT` at most; empty when there is nothing. */
export function schemaDifferences(written: JsonSchema, reading: JsonSchema): readonly SchemaDifference[] {
  for (const [name, root] of [
    ['written', written],
    ['reading', reading],
  ] as const) {
    const fault = findUnsupported(root);
    if (fault !== undefined)
      return [undecided('', '$ref', `the ${name} schema ${fault.what}${fault.path === '' ? '' : ` at ${fault.path}`}`)];
  }
  if (sameSchema({ schema: written, root: written }, { schema: reading, root: reading })) return [];
  const found = new Inclusion().differences({ schema: written, root: written }, { schema: reading, root: reading });
  return found.slice(0, SCHEMA_DIFFERENCES_LIMIT);
}

export function undecided(path: string, rule: string, why: string): SchemaDifference {
  return { path, rule, reason: `it cannot be decided: ${why}` };
}

/** Alternatives that hold by themselves, whatever else a schema says: unchanged they stay true. */
const UNCHANGED_HOLDS = new Set([
  'anyOf',
  'dependentRequired',
  'dependentSchemas',
  'format',
  'not',
  'oneOf',
  'pattern',
  'patternProperties',
  'propertyNames',
]);
/** Keywords that hold by themselves only all together. */
const UNCHANGED_TOGETHER = [
  ['contains', 'minContains', 'maxContains'],
  ['if', 'then', 'else'],
];

export class Inclusion {
  readonly #ids = new Map<object, number>();
  /** Pairs that are being compared, with the depth in the value at which that began. */
  readonly #open = new Map<string, number>();
  #steps = 0;
  #nesting = 0;

  differences(written: SchemaNode, reading: SchemaNode): SchemaDifference[] {
    try {
      return unique(this.compare(atomsOf(written), reading, '', 0));
    } catch (error) {
      if (error instanceof EndlessReference) return [undecided('', '$ref', 'a schema refers to itself without end')];
      if (error instanceof OutOfSteps) return [undecided('', 'anyOf', 'the schemas have too many alternatives')];
      if (error instanceof TooDeep)
        return [undecided('', '$ref', `the schemas lead more than ${SCHEMA_NESTING_LIMIT} steps into each other`)];
      throw error;
    }
  }

  /** What `written` allows and `reading` does not, at `path`, which is `depth` steps into the value. */
  compare(written: Atoms, reading: SchemaNode, path: string, depth: number): SchemaDifference[] {
    this.#steps += 1;
    if (this.#steps > SCHEMA_STEPS_LIMIT) throw new OutOfSteps();
    if (written === 'never') return [];
    const atoms = atomsOf(reading);
    if (atoms !== 'never' && atoms.length === 0) return [];
    const pair = `${written
      .map((atom) => this.#idOf(atom))
      .sort()
      .join('+')}|${this.#idOfSchema(reading.schema)}`;
    const begun = this.#open.get(pair);
    if (begun !== undefined) {
      if (begun < depth) return [];
      return [undecided(path, '$ref', 'a schema refers to itself at the same place')];
    }
    this.#open.set(pair, depth);
    try {
      if (atoms === 'never') return this.#nothing(written, path);
      return atoms.flatMap((atom) => this.#againstAtom(written, atom, path, depth));
    } finally {
      this.#open.delete(pair);
    }
  }

  /** Whether no value satisfies both. False when that is not sure. */
  disjoint(written: readonly Atom[], reading: SchemaNode, depth = 0): boolean {
    this.#steps += 1;
    if (this.#steps > SCHEMA_STEPS_LIMIT) throw new OutOfSteps();
    const atoms = atomsOf(reading);
    if (atoms === 'never') return true;
    if (depth > DISJOINT_DEPTH_LIMIT) return false;
    const kinds = kindsOf(written);
    if (!kindsOf(atoms).some((kind) => kinds.includes(kind))) return true;
    if (listedValues(written)?.every((value) => verdictOnAtoms(atoms, value) === false) === true) return true;
    if (listedValues(atoms)?.every((value) => verdictOnAtoms(written, value) === false) === true) return true;
    for (const { root, schema } of atoms) {
      for (const keyword of ['anyOf', 'oneOf']) {
        const branches = listIn(schema, keyword);
        if (branches.length > 0 && branches.every((one) => this.disjoint(written, { schema: one, root }, depth + 1)))
          return true;
      }
    }
    if (kinds.length !== 1 || kinds[0] !== 'object') return false;
    // A property that one of them requires, and of which they say what cannot be both.
    const names = new Set([...requiredBy(written), ...requiredBy(atoms)]);
    return [...names].some((name) => {
      const [here, there] = [propertyOf(written, name), propertyOf(atoms, name)];
      if (here === 'never' || there === 'never') return true;
      return there.some((atom) => this.disjoint(here, atom, depth + 1));
    });
  }

  #againstAtom(written: readonly Atom[], reading: Atom, path: string, depth: number): SchemaDifference[] {
    if (this.#nesting >= SCHEMA_NESTING_LIMIT) throw new TooDeep();
    this.#nesting += 1;
    const found = this.#missing(written, reading, path, depth);
    this.#nesting -= 1;
    return found;
  }

  #missing(written: readonly Atom[], reading: Atom, path: string, depth: number): SchemaDifference[] {
    if (written.some((atom) => sameSchema(atom, reading))) return [];
    const listed = listedValues(written);
    if (listed !== undefined) return listed.flatMap((value) => this.#ofValue(value, reading, path));
    const rest = new Set(Object.keys(reading.schema).filter((keyword) => !isAnnotation(keyword)));
    // Taken apart by `atomsOf`.
    rest.delete('$ref');
    rest.delete('allOf');
    for (const keyword of rest)
      if (UNCHANGED_HOLDS.has(keyword) && written.some((one) => sameKeyword(one, reading, keyword)))
        rest.delete(keyword);
    for (const group of UNCHANGED_TOGETHER)
      if (written.some((one) => group.every((keyword) => sameKeyword(one, reading, keyword))))
        for (const keyword of group) rest.delete(keyword);
    if (rest.size === 0) return [];
    const splitAt = written.find(
      (atom) =>
        atom.split !== true && (listIn(atom.schema, 'anyOf').length > 0 || listIn(atom.schema, 'oneOf').length > 0),
    );
    if (splitAt !== undefined) return this.#byAlternative(written, splitAt, reading, path, depth);
    return [...rest].flatMap((keyword) => {
      if (keyword === 'anyOf' || keyword === 'oneOf')
        return this.#intoAlternatives(written, reading, keyword, path, depth);
      const rule = keywordRules[keyword];
      if (rule === undefined) return [undecided(path, keyword, `what a change of "${keyword}" does is not known`)];
      return rule({ written, reading, path, depth, inclusion: this });
    });
  }

  /** One of its alternatives holds, whichever: each must be allowed. (That no other one of a `oneOf` holds is left out: SA1.) */
  #byAlternative(written: readonly Atom[], atom: Atom, reading: Atom, path: string, depth: number): SchemaDifference[] {
    const others: Atoms = written.filter((one) => one !== atom);
    const itself: Atoms = [{ ...atom, split: true }];
    const [any, one] = ['anyOf', 'oneOf'].map((keyword) => listIn(atom.schema, keyword)) as [
      readonly JsonSchema[],
      readonly JsonSchema[],
    ];
    const choices =
      any.length === 0
        ? one.map((b) => [b])
        : one.length === 0
          ? any.map((a) => [a])
          : any.flatMap((a) => one.map((b) => [a, b]));
    return choices.flatMap((schemas) => {
      const branches = schemas.map((schema) => atomsOf({ schema, root: atom.root }));
      const all = both(others, itself, ...branches);
      this.#steps += 1;
      if (this.#steps > SCHEMA_STEPS_LIMIT) throw new OutOfSteps();
      return all === 'never' ? [] : this.#againstAtom(all, reading, path, depth);
    });
  }

  /** Each kind of value must find an alternative that takes all of it; of `oneOf`, one that the others leave alone. */
  #intoAlternatives(
    written: readonly Atom[],
    reading: Atom,
    keyword: 'anyOf' | 'oneOf',
    path: string,
    depth: number,
  ): SchemaDifference[] {
    const branches = listIn(reading.schema, keyword).map((schema): SchemaNode => ({ schema, root: reading.root }));
    return kindsOf(written).flatMap((kind) => {
      const some: Atoms = [...written, KIND_ATOMS[kind]];
      let nearest: SchemaDifference[] | undefined;
      for (const branch of branches) {
        let found = this.compare(some, branch, path, depth);
        if (
          found.length === 0 &&
          keyword === 'oneOf' &&
          !branches.every((other) => other === branch || this.disjoint(some, other))
        )
          found = [undecided(path, 'oneOf', 'more than one alternative may hold')];
        if (found.length === 0) return [];
        if (nearest === undefined || found.length < nearest.length) nearest = found;
      }
      const nearestReason =
        nearest?.[0] === undefined
          ? ''
          : `; the nearest one: ${nearest[0].path || 'the value'}, ${nearest[0].rule}: ${nearest[0].reason}`;
      return [
        { path, rule: keyword, reason: `no alternative takes every ${WORDS[kind]} that is written${nearestReason}` },
      ];
    });
  }

  #ofValue(value: unknown, reading: Atom, path: string): SchemaDifference[] {
    if (verdictOn(reading, value) === true) return [];
    const shown = shorten(JSON.stringify(value));
    for (const keyword of Object.keys(reading.schema)) {
      const alone: JsonSchemaObject =
        keyword === 'additionalProperties' || keyword === 'items'
          ? reading.schema
          : { [keyword]: reading.schema[keyword] };
      const verdict = verdictOn({ schema: alone, root: reading.root }, value);
      if (verdict === false) return [{ path, rule: keyword, reason: `${shown} is not allowed any more` }];
      if (verdict === undefined) return [undecided(path, keyword, `whether ${shown} is allowed`)];
    }
    return [undecided(path, 'enum', `whether ${shown} is allowed`)];
  }

  #nothing(written: readonly Atom[], path: string): SchemaDifference[] {
    if (kindsOf(written).length === 0 || listedValues(written)?.length === 0) return [];
    return [{ path, rule: 'false', reason: 'nothing is allowed here' }];
  }

  #idOf(atom: Atom): string {
    return `${this.#idOfSchema(atom.schema)}${atom.split === true ? 's' : ''}${atom.kinds?.join() ?? ''}`;
  }

  #idOfSchema(schema: JsonSchema): number {
    if (typeof schema === 'boolean') return schema ? -1 : -2;
    const id = this.#ids.get(schema) ?? this.#ids.size;
    this.#ids.set(schema, id);
    return id;
  }
}

class OutOfSteps extends Error {}
class TooDeep extends Error {}

/** Properties of properties by which alternatives are told apart. */
const DISJOINT_DEPTH_LIMIT = 4;

const WORDS = {
  null: 'null',
  boolean: 'boolean',
  integer: 'integer',
  fraction: 'number',
  string: 'string',
  array: 'array',
  object: 'object',
} as const;

const ANYTHING: JsonSchemaObject = {};
const KIND_ATOMS = Object.fromEntries(
  Object.keys(WORDS).map((kind) => [kind, { schema: ANYTHING, root: true, kinds: [kind] }]),
) as unknown as Readonly<Record<keyof typeof WORDS, Atom>>;

function unique(differences: readonly SchemaDifference[]): SchemaDifference[] {
  const seen = new Set<string>();
  return differences.filter(({ path, rule, reason }) => {
    const key = `${path} ${rule} ${reason}`;
    return !seen.has(key) && seen.add(key) !== undefined;
  });
}

function shorten(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 80)}…`;
}
