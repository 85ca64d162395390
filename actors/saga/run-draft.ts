/**
 * The state of a run while one event is being planned.
 *
 * Owns: writing to a copy, and the commands that are asked for meanwhile.
 *
 * Invariants:
 * RD1. The state it began with is never changed. The list of a step's units is copied once, however many of them change: of a loop
 *      over 10,000 items it is as long.
 */
import type { EncodedError } from '../../runtime/kernel/errors.ts';
import type { RunAdaptation } from './adaptation-data.ts';
import type { CompiledStep, CompiledWorkflow } from './compiled-workflow.ts';
import type { ExpressionVariables } from './expression.ts';
import {
  type ExecutionName,
  type ExecutionState,
  executionId,
  type PlannerTurn,
  type PromiseOutcome,
  type RefusalCode,
  type RunCommand,
  type RunFailure,
  type RunPhase,
  type RunState,
  type StepState,
  type ToldEntry,
  type UnitState,
  type UpdateRecord,
} from './run-state.ts';

const TOLD_LIMIT = 200;

export class RunDraft {
  readonly workflow: CompiledWorkflow;
  readonly turn: PlannerTurn;
  readonly commands: RunCommand[] = [];
  phase: RunPhase;
  paused: boolean;
  failure: RunFailure | undefined;
  endedMs: number | undefined;
  result: unknown;
  context: Readonly<Record<string, unknown>>;
  updates: readonly UpdateRecord[];
  open: number;
  inFlight: number;
  readonly ready: string[];
  readonly queue: string[];
  readonly waiting: string[];
  readonly signals: { name: string; payload: unknown }[];
  told: readonly ToldEntry[] | undefined;
  adaptation: RunAdaptation | undefined;
  readonly #before: RunState;
  readonly #steps: Record<string, StepState>;
  /** Lists of units that are this draft's own, by step. */
  readonly #units = new Map<string, UnitState[]>();

  constructor(workflow: CompiledWorkflow, before: RunState, turn: PlannerTurn) {
    this.workflow = workflow;
    this.turn = turn;
    this.#before = before;
    this.phase = before.phase;
    this.paused = before.paused;
    this.failure = before.failure;
    this.endedMs = before.endedMs;
    this.result = before.result;
    this.context = before.context;
    this.updates = before.updates;
    this.open = before.open;
    this.inFlight = before.inFlight;
    this.ready = [...before.ready];
    this.queue = [...before.queue];
    this.waiting = [...before.waiting];
    this.signals = [...before.signals];
    this.told = before.told;
    this.adaptation = before.adaptation;
    this.#steps = { ...before.steps };
  }

  finish(): RunState {
    const { phase, paused, failure, endedMs, result, open, inFlight, ready, queue, waiting, signals } = this;
    const { context, updates } = this;
    const { input, startedMs } = this.#before;
    const steps = this.#steps;
    const { adaptation, told } = this;
    return {
      phase,
      paused,
      input,
      context,
      startedMs,
      endedMs,
      failure,
      result,
      steps,
      open,
      ready,
      queue,
      inFlight,
      waiting,
      signals,
      updates,
      ...(told === undefined ? {} : { told }),
      ...(adaptation === undefined ? {} : { adaptation }),
    };
  }

  /** For the trace: what somebody did to the run. */
  note(what: string, of?: string): void {
    const entry = { atMs: this.turn.nowMs, what, ...(of === undefined ? {} : { of }) };
    this.told = [...(this.told ?? []).slice(1 - TOLD_LIMIT), entry];
  }

  get steps(): Readonly<Record<string, StepState>> {
    return this.#steps;
  }

  plan(id: string): CompiledStep {
    return this.workflow.steps.get(id) as CompiledStep;
  }

  step(id: string): StepState {
    return this.#steps[id] as StepState;
  }

  setStep(id: string, change: Partial<StepState>): StepState {
    const next: StepState = { ...this.step(id), ...change };
    this.#steps[id] = next;
    return next;
  }

  /** What settled a promise before its step began. */
  takeEarly(id: string): PromiseOutcome | undefined {
    const { early, ...step } = this.step(id);
    if (early !== undefined) this.#steps[id] = step;
    return early;
  }

  unit(step: string, index: number): UnitState | undefined {
    return this.step(step).units[index];
  }

  addUnit(step: string, unit: UnitState): void {
    this.#unitsOf(step).push(unit);
  }

  setUnit(step: string, index: number, change: Partial<UnitState>): void {
    const units = this.#unitsOf(step);
    units[index] = { ...(units[index] as UnitState), ...change };
  }

  #unitsOf(step: string): UnitState[] {
    let units = this.#units.get(step);
    if (units === undefined) {
      units = [...this.step(step).units];
      this.#units.set(step, units);
      this.setStep(step, { units });
    }
    return units;
  }

  execution({ step, index, undo }: ExecutionName): ExecutionState | undefined {
    const unit = this.unit(step, index);
    return undo ? unit?.undo : unit?.run;
  }

  setExecution(name: ExecutionName, change: Partial<ExecutionState>): void {
    const next: ExecutionState = { ...(this.execution(name) as ExecutionState), ...change };
    this.setUnit(name.step, name.index, name.undo ? { undo: next } : { run: next });
  }

  /** How long a step may take, all its tries together; undefined: as long as it takes. */
  timeoutMs(id: string): number | undefined {
    return this.step(id).timeoutMs ?? this.plan(id).data.timeoutMs;
  }

  idOf(name: ExecutionName): string {
    return executionId(name, this.plan(name.step).items !== undefined);
  }

  /** For an expression of this step; `index` in a loop. */
  variables(step: string, index?: number): ExpressionVariables {
    const { items } = this.step(step);
    const inLoop = items === undefined || index === undefined ? {} : { item: items[index], index };
    return { ...this.names(), ...inLoop };
  }

  /** For an expression of no step in particular. */
  names(): ExpressionVariables {
    return { input: this.#before.input, context: this.context, steps: this.#steps, error: this.failure?.error };
  }

  fail(kind: RunFailure['kind'], error: EncodedError, step: string | undefined): void {
    this.failure ??= { kind, error, step, atMs: this.turn.nowMs };
  }

  setTimer(id: string, delayMs: number): void {
    this.commands.push({ type: 'timer', id, delayMs });
  }

  cancelTimer(id: string): void {
    this.commands.push({ type: 'timer.cancel', id });
  }

  answer(value: unknown): void {
    this.commands.push({ type: 'answered', value });
  }

  refuse(code: RefusalCode, message: string): void {
    this.commands.push({ type: 'refused', code, message });
  }
}
