/**
 * Messages between systems: the envelope, and what a sender may leave out of it.
 *
 * Owns: the shapes and their meaning. Making a whole message of a draft is `message-broker.ts`, bytes are `message-codec.ts`,
 * CloudEvents `cloud-events.ts`. Not to be mistaken for the kernel's `Envelope`, which travels between cells.
 *
 * Invariants:
 * BM1. An id names one message for ever: whoever sees it twice has seen the same message.
 * BM2. `correlationId` is the same for all messages that follow from one; `causationId` is the id of the message that one follows from.
 */
import type { Backoff } from '../../kernel/backoff.ts';
import type { EncodedError } from '../../kernel/errors.ts';

/** What a message asks of its receiver. */
export type MessageKind =
  /** Do something; one system is meant (`target`). */
  | 'COMMAND'
  /** Something has happened; whoever is interested hears of it. */
  | 'EVENT'
  /** Tell me something; changes nothing; one system is meant. */
  | 'QUERY'
  /** The answer to a COMMAND or a QUERY. */
  | 'RESPONSE';

/** What is promised about how often a message is handled. */
export type DeliveryGuarantee =
  /** Kept nowhere: lost with whoever holds it, and not tried again when a handler fails. For what is out of date at once. */
  | 'AT_MOST_ONCE'
  /** Kept until a handler has finished with it; tried again with backoff; may be handled twice around a crash. */
  | 'AT_LEAST_ONCE'
  /**
   * At least once, plus durable deduplication by id or idempotency key, plus a receipt; the outcome of the handler and the end
   * of the message are one commit. What the handler does elsewhere is its own: give the message's id to the other side as the key.
   */
  | 'EXACTLY_ONCE';

/** How often and when a message is tried again. */
export interface RetryPolicy extends Backoff {
  /** Tries in all. Default 3 (`MAX_RETRY_ATTEMPTS`). */
  readonly maxAttempts?: number;
}

/** The policy that a message brings along. */
export interface MessageRetryPolicy extends RetryPolicy {
  /**
   * What becomes of a message whose last try has failed: a dead `letter` (default), or an `answer`: its receipt says handled, with the error
   * as `failureOf(reply)` reads it, and nothing is set aside. For senders that wait for the receipt, and try again by a policy of their own.
   * One that expires, or breaks its contract, is a dead letter all the same.
   */
  readonly whenExhausted?: 'letter' | 'answer';
}

/** The reply of a message whose tries were used up, with `whenExhausted: 'answer'`. */
export interface FailureReply {
  readonly failure$: EncodedError;
}

/** The error in a reply; undefined: it is what the handler returned. */
export function failureOf(reply: unknown): EncodedError | undefined {
  return typeof reply === 'object' && reply !== null && 'failure$' in reply
    ? (reply as FailureReply).failure$
    : undefined;
}

/** Extension attributes of CloudEvents that are none of ours. */
export type MessageExtensions = Readonly<Record<string, string | number | boolean>>;

/** A whole message, as handlers get it: plain data. */
export interface Message<TPayload = unknown> {
  readonly id: string;
  readonly kind: MessageKind;
  /** What it is: the action of a command, the name of a query, the type of an event. */
  readonly type: string;
  /** Where it is published: tokens between dots, no wildcards. */
  readonly subject: string;
  /** The system that sent it. */
  readonly source: string;
  /** The system that is meant: of commands and queries. */
  readonly target?: string;
  readonly payload: TPayload;
  /** When it was published, ms since 1970. */
  readonly timeMs: number;
  /** After this it is dead, wherever it is. */
  readonly expiresAtMs?: number;
  /** It is not delivered earlier. */
  readonly notBeforeMs?: number;
  readonly correlationId: string;
  readonly causationId?: string;
  /** Subject for the answer. */
  readonly replyTo?: string;
  readonly delivery: DeliveryGuarantee;
  /** Messages of one key are handled one after another, in order, also through retries. Default: the source. */
  readonly key?: string;
  /** Two messages of one key are the same message: the second is not handled. Default: the id. */
  readonly idempotencyKey?: string;
  readonly retry?: MessageRetryPolicy;
  /** Version of the contract that it was checked against. */
  readonly contractVersion?: number;
  /** W3C trace context. */
  readonly traceparent?: string;
  readonly tracestate?: string;
  readonly extensions?: MessageExtensions;
}

/** What a sender gives. Everything but `type` has a default. */
export interface MessageDraft<TPayload = unknown> {
  readonly type: string;
  readonly payload?: TPayload;
  /** Default: a new UUID (version 7). Give one to be able to publish the same message again. */
  readonly id?: string;
  /** Default: COMMAND with a `target`, else EVENT. */
  readonly kind?: MessageKind;
  /** Default: `$command.<target>.<type>`, `$query.<target>.<type>`; of events: `type`. */
  readonly subject?: string;
  /** Default: the broker's name. */
  readonly source?: string;
  readonly target?: string;
  /** Default: `MESSAGE_TTL_SECONDS`, or none. */
  readonly ttlMs?: number;
  /** Not before so long. */
  readonly delayMs?: number;
  readonly notBeforeMs?: number;
  /** Default: that of the message being handled, else the id. */
  readonly correlationId?: string;
  readonly causationId?: string;
  readonly replyTo?: string;
  /** Default: EVENT, COMMAND: AT_LEAST_ONCE; QUERY, RESPONSE: AT_MOST_ONCE. */
  readonly delivery?: DeliveryGuarantee;
  readonly key?: string;
  readonly idempotencyKey?: string;
  readonly retry?: MessageRetryPolicy;
  readonly contractVersion?: number;
  readonly traceparent?: string;
  readonly tracestate?: string;
  readonly extensions?: MessageExtensions;
}
