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
export type { BulkheadOptions } from './connector/bulkhead.ts';
export { brokerTransport } from './connector/broker-transport.ts';
export type { CallBreaker, CallFigures, CallPolicies } from './connector/call-guard.ts';
export { connector, connectorChild, type ConnectorChildSpec } from './connector/connector-actor.ts';
export type { ConnectorEvent } from './connector/connector-feed.ts';
export type { ConnectorHealth } from './connector/connector-health.ts';
export type { ConnectionSettings, ConnectorState } from './connector/connector-machine.ts';
export type { CommandQueueOptions, ConnectorOptions, ConnectorPolicies } from './connector/connector-options.ts';
export { ConnectorServer, type ConnectorServerOptions, type ServerFigures } from './connector/connector-server.ts';
export type { DeliveryFigures, EventOptions, Registration } from './connector/deliveries.ts';
export type { DegradedOptions } from './connector/error-rate.ts';
export type { ConnectorHandler, HandlerContext, HandlerOptions } from './connector/handler-table.ts';
export {
  handlerTransport,
  type HandlerTransportOptions,
  type TransportHandler,
} from './connector/handler-transport.ts';
export { httpTransport, type HttpTransportOptions } from './connector/http-transport.ts';
export type { CommandOptions, OutgoingOptions, PublishOptions } from './connector/outgoing-calls.ts';
export { type StartOptions, SystemConnector } from './connector/system-connector.ts';
export type { RateLimitOptions } from './connector/token-bucket.ts';
export type { ConnectorTransport, DeliverOptions, TransportContext } from './connector/transport.ts';
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
export { exchangeOf } from './machine/exchange-ref.ts';
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
export type { AdaptationDecision } from './saga/adaptation-data.ts';
export {
  type AdaptationChange,
  AdaptationRule,
  type AdaptationRuleOptions,
  type RouteOptions,
} from './saga/adaptation-rule.ts';
export { defineSaga, SagaDefinition, type SagaOptions, type SagaStepOptions } from './saga/define-saga.ts';
export type { CheckReport, MigrationOptions, MigrationRefusal, MigrationReport } from './saga/engine-migrations.ts';
export type { AdaptationReport } from './saga/engine-adaptations.ts';
export type { RunEntry, RunFilter } from './saga/run-index.ts';
export type { MigrationMap } from './saga/run-migration.ts';
export type { BulkAction, BulkOptions, BulkReport } from './saga/bulk-operations.ts';
export type { ForkFrom } from './saga/engine-options.ts';
export { heartbeat, sendHeartbeat, type WorkflowTry } from './saga/heartbeat.ts';
export type { HeartbeatReply } from './saga/run-heartbeats.ts';
export { openWorkflowFromDocument, type OpenWorkflowOptions, parseOpenWorkflow } from './saga/open-workflow.ts';
export type { CallTarget } from './saga/open-workflow-values.ts';
export { RunOperations, type WaitOptions } from './saga/run-operations.ts';
export { formatTrace, type TraceEntry } from './saga/run-trace.ts';
export type { RunReport, RunStatus, StepReport } from './saga/run-view.ts';
export { workflowActors } from './saga/saga-actors.ts';
export { machineOf, statechartOf } from './saga/statechart.ts';
export type { ConnectorFigures, MetricSources } from './saga/target-meter.ts';
export type { ValueShape } from './saga/value-shape.ts';
export {
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
export type { WorkflowUpdateOptions } from './saga/workflow-update.ts';
export { parseWorkflow } from './saga/workflow-text.ts';
