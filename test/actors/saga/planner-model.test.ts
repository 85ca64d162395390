/**
 * Random workflows with random failures, in random order: the planner against the reference, event by event, and rules that any
 * run must keep.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileWorkflow } from '../../../actors/saga/compiled-workflow.ts';
import { isOver } from '../../../actors/saga/run-state.ts';
import { seededRandom } from '../../../runtime/kernel/random.ts';
import { Driver, moreOdds, odds, randomCase } from './random-run.ts';
import { ReferenceRun } from './reference-run.ts';

const viewOf = ({ state, calls, timers }: Driver) => {
  const { phase } = state;
  const kind = phase.kind === 'stuck' ? `stuck ${phase.in}` : phase.kind;
  const undone = Object.entries(state.steps).flatMap(([id, { units, items }]) =>
    units.flatMap(({ undo }, index) =>
      undo?.status === 'done' ? [`${id}${items === undefined ? '' : `#${index}`}/undo`] : [],
    ),
  );
  return {
    phase: kind,
    steps: Object.fromEntries(
      Object.entries(state.steps).map(([id, { status }]) => [id, status === 'ready' ? 'pending' : status]),
    ),
    running: [...calls.keys()].sort(),
    waiting: [...timers]
      .filter((id) => id.startsWith('backoff:'))
      .map((id) => id.replace('backoff:', ''))
      .sort(),
    undone: undone.sort(),
  };
};

const PHASES: Readonly<Record<string, string>> = { failing: 'draining', doomed: 'draining' };

function referenceView(reference: ReferenceRun) {
  const view = reference.view();
  return { ...view, phase: PHASES[view.phase] ?? view.phase };
}

const SEED = fc.integer({ min: 0, max: 0x7fff_ffff });
function runAgainstReference(seed: number, more = false): void {
  const random = seededRandom(seed, more ? 4 : 1);
  const given = randomCase(random, 1_000, { more });
  const { data } = given.workflow;
  const answers = {
    condition: (id: string) => given.input[`c${id.slice(1)}`] === true,
    items: (id: string) => (given.input[`l${id.slice(1)}`] as unknown[]).length,
  };
  const driver = new Driver(given, random, more ? moreOdds(random) : odds(random));
  const reference = new ReferenceRun(data, answers);
  expect(viewOf(driver)).toEqual(referenceView(reference));
  for (let events = 0; !isOver(driver.state); events++) {
    expect(events).toBeLessThan(2_000);
    const event = driver.next();
    if (event === 'cancel') {
      const commands = driver.plan({ type: 'cancel', reason: undefined });
      expect(commands.some(({ type }) => type === 'refused')).toBe(!reference.cancel());
    } else if (event === undefined) {
      expect(driver.state.phase.kind).toBe('stuck');
      driver.plan({ type: 'retry' });
      reference.retry();
    } else {
      const isTaken = !driver.plan(event).some(({ type }) => type === 'refused');
      if (event.type === 'promise')
        expect(reference.settled(event.step, event.outcome.kind === 'resolved')).toBe(isTaken);
      else if (event.type === 'cancelStep') expect(reference.cancelStep(event.step)).toBe(isTaken);
      else if (event.type === 'timer' && event.id.startsWith('heartbeat:'))
        reference.silent(event.id.replace('heartbeat:', ''));
      else if (event.type === 'done') reference.done(event.id);
      else if (event.type === 'failed') reference.failed(event.id, event.unknown, event.error.code === 'FINAL');
      else if (event.type === 'timer') reference.waited(event.id.replace('backoff:', ''));
    }
    expect(viewOf(driver)).toEqual(referenceView(reference));
  }
  expect(driver.ended).toBe(1);
  expect(driver.calls.size).toBe(0);
  expect(driver.timers.size).toBe(0);
}

/** Rules that hold in any run, bounded or not, read from what was started and what came back. */
function runByRules(seed: number): void {
  const random = seededRandom(seed, 2);
  const bound = 1 + Math.floor(random.next() * 4);
  const given = randomCase(random, bound);
  const driver = new Driver(given, random, { ...odds(random), undoFailure: 0 });
  for (let events = 0; !isOver(driver.state) && events < 2_000; events++) {
    const event = driver.next();
    if (event === 'cancel') driver.plan({ type: 'cancel', reason: undefined });
    else driver.plan(event ?? { type: 'retry' });
  }
  expect(isOver(driver.state)).toBe(true);
  expect(driver.most).toBeLessThanOrEqual(bound);
  const { log, state } = driver;
  const units = new Set(log.filter(({ undo }) => !undo).map(({ unit }) => unit));
  const undoOf = (unit: string) =>
    log.findIndex((entry) => entry.undo && entry.what === 'done' && entry.unit === `${unit}/undo`);
  const stepOf = (unit: string) => given.workflow.steps.get(unit.split('#')[0] as string)!.data;
  for (const unit of units) {
    const own = log.filter((entry) => entry.unit === unit);
    const isDone = own.some(({ what }) => what === 'done');
    const isUnknown = !isDone && own.some(({ what }) => what === 'unknown');
    const isUndone =
      state.phase.kind !== 'completed' && stepOf(unit).compensation !== undefined && (isDone || isUnknown);
    expect(
      log.filter((entry) => entry.undo && entry.what === 'done' && entry.unit === `${unit}/undo`),
      `${unit} undone`,
    ).toHaveLength(isUndone ? 1 : 0);
  }
  // In reverse order: whoever depends on it has been undone before.
  for (const before of units) {
    for (const after of units) {
      if (!stepOf(after).dependencies.includes(stepOf(before).id)) continue;
      const [first, second] = [undoOf(after), undoOf(before)];
      const started = log.findIndex(({ unit }) => unit === `${before}/undo`);
      if (first !== -1 && second !== -1) expect(first, `${after} is undone before ${before}`).toBeLessThan(started);
    }
  }
}

