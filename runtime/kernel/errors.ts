/**
 * Errors: one class per way in which something can fail, each with a stable `code` that survives threads and the journal.
 *
 * Owns: the classes, and making them of plain data again. Their base, and any error as plain data, is `blocks-error.ts`. Imports nothing
 * else, so that everything may import it.
 *
 * Invariants:
 * E1. `decodeError(encodeError(e))` has the same class, code, message, retryable, details and cause chain, as far as plain data goes.
 * E2. A message names the value at fault and, where there is one, the remedy.
 */
import { BlocksError, type EncodedError } from './blocks-error.ts';

export { BlocksError, type EncodedError, encodeError } from './blocks-error.ts';

/** A definition name, id or key that cannot be an address. */
export class InvalidAddressError extends BlocksError {
  readonly code = 'INVALID_ADDRESS';
}
/** Options that do not fit; `details.faults` lists all of them. */
export class InvalidOptionsError extends BlocksError {
  readonly code = 'INVALID_OPTIONS';
}
/** A definition that cannot work: no behavior, two behaviors, a closure where a module is needed. */
export class InvalidDefinitionError extends BlocksError {
  readonly code = 'INVALID_DEFINITION';
}
/** A machine uses something that cannot be made durable; the message names it and the remedy. */
export class UnsupportedLogicError extends BlocksError {
  readonly code = 'UNSUPPORTED_LOGIC';
}
/** No loaded module exports a definition of this name. */
export class UnknownDefinitionError extends BlocksError {
  readonly code = 'UNKNOWN_DEFINITION';
}
/** A module of definitions that could not be loaded. */
export class DefinitionModuleError extends BlocksError {
  readonly code = 'DEFINITION_MODULE';
}
/** `spawn` of an id that is already living. */
export class ActorAlreadyExistsError extends BlocksError {
  readonly code = 'ACTOR_ALREADY_EXISTS';
}
/** A message to an actor that was never spawned and is not virtual. */
export class ActorNotFoundError extends BlocksError {
  readonly code = 'ACTOR_NOT_FOUND';
}
/** A message to an actor that has stopped. */
export class ActorStoppedError extends BlocksError {
  readonly code = 'ACTOR_STOPPED';
}
/** An actor whose recorded past its present code cannot repeat; it waits for a fix and `system.unblock`. */
// With an UnknownDefinitionError as its `cause` it comes back by itself when that definition is loaded.
export class ActorBlockedError extends BlocksError {
  readonly code = 'ACTOR_BLOCKED';
}
/** A value that a message, state or input cannot carry; `details.path` says where. */
export class UnserializableValueError extends BlocksError {
  readonly code = 'UNSERIALIZABLE_VALUE';
}
/** A message over the limit. */
export class MessageTooLargeError extends BlocksError {
  readonly code = 'MESSAGE_TOO_LARGE';
}
/** The mailbox had no room until the deadline. */
export class MailboxFullError extends BlocksError {
  readonly code = 'MAILBOX_FULL';
  override readonly retryable = true;
}
/** No receipt before the deadline. The message may still be handled: repeat it with an idempotency key. */
export class TellTimeoutError extends BlocksError {
  readonly code = 'TELL_TIMEOUT';
  override readonly retryable = true;
}
/** No reply before the deadline. The request may still be handled: repeat it with the same idempotency key. */
export class AskTimeoutError extends BlocksError {
  readonly code = 'ASK_TIMEOUT';
  override readonly retryable = true;
}
/** The actor handled the request and neither replied nor kept the reply handle. */
export class NoReplyError extends BlocksError {
  readonly code = 'NO_REPLY';
}
/** The handler threw, `details.attempts` times; the message is parked among the dead letters, as `details.letter`. */
export class HandlerError extends BlocksError {
  readonly code = 'HANDLER_FAILED';
}
/** The message waited longer than its time to live. */
export class MessageExpiredError extends BlocksError {
  readonly code = 'MESSAGE_EXPIRED';
}
/** The system is stopping or stopped. */
export class SystemStoppedError extends BlocksError {
  readonly code = 'SYSTEM_STOPPED';
}
/** A host thread died while it held the call, and the call cannot be repeated safely. */
export class HostLostError extends BlocksError {
  readonly code = 'HOST_LOST';
  override readonly retryable = true;
}
/** A control call did not answer before its deadline. */
export class ControlTimeoutError extends BlocksError {
  readonly code = 'CONTROL_TIMEOUT';
  override readonly retryable = true;
}
/** A batch of a host that was replaced; the host stops itself. */
export class FencedError extends BlocksError {
  readonly code = 'FENCED';
}
/** The disk is full; nothing acknowledged is lost, and intake resumes when there is room. */
export class StorageFullError extends BlocksError {
  readonly code = 'STORAGE_FULL';
  override readonly retryable = true;
}
/** The store failed in another way. */
export class StorageError extends BlocksError {
  readonly code = 'STORAGE_FAILED';
}
/** A data folder written by a newer version. */
export class DataFormatError extends BlocksError {
  readonly code = 'DATA_FORMAT';
}
/** A data folder in use by another process (`details.pid`). */
export class DataFolderLockedError extends BlocksError {
  readonly code = 'DATA_FOLDER_LOCKED';
  override readonly retryable = true;
}
/** A data folder that cannot be written. */
export class DataFolderReadOnlyError extends BlocksError {
  readonly code = 'DATA_FOLDER_READ_ONLY';
}
/** Damaged bytes in the store: `details` has the table, key and position. Never served. */
export class DataDamagedError extends BlocksError {
  readonly code = 'DATA_DAMAGED';
}
/** An `at_most_once` effect was running when its host died: whether it happened is not known. */
export class UnknownOutcomeError extends BlocksError {
  readonly code = 'UNKNOWN_OUTCOME';
}
/** An effect ran over its timeout. */
export class EffectTimeoutError extends BlocksError {
  readonly code = 'EFFECT_TIMEOUT';
  override readonly retryable = true;
}
/** A frame that does not decode, or is out of bounds. */
export class FrameError extends BlocksError {
  readonly code = 'FRAME_REFUSED';
}
/** A message between systems that lacks something or has what cannot be; `details.faults` lists all of it. */
export class InvalidMessageError extends BlocksError {
  readonly code = 'INVALID_MESSAGE';
}
/** A subject or pattern that cannot be one; names the token and the rule. */
export class InvalidSubjectError extends BlocksError {
  readonly code = 'INVALID_SUBJECT';
}
/** A CloudEvent that is none; names the attribute. */
export class MalformedCloudEventError extends BlocksError {
  readonly code = 'MALFORMED_CLOUD_EVENT';
}
/** A payload that its contract does not allow: `details.faults` has path and rule of each fault. */
export class ContractViolationError extends BlocksError {
  readonly code = 'CONTRACT_VIOLATION';
}
/** A contract that cannot be one: no schema, a version that was given away, a schema that does not compile. */
export class InvalidContractError extends BlocksError {
  readonly code = 'INVALID_CONTRACT';
}
/** A contract that cannot follow its predecessor; names the field and the rule. */
export class IncompatibleContractError extends BlocksError {
  readonly code = 'INCOMPATIBLE_CONTRACT';
}
/** A cron expression or time zone that cannot be one. */
export class InvalidScheduleError extends BlocksError {
  readonly code = 'INVALID_SCHEDULE';
}
/** A command that no subscription takes. */
export class NoSubscriberError extends BlocksError {
  readonly code = 'NO_SUBSCRIBER';
  override readonly retryable = true;
}
/** A query that nobody answers. */
export class NoHandlerError extends BlocksError {
  readonly code = 'NO_HANDLER';
  override readonly retryable = true;
}
/** No answer before the deadline. It may still be handled: repeat it with the same id. */
export class RequestTimeoutError extends BlocksError {
  readonly code = 'REQUEST_TIMEOUT';
  override readonly retryable = true;
}
/** A handler took longer than its subscription allows: its message is tried again. */
export class AckTimeoutError extends BlocksError {
  readonly code = 'ACK_TIMEOUT';
  override readonly retryable = true;
}
/** As many messages wait as may. */
export class QueueFullError extends BlocksError {
  readonly code = 'QUEUE_FULL';
  override readonly retryable = true;
}
/** The broker's server does not answer, or the connection is lost. */
export class BrokerUnavailableError extends BlocksError {
  readonly code = 'BROKER_UNAVAILABLE';
  override readonly retryable = true;
}
/** A broker that cannot be used as it is set up: its URL, its credentials, a server that drops data. */
export class BrokerConfigurationError extends BlocksError {
  readonly code = 'BROKER_CONFIGURATION';
}
/** The broker, connector or subscription was closed. */
export class BrokerClosedError extends BlocksError {
  readonly code = 'BROKER_CLOSED';
}
/** A package that is needed for this and not installed; the message says which. */
export class MissingPackageError extends BlocksError {
  readonly code = 'MISSING_PACKAGE';
}
/** A circuit breaker is open: the dependency is not called. `details.retryAfterMs` says when it may be. */
export class CircuitOpenError extends BlocksError {
  readonly code = 'CIRCUIT_OPEN';
  override readonly retryable = true;
}
/** As many calls are under way and waiting as a bulkhead allows. */
export class BulkheadFullError extends BlocksError {
  readonly code = 'BULKHEAD_FULL';
  override readonly retryable = true;
}
/** More calls than a rate limit allows. `details.retryAfterMs` says when the next may be made. */
export class RateLimitedError extends BlocksError {
  readonly code = 'RATE_LIMITED';
  override readonly retryable = true;
}
/** A connector's other side cannot be reached. */
export class ConnectorUnavailableError extends BlocksError {
  readonly code = 'CONNECTOR_UNAVAILABLE';
  override readonly retryable = true;
}
/** The other side answered that it will not do this; the same call would be refused again. `details.status` is its code. */
export class RemoteRefusedError extends BlocksError {
  readonly code = 'REMOTE_REFUSED';
}
/** The other side answered that it failed. `details.status` is its code. */
export class RemoteFailedError extends BlocksError {
  readonly code = 'REMOTE_FAILED';
  override readonly retryable = true;
}
/** No system of this name is known. */
export class UnknownTargetError extends BlocksError {
  readonly code = 'UNKNOWN_TARGET';
}
/** A workflow's definition that cannot work: `details.faults` has all that is wrong with it, each with its place. */
export class InvalidWorkflowError extends BlocksError {
  readonly code = 'INVALID_WORKFLOW';
}
/** A condition or parameter of a workflow that has no value: `details` has the expression, the position and a hint. */
export class ExpressionError extends BlocksError {
  readonly code = 'EXPRESSION_FAILED';
}
/** No workflow of this id is defined. */
export class UnknownWorkflowError extends BlocksError {
  readonly code = 'UNKNOWN_WORKFLOW';
}
/** No run of this id was ever started. */
export class UnknownRunError extends BlocksError {
  readonly code = 'UNKNOWN_RUN';
}
/** A run of this id was started with another input, or of another workflow. */
export class RunConflictError extends BlocksError {
  readonly code = 'RUN_CONFLICT';
}
/** What was asked of a run cannot be done as it is now; `details.reason` says why, in one word. */
export class RunRefusedError extends BlocksError {
  readonly code = 'RUN_REFUSED';
}
/** No promise of a run has this token. */
export class UnknownTokenError extends BlocksError {
  readonly code = 'UNKNOWN_TOKEN';
}
/** The promise of this token is settled, or its run does not need it any more. */
export class TokenUsedError extends BlocksError {
  readonly code = 'TOKEN_USED';
}
/** A run has failed, and what had to be undone is undone: `details` has the step, its error, and what became of each step. */
export class WorkflowFailedError extends BlocksError {
  readonly code = 'WORKFLOW_FAILED';
}
/** A run was cancelled, and what had to be undone is undone. */
export class WorkflowCancelledError extends BlocksError {
  readonly code = 'WORKFLOW_CANCELLED';
}
/** An error of a class that this library does not know, as it came from another thread or the journal. */
export class RemoteError extends BlocksError {
  readonly code: string;
  readonly #name: string;

