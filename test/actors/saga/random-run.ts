/** Random workflows, and a driver that runs one under the planner alone: an event at a time, in random order. */
import { expect } from 'vitest';
import type { CompiledWorkflow } from '../../../actors/saga/compiled-workflow.ts';
import { planRun } from '../../../actors/saga/planner.ts';
import { newRun, type RunCommand, type RunEvent, type RunState } from '../../../actors/saga/run-state.ts';
import { WorkflowDefinition } from '../../../actors/saga/workflow-definition.ts';
import type { WorkflowStepOptions } from '../../../actors/saga/workflow-step.ts';
import type { Random } from '../../../runtime/kernel/random.ts';

export interface Odds {
  readonly failure: number;
  readonly unknown: number;
  readonly undoFailure: number;
  readonly cancel: number;
  readonly cancelStep: number;
  /** That a promise is settled before it has begun, each time that something happens. */
  readonly early: number;
}

export interface Case {
  readonly definition: WorkflowDefinition;
  readonly workflow: CompiledWorkflow;
  readonly input: Record<string, unknown>;
}

type Target = Pick<WorkflowStepOptions, 'systemTarget' | 'actor' | 'parameters'>;

interface CaseOptions {
  /** With promises and heartbeats. */
  readonly more?: boolean;
  /** Who does the steps and undoes them. */
  readonly target?: Target;
  readonly id?: string;
}

export function randomCase(random: Random, parallelism: number, options: CaseOptions = {}): Case {
  const { more = false, target = { systemTarget: 's' }, id: workflowId = 'w' } = options;
  const call = { ...target, action: 'a' };
  const chance = (odds: number): boolean => random.next() < odds;
  const upTo = (limit: number): number => Math.floor(random.next() * limit);
  const count = 1 + upTo(9);
  const input: Record<string, unknown> = {};
  const definition = new WorkflowDefinition(workflowId, workflowId, {
    parallelism,
    onFailure: chance(0.15) ? 'park' : 'compensate',
  });
  const pivot = chance(0.3) ? upTo(count) : -1;
  for (let i = 0; i < count; i++) {
    const stepId = `s${i}`;
    const dependencies = Array.from({ length: i }, (_, j) => `s${j}`).filter(() => chance(Math.min(0.8, 2 / i)));
    input[`c${i}`] = chance(0.7);
    input[`l${i}`] = Array.from({ length: upTo(5) }, (_, j) => j);
    const retryPolicy = { maxAttempts: 1 + upTo(3), initialMs: 5, jitter: 'none' as const, nonRetryable: ['FINAL'] };
    const step: WorkflowStepOptions = {
      stepId,
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
    if (more && chance(0.25)) {
      const { condition } = step;
      const waits = { stepId, promise: true, dependencies, ...(condition === undefined ? {} : { condition }) };
      const { skipDependents = false, onFailure = 'fail', pivot = false } = step;
      definition.addStep({ ...waits, skipDependents, onFailure, pivot });
    } else definition.addStep(more && chance(0.3) ? { ...step, heartbeatTimeoutMs: 10 } : step);
  }
  return { definition, workflow: definition.compile(), input };
}

/** Runs a case to its end, an event at a time, in random order. */
export class Driver {
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
    this.state = newRun(given.workflow, given.input, {}, 0, (step) => step);
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
    const choices = [...this.calls.keys(), ...this.timers, ...this.#promises()];
    if (this.#random.next() < this.#odds.cancel) return 'cancel';
    if (this.#odds.cancelStep > 0 && this.#random.next() < this.#odds.cancelStep) {
      const steps = [...this.#case.workflow.steps.keys()];
      const step = steps[Math.floor(this.#random.next() * steps.length)] as string;
      return { type: 'cancelStep', step, reason: undefined };
    }
    const chosen = choices[Math.floor(this.#random.next() * choices.length)];
    if (chosen === undefined) return undefined;
    if (this.timers.delete(chosen)) {
      const [kind, unit = ''] = chosen.split(':');
      if (kind === 'heartbeat') this.#fallSilent(unit);
      return { type: 'timer', id: chosen };
    }
    if (!this.calls.has(chosen)) return this.#settlement(chosen);
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

  /** Those that wait, and now and then one that has not begun. */
  #promises(): string[] {
    const { steps } = this.#case.workflow;
    return [...steps.values()]
      .filter(({ data }) => data.work.kind === 'promise')
      .map(({ data }) => data.id)
      .filter((id) => {
        const status = this.state.steps[id]?.status;
        return status === 'active' || (status === 'pending' && this.#random.next() < this.#odds.early);
      });
  }

  #settlement(step: string): RunEvent {
    const isFailed = this.#random.next() < this.#odds.failure;
    const error = { name: 'Error', code: 'NO', message: String(this.#random.next()) };
    const outcome = isFailed
      ? ({ kind: 'rejected', error } as const)
      : ({ kind: 'resolved', value: this.#random.next() } as const);
    return { type: 'promise', step, token: step, outcome };
  }

  /** The handler is not heard of any more: its answer, if it comes, comes too late. */
  #fallSilent(unit: string): void {
    const [id, call] = [...this.calls].find(([, one]) => one.unit === unit) as [string, { undo: boolean }];
    this.calls.delete(id);
    this.log.push({ what: 'unknown', unit, undo: call.undo });
  }
}

export const odds = (random: Random): Odds => ({
  failure: random.next() * 0.4,
  unknown: random.next(),
  undoFailure: random.next() * 0.4,
  cancel: random.next() < 0.3 ? 0.05 : 0,
  cancelStep: 0,
  early: 0,
});

export const moreOdds = (random: Random): Odds => ({
  ...odds(random),
  cancelStep: random.next() < 0.6 ? 0.1 : 0,
  early: 0.1,
});
