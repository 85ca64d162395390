/** Workflows of the Open Workflow Specification: what they become, run; and what is refused, by name and place. */
import { describe, expect, test } from 'vitest';
import { JqFault } from '../../../actors/saga/jq-parser.ts';
import { celOf } from '../../../actors/saga/jq-to-cel.ts';
import { defineSaga } from '../../../actors/saga/define-saga.ts';
import {
  type OpenWorkflowOptions,
  openWorkflowFromDocument,
  parseOpenWorkflow,
} from '../../../actors/saga/open-workflow.ts';
import { workflowActors } from '../../../actors/saga/saga-actors.ts';
import { WorkflowCoordinationEngine } from '../../../actors/saga/workflow-coordination-engine.ts';
import { MessageBroker } from '../../../runtime/broker/message-broker.ts';
import { ActorSystem, brokerActors } from '../../../runtime/index.ts';
import { until } from '../../support/until.ts';
import { ScriptedBroker } from './scripted-broker.ts';

const HEAD = `document: { dsl: '1.0.3', namespace: test, name: it, version: '0.1.0' }\n`;
const calls: OpenWorkflowOptions = {
  calls: { http: { systemTarget: 'web', action: 'request' }, book: { systemTarget: 'desk', action: 'book' } },
};
const read = (tasks: string, options = calls) => parseOpenWorkflow(HEAD + tasks, options);

interface Ran {
  readonly result: unknown;
  readonly published: readonly { readonly type: string; readonly payload: unknown }[];
}

/** Runs tasks over scripted systems; `web` answers with what it was given, `desk` fails when told to. */
async function run(
  tasks: string,
  input: unknown = {},
  drive?: (engine: WorkflowCoordinationEngine) => unknown,
): Promise<Ran> {
  const broker = new ScriptedBroker({
    web: ({ payload }) => payload,
    desk: ({ payload }) => {
      const { fails, type } = payload as { fails?: boolean; type?: string };
      if (fails === true) throw Object.assign(new Error('no room'), { details: { type, status: 503 } });
      return { booked: payload };
    },
  });
  await using system = await ActorSystem.start({ threads: 0, actors: [workflowActors] });
  await using engine = new WorkflowCoordinationEngine(system, { broker });
  engine.defineWorkflow(defineSaga('test.child').step('a', { value: '${input.n * 10}' }));
  engine.defineWorkflow(await read(tasks));
  await engine.start('test.it', input, { runId: 'r' });
  await drive?.(engine);
  const result = await engine.result('r');
  return { result, published: broker.published.map(({ type, payload }) => ({ type, payload })) };
}

