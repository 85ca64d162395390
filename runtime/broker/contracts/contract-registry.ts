/**
 * Contracts: what payloads of a message type may be, version by version.
 *
 * Owns: the versions of each type, and what a payload is checked against on either side. How schemas are compared is
 * `compatibility.ts`, how JSON Schema is validated `ajv-door.ts`.
 *
 * Contracts are registered by code, like handlers are. They are never read from messages: a schema is compiled, and its patterns are
 * run.
 *
 * Invariants:
 * CR1. Versions of a type grow; a version never changes. Registering the same again does nothing.
 * CR2. A version that cannot follow by its mode is refused as a whole: the registry stays as it was.
 * CR3. What is sent is checked and left as it is. What is received is given to the handler as its schema makes it: with the defaults and
 *      conversions of a Standard Schema.
 * CR4. A received payload is checked against the newest version that is proved to read its own: the handlers' view of it. Where no such
 *      proof was asked for (`NONE`, `FORWARD`), against its own.
 */
import { ContractViolationError, IncompatibleContractError, InvalidContractError } from '../../kernel/errors.ts';
import { CONTRACT_FAULTS_LIMIT, MESSAGE_TYPE_LENGTH_LIMIT, VERSION_LIMIT } from '../../kernel/limits.ts';
import { OptionFaults } from '../../kernel/option-faults.ts';
import { compileJsonSchema, type JsonValidator } from './ajv-door.ts';
import { COMPATIBILITIES, type Compatibility, directionsOf, incompatibilities } from './compatibility.ts';
import { isSchemaObject, type JsonSchema, sameJson } from './json-schema.ts';
import type { PayloadFault } from './payload-fault.ts';
import { isStandardSchema, jsonSchemaOf, type StandardIssue, type StandardSchema } from './standard-schema.ts';

/** What `register` is given. */
export interface ContractDefinition {
  /** Type of the messages: action of a command, name of a query, type of an event. */
  readonly type: string;
  /** 1, 2, …: larger than the versions registered before. Default 1. */
  readonly version?: number;
  /** A Standard Schema (zod, valibot, arktype, …), or a JSON Schema of draft 2020-12, which needs `ajv` and `ajv-formats`. */
  readonly schema: StandardSchema | JsonSchema;
  /** Of a Standard Schema that has no JSON Schema form of its own: that form, for comparing versions and for AsyncAPI. */
  readonly jsonSchema?: JsonSchema;
  /** What this version must keep of those before it. Default `BACKWARD`. */
  readonly compatibility?: Compatibility;
  /** For the AsyncAPI document. */
  readonly description?: string;
}

const FIELDS: readonly (keyof ContractDefinition)[] = [
  'type',
  'version',
  'schema',
  'jsonSchema',
  'compatibility',
  'description',
];

/** A registered version. */
export interface Contract {
  readonly type: string;
  readonly version: number;
  readonly compatibility: Compatibility;
  readonly description?: string;
  /** Undefined: its library has none, and none was given. */
  readonly jsonSchema: JsonSchema | undefined;
}

/** A checked payload, and the version that it was checked against; without a contract, as it came. */
export interface Checked {
  readonly payload: unknown;
  readonly version: number | undefined;
}

type Side = 'sent' | 'received';

interface Entry extends Contract {
  readonly source: ContractDefinition['schema'];
  readonly opaque?: string;
  /** Faults, or the value as the schema makes it. */
  readonly validate: (payload: unknown) => Validated | Promise<Validated>;
  readonly readsBefore: boolean;
}

type Validated =
  | { readonly faults: readonly PayloadFault[] }
  | { readonly faults?: undefined; readonly value: unknown };

export class ContractRegistry {
  readonly #types = new Map<string, Entry[]>();

