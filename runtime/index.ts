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
  exchangeOf,
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
export { brokerActors } from './broker/actor-handler.ts';
export type {
  Accepted,
  AdapterConsumer,
  AdapterEvents,
  AdapterRecords,
  BrokerAdapter,
  CarriedMessage,
  DeadLetterNotice,
  DeadLetterQuery,
  DeadLetterRecord,
  DeadReason,
  HandOut,
  Outcome,
  SubscriptionSpec,
} from './broker/broker-adapter.ts';
export { NatsAdapter, type NatsAdapterOptions } from './broker/adapters/nats/nats-adapter.ts';
export { RedisAdapter, type RedisAdapterOptions } from './broker/adapters/redis/redis-adapter.ts';
export {
  type AsyncApiDocument,
  type AsyncApiOptions,
  asyncApiOf,
  type DescribedOperation,
} from './broker/async-api.ts';
export type {
  BrokerDeadLetter,
  BrokerDeadLetters,
  DeadLetterFilter,
  DeadLetterPage,
} from './broker/broker-dead-letters.ts';
export type { BrokerEvents } from './broker/broker-events.ts';
export type { MessageBrokerOptions } from './broker/broker-options.ts';
export type { ScheduleTime, StoredSchedule } from './broker/broker-schedules.ts';
export type { BrokerStats } from './broker/broker-stats.ts';
export { type CloudEvent, cloudEventOf, messageOfCloudEvent, type ReadOptions } from './broker/cloud-events.ts';
export {
  binaryHttpOf,
  type HttpEvent,
  type HttpHeaders,
  messageOfHttp,
  structuredHttpOf,
} from './broker/cloud-events-http.ts';
export type {
  Broker,
  DeliveryContext,
  MessageHandler,
  RequestOptions,
  RetainedPositions,
  StartFrom,
  SubscribeOptions,
  Subscription,
} from './broker/contract/broker-contract.ts';
export {
  type DeliveryGuarantee,
  type FailureReply,
  failureOf,
  type Message,
  type MessageDraft,
  type MessageExtensions,
  type MessageKind,
  type MessageRetryPolicy,
  type RetryPolicy,
} from './broker/contract/message.ts';
export type { DeliveryStatus, Receipt, ReceiptState } from './broker/contract/receipt.ts';
export type { Compatibility } from './broker/contracts/compatibility.ts';
export {
  type Checked,
  type Contract,
  type ContractDefinition,
  ContractRegistry,
} from './broker/contracts/contract-registry.ts';
export { MessageBroker } from './broker/message-broker.ts';
export { readSchedule, type Schedule } from './broker/schedule.ts';
export { commandSubject, matchesSubject, querySubject } from './broker/subjects.ts';
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
  AckTimeoutError,
  ActorAlreadyExistsError,
  ActorBlockedError,
  ActorNotFoundError,
  ActorStoppedError,
  AskTimeoutError,
  BlocksError,
  BrokerClosedError,
  BrokerConfigurationError,
  BrokerUnavailableError,
  BulkheadFullError,
  CircuitOpenError,
  ConnectorUnavailableError,
  ContractViolationError,
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
  IncompatibleContractError,
  InvalidAddressError,
  InvalidContractError,
  InvalidDefinitionError,
  InvalidMessageError,
  InvalidOptionsError,
  InvalidScheduleError,
  InvalidSubjectError,
  InvalidWorkflowError,
  MailboxFullError,
  MalformedCloudEventError,
  MessageExpiredError,
  MessageTooLargeError,
  MissingPackageError,
  NoHandlerError,
  NoReplyError,
  NoSubscriberError,
  QueueFullError,
  RateLimitedError,
  RemoteError,
  RemoteFailedError,
  RemoteRefusedError,
  RequestTimeoutError,
  RunConflictError,
  RunRefusedError,
  StorageError,
  StorageFullError,
  SystemStoppedError,
  TellTimeoutError,
  TokenUsedError,
  UnknownDefinitionError,
  UnknownOutcomeError,
  UnknownRunError,
  UnknownTargetError,
  UnknownTokenError,
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
export { ActorSystem, type SystemStats } from './system/actor-system.ts';
export type { SpawnOptions } from './system/definition-inference.ts';
export type { DeadLetter, DeadLetters } from './system/dead-letters.ts';
export type { History, PastState, TurnEntry } from './system/history.ts';
export type { SystemOptions } from './system/options.ts';
export type { SystemEvents } from './system/system-events.ts';
