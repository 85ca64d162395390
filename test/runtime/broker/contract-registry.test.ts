import { execFileSync } from 'node:child_process';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { z } from 'zod';
import { COMPATIBILITIES, type Compatibility } from '../../../runtime/broker/contracts/compatibility.ts';
import { ContractRegistry } from '../../../runtime/broker/contracts/contract-registry.ts';
import type { JsonSchema } from '../../../runtime/broker/contracts/json-schema.ts';
import type { StandardSchema } from '../../../runtime/broker/contracts/standard-schema.ts';
import {
  ContractViolationError,
  decodeError,
  encodeError,
  IncompatibleContractError,
  InvalidContractError,
} from '../../../runtime/kernel/errors.ts';
import { CONTRACT_ALL_FAULTS_VALUES, CONTRACT_FAULTS_LIMIT } from '../../../runtime/kernel/limits.ts';

const caught = <T extends Error>(Class: new (message: string) => T, work: () => unknown): T => {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(Class);
    return error as T;
  }
  throw new Error('nothing was thrown');
};

const closed = (properties: Record<string, JsonSchema>, required: string[] = []): JsonSchema => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
});
const order = closed({ id: { type: 'string' }, total: { type: 'number', minimum: 0 } }, ['id', 'total']);

describe('payloads', () => {
  test('a JSON Schema: all faults at once, with path, rule and what was expected, and the value is left alone', () => {
    const contracts = new ContractRegistry();
    contracts.register({ type: 'order.placed', version: 3, schema: order });
    const payload = { id: 'o-1', total: 4 };
    expect(contracts.checkSent('order.placed', payload)).toEqual({ payload, version: 3 });
    const error = caught(ContractViolationError, () => contracts.checkSent('order.placed', { total: -1, 'a/b': 2 }));
    expect(error.details).toMatchObject({ type: 'order.placed', version: 3, side: 'sent' });
    expect(error.details['faults']).toEqual([
      { path: '/id', rule: 'required', expected: "must have required property 'id'" },
      { path: '/a~1b', rule: 'additionalProperties', expected: 'must NOT have additional properties' },
      { path: '/total', rule: 'minimum', expected: 'must be >= 0' },
    ]);
    expect(error.message).toContain('version 3 of "order.placed"');
    // It travels.
    const back = decodeError(encodeError(error));
    expect(back).toBeInstanceOf(ContractViolationError);
    expect(back.details).toEqual(error.details);
  });

  test('a property of the prototype is not there', () => {
    const contracts = new ContractRegistry();
    contracts.register({
      type: 't',
      schema: { type: 'object', required: ['constructor'], properties: { toString: { type: 'string' } } },
    });
    expect(() => contracts.checkSent('t', {})).toThrow(/constructor/);
  });

  test('formats are checked', () => {
    const contracts = new ContractRegistry();
    contracts.register({ type: 't', schema: { type: 'string', format: 'date-time' } });
    expect(contracts.checkReceived('t', '2026-11-28T03:00:00Z')).toEqual({
      payload: '2026-11-28T03:00:00Z',
      version: 1,
    });
    expect(() => contracts.checkReceived('t', 'tomorrow')).toThrow(ContractViolationError);
  });

  test('faults are bounded, and of a huge payload only the first is looked for', () => {
    const contracts = new ContractRegistry();
    contracts.register({ type: 't', schema: { type: 'array', items: { type: 'string' } } });
    const faults = (length: number): unknown =>
      caught(ContractViolationError, () =>
        contracts.checkSent(
          't',
          Array.from({ length }, () => 1),
        ),
      ).details['faults'];
    expect(faults(3)).toHaveLength(3);
    expect(faults(1_000)).toHaveLength(CONTRACT_FAULTS_LIMIT);
    expect(faults(CONTRACT_ALL_FAULTS_VALUES)).toHaveLength(1);
  });

  test('a Standard Schema: sent as it is, received as the schema makes it', () => {
    const contracts = new ContractRegistry();
    contracts.register({ type: 't', schema: z.object({ n: z.coerce.number(), by: z.string().default('nobody') }) });
    const payload = { n: '7' };
    expect(contracts.checkSent('t', payload)).toEqual({ payload, version: 1 });
    expect(contracts.checkReceived('t', payload)).toEqual({ payload: { n: 7, by: 'nobody' }, version: 1 });
    const error = caught(ContractViolationError, () => contracts.checkSent('t', { n: 'x', by: 3 }));
    expect(
      (error.details['faults'] as { path: string; rule: string }[]).map(({ path, rule }) => `${path} ${rule}`),
    ).toEqual(['/n schema', '/by schema']);
  });

  test('an asynchronous schema answers later', async () => {
    const contracts = new ContractRegistry();
    const schema = z.string().refine((value) => Promise.resolve(value === 'yes'));
    // zod says so by throwing in its synchronous form; the specification's form answers with a promise.
    const asynchronous: StandardSchema = {
      '~standard': { ...schema['~standard'], validate: async (value) => schema['~standard'].validate(value) },
    };
    contracts.register({ type: 't', schema: asynchronous, compatibility: 'NONE' });
    expect(await contracts.checkSent('t', 'yes')).toEqual({ payload: 'yes', version: 1 });
    await expect(contracts.checkSent('t', 'no')).rejects.toThrow(ContractViolationError);
  });

  test('a type without a contract may be anything; a version that is none is refused where it is sent', () => {
    const contracts = new ContractRegistry();
    expect(contracts.checkSent('t', 7)).toEqual({ payload: 7, version: undefined });
    expect(contracts.checkReceived('t', 7, 4)).toEqual({ payload: 7, version: 4 });
    contracts.register({ type: 't', schema: true });
    expect(caught(InvalidContractError, () => contracts.checkSent('t', 7, 4)).message).toContain('no version 4');
  });
});

