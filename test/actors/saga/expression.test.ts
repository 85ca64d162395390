/** Conditions and parameters: what they give, what they are refused for, and where. */
import { expect, test } from 'vitest';
import { compileCondition, compileTemplate, type ExpressionVariables } from '../../../actors/saga/expression.ts';
import { typeChecker } from '../../../actors/saga/expression-engine.ts';
import type { ExpressionScope } from '../../../actors/saga/expression-survey.ts';
import { declaredType, type ValueShape } from '../../../actors/saga/value-shape.ts';
import { ExpressionError } from '../../../runtime/kernel/errors.ts';

function scopeOf(options: Partial<ExpressionScope> = {}): ExpressionScope {
  const types = options.input === undefined ? {} : { input: declaredType(options.input) };
  return {
    input: undefined,
    context: new Set(),
    steps: new Set(['reserve', 'charge', 'ship']),
    promises: new Set(),
    readable: new Set(['reserve', 'charge']),
    results: new Map(),
    names: new Set(),
    check: typeChecker(types),
    ...options,
  };
}

const VARIABLES: ExpressionVariables = {
  input: {
    n: 7,
    price: 9.5,
    kind: 'express',
    items: [1, 2, 3],
    when: new Date(0),
    nested: { deep: true },
    nothing: null,
  },
  context: { variable: 'value', tries: 2 },
  steps: {
    reserve: { status: 'completed', result: { seat: '4A', 'with-dash': 1, n: 3 } },
    charge: { status: 'skipped' },
  },
};

function condition(source: string, options: Partial<ExpressionScope> = {}, variables = VARIABLES): unknown {
  const outcome = compileCondition(source, scopeOf(options));
  if ('faults' in outcome) throw new Error(JSON.stringify(outcome.faults));
  return outcome.compiled.evaluate(variables);
}

function template(source: unknown, options: Partial<ExpressionScope> = {}, variables = VARIABLES): unknown {
  const outcome = compileTemplate(source, scopeOf(options));
  if ('faults' in outcome) throw new Error(JSON.stringify(outcome.faults));
  return outcome.compiled.evaluate(variables);
}

function faultsOf(source: string, options: Partial<ExpressionScope> = {}) {
  const outcome = compileCondition(source, scopeOf(options));
  return 'faults' in outcome ? outcome.faults : [];
}

test.each([
  ["${variable} == 'value'", true],
  ["${context.variable} == 'value'", true],
  ["variable == 'other'", false],
  ["${kind} == 'express'", true],
  ['input.n + 1 == 8', true],
  ['${input.n} % 2 == 1', true],
  ['input.n / 2 == 3', true],
  ['input.n / 2.0 == 3.5', true],
  ['input.price + 1 == 10.5', true],
  ['input.price * 2 == 19', true],
  ['1 + 0.5 == 1.5', true],
  ['input.n > 3 && !(input.n > 10)', true],
  ["steps.reserve.result.seat == '4A'", true],
  ["steps.reserve.result['with-dash'] == 1", true],
  ["steps.charge.status == 'skipped'", true],
  ['has(steps.charge.result)', false],
  ['has(input.missing)', false],
  ['has(input.nested.deep) && input.nested.deep', true],
  ['input.nothing == null', true],
  ['input.items.exists(i, i == 2)', true],
  ['input.items.map(i, i + 1) == [2, 3, 4]', true],
  ['size(input.items) == 3', true],
  ['input.items[0] + input.items[2] == 4', true],
  ["input.kind in ['express', 'normal']", true],
  ["timestamp('1970-01-01T00:00:00Z') == input.when", true],
  ["input.kind == '}' || ${input.kind} == 'express'", true],
  ['cel.bind(n, input.n * 2, n > 13 && n < 15)', true],
  ['input.?missing.orValue(true)', true],
])('%s is %s', (source, value) => {
  expect(condition(source)).toBe(value);
});

