/** Runs as actors: the engine's verbs, commands to actors, timers, children, and a restart at any time. */
import { expect, test } from 'vitest';
import { defineSaga } from '../../../actors/saga/define-saga.ts';
import { workflowActors } from '../../../actors/saga/saga-actors.ts';
import { WorkflowCoordinationEngine } from '../../../actors/saga/workflow-coordination-engine.ts';
import { WorkflowDefinition } from '../../../actors/saga/workflow-definition.ts';
import { ActorSystem, AskTimeoutError } from '../../../runtime/index.ts';
import {
  ContractViolationError,
  InvalidOptionsError,
  InvalidWorkflowError,
  RunConflictError,
  RunRefusedError,
  UnknownRunError,
  UnknownWorkflowError,
  WorkflowCancelledError,
  WorkflowFailedError,
} from '../../../runtime/kernel/errors.ts';
import { createTestSystem } from '../../../runtime/testing/test-system.ts';
import { desk } from '../../support/actors/desk.ts';
import { tmpDir } from '../../support/tmp-dir.ts';
import { errorOf } from '../../support/until.ts';

const actors = [workflowActors, desk.module];

async function world(...definitions: readonly WorkflowDefinition[]) {
  const bench = await createTestSystem({ actors });
  const engine = new WorkflowCoordinationEngine(bench.system, { clock: bench.clock });
  for (const definition of definitions) engine.defineWorkflow(definition);
  const stateOf = (id: string) =>
    bench.system.ref(desk, id).ask<{ booked: string[]; asked: string[] }>({ type: 'STATE' });
  return { ...bench, engine, stateOf, [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose]() };
}

const at = (id: string) => ({ actor: { definition: 'desk', id } });
const book = (what: string, more: object = {}) => ({ ...at('d'), action: 'BOOK', parameters: { what, ...more } });
const unbook = (what: string) => ({ ...at('d'), action: 'UNBOOK', parameters: { what } });

const trip = defineSaga('trip', { input: { type: 'object', properties: { to: { type: 'string' } }, required: ['to'] } })
  .step('flight', { ...book('flight ${input.to}'), compensation: unbook('flight ${input.to}') })
  .step('hotel', { ...book('hotel ${input.to}'), dependencies: ['flight'], compensation: unbook('hotel ${input.to}') })
  .step('car', { ...book('car'), dependencies: ['hotel'] });

test('a system without the actors of workflows: what is missing, and where it is to be listed', async () => {
  await using system = await ActorSystem.start({ threads: 0 });
  await using engine = new WorkflowCoordinationEngine(system);
  engine.defineWorkflow(new WorkflowDefinition('one').addStep({ stepId: 'a', value: 1 }));
  const error = await errorOf(engine.executeWorkflow('one', {}, { timeoutMs: 20_000 }));
  expect(error).toMatchObject({
    code: 'UNKNOWN_DEFINITION',
    message: expect.stringContaining('list `workflowActors` in the `actors`'),
  });
});

test('a saga books what it is to book, and its result is there for whoever asks', async () => {
  await using w = await world(trip);
  const result = await w.engine.executeWorkflow('trip', { to: 'Oslo' }, { runId: 'r1' });
  expect(result).toEqual({
    flight: { what: 'flight Oslo', number: 1 },
    hotel: { what: 'hotel Oslo', number: 2 },
    car: { what: 'car', number: 3 },
  });
  expect(await w.engine.result('r1')).toEqual(result);
  expect(await w.engine.status('r1')).toBe('completed');
  const { asked } = await w.stateOf('d');
  expect(asked).toEqual(['BOOK flight Oslo r1/flight/1', 'BOOK hotel Oslo r1/hotel/1', 'BOOK car r1/car/1']);
});

test('a run and the question for its result are one commit', async () => {
  const value = defineSaga('value').step('a', { value: 1 });
  await using w = await world(value);
  const commits = async () => (await w.system.stats()).journal.commits;
  const costOf = async (work: () => Promise<unknown>) => {
    const before = await commits();
    await work();
    await w.settle();
    return (await commits()) - before;
  };
  const { engine } = w;
  // The system's first run loads the definition of runs, and every engine's first asks the board for its rules.
  await costOf(() => engine.start('value'));
  const started = await costOf(() => engine.start('value'));
  expect(await costOf(() => engine.executeWorkflow('value'))).toBe(started);
  expect(await costOf(async () => engine.result(await engine.start('value')))).toBe(started + 1);
  const another = () => new WorkflowCoordinationEngine(w.system, { clock: w.clock }).defineWorkflow(value);
  const [one, other] = [another(), another()];
  const first = await costOf(() => one.start('value'));
  expect(await costOf(() => other.executeWorkflow('value'))).toBe(first);
});