describe('registering', () => {
  test.each([
    ['no type', { type: '', schema: true }],
    ['a type too long', { type: 'a'.repeat(300), schema: true }],
    ['version 0', { type: 't', version: 0, schema: true }],
    ['half a version', { type: 't', version: 1.5, schema: true }],
    ['no schema', { type: 't', schema: undefined }],
    ['a text', { type: 't', schema: 'string' }],
    ['an unknown mode', { type: 't', schema: true, compatibility: 'SIDEWAYS' }],
    ['an unknown keyword', { type: 't', schema: { typ: 'string' } }],
    ['an unknown format', { type: 't', schema: { type: 'string', format: 'haiku' } }],
    ['a reference to nowhere', { type: 't', schema: { $ref: '#/$defs/no' } }],
    ['another draft', { type: 't', schema: { $schema: 'http://json-schema.org/draft-07/schema#' } }],
    ['a pattern that is none', { type: 't', schema: { type: 'string', pattern: '(' } }],
  ])('%s is refused', (_what, definition) => {
    const contracts = new ContractRegistry();
    const error = caught(InvalidContractError, () =>
      contracts.register(definition as Parameters<typeof contracts.register>[0]),
    );
    expect(error.message).toContain(JSON.stringify(definition.type));
    expect(contracts.list()).toEqual([]);
  });

  test('CR1: the same again is nothing new, another one under its version is refused, and so is an earlier one', () => {
    const contracts = new ContractRegistry();
    const first = contracts.register({ type: 't', version: 2, schema: order });
    expect(contracts.register({ type: 't', version: 2, schema: structuredClone(order) })).toBe(first);
    const misspelt = { type: 't', version: 2, schema: {}, compatiblity: 'FULL' };
    expect(() => contracts.register(misspelt)).toThrow(/compatiblity: no such field/);
    expect(() => contracts.register({ type: 't', version: 2, schema: true })).toThrow(InvalidContractError);
    expect(() => contracts.register({ type: 't', version: 1, schema: order })).toThrow(/in order/);
    expect(contracts.list()).toEqual([first]);
    expect(contracts.find('t')).toBe(first);
    expect(contracts.find('t', 1)).toBeUndefined();
  });

  test('CR1: a schema that is changed afterwards changes nothing, and one that contains itself is refused', () => {
    const contracts = new ContractRegistry();
    const schema: Record<string, unknown> = { type: 'string' };
    contracts.register({ type: 't', schema });
    schema['type'] = 'number';
    expect(contracts.find('t')?.jsonSchema).toEqual({ type: 'string' });
    expect(() => contracts.register({ type: 't', schema })).toThrow(InvalidContractError);
    schema['items'] = schema;
    expect(() => contracts.register({ type: 'u', schema })).toThrow(InvalidContractError);
  });

  test("somebody's own words are let be", () => {
    const contracts = new ContractRegistry();
    contracts.register({ type: 't', version: 1, schema: closed({ id: { type: 'string', 'x-label': 'Id' } }) });
    contracts.register({ type: 't', version: 2, schema: closed({ id: { type: 'string', 'x-label': 'Number' } }) });
    expect(() => contracts.checkSent('t', { id: 7 })).toThrow(ContractViolationError);
    // A property of that name is none of them.
    contracts.register({ type: 'u', schema: closed({ 'x-label': { type: 'string' } }) });
    expect(() => contracts.checkSent('u', { 'x-label': 7 })).toThrow(ContractViolationError);
  });

  test('two versions may have the same $id', () => {
    const contracts = new ContractRegistry();
    contracts.register({ type: 't', version: 1, schema: { $id: 'https://a.example/t', ...(order as object) } });
    contracts.register({ type: 't', version: 2, schema: { $id: 'https://a.example/t', ...(order as object) } });
    contracts.register({ type: 'u', schema: { $id: 'https://a.example/t', ...(order as object) } });
    expect(contracts.list()).toHaveLength(3);
  });
});