describe('runs', () => {
  test('tasks one after the other: each takes what the one before gave', async () => {
    const { result, published } = await run(
      `
do:
  - prepare: { set: { order: '\${ .id }', sum: '\${ .price * 2 }' } }
  - get: { call: http, with: { method: get, body: '\${ .order }', note: 'plain .order and $\{ x }' } }
  - keep: { set: { got: '\${ .body }', from: '\${ $workflow.input.id }', of: '\${ $workflow.definition.document.name }' } }
`,
      { id: 'o-1', price: 4 },
    );
    expect(published).toEqual([
      { type: 'request', payload: { method: 'get', body: 'o-1', note: 'plain .order and ${ x }' } },
    ]);
    expect(result).toEqual({ got: 'o-1', from: 'o-1', of: 'it' });
  });

  test('input, output and export say what is passed on', async () => {
    const { result } = await run(
      `
input: { from: .order }
do:
  - a:
      input: { from: '{ n: .count }' }
      set: { doubled: '\${ .n * 2 }' }
      output: { as: '{ d: .doubled, of: $input.n }' }
      export: { as: '{ seen: .d }' }
  - b: { set: { last: '\${ .d }', of: '\${ .of }', seen: '\${ $context.seen }' } }
output: { as: { all: '\${ . }', missing: '\${ .nothing.there }' } }
`,
      { order: { count: 3 } },
    );
    expect(result).toEqual({ all: { last: 6, of: 3, seen: 6 }, missing: null });
  });

  test('if: a task that is not run leaves what there was', async () => {
    const tasks = `
do:
  - first: { set: { kind: '\${ .kind }' } }
  - maybe: { if: '.kind == "big"', set: { extra: true } }
  - last: { set: { was: '\${ . }' } }
`;
    expect((await run(tasks, { kind: 'big' })).result).toEqual({ was: { extra: true } });
    expect((await run(tasks, { kind: 'small' })).result).toEqual({ was: { kind: 'small' } });
  });

  test.each([
    ['electronic', { sent: 'mail' }],
    ['physical', { sent: 'parcel' }],
    ['odd', { sent: 'nothing' }],
  ])('switch: %s', async (kind, expected) => {
    const tasks = `
do:
  - which:
      switch:
        - mail: { when: '.kind == "electronic"', then: byMail }
        - parcel: { when: '.kind == "physical"', then: byParcel }
        - default: { then: unknown }
  - byMail: { set: { sent: mail }, then: exit }
  - byParcel: { set: { sent: parcel }, then: end }
  - unknown: { set: { sent: nothing } }
`;
    expect((await run(tasks, { kind })).result).toEqual(expected);
  });

  test('exit leaves its list, end the workflow', async () => {
    const tasks = `
do:
  - inner:
      do:
        - a: { set: { a: '\${ .end }' } }
        - stop: { if: '.a', set: { ended: true }, then: end }
        - leave: { set: { left: true }, then: exit }
        - never: { set: { never: true } }
  - after: { set: { after: '\${ . }' } }
`;
    expect((await run(tasks, { end: false })).result).toEqual({ after: { left: true } });
    expect((await run(tasks, { end: true })).result).toEqual({ ended: true });
  });

  test('fork: branches beside each other, their outputs in order', async () => {
    const { result, published } = await run(`
do:
  - both:
      fork:
        branches:
          - left: { call: http, with: { n: 1 } }
          - right: { do: [{ one: { set: { n: 2 } } }, { two: { set: { m: '\${ .n }' } } }] }
`);
    expect(result).toEqual([{ n: 1 }, { m: 2 }]);
    expect(published).toHaveLength(1);
  });

  test('for: a call an item, in order; the output is that of the last', async () => {
    const tasks = `
do:
  - each:
      for: { each: pet, in: .pets, at: place }
      do: [{ one: { call: book, with: { pet: '\${ $pet.id }', at: '\${ $place }' } } }]
`;
    const { result, published } = await run(tasks, { pets: [{ id: 'a' }, { id: 'b' }] });
    expect(published.map(({ payload }) => payload)).toEqual([
      { pet: 'a', at: 0 },
      { pet: 'b', at: 1 },
    ]);
    expect(result).toEqual({ booked: { pet: 'b', at: 1 } });
    expect((await run(tasks, { pets: [] })).result).toEqual({ pets: [] });
  });

  test('try: what fails is caught, told in standard words, and the workflow goes on', async () => {
    const tasks = `
do:
  - attempt:
      try:
        - first: { call: book, with: { fails: '\${ .fails }' } }
        - second: { set: { fine: '\${ .booked }' } }
      catch:
        as: problem
        do:
          - note: { set: { status: '\${ $problem.status }', type: '\${ $problem.type }', detail: '\${ $problem.detail }' } }
  - after: { set: { got: '\${ . }' } }
`;
    expect((await run(tasks, { fails: false })).result).toEqual({ got: { fine: { fails: false } } });
    const type = 'https://serverlessworkflow.io/spec/1.0.0/errors/communication';
    expect((await run(tasks, { fails: true })).result).toEqual({ got: { status: 503, type, detail: 'no room' } });
  });

  test('catch of some errors: others fail the workflow, as they were', async () => {
    const tasks = `
do:
  - attempt:
      try: [{ first: { raise: { error: { type: 'urn:mine', status: '\${ .status }', title: Mine } } } }]
      catch:
        errors: { with: { type: 'urn:mine', status: 404 } }
        do: [{ note: { set: { caught: true } } }]
`;
    expect((await run(tasks, { status: 404 })).result).toEqual({ caught: true });
    await expect(run(tasks, { status: 500 })).rejects.toMatchObject({
      details: { step: 'attempt..uncaught', error: { code: 'urn:mine', details: { status: 500, title: 'Mine' } } },
    });
  });

  test('retry: as many tries more as it says', async () => {
    const tasks = `
use: { retries: { often: { delay: { milliseconds: 1 }, backoff: { exponential: {} }, limit: { attempt: { count: 2 } } } } }
do:
  - attempt:
      try: [{ first: { call: book, with: { fails: true } } }]
      catch: { retry: often, do: [{ note: { set: { gaveUp: true } } }] }
`;
    const { result, published } = await run(tasks);
    expect([published.length, result]).toEqual([3, { gaveUp: true }]);
  });

  test('raise fails the workflow with the error', async () => {
    const tasks = `
use: { errors: { closed: { type: 'urn:closed', status: 400, title: Closed, detail: '\${ "shop \\(.shop) is closed" }' } } }
do: [{ no: { raise: { error: closed } } }]
`;
    await expect(run(tasks, { shop: 'x' })).rejects.toMatchObject({
      details: { step: 'no', error: { code: 'urn:closed', message: 'shop x is closed' } },
    });
  });

  test('listen: signals of the events’ types; wait; run of a workflow', async () => {
    const tasks = `
do:
  - nap: { wait: PT0.001S }
  - one: { listen: { to: { one: { with: { type: paid } } } }, timeout: { after: { seconds: 60 } } }
  - first: { set: { paid: '\${ .[0].cents }' } }
  - two: { listen: { to: { any: [{ with: { type: a } }, { with: { type: b } }] } } }
  - three: { listen: { to: { all: [{ with: { type: c } }, { with: { type: d } }] } }, output: { as: '{ n: (.[0] + .[1]) }' } }
  - child: { run: { workflow: { namespace: test, name: child, version: '1.0.0', input: { n: '\${ .n }' } } } }
`;
    const { result } = await run(tasks, {}, async (engine) => {
      await engine.signal('r', 'paid', { cents: 5 });
      await engine.signal('r', 'b', 'B');
      await engine.signal('r', 'd', 2);
      await engine.signal('r', 'c', 1);
    });
    expect(result).toEqual({ a: 30 });
  });

  test('emit publishes an event, once', { timeout: 60_000 }, async () => {
    await using system = await ActorSystem.start({ threads: 0, actors: [workflowActors, brokerActors] });
    await using broker = await MessageBroker.start({ system });
    const heard: unknown[] = [];
    await broker.subscribe('com.shop.*', ({ payload, source }) => void heard.push([source, payload]), { name: 'shop' });
    await using engine = new WorkflowCoordinationEngine(system, { broker });
    const tasks = `do: [{ tell: { emit: { event: { with: { type: com.shop.sold, source: 'https://shop', data: { sku: '\${ .sku }' } } } } } }]`;
    engine.defineWorkflow(await read(tasks));
    expect(await engine.executeWorkflow('test.it', { sku: 'x' })).toEqual({ sku: 'x' });
    await until('the event is heard', () => heard.length > 0);
    expect(heard).toEqual([['https://shop', { sku: 'x' }]]);
  });
});