test('the same run id is the same run; another input or workflow is an error', async () => {
  await using w = await world(trip, defineSaga('other').step('a', { value: 1 }));
  const both = await Promise.all([1, 2].map(() => w.engine.executeWorkflow('trip', { to: 'Oslo' }, { runId: 'r1' })));
  expect(both[0]).toEqual(both[1]);
  expect((await w.stateOf('d')).booked).toHaveLength(3);
  await expect(w.engine.start('trip', { to: 'Rome' }, { runId: 'r1' })).rejects.toThrow(RunConflictError);
  await expect(w.engine.start('other', { to: 'Oslo' }, { runId: 'r1' })).rejects.toThrow(RunConflictError);
});

test('a failed step undoes what was done, in reverse order, and the error says all of it', async () => {
  const failing = defineSaga('failing')
    .step('a', { ...book('a'), compensation: unbook('a') })
    .step('b', { ...book('b'), dependencies: ['a'], compensation: unbook('b') })
    .step('c', {
      ...book('c', { failures: 9, code: 'NO_SEATS' }),
      dependencies: ['b'],
      retryPolicy: { nonRetryable: ['NO_SEATS'] },
      compensation: unbook('c'),
    });
  await using w = await world(failing);
  const error = await w.engine.executeWorkflow('failing', null, { runId: 'r1' }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(WorkflowFailedError);
  expect(error).toMatchObject({
    code: 'WORKFLOW_FAILED',
    message: expect.stringContaining('step "c": the desk says NO_SEATS'),
    details: {
      step: 'c',
      error: { code: 'NO_SEATS' },
      steps: {
        a: { status: 'completed', compensation: 'undone' },
        b: { compensation: 'undone' },
        c: { status: 'failed', compensation: 'none' },
      },
    },
  });
  const { booked, asked } = await w.stateOf('d');
  expect(booked).toEqual([]);
  expect(asked.slice(3)).toEqual(['UNBOOK b r1/b/undo/1', 'UNBOOK a r1/a/undo/1']);
});

test('a try that fails is followed by others, after waits on a durable timer', async () => {
  const retried = defineSaga('retried').step('a', {
    ...book('a', { failures: 2 }),
    retryPolicy: { maxAttempts: 3, initialMs: 1_000, jitter: 'none' },
  });
  await using w = await world(retried);
  const result = w.engine.executeWorkflow('retried', null, { runId: 'r1' });
  await w.advance(3_100);
  expect(await result).toEqual({ a: { what: 'a', number: 1 } });
  const trace = await w.engine.trace('r1');
  expect(trace.map(({ what, attempt }) => `${what}${attempt === undefined ? '' : ` ${attempt}`}`)).toEqual([
    'run started',
    'step started',
    'try started 1',
    'try failed 1',
    'waiting',
    'try started 2',
    'try failed 2',
    'waiting',
    'try started 3',
    'try done 3',
    'step over',
    'run over',
  ]);
  expect(trace.map(({ atMs }) => atMs - (trace[0]?.atMs as number))).toEqual([
    0, 0, 0, 0, 0, 1_000, 1_000, 1_000, 3_000, 3_000, 3_000, 3_000,
  ]);
});

test('a target that never answers is given up after the time of a try, and undone since nobody knows', async () => {
  const silent = defineSaga('silent').step('a', {
    ...at('d'),
    action: 'SILENT',
    attemptTimeoutMs: 500,
    retryPolicy: { maxAttempts: 1 },
    compensation: unbook('a'),
  });
  await using w = await world(silent);
  const result = w.engine.executeWorkflow('silent').catch((thrown: unknown) => thrown);
  await w.advance(600);
  expect(await result).toMatchObject({
    code: 'WORKFLOW_FAILED',
    details: { error: { code: 'ASK_TIMEOUT' }, steps: { a: { compensation: 'undone' } } },
  });
});

test('who handles a command and says nothing has done it', async () => {
  await using w = await world(defineSaga('mute').step('a', { ...at('d'), action: 'MUTE' }));
  expect(await w.engine.executeWorkflow('mute')).toEqual({ a: null });
});

test('an actor that cannot be is a failure of the step, not of the run’s actor', async () => {
  await using w = await world(
    defineSaga('nobody').step('a', {
      actor: { definition: 'nobody', id: 'x' },
      action: 'GO',
      retryPolicy: { maxAttempts: 1 },
    }),
    defineSaga('bad').step('a', { actor: { definition: 'desk', id: 'a~${input.x}' }, action: 'GO' }),
  );
  await expect(w.engine.executeWorkflow('nobody')).rejects.toThrow(WorkflowFailedError);
  await expect(w.engine.executeWorkflow('bad', { x: 1 })).rejects.toMatchObject({
    details: { error: { code: 'INVALID_ADDRESS' } },
  });
});

test('signals, sleeps and deadlines', async () => {
  const approval = defineSaga('approval', { timeoutMs: 3_600_000 })
    .step('asked', { ...book('a ${input.n}'), compensation: unbook('a ${input.n}') })
    .step('approve', { signal: ['yes', 'no'], dependencies: ['asked'] })
    .step('rest', { sleep: 60_000, dependencies: ['approve'] });
  await using w = await world(approval);
  const run = w.engine.executeWorkflow('approval', { n: 1 }, { runId: 'r1' });
  await w.settle();
  await expect(w.engine.signal('r1', 'maybe')).rejects.toMatchObject({
    code: 'RUN_REFUSED',
    details: { reason: 'UNKNOWN_SIGNAL' },
  });
  await w.engine.signal('r1', 'yes', { by: 'Ada' }, { idempotencyKey: 'once' });
  await w.engine.signal('r1', 'yes', { by: 'Ada' }, { idempotencyKey: 'once' });
  await w.advance(60_000);
  expect(await run).toMatchObject({ approve: { signal: 'yes', payload: { by: 'Ada' } }, rest: null });
  const late = w.engine.executeWorkflow('approval', { n: 2 }, { runId: 'r2' }).catch((thrown: unknown) => thrown);
  await w.advance(3_600_001);
  expect(await late).toMatchObject({ details: { error: { code: 'RUN_TIMEOUT' } } });
  expect((await w.stateOf('d')).booked).toEqual(['a 1']);
});

test('cancel undoes and says so; a second one changes nothing', async () => {
  const waiting = defineSaga('waiting')
    .step('a', { ...book('a'), compensation: unbook('a') })
    .step('b', { signal: 'go', dependencies: ['a'] });
  await using w = await world(waiting);
  const run = w.engine.executeWorkflow('waiting', null, { runId: 'r1' }).catch((thrown: unknown) => thrown);
  await w.settle();
  await w.engine.cancel('r1', 'changed my mind');
  expect(await run).toBeInstanceOf(WorkflowCancelledError);
  expect(await run).toMatchObject({ message: expect.stringContaining('changed my mind') });
  expect((await w.stateOf('d')).booked).toEqual([]);
  await expect(w.engine.cancel('r1')).rejects.toThrow(RunRefusedError);
});

test('a stuck run is retried, or resolved by hand', async () => {
  const parked = defineSaga('parked', { onFailure: 'park' }).step('a', {
    ...book('a ${input.n}', { failures: 1 }),
    retryPolicy: { maxAttempts: 1 },
  });
  await using w = await world(parked);
  const run = w.engine.executeWorkflow('parked', { n: 1 }, { runId: 'r1' });
  await w.settle();
  expect(await w.engine.status('r1')).toBe('stuck');
  await w.engine.retry('r1');
  expect(await run).toEqual({ a: { what: 'a 1', number: 1 } });
  const other = w.engine.executeWorkflow('parked', { n: 2 }, { runId: 'r2' });
  await w.settle();
  await w.engine.resolve('r2', 'a', 'by phone');
  expect(await other).toEqual({ a: 'by phone' });
});

test('pause and resume', async () => {
  const two = defineSaga('two')
    .step('a', { signal: 'go' })
    .step('b', { ...book('b'), dependencies: ['a'] });
  await using w = await world(two);
  const run = w.engine.executeWorkflow('two', null, { runId: 'r1' });
  await w.settle();
  await w.engine.pause('r1');
  await w.engine.signal('r1', 'go');
  await w.settle();
  expect(await w.engine.query('r1')).toMatchObject({
    paused: true,
    steps: { a: { status: 'completed' }, b: { status: 'ready' } },
  });
  await w.engine.resume('r1');
  expect(await run).toMatchObject({ b: { number: 1 } });
});

test('child workflows: their results, their failures, their inputs, and cancelling them', async () => {
  const child = defineSaga('child', {
    input: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] },
    output: '${input.n * 2}',
  }).step('go', {
    signal: 'go',
    condition: 'input.n == 3',
  });
  const parent = defineSaga('parent').step('all', {
    workflow: 'child',
    parameters: { n: '${item}' },
    forEach: '${input.l}',
  });
  await using w = await world(parent, child);
  expect(await w.engine.executeWorkflow('parent', { l: [1, 2] })).toEqual({ all: [2, 4] });
  await expect(w.engine.executeWorkflow('parent', { l: ['x'] })).rejects.toMatchObject({
    details: { error: { code: 'CONTRACT_VIOLATION' } },
  });
  const run = w.engine.executeWorkflow('parent', { l: [3] }, { runId: 'p' }).catch((thrown: unknown) => thrown);
  await w.settle();
  expect(await w.engine.status('p/all#0/1')).toBe('running');
  await w.engine.cancel('p');
  expect(await run).toBeInstanceOf(WorkflowCancelledError);
  expect(await w.engine.status('p/all#0/1')).toBe('cancelled');
});

