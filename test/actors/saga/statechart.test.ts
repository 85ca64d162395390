/** The statechart of a workflow: plain data, an XState machine, and of one mind with the planner. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createActor, createMachine } from 'xstate';
import { machineOf, statechartOf } from '../../../actors/saga/statechart.ts';
import { isOver, isUnknown, type RunState } from '../../../actors/saga/run-state.ts';
import { WorkflowDefinition } from '../../../actors/saga/workflow-definition.ts';
import { seededRandom } from '../../../runtime/kernel/random.ts';
import { Driver, odds, randomCase } from './random-run.ts';

const call = { systemTarget: 's', action: 'a' };

test('it is plain data, with a region for each step, and XState takes it as it is', () => {
  const workflow = new WorkflowDefinition('checkout', 'Checkout')
    .addStep({ stepId: 'reserve', ...call, compensation: call })
    .addStep({ stepId: 'charge', ...call, dependencies: ['reserve'], condition: 'input.paid == false' });
  const chart = statechartOf(workflow);
  expect(JSON.parse(JSON.stringify(chart))).toEqual(chart);
  const machine = createMachine(chart as never);
  expect(Object.keys(machine.states['running']?.states ?? {})).toEqual(['reserve', 'charge', '__resumed']);
  expect(machine.states['running']?.states['charge']?.description).toContain('input.paid == false');
  expect(Object.keys(machine.states['compensating']?.states ?? {})).toEqual(['reserve']);
});

test('it runs in XState alone', () => {
  const workflow = new WorkflowDefinition('w')
    .addStep({ stepId: 'a', ...call, compensation: call })
    .addStep({ stepId: 'b', ...call, dependencies: ['a'], condition: 'steps.a.result > 1' })
    .addStep({ stepId: 'c', ...call, dependencies: ['b'] });
  const actor = createActor(machineOf(workflow), { input: { input: {} } }).start();
  actor.send({ type: 'done.a', result: 1, undo: true });
  expect(actor.getSnapshot().value).toEqual({ running: { a: 'completed', b: 'skipped', c: 'active' } });
  actor.send({ type: 'failed.c' });
  actor.send({ type: 'drained' });
  expect(actor.getSnapshot().value).toEqual({ compensating: { a: 'undoing' } });
  actor.send({ type: 'undone.a' });
  expect(actor.getSnapshot().value).toBe('failed');
});

const undoNeeds = (state: RunState, id: string): boolean =>
  state.steps[id]?.units.some(({ run, undo }) => undo !== undefined && (run.status === 'done' || isUnknown(run))) ===
  true;

const undoStates = (state: RunState, id: string): string => {
  const states = state.steps[id]?.units.map(({ undo }) => undo?.status) ?? [];
  if (states.includes('failed')) return 'failed';
  return states.every((one) => one === undefined || one === 'done' || one === 'dropped') ? 'settled' : 'open';
};

const FACTS: Readonly<Record<string, string>> = { completed: 'done', failed: 'failed', cancelled: 'cancelled' };

type Machine = ReturnType<typeof createActor<ReturnType<typeof machineOf>>>;

/** Tells the machine what has become of each step, and nothing of what follows from it. */
function tell(machine: Machine, before: RunState, after: RunState): void {
  // What was under way ends first; what has begun and ended within the same event, or is cancelled, follows from that.
  const rank = (id: string): number =>
    after.steps[id]?.status === 'cancelled' ? 2 : before.steps[id]?.status === 'active' ? 0 : 1;
  const ids = Object.keys(after.steps).sort((a, b) => rank(a) - rank(b));
  for (const id of ids) {
    const [was, is] = [before.steps[id]?.status, after.steps[id]?.status];
    const fact = FACTS[is ?? ''];
    if (was !== is && fact !== undefined)
      machine.send({ type: `${fact}.${id}`, result: after.steps[id]?.result, undo: undoNeeds(after, id) });
  }
  const begins =
    after.phase.kind === 'compensating' ||
    (before.phase.kind !== 'compensating' && isOver(after) && after.phase.kind !== 'completed');
  if (
    begins &&
    before.phase.kind !== 'compensating' &&
    !(before.phase.kind === 'stuck' && before.phase.in === 'compensation')
  ) {
    // A step that failed may have units that ended later.
    for (const id of ids) {
      const fact = FACTS[after.steps[id]?.status ?? ''];
      if (undoNeeds(after, id)) machine.send({ type: `${fact}.${id}`, result: after.steps[id]?.result, undo: true });
    }
    machine.send({ type: 'drained' });
  }
  for (const id of ids) {
    const [was, is] = [undoStates(before, id), undoStates(after, id)];
    if (was === is || !(after.phase.kind === 'compensating' || after.phase.kind === 'stuck' || isOver(after))) continue;
    if (is === 'settled' && undoNeeds(after, id)) machine.send({ type: `undone.${id}` });
    if (is === 'failed') machine.send({ type: `undoFailed.${id}` });
  }
}