test.each<[string, unknown]>([
  ['.a.b', 2],
  ['.nothing.there', null],
  ['.n < 5 and (.s == "x" | not)', true],
  ['.list[1]', 20],
  ['.list[9]', null],
  ['.list | map(. + 1)', [11, 21]],
  ['.pets | map(select(.age > 2) | .name)', ['b']],
  ['.pets | any(.age > 2)', true],
  ['.n / 2', 1.5],
  ['.absent // "default"', 'default'],
  ['if .n == 3 then "three" elif .n == 4 then "four" else "more" end', 'three'],
  ['"n is \\(.n), \\(.s)"', 'n is 3, y'],
  ['{ a: .n, s, "with space": [.n, null] }', { a: 3, s: 'y', 'with space': [3, null] }],
  ['."odd name"', 7],
  ['.s | length', 1],
  ['.s | startswith("y")', true],
  ['.a | has("b")', true],
  ['-.n + 1', -2],
])('jq: %s', async (source, expected) => {
  const input = {
    n: 3,
    s: 'y',
    a: { b: 2 },
    list: [10, 20],
    'odd name': 7,
    pets: [
      { name: 'a', age: 1 },
      { name: 'b', age: 3 },
    ],
  };
  const { result } = await run(`do: [{ it: { set: { value: ${JSON.stringify(`\${ ${source} }`)} } } }]`, input);
  expect(result).toEqual({ value: expected });
});

