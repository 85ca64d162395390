/**
 * CEL's public conformance data (`@bufbuild/cel-spec`) against our environment. What fails is listed in
 * `cel-expected-failures.json`, and the list is exact: what begins to work must leave it.
 *
 * Left out are the suites about protobuf messages and extension libraries, which conditions of workflows do not have.
 * After a change on purpose: CB_UPDATE_CEL_FAILURES=1, and look at the difference.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tests as conformance } from '@bufbuild/cel-spec/testdata/conformance.js';
import { expect, test } from 'vitest';
import { engineValue, parseExpression, typeChecker } from '../../../actors/saga/expression-engine.ts';

const LIST = join(import.meta.dirname, 'cel-expected-failures.json');
const SUITES = new Set(
  'basic comparisons conversions fields fp_math integer_math lists logic macros macros2 namespace optionals parse plumbing string timestamps bindings_ext'.split(
    ' ',
  ),
);

/** Protobuf messages. */
const MESSAGES = /TestAllTypes|google\.protobuf\.(?!Timestamp|Duration)|"container"|"messageType"/;

interface Suite {
  readonly name: string;
  readonly suites?: readonly Suite[];
  readonly tests?: readonly { readonly original: Original }[];
}
type Value = Readonly<Record<string, unknown>>;
interface Original {
  readonly name?: string;
  readonly expr: string;
  readonly value?: Value;
  readonly typedResult?: { readonly result?: Value };
  readonly evalError?: unknown;
  readonly anyEvalErrors?: unknown;
  readonly unknown?: unknown;
  readonly bindings?: Readonly<Record<string, { readonly value?: Value }>>;
  readonly checkOnly?: boolean;
  readonly disableCheck?: boolean;
}

class Unrepresentable extends Error {}

function fromProto(value: Value): unknown {
  const [[kind, given]] = Object.entries(value) as [[string, unknown]];
  switch (kind) {
    case 'nullValue':
      return null;
    case 'boolValue':
    case 'stringValue':
      return given;
    case 'int64Value':
      return BigInt(given as string);
    case 'uint64Value':
      return BigInt(given as string);
    case 'doubleValue':
      return Number(given === '-Infinity' ? Number.NEGATIVE_INFINITY : given);
    case 'bytesValue':
      return new Uint8Array(Buffer.from(given as string, 'base64'));
    case 'listValue':
      return ((given as { values?: Value[] }).values ?? []).map(fromProto);
    case 'mapValue': {
      const entries = (given as { entries?: { key: Value; value: Value }[] }).entries ?? [];
      return new Map(entries.map(({ key, value: member }) => [fromProto(key), fromProto(member)]));
    }
    case 'typeValue':
      return { type: given };
    default:
      throw new Unrepresentable(kind);
  }
}

/** What the engine gave, in the words of `fromProto`. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return new Map([...value].map(([key, member]) => [plain(key), plain(member)]));
  const own = engineValue(value);
  if (own?.kind === 'unsigned') return own.value;
  if (own?.kind === 'optional') return plain(own.value);
  if (own?.kind === 'type') return { type: own.name };
  return new Map(Object.entries(value).map(([key, member]) => [key, plain(member)]));
}

/** An object of string keys is as good as a map. */
function outcomeOf({
  expr,
  value,
  typedResult,
  evalError,
  anyEvalErrors,
  bindings,
  checkOnly,
  disableCheck,
}: Original): string {
  const expected = value ?? typedResult?.result;
  const failing = evalError !== undefined || anyEvalErrors !== undefined;
  try {
    const variables = Object.fromEntries(
      Object.entries(bindings ?? {}).map(([name, { value: bound }]) => [name, fromProto(bound ?? {})]),
    );
    if (checkOnly === true) return 'fault' in typeChecker({})(expr) ? 'refused' : 'pass';
    if (disableCheck !== true && !failing && 'fault' in typeChecker({})(expr)) return 'refused';
    const given = plain(parseExpression(expr).evaluate(variables));
    if (failing) return 'no error';
    expect(given).toEqual(expected === undefined ? true : fromProto(expected));
    return 'pass';
  } catch (error) {
    if (error instanceof Unrepresentable) return 'not representable';
    return failing ? 'pass' : 'other';
  }
}

function run(suite: Suite, path: string, failures: string[], count: { run: number }): void {
  for (const inner of suite.suites ?? [])
    run(inner, path === '' ? inner.name : `${path}/${inner.name}`, failures, count);
  for (const { original } of suite.tests ?? []) {
    if (MESSAGES.test(JSON.stringify(original))) continue;
    const outcome = outcomeOf(original);
    if (outcome === 'not representable') continue;
    count.run++;
    if (outcome !== 'pass') failures.push(`${path}/${original.name ?? original.expr}: ${outcome}`);
  }
}

test('the conformance data passes, but for what is listed', async () => {
  const failures: string[] = [];
  const count = { run: 0 };
  for (const suite of (conformance as unknown as Suite).suites ?? []) {
    if (SUITES.has(suite.name.replace('.textproto', ''))) run(suite, suite.name, failures, count);
  }
  expect(count.run).toBeGreaterThan(1_100);
  if (process.env['CB_UPDATE_CEL_FAILURES'] === '1')
    await writeFile(LIST, `${JSON.stringify(failures, undefined, 2)}\n`);
  expect(failures).toEqual(JSON.parse(await readFile(LIST, 'utf8')));
});