  /**
   * Registers a version of a contract. Versions of one type are registered in order; all of those that may still be under way should be.
   * What a schema refuses by code (a refinement) is not in its JSON Schema form, and not compared.
   *
   * ```ts
   * contracts.register({ type: 'order.placed', version: 1, schema: z.strictObject({ id: z.string() }) });
   * contracts.register({ type: 'order.placed', version: 2, schema: z.strictObject({ id: z.string(), note: z.string().optional() }) });
   * ```
   *
   * @throws InvalidContractError, IncompatibleContractError with all differences in `details.differences`, MissingPackageError
   */
  register(definition: ContractDefinition): Contract {
    const entry = entryOf(definition);
    const versions = this.#types.get(entry.type) ?? [];
    const known = versions.find(({ version }) => version === entry.version);
    if (known !== undefined) {
      // A Standard Schema is code: only itself is the same.
      const isSame =
        isStandardSchema(entry.source) || isStandardSchema(known.source)
          ? known.source === entry.source
          : sameJson(known.jsonSchema, entry.jsonSchema);
      if (isSame && known.compatibility === entry.compatibility) return known;
      throw invalid(
        definition,
        `version ${entry.version} is registered with another schema or mode: a version never changes, give the change a new one`,
      );
    }
    const last = versions.at(-1);
    if (last !== undefined && last.version > entry.version)
      throw invalid(definition, `version ${last.version} is registered already: register versions in order`);
    this.#assertCompatible(entry, versions);
    this.#types.set(entry.type, [...versions, entry]);
    return entry;
  }

  /** Every registered version, by type and in order. */
  list(): readonly Contract[] {
    return [...this.#types.values()].flat();
  }

  /** A registered version: the newest one, when none is asked for. */
  find(type: string, version?: number): Contract | undefined {
    const versions = this.#types.get(type);
    return version === undefined ? versions?.at(-1) : versions?.find((one) => one.version === version);
  }

  /**
   * Checks what is about to be sent: against `version`, by default the newest. The payload stays as it is. A type without a contract
   * may be anything. Answers at once unless the schema itself is asynchronous.
   *
   * @throws ContractViolationError, InvalidContractError when that version is not registered
   */
  checkSent(type: string, payload: unknown, version?: number): Checked | Promise<Checked> {
    const versions = this.#types.get(type);
    if (versions === undefined) return { payload, version };
    const entry = version === undefined ? versions.at(-1) : versions.find((one) => one.version === version);
    if (entry === undefined) {
      const known = versions.map((one) => one.version).join(', ');
      throw new InvalidContractError(`${JSON.stringify(type)} has no version ${version}: registered are ${known}`, {
        details: { type, version },
      });
    }
    return check(entry, payload, 'sent', () => ({ payload, version: entry.version }));
  }

  /**
   * Checks what has come, of `version` as the sender says, against the version by which handlers read it (CR4). One that is not known
   * here is read by the newest.
   *
   * @throws ContractViolationError
   */
  checkReceived(type: string, payload: unknown, version?: number): Checked | Promise<Checked> {
    const versions = this.#types.get(type);
    if (versions === undefined) return { payload, version };
    const entry = readerOf(versions, version);
    return check(entry, payload, 'received', (value) => ({ payload: value, version: entry.version }));
  }

  #assertCompatible(entry: Entry, versions: readonly Entry[]): void {
    const differences = incompatibilities(entry.compatibility, comparable(entry), versions.map(comparable));
    const [first] = differences;
    if (first === undefined) return;
    const reads =
      first.direction === 'BACKWARD'
        ? `it cannot read data of version ${first.version}`
        : `version ${first.version} cannot read its data`;
    const more = differences.length === 1 ? '' : ` (and ${differences.length - 1} more)`;
    throw new IncompatibleContractError(
      `version ${entry.version} of ${JSON.stringify(entry.type)} is not ${entry.compatibility}: ${reads}: ` +
        `${first.path === '' ? 'the payload' : first.path}, rule ${first.rule}: ${first.reason}${more}`,
      { details: { type: entry.type, version: entry.version, compatibility: entry.compatibility, differences } },
    );
  }
}

const comparable = ({ jsonSchema, opaque, version }: Entry): Parameters<typeof incompatibilities>[1] => ({
  version,
  schema: jsonSchema,
  ...(opaque === undefined ? {} : { opaque }),
});

/** The newest version from which an unbroken row of versions that read the one before leads down to `version`. */
function readerOf(versions: readonly Entry[], version: number | undefined): Entry {
  const newest = versions.at(-1) as Entry;
  let at = versions.findIndex((one) => one.version === version);
  if (at === -1) return newest;
  while (versions[at + 1]?.readsBefore === true) at += 1;
  return versions[at] as Entry;
}

function check(
  entry: Entry,
  payload: unknown,
  side: Side,
  accepted: (value: unknown) => Checked,
): Checked | Promise<Checked> {
  const finish = (validated: Validated): Checked => {
    if (validated.faults === undefined) return accepted(validated.value);
    throw violation(entry, validated.faults, side);
  };
  const validated = entry.validate(payload);
  return validated instanceof Promise ? validated.then(finish) : finish(validated);
}

