/** Adaptation rules as they are written: four ways to one form, and everything that is wrong with one at once. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { AdaptationRule } from '../../../actors/saga/adaptation-rule.ts';
import { defineSaga } from '../../../actors/saga/define-saga.ts';
import { WorkflowDefinition, workflowFromDocument } from '../../../actors/saga/workflow-definition.ts';
import { workflowSchema } from '../../../actors/saga/workflow-schema.ts';
import { parseWorkflow } from '../../../actors/saga/workflow-text.ts';
import { InvalidWorkflowError } from '../../../runtime/kernel/errors.ts';

const validate = new Ajv2020({ allowUnionTypes: true }).compile(workflowSchema);

const reserve = {
  systemTarget: 'stock',
  action: 'reserve',
  compensation: { systemTarget: 'stock', action: 'release' },
} as const;
const rule = {
  when: 'systems.stock.p99Ms > 800 && systems.stock.calls >= 5',
  until: 'systems.stock.p99Ms < 400',
  steps: ['reserve'] as const,
  change: { route: { systemTarget: 'stock-b' }, attemptTimeoutMs: 2_000, retryPolicy: { maxAttempts: 1 } },
  forMs: 1_000,
};

const base = () =>
  defineSaga('order')
    .step('reserve', reserve)
    .step('note', { value: 1, dependencies: ['reserve'] });
const asSaga = base().adapt('slow', rule);
const asClass = new WorkflowDefinition('order', 'order')
  .addStep({ stepId: 'reserve', ...reserve })
  .addStep({ stepId: 'note', value: 1, dependencies: ['reserve'] })
  .addAdaptation(new AdaptationRule({ ruleId: 'slow', ...rule }));

test('class, saga, JSON and YAML come to one definition; the schema knows rules', async () => {
  const document = JSON.parse(JSON.stringify(asSaga)) as unknown;
  expect(validate(document), JSON.stringify(validate.errors)).toBe(true);
  const { hash } = asSaga.compile();
  expect(asClass.compile().hash).toBe(hash);
  expect(workflowFromDocument(document).compile().hash).toBe(hash);
  const yaml = `
workflow: order
steps:
  - { stepId: reserve, systemTarget: stock, action: reserve, compensation: { systemTarget: stock, action: release } }
  - { stepId: note, value: 1, dependencies: [reserve] }
adaptations:
  - ruleId: slow
    when: systems.stock.p99Ms > 800 && systems.stock.calls >= 5
    until: systems.stock.p99Ms < 400
    steps: [reserve]
    change: { route: { systemTarget: stock-b }, attemptTimeoutMs: 2000, retryPolicy: { maxAttempts: 1 } }
    forMs: 1000
`;
  expect((await parseWorkflow(yaml)).compile().hash).toBe(hash);
  expect(base().compile().hash).not.toBe(hash);
});

test('a definition without rules is what it was before there were any', () => {
  expect(Object.keys(base().compile().data)).not.toContain('adaptations');
});

test('what was done on another way is undone there', () => {
  const undoOf = (compensation: object | string | undefined) => {
    const route = { systemTarget: 'stock-b', ...(compensation === undefined ? {} : { compensation }) };
    const { rules } = base()
      .adapt('slow', { ...rule, change: { route: route as never } })
      .compile();
    return rules.get('slow')?.routes.get('reserve')?.compensation?.data;
  };
  expect(undoOf(undefined)).toMatchObject({ target: { system: 'stock-b' }, action: 'release' });
  expect(undoOf('moves')).toMatchObject({ target: { system: 'stock-b' } });
  expect(undoOf('stays')).toMatchObject({ target: { system: 'stock' }, action: 'release' });
  expect(undoOf({ systemTarget: 'audit', action: 'undo' })).toMatchObject({ target: { system: 'audit' } });
});

const faultsOf = (given: object): readonly string[] => {
  try {
    base()
      .addAdaptation({ ruleId: 'slow', ...rule, ...given })
      .compile();
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidWorkflowError);
    return (error as InvalidWorkflowError & { details: { faults: string[] } }).details.faults;
  }
};

test.each<[what: string, given: object, fault: string]>([
  ['no condition', { when: undefined }, 'adaptation "slow", when: undefined is no text'],
  [
    'an unknown metric',
    { when: 'systems.stock.p95Ms > 1' },
    '"systems.stock.p95Ms" is no metric at 0 in "systems.stock.p95Ms > 1" (did you mean "p90Ms"?)',
  ],
  [
    'an unknown system',
    { when: '1.0 < systems.stok.p99Ms' },
    'unknown target "systems.stok" at 6 in "1.0 < systems.stok.p99Ms" (did you mean "stock"?)',
  ],
  [
    'an unknown action',
    { when: 'systems.stock.actions.reseve.p99Ms > 1' },
    'unknown action "reseve" of systems.stock at 0 in "systems.stock.actions.reseve.p99Ms > 1" (did you mean "reserve"?)',
  ],
  [
    'a gauge of an action',
    { when: 'systems.stock.actions.reserve.inFlight > 1' },
    '"systems.stock.actions.reserve.inFlight" is no metric',
  ],
  [
    'actors nobody calls',
    { when: 'actors.desk.p99Ms > 1' },
    'unknown target "actors.desk" at 0 in "actors.desk.p99Ms > 1" (no step calls one)',
  ],
  [
    'another name',
    { when: 'input.amount > 1' },
    'unknown name "input" at 0 in "input.amount > 1" (known: systems, actors)',
  ],
  [
    'a wrong type',
    { when: "systems.stock.p99Ms > 'x'" },
    'no such overload: double > string at 0 in "systems.stock.p99Ms > \'x\'" (the two sides are of different kinds',
  ],
  ['no condition at all', { when: 'systems.stock.p99Ms' }, 'a condition is true or false, and this is double at 0'],
  ['no metric', { when: 'true' }, 'it reads no metric at 0'],
  ['a syntax error', { when: 'systems.stock.p99Ms >' }, 'adaptation "slow", when: '],
  ['a function', { when: 'size(systems.stock.breaker) > 3' }, 'a condition over metrics calls no functions'],
  ['a state that there is not', { when: "systems.stock.breaker == 'opened'" }, 'a breaker is never "opened" at 25 in'],
  [
    'a release with a fault',
    { until: 'systems.stock.p99 < 4' },
    'adaptation "slow", until: "systems.stock.p99" is no metric',
  ],
  ['an unknown step', { steps: ['reserv'] }, 'steps: unknown step "reserv" (did you mean "reserve"?)'],
  [
    'a system nobody calls',
    { steps: undefined, systemTarget: 'stocks' },
    'systemTarget: no step calls "stocks" (did you mean "stock"?)',
  ],
  [
    'an action nobody calls',
    { steps: undefined, systemTarget: 'stock', action: 'reserved' },
    'action: no step calls "reserved" (did you mean "reserve"?)',
  ],
  ['an action of nobody', { action: 'reserve' }, 'action: whose? give systemTarget or actor'],
  ['two scopes', { systemTarget: 'stock' }, 'steps, systemTarget and actor: give one of them'],
  ['no scope', { steps: undefined }, 'steps: which steps does it concern?'],
  ['a workflow', { workflow: 'x' }, 'workflow: only for rules of the engine'],
  ['no change', { change: {} }, 'change: changes nothing'],
  ['a misspelt change', { change: { timeoutsMs: 5 } }, 'change.timeoutsMs: no such option: did you mean "timeoutMs"?'],
  ['a change of calls for what is none', { steps: ['note'] }, 'change.route: none of its steps is a call'],
  ['a loop that is none', { change: { concurrency: 2 } }, 'change.concurrency: none of its steps has forEach'],
  ['a wrong number', { change: { parallelism: 0 } }, 'change.parallelism: 0 is no whole number of 1 or more'],
  ['a wrong time', { change: { attemptTimeoutMs: '5s' } }, 'change.attemptTimeoutMs: 5s is no number'],
  [
    'a wrong retry',
    { change: { retryPolicy: { maxAttempts: 0 } } },
    'change.retryPolicy.maxAttempts: 0 is no whole number',
  ],
  ['a way to nowhere', { change: { route: { action: 'x' } } }, 'change.route.actor: undefined is no target'],
  [
    "an actor's id from a system",
    { change: { route: { actor: { definition: 'desk' } } } },
    'change.route.actor: step "reserve" calls no actor whose id it could have',
  ],
  [
    'a wrong compensation',
    { change: { route: { systemTarget: 'b', compensation: 'move' } } },
    `"move" is neither 'moves' nor 'stays' nor a call (did you mean "moves"?)`,
  ],
  [
    'a faulty expression in a way',
    { change: { route: { systemTarget: 'b', parameters: { a: '${steps.note.result}' } } } },
    'adaptation "slow", step "reserve", change.route.parameters: a: step "note" need not be finished by then at 2',
  ],
  ['a wrong window', { windowMs: 1 }, 'windowMs: 1 is no number from 5000 to 60000'],
  ['a wrong hold', { forMs: -1 }, 'forMs: -1 is no number of 0 or more'],
  ['a wrong priority', { priority: 'high' }, 'priority: high is no number'],
  ['no id', { ruleId: '' }, 'ruleId: "" is none'],
  ['an unknown option', { prio: 1 }, 'prio: no such option'],
])('refused, with its place: %s', (_what, given, fault) => {
  expect(faultsOf(given).join('\n')).toContain(fault);
});

test('two rules of one id, and a list that is none', () => {
  const twice = base().adapt('slow', rule).adapt('slow', rule);
  expect(() => twice.compile()).toThrow('is there twice: ids are unique');
  const none = new WorkflowDefinition('w', 'w', { adaptations: 5 as never }).addStep({ stepId: 'a', value: 1 });
  expect(() => none.compile()).toThrow('adaptations: 5 is no list of rules');
});

test('a name that is no identifier is written with brackets', () => {
  expect(faultsOf({ when: "systems['stock-b'].p99Ms > 5" })).toEqual([]);
});

test('a step that does not stand before a rule does not compile', () => {
  const steps = ['nothing'] as const;
  // @ts-expect-error "nothing" is no step
  const definition = base().adapt('slow', { ...rule, steps });
  expect(() => definition.compile()).toThrow('unknown step "nothing"');
});