test('runs stay with the version that they began with', async () => {
  const version = (n: number) => defineSaga('w', { version: n, output: `v${n}` }).step('a', { signal: 'go' });
  await using w = await world(version(1));
  const run = w.engine.executeWorkflow('w', null, { runId: 'old' });
  await w.settle();
  w.engine.defineWorkflow(version(2));
  const next = w.engine.executeWorkflow('w', null, { runId: 'new' });
  await w.settle();
  for (const id of ['old', 'new']) await w.engine.signal(id, 'go');
  expect([await run, await next]).toEqual(['v1', 'v2']);
  expect((await w.engine.query('old')).version).toBe(1);
  expect(() => w.engine.defineWorkflow(defineSaga('w', { version: 2 }).step('b', { value: 1 }))).toThrow(
    InvalidWorkflowError,
  );
  await w.engine.start('w', null, { version: 1, runId: 'chosen' });
  expect((await w.engine.query('chosen')).version).toBe(1);
});

test('runs are listed and filtered, a page at a time', async () => {
  const waiting = defineSaga('waiting').step('a', { signal: 'go' });
  const parked = defineSaga('parked', { onFailure: 'park' }).step('a', {
    ...book('a', { failures: 1 }),
    retryPolicy: { maxAttempts: 1 },
  });
  await using w = await world(waiting, parked);
  const startMs = w.clock.now();
  for (let i = 0; i < 30; i++) await w.engine.start('waiting', null, { runId: `w${String(i).padStart(2, '0')}` });
  await w.engine.start('parked', null, { runId: 'p' });
  await w.advance(1_000);
  for (const runId of ['w03', 'w07']) await w.engine.signal(runId, 'go');
  await w.engine.cancel('w09');
  await w.settle();
  const idsOf = async (...given: Parameters<typeof w.engine.list>) =>
    (await w.engine.list(...given)).map(({ runId }) => runId);
  expect(await idsOf({ status: 'stuck' })).toEqual(['p']);
  expect(await idsOf({ workflow: 'waiting', status: ['completed', 'cancelled'] })).toEqual(['w03', 'w07', 'w09']);
  expect(await idsOf({ workflow: 'waiting', status: 'running' }, { limit: 3 })).toEqual(['w00', 'w01', 'w02']);
  expect(await idsOf({ workflow: 'waiting', status: 'running' }, { limit: 3, after: 'w02' })).toEqual([
    'w04',
    'w05',
    'w06',
  ]);
  expect(await idsOf()).toHaveLength(31);
  expect(await idsOf({ startedAfterMs: startMs + 500 })).toEqual([]);
  const [ended] = await w.engine.list({ status: 'completed' });
  expect(ended).toMatchObject({ version: 1, startedMs: startMs, endedMs: startMs + 1_000 });
  await expect(w.engine.list({}, { limit: 0 })).rejects.toThrow(InvalidOptionsError);
});