describe('CR2: versions', () => {
  const v1 = closed({ id: { type: 'string' } }, ['id']);
  /** One more, optional: reads what v1 wrote, and writes what v1 does not read. */
  const wider = closed({ id: { type: 'string' }, note: { type: 'string' } }, ['id']);
  const narrower = closed({ id: { type: 'string', maxLength: 8 } }, ['id']);

  test.each<[Compatibility, boolean, boolean, boolean]>([
    ['NONE', true, true, true],
    ['BACKWARD', true, false, true],
    ['BACKWARD_TRANSITIVE', true, false, true],
    ['FORWARD', false, true, true],
    ['FORWARD_TRANSITIVE', false, true, true],
    ['FULL', false, false, true],
    ['FULL_TRANSITIVE', false, false, true],
  ])('%s: wider %s, narrower %s, the same %s', (compatibility, ...expected) => {
    const allowed = [wider, narrower, { title: 'again', ...(v1 as object) }].map((schema) => {
      const contracts = new ContractRegistry();
      contracts.register({ type: 't', version: 1, schema: v1 });
      try {
        contracts.register({ type: 't', version: 2, schema, compatibility });
        return true;
      } catch (error) {
        expect(error).toBeInstanceOf(IncompatibleContractError);
        expect(contracts.list()).toHaveLength(1);
        return false;
      }
    });
    expect(allowed).toEqual(expected);
  });

  test('every mode is tried above', () => {
    expect(COMPATIBILITIES).toHaveLength(7);
  });

  test('transitive modes look at every version before, the others at the last one', () => {
    const registry = (): ContractRegistry => {
      const contracts = new ContractRegistry();
      contracts.register({ type: 't', version: 1, schema: { type: 'string' } });
      contracts.register({ type: 't', version: 2, schema: { type: 'integer' }, compatibility: 'NONE' });
      return contracts;
    };
    const next = { type: 't', version: 3, schema: { type: 'number' } };
    registry().register({ ...next, compatibility: 'BACKWARD' });
    const error = caught(IncompatibleContractError, () =>
      registry().register({ ...next, compatibility: 'BACKWARD_TRANSITIVE' }),
    );
    expect(error.details['differences']).toEqual([
      {
        path: '',
        rule: 'type',
        direction: 'BACKWARD',
        version: 1,
        reason: expect.stringContaining('string') as string,
      },
    ]);
  });

  test('the message names field, rule, direction and version', () => {
    const contracts = new ContractRegistry();
    contracts.register({ type: 'order.placed', version: 1, schema: v1 });
    const change = { type: 'order.placed', version: 2, schema: closed({ id: { type: 'integer' } }, ['id']) };
    expect(caught(IncompatibleContractError, () => contracts.register(change)).message).toBe(
      'version 2 of "order.placed" is not BACKWARD: it cannot read data of version 1: /id, rule type: string is not allowed: "integer"',
    );
    expect(
      caught(IncompatibleContractError, () => contracts.register({ ...change, compatibility: 'FORWARD' })).message,
    ).toContain('version 1 cannot read its data: /id, rule type');
  });

  test('schemas of zod are compared by their JSON Schema form; without one, only NONE follows', () => {
    const contracts = new ContractRegistry();
    contracts.register({ type: 't', version: 1, schema: z.strictObject({ id: z.string() }) });
    contracts.register({
      type: 't',
      version: 2,
      schema: z.strictObject({ id: z.string(), note: z.string().optional() }),
    });
    const strange = caught(IncompatibleContractError, () =>
      contracts.register({
        type: 't',
        version: 3,
        schema: z.strictObject({ id: z.number(), note: z.string().optional() }),
      }),
    );
    expect(strange.message).toContain('/id, rule type');
    const opaque: StandardSchema = { '~standard': { version: 1, vendor: 'own', validate: (value) => ({ value }) } };
    expect(
      caught(IncompatibleContractError, () => contracts.register({ type: 't', version: 3, schema: opaque })).message,
    ).toContain('schemas of own have no JSON Schema');
    contracts.register({ type: 't', version: 3, schema: opaque, jsonSchema: true });
    contracts.register({ type: 't', version: 4, schema: opaque, compatibility: 'NONE' });
    expect(contracts.list().map(({ version }) => version)).toEqual([1, 2, 3, 4]);
  });
});

