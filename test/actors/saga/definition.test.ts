/** Definitions: four ways to write one, and everything that is wrong with one at once. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { defineSaga } from '../../../actors/saga/define-saga.ts';
import { WorkflowDefinition, workflowFromDocument } from '../../../actors/saga/workflow-definition.ts';
import { workflowSchema } from '../../../actors/saga/workflow-schema.ts';
import { WorkflowStep, type WorkflowStepOptions } from '../../../actors/saga/workflow-step.ts';
import { parseWorkflow } from '../../../actors/saga/workflow-text.ts';
import { decodeError, encodeError, InvalidWorkflowError } from '../../../runtime/kernel/errors.ts';

const validate = new Ajv2020({ allowUnionTypes: true }).compile(workflowSchema);

const release = { systemTarget: 'stock', action: 'release', parameters: { sku: '${input.sku}' } };

const asClass = new WorkflowDefinition('checkout', 'Checkout', { version: 2, timeoutMs: 60_000 })
  .addStep(
    new WorkflowStep({
      stepId: 'reserve',
      systemTarget: 'stock',
      action: 'reserve',
      parameters: { sku: '${input.sku}' },
      compensation: release,
    }),
  )
  .addStep(
    new WorkflowStep({
      stepId: 'charge',
      systemTarget: 'payments',
      action: 'charge',
      dependencies: ['reserve'],
      condition: '${steps.reserve.result.price} > 0',
      retryPolicy: { maxAttempts: 5, nonRetryable: ['CARD_DECLINED'] },
      pivot: true,
    }),
  )
  .addStep({ stepId: 'wait', signal: 'shipped', dependencies: ['charge'] });

const asSaga = defineSaga('checkout', { name: 'Checkout', version: 2, timeoutMs: 60_000 })
  .step('reserve', {
    systemTarget: 'stock',
    action: 'reserve',
    parameters: { sku: '${input.sku}' },
    compensation: release,
  })
  .step('charge', {
    systemTarget: 'payments',
    action: 'charge',
    dependencies: ['reserve'],
    condition: '${steps.reserve.result.price} > 0',
    retryPolicy: { maxAttempts: 5, nonRetryable: ['CARD_DECLINED'] },
    pivot: true,
  })
  .step('wait', { signal: 'shipped', dependencies: ['charge'] });

const asYaml = `
workflow: checkout
name: Checkout
version: 2
timeoutMs: 60000
steps:
  - stepId: reserve
    systemTarget: stock
    action: reserve
    parameters: &sku { sku: "\${input.sku}" }
    compensation: { systemTarget: stock, action: release, parameters: *sku }
  - stepId: charge
    systemTarget: payments
    action: charge
    dependencies: [reserve]
    condition: "\${steps.reserve.result.price} > 0"
    retryPolicy: { maxAttempts: 5, nonRetryable: [CARD_DECLINED] }
    pivot: true
  - stepId: wait
    signal: shipped
    dependencies: [charge]
`;

test('a class, a chain, JSON and YAML give one definition, with one hash', async () => {
  const { data, hash } = asClass.compile();
  for (const other of [asSaga, await parseWorkflow(JSON.stringify(asClass)), await parseWorkflow(asYaml)]) {
    expect(other.compile().data).toEqual(data);
    expect(other.compile().hash).toBe(hash);
  }
  expect(JSON.parse(JSON.stringify(data))).toEqual(JSON.parse(JSON.stringify(asSaga.compile().data)));
  expect(validate(JSON.parse(JSON.stringify(asClass))), JSON.stringify(validate.errors)).toBe(true);
});

test('another definition has another hash', () => {
  const other = defineSaga('checkout', { version: 3 }).step('a', { value: 1 });
  const same = defineSaga('checkout', { version: 3 }).step('a', { value: 1, pivot: false });
  const changed = defineSaga('checkout', { version: 3 }).step('a', { value: 2 });
  expect(other.compile().hash).toBe(same.compile().hash);
  expect(other.compile().hash).not.toBe(changed.compile().hash);
});

test('dependencies of a chain are known to the compiler', () => {
  const saga = defineSaga('a').step('first', { value: 1 });
  // @ts-expect-error: no such step before it
  saga.step('second', { value: 1, dependencies: ['frist'] });
  expect(() => saga.compile()).toThrow(/did you mean "first"/);
});

function faultsOf(make: () => { compile(): unknown }): readonly string[] {
  try {
    make().compile();
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidWorkflowError);
    expect((error as InvalidWorkflowError).code).toBe('INVALID_WORKFLOW');
    return (error as InvalidWorkflowError).details['faults'] as string[];
  }
}

const workflowOf = (...steps: readonly unknown[]): WorkflowDefinition =>
  (steps as WorkflowStepOptions[]).reduce((definition, step) => definition.addStep(step), new WorkflowDefinition('w'));

const call = { systemTarget: 's', action: 'a' };

test.each<[string, readonly unknown[], RegExp]>([
  ['no steps', [], /no steps/],
  ['a step that is none', ['x'], /no object/],
  ['no id', [{ ...call }], /stepId: undefined/],
  ['a bad id', [{ ...call, stepId: 'a b' }], /"a b"/],
  [
    'ids twice',
    [
      { ...call, stepId: 'a' },
      { ...call, stepId: 'a' },
    ],
    /"a" is there twice/,
  ],
  ['itself', [{ ...call, stepId: 'a', dependencies: ['a'] }], /"a" depends on itself/],
  [
    'an unknown dependency',
    [
      { ...call, stepId: 'reserve' },
      { ...call, stepId: 'b', dependencies: ['reservee'] },
    ],
    /did you mean "reserve"/,
  ],
  [
    'a dependency twice',
    [
      { ...call, stepId: 'a' },
      { ...call, stepId: 'b', dependencies: ['a', 'a'] },
    ],
    /twice/,
  ],
  ['nothing to do', [{ stepId: 'a' }], /does nothing/],
  ['two things to do', [{ ...call, stepId: 'a', signal: 's' }], /one thing/],
  ['an unknown option', [{ ...call, stepId: 'a', conditon: 'true' }], /did you mean "condition"/],
  ['no action', [{ stepId: 'a', systemTarget: 's' }], /action/],
  ['a system with a dot', [{ ...call, stepId: 'a', systemTarget: 's.*' }], /no system/],
  [
    'an actor without an id',
    [{ stepId: 'a', actor: { definition: 'x' }, action: 'GO' }],
    /actor: \{ definition, id \}/,
  ],
  [
    'parameters of an actor that are no object',
    [{ stepId: 'a', actor: { definition: 'x', id: 'y' }, action: 'GO', parameters: [1] }],
    /an object/,
  ],
  [
    'a bad condition',
    [{ ...call, stepId: 'a', condition: 'input.n = 3' }],
    /step "a", condition: .* at 8 in "input.n = 3" \(equality is ==\)/,
  ],
  ['a condition that is no text', [{ ...call, stepId: 'a', condition: true }], /no text/],
  ['a bad parameter', [{ ...call, stepId: 'a', parameters: { x: ['${nope(}'] } }], /step "a", parameters: x\[0\]/],
  [
    'reading ahead',
    [
      { ...call, stepId: 'a', parameters: '${steps.b.result}' },
      { ...call, stepId: 'b' },
    ],
    /put "b" into the dependencies/,
  ],
  ['a function', [{ ...call, stepId: 'a', parameters: { at: () => 1 } }], /parameters\.at: a function is no JSON/],
  ['a date', [{ ...call, stepId: 'a', parameters: { at: new Date(0) } }], /Date is no JSON/],
  ['infinity', [{ ...call, stepId: 'a', parameters: [Number.POSITIVE_INFINITY] }], /no JSON number/],
  ['tries', [{ ...call, stepId: 'a', retryPolicy: { maxAttempts: 0 } }], /maxAttempts: 0/],
  ['jitter', [{ ...call, stepId: 'a', retryPolicy: { jitter: 'some' } }], /jitter/],
  [
    'an unknown option of a policy',
    [{ ...call, stepId: 'a', retryPolicy: { maxAttempt: 2 } }],
    /did you mean "maxAttempts"/,
  ],
  ['a timeout', [{ ...call, stepId: 'a', timeoutMs: -1 }], /timeoutMs: -1/],
  [
    'a join of too many',
    [
      { ...call, stepId: 'a' },
      { ...call, stepId: 'b', dependencies: ['a'], join: 2 },
    ],
    /2 of 1/,
  ],
  ['a loop over nothing', [{ ...call, stepId: 'a', forEach: 5 }], /no list/],
  ['a loop of sleeps', [{ stepId: 'a', sleep: 5, forEach: '${input.l}' }], /only for a call/],
  ['item outside of a loop', [{ ...call, stepId: 'a', parameters: '${item}' }], /forEach/],
  ['a compensation of nothing', [{ stepId: 'a', sleep: 5, compensation: call }], /calls nobody/],
  [
    'an unknown option of a compensation',
    [{ ...call, stepId: 'a', compensation: { ...call, stepId: 'x' } }],
    /compensation.stepId/,
  ],
  ['a negative sleep', [{ stepId: 'a', sleep: -5 }], /not 0 or more/],
  ['a sleep that is no time', [{ stepId: 'a', sleep: 'soon' }], /"soon" is no time to sleep/],
  ['a time that is none', [{ stepId: 'a', until: 'tomorrow' }], /"tomorrow" is no time to sleep until/],
  ['an option of another kind', [{ stepId: 'a', sleep: 5, action: 'x' }], /only for a call/],
  ['a shape', [{ ...call, stepId: 'a', result: { type: 'integr' } }], /"integr"/],
])('%s is named', (_what, steps, fault) => {
  expect(faultsOf(() => workflowOf(...steps)).join('\n')).toMatch(fault);
});

test('every cycle is named whole', () => {
  const step = (stepId: string, ...dependencies: string[]) => ({ stepId, value: 1, dependencies });
  const faults = faultsOf(() =>
    workflowOf(
      step('free'),
      step('a', 'c'),
      step('b', 'a'),
      step('c', 'b', 'free'),
      step('x', 'y'),
      step('y', 'x'),
      step('z', 'y'),
    ),
  );
  expect(faults).toEqual([
    expect.stringContaining('a waits for c waits for b waits for a'),
    expect.stringContaining('x waits for y waits for x'),
  ]);
});

test('options of the workflow have faults of their own, and all faults come at once', () => {
  const options = {
    version: 0,
    parallelism: 1.5,
    timeoutMs: 'x',
    onFailure: 'ignore',
    input: { type: 'objet' },
    context: 5,
    outptu: 1,
  } as never;
  const faults = faultsOf(() =>
    new WorkflowDefinition('1st', '', options)
      .addStep({ stepId: 'a' })
      .addStep({ stepId: 'b', value: '${steps.c.result}' }),
  );
  expect(faults).toHaveLength(11);
  for (const word of [
    'id',
    'name',
    'version',
    'parallelism',
    'timeoutMs',
    'onFailure',
    'input',
    'context',
    'outptu',
    'does nothing',
    'unknown step "c"',
  ]) {
    expect(faults.join('\n')).toContain(word);
  }
});

test('the error survives threads and the journal', () => {
  try {
    workflowOf().compile();
    expect.unreachable();
  } catch (error) {
    const back = decodeError(structuredClone(encodeError(error)));
    expect(back).toBeInstanceOf(InvalidWorkflowError);
    expect(back.details).toEqual((error as InvalidWorkflowError).details);
  }
});

test.each([
  ['{', /not JSON/],
  ['a: [', /YAML/],
  ['a: 1\na: 2', /unique/],
  ['[]', /no object/],
  ['workflow: w\nstep: []', /did you mean "steps"|steps: missing/],
  ['workflow: w\nsteps: {}', /no list/],
  ['workflow: w\nsteps: []', /no steps/],
  ['workflow: w\nsteps:\n  - stepId: a\n    value: 1\n    dependencies: [b]', /unknown step "b"/],
])('text that is no workflow is refused: %j', async (text, message) => {
  await expect(parseWorkflow(text)).rejects.toThrow(InvalidWorkflowError);
  await expect(parseWorkflow(text)).rejects.toThrow(message);
});

test('YAML that would be huge in memory is refused', async () => {
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    ...'bcdefghi'.split('').map((name, i) => `${name}: &${name} [${`*${'abcdefghi'[i]},`.repeat(9)}]`),
  ].join('\n');
  await expect(parseWorkflow(bomb)).rejects.toThrow(InvalidWorkflowError);
});

test.each([
  [{ stepId: 'a' }, false],
  [{ stepId: 'a', value: 1 }, true],
  [{ stepId: 'a', value: 1, signal: 's' }, false],
  [{ stepId: 'a', ...call, forEach: { items: '${input.l}', concurrency: 0 } }, false],
  [{ stepId: 'a', ...call, forEach: '${input.l}' }, true],
  [{ stepId: 'a', ...call, retryPolicy: { maxAttempts: 0 } }, false],
  [{ stepId: 'a', ...call, unknown: 1 }, false],
  [{ stepId: 'a b', ...call }, false],
  [{ stepId: 'a', ...call, compensation: { ...call, retryPolicy: { jitter: 'none' } }, join: 'all' }, true],
])('the schema and the definition agree on %j', (step, isGood) => {
  const document = { workflow: 'w', steps: [step] };
  expect(validate(document)).toBe(isGood);
  if (isGood) expect(workflowFromDocument(document).compile().steps.size).toBe(1);
  else expect(() => workflowFromDocument(document)).toThrow(InvalidWorkflowError);
});

test('a thousand steps compile', () => {
  const steps = Array.from({ length: 1_000 }, (_, i) => ({
    stepId: `s${i}`,
    ...call,
    dependencies: i === 0 ? [] : [`s${i - 1}`],
    parameters: i === 0 ? {} : { before: `\${steps.s${i - 1}.result}` },
  }));
  const { order } = workflowOf(...steps).compile();
  expect(order).toHaveLength(1_000);
  expect(order[999]).toBe('s999');
});