test('bad calls get typed errors', async () => {
  await using w = await world(trip);
  await expect(w.engine.start('trp', {})).rejects.toThrow(UnknownWorkflowError);
  await expect(w.engine.start('trp', {})).rejects.toThrow(/did you mean "trip"/);
  await expect(w.engine.start('trip', { to: 5 })).rejects.toThrow(ContractViolationError);
  await expect(w.engine.start('trip', {})).rejects.toMatchObject({
    details: { faults: [{ path: 'input.to', rule: 'required' }] },
  });
  await expect(w.engine.start('trip', { to: 'x' }, { version: 7 })).rejects.toThrow(UnknownWorkflowError);
  for (const call of [
    w.engine.result('nope'),
    w.engine.query('nope'),
    w.engine.signal('nope', 'x'),
    w.engine.cancel('nope'),
    w.engine.retry('nope'),
  ]) {
    await expect(call).rejects.toThrow(UnknownRunError);
  }
  expect(() => w.engine.defineWorkflow(defineSaga('s').step('a', { systemTarget: 'x', action: 'y' }))).toThrow(
    InvalidOptionsError,
  );
  const orphan = defineSaga('orphan').step('a', { workflow: 'missing' });
  w.engine.defineWorkflow(orphan);
  await expect(w.engine.start('orphan')).rejects.toThrow(UnknownWorkflowError);
});