test('CR4: what is received is read by the newest version that is proved to read it', () => {
  const contracts = new ContractRegistry();
  const schema = (by: string): StandardSchema => ({
    '~standard': { version: 1, vendor: 'own', validate: (value) => ({ value: `${String(value)} by ${by}` }) },
  });
  const register = (version: number, compatibility: Compatibility): void => {
    contracts.register({ type: 't', version, schema: schema(`v${version}`), jsonSchema: true, compatibility });
  };
  register(1, 'BACKWARD');
  register(2, 'FULL');
  register(3, 'NONE');
  register(4, 'BACKWARD_TRANSITIVE');
  register(5, 'FORWARD');
  const reader = (version?: number): unknown =>
    (contracts.checkReceived('t', 'x', version) as { payload: unknown }).payload;
  expect([1, 2, 3, 4, 5].map(reader)).toEqual(['x by v2', 'x by v2', 'x by v4', 'x by v4', 'x by v5']);
  // From a sender that is ahead, and from one that does not say.
  expect([reader(6), reader()]).toEqual(['x by v5', 'x by v5']);
});

test('schemas of zod fit the type', () => {
  expectTypeOf(z.object({ id: z.string() })).toExtend<StandardSchema>();
});

test('without ajv a JSON Schema is refused with what to install, and a Standard Schema needs none', () => {
  const registry = new URL('../../../runtime/broker/contracts/contract-registry.ts', import.meta.url).href;
  const script = `
    import { registerHooks } from 'node:module';
    registerHooks({ resolve: (name, context, next) => {
      if (name.startsWith('ajv')) throw Object.assign(new Error('Cannot find ' + name), { code: 'MODULE_NOT_FOUND' });
      return next(name, context);
    } });
    const { ContractRegistry } = await import(${JSON.stringify(registry)});
    const contracts = new ContractRegistry();
    const own = { '~standard': { version: 1, vendor: 'own', validate: (value) => ({ value }) } };
    contracts.register({ type: 'own', schema: own });
    try { contracts.register({ type: 'json', schema: true }); } catch (error) { console.log(error.code, error.message); }
  `;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  expect(output).toContain('MISSING_PACKAGE');
  expect(output).toContain('npm install ajv@8 ajv-formats@3');
});