test.each([
  ['.[]', 1, '".[]" gives several results'],
  ['. + { a: 1 }', 2, '"+" of objects is not translated'],
  ['.a |= 3', 3, '"|=" changes a value'],
  ['.a, .b', 2, '"," gives several results'],
  ['.a[1:2]', 4, 'a part of a list'],
  ['.a?', 2, '"?" hides errors'],
  ['reduce .[] as $x (0; . + $x)', 0, '"reduce" is not translated'],
  ['.a | keys', 5, '"keys" is not translated'],
  ['$secrets.key', 0, '"$secrets.key" has no value here'],
  ['.a == "x', 6, 'the quotes are not closed'],
  ['.a ==', 5, 'it ends too early'],
  ['(.a', 3, '")" is expected here'],
])('jq refused: %s', (source, position, message) => {
  const scope = { current: 'input', variables: new Map<string, string>() };
  try {
    celOf(source, scope);
    expect.fail('it was translated');
  } catch (error) {
    expect(error).toBeInstanceOf(JqFault);
    expect(error).toMatchObject({ position, message: expect.stringContaining(message) });
  }
});

test.each([
  ['do: [{ a: { call: grpc, with: {} } }]', 'do[0].a.call: nobody does "grpc": name who does'],
  ['do: [{ a: { run: { container: { image: x } } } }]', 'do[0].a.run.container: is not supported'],
  ['do: [{ a: { fork: { compete: true, branches: [] } } }]', 'do[0].a.fork.compete: is not supported'],
  ['do: [{ a: { set: { x: 1 }, then: a } }]', 'do[0].a.then: "a" stands before it: jumps back are not supported'],
  ['do: [{ a: { set: { x: 1 }, then: nowhere } }]', 'do[0].a.then: no task "nowhere" beside it'],
  ['do: [{ a: { for: { in: .x }, while: .y, do: [{ b: { call: book } }] } }]', 'do[0].a.while: is not supported'],
  ['do: [{ a: { for: { in: .x }, do: [{ b: { set: {} } }] } }]', 'do[0].a.do: a loop over more than one call'],
  [
    "do: [{ a: { for: { in: .x }, do: [{ b: { call: book, with: { n: '${ .n }' } } }] } }]",
    'do[0].a.do[0].b.with.n: "." has no value here: what an iteration leaves to the next is not supported',
  ],
  ['do: [{ a: { listen: { to: { any: [] } } } }]', 'do[0].a.listen.to: names no event'],
  ['do: [{ a: { listen: { to: { one: { with: { type: x, data: .y } } } } } }]', 'with.data: is not supported'],
  [
    'do: [{ a: { try: [{ b: { call: book } }], catch: { errors: { with: { status: 503 } }, retry: {} } } }]',
    'of some errors only is not supported',
  ],
  [
    'do: [{ a: { try: [{ b: { call: book } }], catch: { retry: { jitter: {} } } } }]',
    'catch.retry.jitter: is not supported',
  ],
  ['do: [{ a: { wait: soon } }]', 'do[0].a.wait: "soon" is no duration'],
  ['do: [{ a: { do: [{ b: { set: {} } }], timeout: { after: PT1S } } }]', 'do[0].a.timeout: is not supported for do'],
  ['do: [{ a: { sett: {} } }]', 'do[0].a: is none of do, call, set'],
  ['schedule: { cron: "* * * * *" }\ndo: []', 'document root.schedule: is not supported'],
  ['use: { secrets: [x] }\ndo: []', 'use.secrets: is not supported'],
  [
    "do: [{ a: { set: { x: '${ .y | keys }' } } }]",
    'do[0].a.set.x: "keys" is not translated, at 8 in "${ .y | keys }"',
  ],
])('refused: %s', async (tasks, fault) => {
  await expect(read(tasks)).rejects.toThrow(fault);
});

test('functions of the document, and <system>.<action>, need no table', () => {
  const document = {
    document: { dsl: '1.0.0', namespace: 'n', name: 'w', version: '1.2.3', title: 'W' },
    use: { functions: { greet: { call: 'mail.send', with: { subject: 'Hello' } } } },
    timeout: { after: { minutes: 1 } },
    do: [{ a: { call: 'greet', with: { to: 'x' } } }],
  };
  const definition = openWorkflowFromDocument(document);
  expect(definition).toMatchObject({ id: 'n.w', name: 'W', options: { version: 1_002_003, timeoutMs: 60_000 } });
  expect(definition.steps).toMatchObject([
    { stepId: 'a', systemTarget: 'mail', action: 'send', parameters: { subject: 'Hello', to: 'x' } },
  ]);
});
