/** The public names of `collaborative-blocks/supervisors`. */
export type {
  AutoShutdown,
  CheckedChildSpec,
  ChildSpec,
  ChildType,
  RestartFrom,
  RestartType,
} from './child-spec.ts';
export { defineDynamicSupervisor, defineSupervisor } from './define-supervisor.ts';
export type { DynamicState, DynamicSupervisorView } from './dynamic-state.ts';
export { dynamicSupervisorBehavior } from './dynamic-supervisor.ts';
export type { RestartBackoff } from './restart-backoff.ts';
export type { RestartStrategy } from './restart-strategy.ts';
export type { Shutdown } from './shutdown-order.ts';
export { supervisorBehavior } from './supervisor.ts';
export {
  InvalidChildSpecError,
  InvalidSupervisorSpecError,
  RestartIntensityExceededError,
  SupervisorStateError,
  SupervisorStoppingError,
  UnknownSupervisorRequestError,
} from './supervisor-errors.ts';
export type { SupervisorEvent } from './supervisor-events.ts';
export type {
  ChildCount,
  ChildInfo,
  ChildPage,
  DynamicSupervisorReplies,
  DynamicSupervisorRequest,
  Refusal,
  SupervisorReplies,
  SupervisorRequest,
  SupervisorResult,
} from './supervisor-requests.ts';
export type { DynamicSupervisorSpec, SupervisorFlags, SupervisorSpec } from './supervisor-spec.ts';
export type { SupervisorState, SupervisorView } from './supervisor-state.ts';