test.each<[unknown, unknown]>([
  ['plain', 'plain'],
  [5, 5],
  ['${input.n}', 7],
  ['${input.items}', [1, 2, 3]],
  ['${input.when}', new Date(0)],
  ['${input.nothing}', null],
  ['${input.n + 1}', 8],
  ['n is ${input.n}, kind ${kind}', 'n is 7, kind express'],
  ['${input.n}${input.n}', '77'],
  ['list ${input.items}', 'list [1,2,3]'],
  ['at ${input.when}', 'at 1970-01-01T00:00:00.000Z'],
  ['$${input.n} stays', '${input.n} stays'],
  ["${'}' + kind}", '}express'],
  ['${{"a": input.n, "b": [input.price]}}', { a: 7, b: [9.5] }],
  [
    { a: '${input.n}', b: ['${kind}', { c: 'x${tries}' }], d: null },
    { a: 7, b: ['express', { c: 'x2' }], d: null },
  ],
  ["${duration('90s')}", '90s'],
  ['${uint(3)}', 3],
  ['${[1, 2].map(x, x * 2)}', [2, 4]],
])('template %j gives %j', (source, value) => {
  expect(template(source)).toEqual(value);
});

test('nothing but the parts with values is made anew', () => {
  const still = { deep: [1, 2] };
  const made = template({ still, moving: '${input.n}' }) as { still: unknown };
  expect(made.still).toBe(still);
});

test.each<[string, number, RegExp]>([
  ["'${variable}' == 'value'", 1, /leave the quotes away/],
  ['${variable == 1', 0, /close it/],
  ['${} == 1', 0, /name a value/],
  ['input.n = 3', 8, /equality is ==/],
  ['input.n +', 9, /./],
  ["input.n == 'a", 11, /close the quotes/],
  ['steps.reserv.result.seat == 1', 0, /did you mean "reserve"/],
  ['1 == 1 && steps.ship.result == 1', 10, /put "ship" into the dependencies/],
  ['steps.reserve.seat == 1', 0, /write steps.reserve.result.seat/],
  ['steps.reserve == 1', 0, /write steps.reserve.result/],
  ['steps.size() == 1', 0, /name the step/],
  ["input.kind.matches('^(a+)+$')", 0, /startsWith/],
  ['item == 1', 0, /forEach/],
  ["error.code == 'X'", 0, /compensations/],
  ["1 + 'a' == 2", 0, /different kinds/],
  ['nonsense(1)', 0, /./],
  ['size(input.items)', 0, /compare/],
  ['[1].all(a, [1].all(b, [1].all(c, true)))', 22, /step prepare/],
])('%s is refused at %i', (source, position, hint) => {
  const [fault] = faultsOf(source);
  expect(fault?.position).toBe(position);
  expect(`${fault?.message} ${fault?.hint}`).toMatch(hint);
});

test('positions are those of the text as written, also within a template', () => {
  const outcome = compileTemplate({ a: 'n is ${input.n + } !' }, scopeOf());
  expect(outcome).toMatchObject({ faults: [{ position: 17, message: expect.stringMatching(/^a: /) }] });
  expect(faultsOf('${input.n} + steps.nope.result == 1')[0]?.position).toBe(13);
});

test('all faults of a template are reported', () => {
  const outcome = compileTemplate({ a: '${steps.x.result}', b: ['${', '${input.n +}'] }, scopeOf());
  expect('faults' in outcome && outcome.faults.length).toBe(3);
});

const INPUT: ValueShape = {
  type: 'object',
  properties: {
    n: { type: 'integer' },
    price: { type: 'number' },
    kind: { type: 'string' },
    lines: { type: 'array', items: { type: 'object', properties: { price: { type: 'number' } } } },
  },
};

test('with a declared input, members and types are checked when it is defined', () => {
  const input = INPUT;
  expect(faultsOf('input.prise > 1', { input })[0]?.message).toMatch(/prise/);
  expect(faultsOf("input.n + 'a' == 1", { input })[0]?.hint).toMatch(/different kinds/);
  expect(faultsOf('knid == 1', { input })[0]?.hint).toBe('did you mean "kind"?');
  expect(faultsOf("input.kind == 'a'", { input })).toEqual([]);
  expect(faultsOf('price > 1', { input })).toEqual([]);
});

test('a number is what its shape says', () => {
  const variables = { ...VARIABLES, input: { n: 9, price: 9, lines: [{ price: 3 }] } };
  expect(template('${input.price / 2}', { input: INPUT }, variables)).toBe(4.5);
  expect(template('${price / 2}', { input: INPUT }, variables)).toBe(4.5);
  expect(template('${input.n / 2}', { input: INPUT }, variables)).toBe(4);
  expect(template('${input.lines.map(l, l.price / 2)}', { input: INPUT }, variables)).toEqual([1.5]);
  const results = new Map([
    ['reserve', { type: 'object', properties: { n: { type: 'number' } } } satisfies ValueShape],
  ]);
  expect(template('${steps.reserve.result.n / 2}', { results })).toBe(1.5);
  expect(template('${steps.reserve.result.n / 2}')).toBe(1);
});

