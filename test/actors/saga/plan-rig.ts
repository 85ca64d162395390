/** A run under the planner alone, driven by hand: what it asks for is kept until the test answers. */
import type { CompiledWorkflow } from '../../../actors/saga/compiled-workflow.ts';
import { planRun } from '../../../actors/saga/planner.ts';
import { type MigrationMap, migrateRun } from '../../../actors/saga/run-migration.ts';
import { newRun, type RunCommand, type RunEvent, type RunState } from '../../../actors/saga/run-state.ts';
import { WorkflowDefinition, type WorkflowOptions } from '../../../actors/saga/workflow-definition.ts';
import type { WorkflowStepOptions } from '../../../actors/saga/workflow-step.ts';

export type CallCommand = RunCommand & { readonly type: 'call' };

export class PlanRig {
  state: RunState;
  nowMs = 0;
  readonly calls = new Map<string, RunCommand & { readonly type: 'call' | 'child' }>();
  readonly timers = new Map<string, number>();
  refused: (RunCommand & { readonly type: 'refused' }) | undefined;
  answered: unknown;
  readonly cancelled: string[] = [];
  readonly started: string[] = [];
  /** Questions for engaged rules. */
  consults = 0;
  readonly governed: string[] = [];
  readonly samples: RunCommand[] = [];
  #workflow;

  constructor(steps: readonly WorkflowStepOptions[], input: unknown = {}, options: WorkflowOptions = {}) {
    const definition = new WorkflowDefinition('w', 'w', options);
    for (const step of steps) definition.addStep(step);
    this.#workflow = definition.compile();
    this.state = newRun(this.#workflow, input, {}, 0, (step) => `token of ${step}`);
    this.on({ type: 'started' });
  }

  /** Moves the run to another definition, as its actor does. */
  moveTo(to: CompiledWorkflow, map: MigrationMap, left: readonly string[]): void {
    const turn = { nowMs: this.nowMs, random: () => 0.5 };
    const migration = migrateRun(this.state, { from: this.#workflow, to, map, left }, turn);
    if (migration.kind === 'refused') throw new Error(migration.faults.join('; '));
    this.#workflow = to;
    this.state = migration.run;
    this.on({ type: 'migrated' });
  }

  on(event: RunEvent): this {
    const planned = planRun(this.#workflow, this.state, event, { nowMs: this.nowMs, random: () => 0.5 });
    this.state = planned.state;
    this.refused = undefined;
    for (const command of planned.commands) {
      if (command.type === 'call' || command.type === 'child') {
        this.calls.set(command.id, command);
        this.started.push(command.id);
      } else if (command.type === 'timer') this.timers.set(command.id, command.delayMs);
      else if (command.type === 'timer.cancel') this.timers.delete(command.id);
      else if (command.type === 'child.cancel') this.cancelled.push(command.id);
      else if (command.type === 'consult') this.consults++;
      else if (command.type === 'child.govern') this.governed.push(command.id);
      else if (command.type === 'sample') this.samples.push(command);
      else if (command.type === 'refused') this.refused = command;
      else if (command.type === 'answered') this.answered = command.value;
    }
    return this;
  }

  done(id: string, result: unknown = null): this {
    this.calls.delete(id);
    return this.on({ type: 'done', id, result });
  }

  fail(id: string, code = 'SOME', unknown = false): this {
    this.calls.delete(id);
    return this.on({ type: 'failed', id, unknown, error: { name: 'Error', code, message: code } });
  }

  fire(id: string): this {
    this.timers.delete(id);
    return this.on({ type: 'timer', id });
  }

  get under(): string[] {
    return [...this.calls.keys()];
  }

  get phase(): string {
    const { phase } = this.state;
    return phase.kind === 'stuck' ? `stuck ${phase.in}` : phase.kind;
  }

  statuses(): Record<string, string> {
    return Object.fromEntries(Object.entries(this.state.steps).map(([id, { status }]) => [id, status]));
  }
}
