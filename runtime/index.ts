/**
 * The public names of `collaborative-blocks`, one by one. The package's only file that knows both the runtime and what plugs into it.
 */
export {
  type ActorDefinition,
  type Addressee,
  ask,
  defineActor,
  effect,
  type EffectArgument,
  type EffectOptions,
  reply,
  replyError,
  type ReplyEvent,
  refTo,
  replyTo,
  stash,
  type StoredMachine,
  takeReplyTo,
  type TerminatedEvent,
  unstash,
  unwatch,
  watch,
} from '../actors/index.ts';
export type { ActorCallOptions, ActorHandle, ActorHost, ActorSight } from './kernel/actor-host.ts';
export type { Backoff } from './kernel/backoff.ts';
export type {
  Behavior,
  EffectClass,
  EffectContext,
  EffectSpec,
  Signal,
  SpawnSpec,
  Turn,
} from './kernel/behavior.ts';
export {
  type Definition,
  type DefinitionOptions,
  defineBehavior,
  type Durability,
  type FailurePolicy,
} from './kernel/definition.ts';
export {
  ActorAlreadyExistsError,
  ActorBlockedError,
  ActorNotFoundError,
  ActorStoppedError,
  AskTimeoutError,
  BlocksError,
  CircuitOpenError,
  ControlTimeoutError,
  DataDamagedError,
  DataFolderLockedError,
  DataFolderReadOnlyError,
  DataFormatError,
  DefinitionModuleError,
  EffectTimeoutError,
  ExpressionError,
  HandlerError,
  HostLostError,
  InvalidAddressError,
  InvalidDefinitionError,
  InvalidInputError,
  InvalidOptionsError,
  InvalidWorkflowError,
  MailboxFullError,
  MessageExpiredError,
  MessageTooLargeError,
  NoReplyError,
  RemoteError,
  RunConflictError,
  RunRefusedError,
  StorageError,
  StorageFullError,
  SystemStoppedError,
  TellTimeoutError,
  UnknownDefinitionError,
  UnknownOutcomeError,
  UnknownRunError,
  UnknownWorkflowError,
  UnserializableValueError,
  UnsupportedLogicError,
  WorkflowCancelledError,
  WorkflowFailedError,
} from './kernel/errors.ts';
export { type BlockedFinding, type DamageFinding, type Examination, examineDataFolder } from './doctor/examination.ts';
export { type Repair, repairDataFolder } from './doctor/repair.ts';
export type { ExitReason } from './kernel/exit.ts';
export type { ReplyTo } from './kernel/message.ts';
export { Reference } from './kernel/reference.ts';
export { ActorRef, type ActorSnapshot, type MessageOptions } from './system/actor-ref.ts';
export { ActorSystem, type SpawnOptions, type SystemStats } from './system/actor-system.ts';
export type { DeadLetter, DeadLetters } from './system/dead-letters.ts';
export type { History, PastState, TurnEntry } from './system/history.ts';
export type { SystemOptions } from './system/options.ts';
export type { SystemEvents } from './system/system-events.ts';