test.each([
  ['input.missing == 1', /has\(/],
  ['input.nested.x.y == 1', /nested/],
  ['unknownName == 1', /neither in the context nor in the input/],
  ['input.n == 1 || input.kind', /bool/i],
  ['input.kind', /neither true nor false/],
])('%s fails with a typed error', (source, message) => {
  expect(() => condition(source)).toThrow(ExpressionError);
  expect(() => condition(source)).toThrow(message);
});

test('an error says position, expression and hint', () => {
  try {
    condition('1 == 1 && input.missing == 1');
    expect.unreachable();
  } catch (error) {
    expect((error as ExpressionError).details).toMatchObject({
      position: 16,
      expression: '1 == 1 && input.missing == 1',
    });
  }
});

test('null does not become text, and no BigInt comes out', () => {
  expect(() => template('a${input.nothing}')).toThrow(/default/);
  expect(() => template('${9007199254740993}')).toThrow(/string\(\)/);
  expect(() => template('${9223372036854775807 + 1}')).toThrow(ExpressionError);
});

test.each([
  'input.constructor == 1',
  'input.__proto__ == 1',
  'context.toString == 1',
  'input.items.constructor == 1',
  'constructor == 1',
])('%s reaches nothing of JavaScript', (source) => {
  expect(() => condition(source)).toThrow(ExpressionError);
  expect(() => template(`\${${source.split(' ')[0]}}`)).toThrow(ExpressionError);
});

test('long, deep and wide expressions are refused', () => {
  expect(faultsOf(Array.from({ length: 600 }, () => 'true').join(' && '))).not.toEqual([]);
  expect(faultsOf(`${'('.repeat(100)}true${')'.repeat(100)}`)).not.toEqual([]);
  expect(faultsOf(`input.l${'.map(x, x + x)'.repeat(17)} == []`)[0]?.message).toMatch(/loops|nest|depth/i);
  expect(faultsOf('a'.repeat(20_000))[0]?.message).toMatch(/10000/);
});

test('a loop in a loop goes through short lists only', () => {
  const variables = { ...VARIABLES, input: { l: Array.from({ length: 1_001 }, (_, i) => i) } };
  expect(() => condition('input.l.all(a, input.l.all(b, true))', {}, variables)).toThrow(/1000/);
  expect(condition('input.l.all(a, a >= 0)', {}, variables)).toBe(true);
});

test('an evaluation changes nothing and can be repeated', () => {
  const before = structuredClone(VARIABLES);
  for (let i = 0; i < 3; i++) {
    expect(template({ a: '${input.items.map(i, i * 2)}', b: '${input.nested}' })).toEqual({
      a: [2, 4, 6],
      b: { deep: true },
    });
  }
  expect(VARIABLES).toEqual(before);
});

test('in a loop and in a compensation there are names of their own', () => {
  const variables = { ...VARIABLES, item: { id: 4 }, index: 2, error: { code: 'X' } };
  const names = new Set(['item', 'index', 'error'] as const);
  expect(template('${item.id + index}', { names }, variables)).toBe(6);
  expect(condition("error.code == 'X'", { names }, variables)).toBe(true);
});

test('data may have any names, also those that objects of JavaScript have from birth', () => {
  const named = (name: string): ExpressionVariables => ({
    ...VARIABLES,
    input: { [name]: 'Ferrari', car: { [name]: { year: 1963 } } },
  });
  for (const name of ['constructor', 'toString', 'hasOwnProperty', 'valueOf', 'prototype']) {
    const variables = named(name);
    const of = (source: unknown): unknown => template(source, {}, variables);
    expect(of(`\${input.${name}}`), name).toBe('Ferrari');
    expect(of(`\${input.${name} == 'Ferrari'}`), name).toBe(true);
    expect(of(`\${has(input.${name}) && has(input.car.${name})}`), name).toBe(true);
    expect(of(`\${input.car.${name}.year + 1}`), name).toBe(1964);
    expect(of('${input}'), name).toEqual(variables.input);
  }
});