function violation({ type, version }: Entry, faults: readonly PayloadFault[], side: Side): ContractViolationError {
  const listed = faults
    .slice(0, 5)
    .map(({ path, rule, expected }) => `${path === '' ? 'the payload' : path} (${rule}): ${expected}`)
    .join('; ');
  const more = faults.length > 5 ? `; and ${faults.length - 5} more` : '';
  return new ContractViolationError(
    `the payload that was ${side} does not keep version ${version} of ${JSON.stringify(type)}: ${listed}${more}`,
    { details: { type, version, side, faults } },
  );
}

function entryOf(definition: ContractDefinition): Entry {
  const { compatibility = 'BACKWARD', description, schema, type, version = 1 } = definition;
  const faults = new OptionFaults();
  faults.unknown(definition, FIELDS, 'field');
  if (faults.found.length > 0) throw invalid(definition, faults.found.join('; '));
  if (typeof type !== 'string' || type === '' || type.length > MESSAGE_TYPE_LENGTH_LIMIT)
    throw invalid(definition, `the type must have 1 to ${MESSAGE_TYPE_LENGTH_LIMIT} characters`);
  if (!Number.isInteger(version) || version < 1 || version > VERSION_LIMIT)
    throw invalid(definition, `the version must be an integer from 1 on, and is ${JSON.stringify(version)}`);
  if (!COMPATIBILITIES.includes(compatibility))
    throw invalid(
      definition,
      `the compatibility must be one of ${COMPATIBILITIES.join(', ')}, and is ${JSON.stringify(compatibility)}`,
    );
  const base = {
    type,
    version,
    compatibility,
    source: schema,
    readsBefore: directionsOf(compatibility).includes('BACKWARD'),
    ...(description === undefined ? {} : { description }),
  };
  if (isStandardSchema(schema)) {
    const own =
      definition.jsonSchema === undefined
        ? jsonSchemaOf(schema)
        : { schema: plainSchema(definition, definition.jsonSchema) };
    return {
      ...base,
      jsonSchema: own.schema,
      ...('opaque' in own ? { opaque: own.opaque } : {}),
      validate: (payload) => standardVerdict(schema, payload),
    };
  }
  if (typeof schema !== 'boolean' && !isSchemaObject(schema))
    throw invalid(definition, 'the schema must be a Standard Schema or a JSON Schema');
  const own = plainSchema(definition, schema);
  return { ...base, jsonSchema: own, validate: jsonVerdict(compiled(definition, own)) };
}

/** A copy, so that a version does not change with the object that it was given as (CR1). */
function plainSchema(definition: ContractDefinition, schema: JsonSchema): JsonSchema {
  try {
    return JSON.parse(JSON.stringify(schema)) as JsonSchema;
  } catch (cause) {
    throw invalid(definition, 'a JSON Schema must be plain JSON', cause);
  }
}

function compiled(definition: ContractDefinition, schema: JsonSchema): JsonValidator {
  try {
    return compileJsonSchema(schema);
  } catch (error) {
    throw error instanceof InvalidContractError ? invalid(definition, error.message, error.cause) : error;
  }
}

function jsonVerdict(validate: JsonValidator): (payload: unknown) => Validated {
  return (payload) => {
    const faults = validate(payload);
    return faults.length === 0 ? { value: payload } : { faults };
  };
}

function standardVerdict(schema: StandardSchema, payload: unknown): Validated | Promise<Validated> {
  const result = schema['~standard'].validate(payload);
  const read = (one: Awaited<typeof result>): Validated =>
    one.issues === undefined
      ? { value: one.value }
      : { faults: one.issues.slice(0, CONTRACT_FAULTS_LIMIT).map(faultOf) };
  return result instanceof Promise ? result.then(read) : read(result);
}

function faultOf({ message, path }: StandardIssue): PayloadFault {
  const steps = (path ?? []).map((step) => String(typeof step === 'object' ? step.key : step));
  return {
    path: steps.map((step) => `/${step.replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''),
    rule: 'schema',
    expected: message,
  };
}

function invalid({ type, version }: ContractDefinition, why: string, cause?: unknown): InvalidContractError {
  return new InvalidContractError(`the contract of ${JSON.stringify(type)} is refused: ${why}`, {
    details: { type, version: version ?? 1 },
    ...(cause === undefined ? {} : { cause }),
  });
}
