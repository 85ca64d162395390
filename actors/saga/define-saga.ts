/**
 * `defineSaga`: a workflow written as a chain, whose dependencies the compiler checks.
 */
import type { AdaptationRuleOptions } from './adaptation-rule.ts';
import { WorkflowDefinition, type WorkflowOptions } from './workflow-definition.ts';
import type { WorkflowStepOptions } from './workflow-step.ts';

/** A step's options; `dependencies` are steps that stand before it. */
export type SagaStepOptions<TSteps extends string> = Omit<WorkflowStepOptions, 'stepId' | 'dependencies'> & {
  readonly dependencies?: readonly TSteps[];
};

export interface SagaOptions extends WorkflowOptions {
  /** Default: the id. */
  readonly name?: string;
}

/** A `WorkflowDefinition` that knows its steps. */
export class SagaDefinition<TSteps extends string = never> extends WorkflowDefinition {
  /** Adds a step. A dependency on a step that does not stand before it does not compile. */
  step<const TId extends string>(stepId: TId, options: SagaStepOptions<TSteps>): SagaDefinition<TSteps | TId> {
    this.addStep({ ...options, stepId });
    return this;
  }

  /** Adds a rule: what live metrics change. One that names a step which does not stand before it does not compile. */
  adapt(ruleId: string, options: Omit<AdaptationRuleOptions<TSteps>, 'ruleId' | 'workflow'>): this {
    return this.addAdaptation({ ...options, ruleId });
  }
}

/**
 * Begins a saga.
 *
 * ```ts
 * export const checkout = defineSaga('checkout', { version: 1 })
 *   .step('reserve', { systemTarget: 'stock', action: 'reserve', compensation: { systemTarget: 'stock', action: 'release' } })
 *   .step('charge', { systemTarget: 'payments', action: 'charge', dependencies: ['reserve'], pivot: true })
 *   .step('ship', { systemTarget: 'shipping', action: 'book', dependencies: ['charge'], condition: '${input.physical}' });
 * ```
 */
export function defineSaga(id: string, options: SagaOptions = {}): SagaDefinition {
  const { name = id, ...rest } = options;
  return new SagaDefinition(id, name, rest);
}
