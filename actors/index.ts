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
