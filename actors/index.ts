/** The public names of `collaborative-blocks/actors`, one by one. */
export type { Pass } from './circuit-breaker/breaker-mirror.ts';
export type {
  BreakerSettings,
  CircuitBreakerOptions,
  PolicyOptions,
  TripPolicy,
} from './circuit-breaker/breaker-settings.ts';
export type { CallOutcome } from './circuit-breaker/call-window.ts';
export {
  type CallResult,
  CircuitBreaker,
  type CircuitBreakerDefinition,
  type CircuitBreakerSnapshot,
  type CircuitBreakerUse,
  defineCircuitBreaker,
  type ExecuteOptions,
} from './circuit-breaker/circuit-breaker.ts';
export {
  type CircuitChange,
  type CircuitEvent,
  circuitBreakerMachine,
  type CircuitState,
} from './circuit-breaker/circuit-breaker-machine.ts';
export {
  type ActorDefinition,
  type AnyActorDefinition,
  type BehaviorSpec,
  defineActor,
  type InputOf,
  type LogicSpec,
  type MachineSpec,
  type MessageOf,
  type ReducerSpec,
  type ReplyOf,
  type ViewOf,
} from './define-actor.ts';
export { effect, type EffectArgument, type EffectOptions } from './machine/effect-logic.ts';
export { machineBehavior } from './machine/machine-behavior.ts';
export { MachineRef, refTo } from './machine/machine-ref.ts';
export type { MachineState, MachineView, PresentedMachine, StoredMachine } from './machine/machine-state.ts';
export { type TransitionView, transitionBehavior } from './machine/transition-behavior.ts';
export {
  type Addressee,
  ask,
  type Expression,
  reply,
  replyError,
  type ReplyEvent,
  replyTo,
  stash,
  takeReplyTo,
  type TerminatedEvent,
  unstash,
  unwatch,
  watch,
} from './machine/turn-actions.ts';
export { type Reducer, reducerBehavior } from './reducer.ts';
export { defineSaga, SagaDefinition, type SagaOptions, type SagaStepOptions } from './saga/define-saga.ts';
export type { RunEntry, RunFilter } from './saga/run-index.ts';
export type { RunReport, RunStatus, StepReport, TraceEntry } from './saga/run-view.ts';
export { workflowActors } from './saga/saga-actors.ts';
export { machineOf, statechartOf } from './saga/statechart.ts';
export type { ValueShape } from './saga/value-shape.ts';
export {
  type WaitOptions,
  type WorkflowContext,
  WorkflowCoordinationEngine,
  type WorkflowEngineOptions,
} from './saga/workflow-coordination-engine.ts';
export {
  WorkflowDefinition,
  type WorkflowDocument,
  workflowFromDocument,
  type WorkflowOptions,
} from './saga/workflow-definition.ts';
export { workflowSchema } from './saga/workflow-schema.ts';
export {
  type WorkflowCallOptions,
  type RetryPolicyOptions,
  WorkflowStep,
  type WorkflowStepOptions,
} from './saga/workflow-step.ts';
export { parseWorkflow } from './saga/workflow-text.ts';