test('a result that is not there in time is a timeout, and the run goes on', async () => {
  await using w = await world(defineSaga('w').step('a', { signal: 'go' }));
  const run = w.engine.executeWorkflow('w', null, { runId: 'r', timeoutMs: 100 });
  const outcome = run.catch((thrown: unknown) => thrown);
  await w.advance(200);
  expect(await outcome).toBeInstanceOf(AskTimeoutError);
  expect(await outcome).toMatchObject({
    message: 'run "r" is not over after 100 ms: it is running: ask again',
    details: { runId: 'r', status: 'running', timeoutMs: 100 },
  });
  await w.engine.signal('r', 'go', 1);
  expect(await w.engine.result('r')).toEqual({ a: 1 });
});

test('whoever asks for a result for weeks leaves no trail of questions', async () => {
  await using w = await world(defineSaga('w').step('a', { signal: 'go' }));
  await w.engine.start('w', null, { runId: 'r' });
  const run = w.system.refOf('saga-run/r');
  const asked = Array.from({ length: 1_500 }, () =>
    run.ask({ type: 'result' }, { timeoutMs: 60_000 }).catch(() => 'gave up'),
  );
  await w.engine.signal('r', 'go', 1);
  await w.advance(60_001);
  const answers = await Promise.all(asked);
  expect(answers.filter((one) => one === 'gave up')).toHaveLength(500);
  expect(answers.at(-1)).toEqual({ a: 1 });
});

test('after a restart a run goes on where it was', async () => {
  await using folder = await tmpDir('saga');
  const dataDir = folder.at('data');
  const slow = defineSaga('slow', { output: 'done' })
    .step('a', { ...book('a'), compensation: unbook('a') })
    .step('b', { sleep: 300, dependencies: ['a'] })
    .step('c', { signal: 'go', dependencies: ['b'] })
    .step('d', { ...book('d'), dependencies: ['c'] });
  const first = await ActorSystem.start({ dataDir, threads: 2, actors });
  await new WorkflowCoordinationEngine(first).defineWorkflow(slow).start('slow', null, { runId: 'r1' });
  await first.stop();
  await using second = await ActorSystem.start({ dataDir, threads: 1, actors });
  const engine = new WorkflowCoordinationEngine(second);
  await engine.signal('r1', 'go');
  expect(await engine.result('r1', { timeoutMs: 20_000 })).toBe('done');
  expect((await second.ref(desk, 'd').ask<{ booked: string[] }>({ type: 'STATE' })).booked).toEqual(['a', 'd']);
});

test('what the engine would pass over in silence is refused: options, filters, definitions', async () => {
  await using w = await world(trip);
  const { engine } = w;
  const faultsOf = async (call: () => unknown): Promise<unknown> => {
    try {
      await call();
      return 'nothing was refused';
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidOptionsError);
      return (error as InvalidOptionsError).details['faults'];
    }
  };
  const known = 'running, draining, compensating, stuck, completed, failed, cancelled';
  // A misspelt runId would start a run of its own each time.
  expect(await faultsOf(() => engine.start('trip', { to: 'Oslo' }, { runID: 'r1' } as never))).toEqual([
    'runID: no such option: did you mean "runId"?',
  ]);
  expect(await engine.list()).toEqual([]);
  expect(await faultsOf(() => engine.list({ stauts: 'failed', status: 'finished' } as never, { limit: 0 }))).toEqual([
    'stauts: no such option: did you mean "status"?',
    `status: "finished" is none: ${known}`,
    'limit: 0 is no whole number from 1 to 1000',
  ]);
  expect(await faultsOf(() => new WorkflowCoordinationEngine(undefined as never, { brokr: 1 } as never))).toEqual([
    'brokr: no such option: did you mean "broker"?',
    'system: undefined is no actor system: give what ActorSystem.start resolved with',
  ]);
  expect(await faultsOf(() => new WorkflowCoordinationEngine(w.system, { broker: {} } as never))).toEqual([
    'broker: object is no broker: give what MessageBroker.start resolved with',
  ]);
  expect(() => engine.defineWorkflow(Promise.resolve(trip) as never)).toThrow(/await parseWorkflow/);
  expect(() => engine.defineWorkflow(null as never)).toThrow(InvalidWorkflowError);
});