  constructor(
    name: string,
    code: string,
    message: string,
    options: { cause?: unknown; details?: Record<string, unknown> } = {},
  ) {
    super(message, options);
    this.#name = name;
    this.code = code;
  }

  override get name(): string {
    return this.#name;
  }
}

type BlocksErrorClass = new (
  message: string,
  options?: { cause?: unknown; details?: Record<string, unknown> },
) => BlocksError;

const CLASSES: ReadonlyMap<string, BlocksErrorClass> = new Map(
  Object.entries({
    INVALID_ADDRESS: InvalidAddressError,
    INVALID_OPTIONS: InvalidOptionsError,
    INVALID_DEFINITION: InvalidDefinitionError,
    UNSUPPORTED_LOGIC: UnsupportedLogicError,
    UNKNOWN_DEFINITION: UnknownDefinitionError,
    DEFINITION_MODULE: DefinitionModuleError,
    ACTOR_ALREADY_EXISTS: ActorAlreadyExistsError,
    ACTOR_NOT_FOUND: ActorNotFoundError,
    ACTOR_STOPPED: ActorStoppedError,
    ACTOR_BLOCKED: ActorBlockedError,
    UNSERIALIZABLE_VALUE: UnserializableValueError,
    MESSAGE_TOO_LARGE: MessageTooLargeError,
    MAILBOX_FULL: MailboxFullError,
    TELL_TIMEOUT: TellTimeoutError,
    ASK_TIMEOUT: AskTimeoutError,
    NO_REPLY: NoReplyError,
    HANDLER_FAILED: HandlerError,
    MESSAGE_EXPIRED: MessageExpiredError,
    SYSTEM_STOPPED: SystemStoppedError,
    HOST_LOST: HostLostError,
    CONTROL_TIMEOUT: ControlTimeoutError,
    FENCED: FencedError,
    STORAGE_FULL: StorageFullError,
    STORAGE_FAILED: StorageError,
    DATA_FORMAT: DataFormatError,
    DATA_FOLDER_LOCKED: DataFolderLockedError,
    DATA_FOLDER_READ_ONLY: DataFolderReadOnlyError,
    DATA_DAMAGED: DataDamagedError,
    UNKNOWN_OUTCOME: UnknownOutcomeError,
    EFFECT_TIMEOUT: EffectTimeoutError,
    FRAME_REFUSED: FrameError,
    INVALID_MESSAGE: InvalidMessageError,
    INVALID_SUBJECT: InvalidSubjectError,
    MALFORMED_CLOUD_EVENT: MalformedCloudEventError,
    CONTRACT_VIOLATION: ContractViolationError,
    INVALID_CONTRACT: InvalidContractError,
    INCOMPATIBLE_CONTRACT: IncompatibleContractError,
    INVALID_SCHEDULE: InvalidScheduleError,
    NO_SUBSCRIBER: NoSubscriberError,
    NO_HANDLER: NoHandlerError,
    REQUEST_TIMEOUT: RequestTimeoutError,
    ACK_TIMEOUT: AckTimeoutError,
    QUEUE_FULL: QueueFullError,
    BROKER_UNAVAILABLE: BrokerUnavailableError,
    BROKER_CONFIGURATION: BrokerConfigurationError,
    BROKER_CLOSED: BrokerClosedError,
    MISSING_PACKAGE: MissingPackageError,
    CIRCUIT_OPEN: CircuitOpenError,
    BULKHEAD_FULL: BulkheadFullError,
    RATE_LIMITED: RateLimitedError,
    CONNECTOR_UNAVAILABLE: ConnectorUnavailableError,
    REMOTE_REFUSED: RemoteRefusedError,
    REMOTE_FAILED: RemoteFailedError,
    UNKNOWN_TARGET: UnknownTargetError,
    INVALID_WORKFLOW: InvalidWorkflowError,
    EXPRESSION_FAILED: ExpressionError,
    UNKNOWN_WORKFLOW: UnknownWorkflowError,
    UNKNOWN_RUN: UnknownRunError,
    RUN_CONFLICT: RunConflictError,
    RUN_REFUSED: RunRefusedError,
    UNKNOWN_TOKEN: UnknownTokenError,
    TOKEN_USED: TokenUsedError,
    WORKFLOW_FAILED: WorkflowFailedError,
    WORKFLOW_CANCELLED: WorkflowCancelledError,
  }),
);

/** The error that `encoded` was made from: of its class when it is one of ours, else a `RemoteError`. */
export function decodeError(encoded: EncodedError): BlocksError {
  const options = {
    ...(encoded.cause === undefined ? {} : { cause: decodeError(encoded.cause) }),
    details: { ...encoded.details },
  };
  const Class = CLASSES.get(encoded.code);
  const error =
    Class !== undefined && Class.name === encoded.name
      ? new Class(encoded.message, options)
      : new RemoteError(encoded.name, encoded.code, encoded.message, options);
  if (encoded.stack !== undefined) error.stack = encoded.stack;
  return error;
}
