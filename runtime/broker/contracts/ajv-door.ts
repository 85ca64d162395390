/**
 * The door to `ajv` and `ajv-formats`, which validate JSON Schema and need not be installed by who has none.
 *
 * Owns: when they are loaded (at the first schema), how they are set up, and their faults in our words.
 *
 * ajv makes code of a schema, and runs its patterns as regular expressions that backtrack: schemas are part of the application, as
 * its code is. One that comes from a message or another system must never get here.
 *
 * Required, not imported: an import that may fail needs a top-level await, and a module with one cannot be `require`d by anybody.
 */
import { createRequire } from 'node:module';
import type { ErrorObject, Options, ValidateFunction } from 'ajv/dist/2020.js';
import { InvalidContractError, MissingPackageError } from '../../kernel/errors.ts';
import { CONTRACT_ALL_FAULTS_VALUES, CONTRACT_FAULTS_LIMIT } from '../../kernel/limits.ts';
import { isSchemaObject, type JsonSchema, schemasIn } from './json-schema.ts';
import type { PayloadFault } from './payload-fault.ts';

type Ajv2020 = typeof import('ajv/dist/2020.js');
type AddFormats = typeof import('ajv-formats')['default'];

const packageRequire = createRequire(import.meta.url);

/** Not coerced, no defaults filled in: what was sent is what is checked. */
const OPTIONS: Options = {
  strict: true,
  // These three refuse schemas that are lawful and only unusual.
  strictTypes: false,
  strictTuples: false,
  strictRequired: false,
  ownProperties: true,
  addUsedSchema: false,
  logger: false,
};

/** Faults of a value, empty when there are none. */
export type JsonValidator = (value: unknown) => readonly PayloadFault[];

/**
 * Compiles a schema of the application's own.
 *
 * @throws MissingPackageError when ajv is not installed, InvalidContractError when `schema` is no JSON Schema of draft 2020-12
 */
export function compileJsonSchema(schema: JsonSchema): JsonValidator {
  const validate = compiled(schema, false);
  // Made when it is needed: few payloads have faults.
  let validateAll: ValidateFunction | undefined;
  return (value) => {
    if (validate(value) === true) return [];
    if (countValues(value, CONTRACT_ALL_FAULTS_VALUES) >= CONTRACT_ALL_FAULTS_VALUES) return faultsOf(validate.errors);
    validateAll ??= compiled(schema, true);
    return validateAll(value) === true ? [] : faultsOf(validateAll.errors);
  };
}

let makers: { readonly Ajv: Ajv2020['Ajv2020']; readonly addFormats: AddFormats } | undefined;

function compiled(schema: JsonSchema, allErrors: boolean): ValidateFunction {
  makers ??= { Ajv: (load('ajv/dist/2020.js') as Ajv2020).Ajv2020, addFormats: load('ajv-formats') as AddFormats };
  const ajv = new makers.Ajv({ ...OPTIONS, allErrors });
  (makers.addFormats as unknown as (one: typeof ajv) => void)(ajv);
  try {
    // A keyword that is not known is refused: it is mostly a slip. Those that begin with `x-` are somebody's own words.
    ajv.addVocabulary(ownWordsIn(schema));
    return ajv.compile(schema);
  } catch (cause) {
    throw new InvalidContractError(
      `it is no JSON Schema of draft 2020-12 that can be checked: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

function ownWordsIn(root: JsonSchema): string[] {
  const words = new Set<string>();
  const open: unknown[] = [root];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (!isSchemaObject(next)) continue;
    for (const keyword of Object.keys(next)) if (keyword.startsWith('x-')) words.add(keyword);
    for (const [, inner] of schemasIn(next)) open.push(inner);
  }
  return [...words];
}

function load(name: string): unknown {
  try {
    return packageRequire(name);
  } catch (cause) {
    throw new MissingPackageError(
      `a contract with a JSON Schema needs ajv and ajv-formats: npm install ajv@8 ajv-formats@3 (a Standard Schema needs neither)`,
      { cause, details: { packages: ['ajv', 'ajv-formats'] } },
    );
  }
}

function faultsOf(errors: readonly ErrorObject[] | null | undefined): PayloadFault[] {
  return (errors ?? []).slice(0, CONTRACT_FAULTS_LIMIT).map(({ instancePath, keyword, message, params }) => {
    const { missingProperty, additionalProperty, unevaluatedProperty } = params as Record<string, unknown>;
    const name = missingProperty ?? additionalProperty ?? unevaluatedProperty;
    const inside = typeof name === 'string' ? `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}` : '';
    return { path: instancePath + inside, rule: keyword, expected: expectedBy(keyword, message ?? keyword, params) };
  });
}

function expectedBy(keyword: string, message: string, params: Record<string, unknown>): string {
  switch (keyword) {
    case 'enum':
      return `one of ${shorten(JSON.stringify(params['allowedValues']))}`;
    case 'const':
      return shorten(JSON.stringify(params['allowedValue']));
    default:
      return message;
  }
}

function shorten(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`;
}

/** Values inside of `value`, up to `limit`. */
function countValues(value: unknown, limit: number): number {
  let count = 1;
  const open: unknown[] = [value];
  while (open.length > 0 && count < limit) {
    const next = open.pop();
    if (typeof next !== 'object' || next === null) continue;
    const inner: readonly unknown[] = Array.isArray(next) ? next : Object.values(next);
    count += inner.length;
    if (count < limit) open.push(...inner);
  }
  return count;
}