describe('random workflows', () => {
  test('the planner and the reference agree after every event', () => {
    fc.assert(
      fc.property(SEED, (seed) => runAgainstReference(seed)),
      { numRuns: 500, seed: 20261128 },
    );
  });

  test('so they do with promises, silent handlers, and steps that are cancelled alone', () => {
    const property = fc.property(SEED, (seed) => runAgainstReference(seed, true));
    fc.assert(property, { numRuns: 500, seed: 20261127 });
  });

  test('within any bound: never more under way, exactly what was done or unknown is undone, in reverse order', () => {
    fc.assert(fc.property(SEED, runByRules), { numRuns: 500, seed: 20261129 });
  });
});

test('the model sees what it is meant to see: all ways a run can go are taken', () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 400; seed++) {
    const random = seededRandom(seed, 1);
    const given = randomCase(random, 1_000);
    const driver = new Driver(given, random, odds(random));
    for (let events = 0; !isOver(driver.state) && events < 500; events++) {
      const event = driver.next();
      const { phase } = driver.state;
      seen.add(
        phase.kind === 'stuck'
          ? `stuck ${phase.in}`
          : phase.kind === 'draining'
            ? `draining ${phase.abandoned}`
            : phase.kind,
      );
      driver.plan(event === 'cancel' ? { type: 'cancel', reason: undefined } : (event ?? { type: 'retry' }));
    }
    seen.add(driver.state.phase.kind);
    for (const { status } of Object.values(driver.state.steps)) seen.add(status);
  }
  expect([...seen].sort()).toEqual(
    [
      'active',
      'cancelled',
      'compensating',
      'completed',
      'draining false',
      'draining true',
      'failed',
      'pending',
      'running',
      'skipped',
      'stuck compensation',
      'stuck step',
    ]
      .filter((name) => name !== 'active')
      .sort(),
  );
});

test('with promises, heartbeats and single cancellations, all that is added to the model happens', () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 200; seed++) {
    const random = seededRandom(seed, 4);
    const driver = new Driver(randomCase(random, 1_000, { more: true }), random, moreOdds(random));
    for (let events = 0; !isOver(driver.state) && events < 500; events++) {
      const event = driver.next();
      const before = driver.state;
      const given =
        event === 'cancel' ? { type: 'cancel' as const, reason: undefined } : (event ?? { type: 'retry' as const });
      const isTaken = !driver.plan(given).some(({ type }) => type === 'refused');
      if (given.type === 'timer') seen.add(given.id.split(':')[0] as string);
      if (given.type === 'promise') {
        const when = before.steps[given.step]?.status === 'active' ? 'waiting' : 'early';
        seen.add(`${given.outcome.kind} ${when} ${isTaken ? 'taken' : 'refused'}`);
      }
      if (given.type === 'cancelStep') {
        const status = before.steps[given.step]?.status;
        seen.add(`cancelled ${status} ${isTaken ? 'taken' : 'refused'} ${driver.state.steps[given.step]?.status}`);
      }
    }
  }
  for (const what of [
    'heartbeat',
    'resolved waiting taken',
    'rejected waiting taken',
    'resolved early taken',
    'rejected early taken',
    'resolved early refused',
    'cancelled pending taken cancelled',
    'cancelled active taken cancelled',
    'cancelled active taken active',
    'cancelled completed refused completed',
    'cancelled active refused active',
  ]) {
    expect([...seen]).toContain(what);
  }
});

test('compileWorkflow is what the definition uses', () => {
  const { workflow } = randomCase(seededRandom(1, 1), 4);
  expect(compileWorkflow(workflow.data).hash).toBe(workflow.hash);
});