/**
 * What is not to start is skipped by the machine when it goes on, if it does; by the planner at once. While a run is neither running nor
 * completed, that is the same.
 */
const statusIn = (phase: string, status: string): string =>
  status === 'ready' || (status === 'skipped' && phase !== 'running' && phase !== 'completed') ? 'pending' : status;

/** Where the machine is, in the planner's words. */
function machineView(machine: Machine) {
  const { value, context } = machine.getSnapshot() as unknown as {
    value: string | Record<string, Record<string, string>>;
    context: { steps: Record<string, { status: string }> };
  };
  const phase = typeof value === 'string' ? value : (Object.keys(value)[0] as string);
  const statuses = Object.fromEntries(
    Object.entries(context.steps).map(([id, { status }]) => [id, statusIn(phase, status)]),
  );
  const undoing =
    typeof value === 'object' && phase === 'compensating'
      ? Object.entries(value[phase] ?? {})
          .filter(([, state]) => state === 'undoing' || state === 'stuck')
          .map(([id]) => id)
      : [];
  return { phase, statuses, undoing: undoing.sort() };
}

function plannerView(state: RunState) {
  const { kind } = state.phase;
  const isUndoing = kind === 'compensating' || (state.phase.kind === 'stuck' && state.phase.in === 'compensation');
  const undoing = isUndoing
    ? Object.entries(state.steps).flatMap(([id, { units }]) =>
        undoNeeds(state, id) &&
        undoStates(state, id) !== 'settled' &&
        units.some(
          ({ undo }) =>
            undo !== undefined && undo.status !== 'registered' && undo.status !== 'dropped' && undo.status !== 'done',
        )
          ? [id]
          : [],
      )
    : [];
  return {
    phase: isUndoing ? 'compensating' : kind,
    statuses: Object.fromEntries(Object.entries(state.steps).map(([id, { status }]) => [id, statusIn(kind, status)])),
    undoing: undoing.sort(),
  };
}

function runBeside(seed: number, more = false): void {
  const random = seededRandom(seed, more ? 5 : 3);
  const given = randomCase(random, 1_000, { more });
  const driver = new Driver(given, random, odds(random));
  const machine = createActor(machineOf({ compile: () => given.workflow }), { input: { input: given.input } }).start();
  tell(machine, { ...driver.state, steps: {} }, driver.state);
  expect(machineView(machine)).toEqual(plannerView(driver.state));
  for (let events = 0; !isOver(driver.state); events++) {
    expect(events).toBeLessThan(2_000);
    const before = driver.state;
    const event = driver.next();
    if (event === 'cancel') machine.send({ type: 'cancel' });
    if (event === undefined) machine.send({ type: 'retry' });
    driver.plan(event === 'cancel' ? { type: 'cancel', reason: undefined } : (event ?? { type: 'retry' }));
    tell(machine, before, driver.state);
    expect(machineView(machine)).toEqual(plannerView(driver.state));
  }
}

test('the machine and the planner agree, on random workflows with random failures', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0x7fff_ffff }), (seed) => runBeside(seed)),
    { numRuns: 300, seed: 20261130 },
  );
});

test('so they do with promises and silent handlers', () => {
  const property = fc.property(fc.integer({ min: 0, max: 0x7fff_ffff }), (seed) => runBeside(seed, true));
  fc.assert(property, { numRuns: 300, seed: 20261126 });
});
