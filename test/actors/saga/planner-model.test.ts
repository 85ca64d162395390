/**
 * Random workflows with random failures, in random order: the planner against the reference, event by event, and rules that any
 * run must keep.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CompiledWorkflow, compileWorkflow } from '../../../actors/saga/compiled-workflow.ts';
import { planRun } from '../../../actors/saga/planner.ts';
import { isOver, newRun, type RunCommand, type RunEvent, type RunState } from '../../../actors/saga/run-state.ts';
import { WorkflowDefinition } from '../../../actors/saga/workflow-definition.ts';
import type { WorkflowStepOptions } from '../../../actors/saga/workflow-step.ts';
import { type Random, seededRandom } from '../../../runtime/kernel/random.ts';
import { ReferenceRun } from './reference-run.ts';

interface Odds {
  readonly failure: number;
  readonly unknown: number;
  readonly undoFailure: number;
  readonly cancel: number;
}

interface Case {
  readonly workflow: CompiledWorkflow;
  readonly input: Record<string, unknown>;
}

const call = { systemTarget: 's', action: 'a' };

function randomCase(random: Random, parallelism: number): Case {
  const chance = (odds: number): boolean => random.next() < odds;
  const upTo = (limit: number): number => Math.floor(random.next() * limit);
  const count = 1 + upTo(9);
  const input: Record<string, unknown> = {};
  const definition = new WorkflowDefinition('w', 'w', { parallelism, onFailure: chance(0.15) ? 'park' : 'compensate' });
  const pivot = chance(0.3) ? upTo(count) : -1;
  for (let i = 0; i < count; i++) {
    const id = `s${i}`;
    const dependencies = Array.from({ length: i }, (_, j) => `s${j}`).filter(() => chance(Math.min(0.8, 2 / i)));
    input[`c${i}`] = chance(0.7);
    input[`l${i}`] = Array.from({ length: upTo(5) }, (_, j) => j);
    const retryPolicy = { maxAttempts: 1 + upTo(3), jitter: 'none' as const, nonRetryable: ['FINAL'] };
    const step: WorkflowStepOptions = {
      stepId: id,
      ...call,
      dependencies,
      retryPolicy,
      ...(chance(0.3) ? { condition: `input.c${i}` } : {}),
      skipDependents: chance(0.3),
      ...(dependencies.length > 1 && chance(0.2) ? { join: 1 + upTo(dependencies.length) } : {}),
      ...(chance(0.4) ? { forEach: { items: `\${input.l${i}}`, concurrency: 1 + upTo(4) } } : {}),
      onFailure: chance(0.3) ? 'continue' : 'fail',
      pivot: i === pivot,
      ...(chance(0.7)
        ? { compensation: { ...call, action: 'undo', retryPolicy: { ...retryPolicy, nonRetryable: ['FINAL'] } } }
        : {}),
    };
    definition.addStep(step);
  }
  return { workflow: definition.compile(), input };
}

/** Runs a case to its end, an event at a time, in random order. */
class Driver {
  state: RunState;
  readonly calls = new Map<string, RunCommand & { type: 'call' }>();
  readonly timers = new Set<string>();
  readonly log: {
    readonly what: 'start' | 'done' | 'failed' | 'unknown';
    readonly unit: string;
    readonly undo: boolean;
  }[] = [];
  most = 0;
  ended = 0;
  readonly #case: Case;
  readonly #random: Random;
  readonly #odds: Odds;

  constructor(given: Case, random: Random, odds: Odds) {
    this.#case = given;
    this.#random = random;
    this.#odds = odds;
    this.state = newRun(given.workflow, given.input, {}, 0);
    this.plan({ type: 'started' });
  }

  plan(event: RunEvent): readonly RunCommand[] {
    const before = JSON.stringify(this.state);
    const turn = { nowMs: 5, random: () => 0.5 };
    const planned = planRun(this.#case.workflow, this.state, event, turn);
    expect(JSON.stringify(this.state), 'the state before is left as it was').toBe(before);
    expect(planRun(this.#case.workflow, structuredClone(this.state), event, turn), 'planning is pure').toEqual(planned);
    this.state = planned.state;
    for (const command of planned.commands) this.#take(command);
    this.most = Math.max(this.most, this.calls.size);
    expect(this.state.inFlight).toBe(this.calls.size);
    return planned.commands;
  }

  #take(command: RunCommand): void {
    switch (command.type) {
      case 'call':
        expect(this.calls.has(command.id)).toBe(false);
        this.calls.set(command.id, command);
        this.log.push({ what: 'start', unit: command.unit, undo: command.undo });
        return;
      case 'timer':
        this.timers.add(command.id);
        return;
      case 'timer.cancel':
        this.timers.delete(command.id);
        return;
      case 'ended':
        this.ended++;
        return;
      default:
        return;
    }
  }

  /** The next event; undefined when nothing will come by itself. */
  next(): RunEvent | 'cancel' | undefined {
    const choices = [...this.calls.keys(), ...this.timers];
    if (this.#random.next() < this.#odds.cancel) return 'cancel';
    const chosen = choices[Math.floor(this.#random.next() * choices.length)];
    if (chosen === undefined) return undefined;
    if (this.timers.delete(chosen)) return { type: 'timer', id: chosen };
    const { unit, undo } = this.calls.get(chosen) as RunCommand & { type: 'call' };
    this.calls.delete(chosen);
    if (this.#random.next() >= (undo ? this.#odds.undoFailure : this.#odds.failure)) {
      this.log.push({ what: 'done', unit, undo });
      return { type: 'done', id: chosen, result: chosen };
    }
    const unknown = this.#random.next() < this.#odds.unknown;
    this.log.push({ what: unknown ? 'unknown' : 'failed', unit, undo });
    const code = this.#random.next() < 0.2 ? 'FINAL' : 'SOME';
    return { type: 'failed', id: chosen, unknown, error: { name: 'Error', code, message: 'x' } };
  }
}

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
    waiting: [...timers].map((id) => id.replace('backoff:', '')).sort(),
    undone: undone.sort(),
  };
};

const PHASES: Readonly<Record<string, string>> = { failing: 'draining', doomed: 'draining' };

function referenceView(reference: ReferenceRun) {
  const view = reference.view();
  return { ...view, phase: PHASES[view.phase] ?? view.phase };
}

const SEED = fc.integer({ min: 0, max: 0x7fff_ffff });
const odds = (random: Random): Odds => ({
  failure: random.next() * 0.4,
  unknown: random.next(),
  undoFailure: random.next() * 0.4,
  cancel: random.next() < 0.3 ? 0.05 : 0,
});

function runAgainstReference(seed: number): void {
  const random = seededRandom(seed, 1);
  const given = randomCase(random, 1_000);
  const { data } = given.workflow;
  const answers = {
    condition: (id: string) => given.input[`c${id.slice(1)}`] === true,
    items: (id: string) => (given.input[`l${id.slice(1)}`] as unknown[]).length,
  };
  const driver = new Driver(given, random, odds(random));
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
      driver.plan(event);
      if (event.type === 'done') reference.done(event.id);
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
    fc.assert(fc.property(SEED, runAgainstReference), { numRuns: 500, seed: 20261128 });
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

test('compileWorkflow is what the definition uses', () => {
  const { workflow } = randomCase(seededRandom(1, 1), 4);
  expect(compileWorkflow(workflow.data).hash).toBe(workflow.hash);
});
