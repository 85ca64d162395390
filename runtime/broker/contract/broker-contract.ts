/**
 * What connectors, workflows and other plug-ins need of a broker. `MessageBroker` is it.
 *
 * Owns: the contract of publishing and subscribing. How it is done is `message-broker.ts` and its adapters.
 *
 * Invariants:
 * BC1. Messages of one source to one subscription are delivered in the order in which their `publish` calls were made, also through
 *      retries, per key; with `order: 'pass'`, and between keys, others may overtake one that is tried again.
 * BC2. A sender always learns: `publish` rejects, or its receipt ends as handled or dead.
 */
import type { Message, MessageDraft, RetryPolicy } from './message.ts';
import type { Receipt, ReceiptState } from './receipt.ts';

/** What a handler is told beside the message. */
export interface DeliveryContext {
  /**
   * 1 for the first try; one more for each that failed: the handler threw, or took longer than `ackTimeoutMs`. A try whose process died is
   * not counted, so this may be the second time although it says 1.
   */
  readonly attempt: number;
  /** How often it was sent again from the dead letters. 0 for most. */
  readonly redrives: number;
  /** Name of the subscription. */
  readonly subscription: string;
  /** Aborts when the subscription or the broker closes, and at `ackTimeoutMs`. */
  readonly signal: AbortSignal;
  /** Publishes as a consequence of this message: correlation, causation and trace follow on. */
  publish(draft: MessageDraft): Promise<Receipt>;
}

/** Handles one message. What it returns is the reply to a request; what it throws is tried again, by policy. */
export type MessageHandler<TPayload = unknown> = (message: Message<TPayload>, context: DeliveryContext) => unknown;

/** Where a subscription that is new begins. */
export type StartFrom = 'now' | 'beginning' | { readonly position: number } | { readonly timeMs: number };

/** Where retained messages begin, and where the next one will be: positions for `from`. */
export interface RetainedPositions {
  /** Of the oldest that is there; as `nextPosition` when there is none. */
  readonly firstPosition: number;
  readonly nextPosition: number;
}

export interface SubscribeOptions {
  /**
   * A name makes it durable: messages are kept for it while nobody listens, and it goes on where it was. All who subscribe under one
   * name share its messages (a work queue). Without a name it ends with this process, and gets what comes while it lives.
   */
  readonly name?: string;
  /** Subscriptions without a name that share their messages among each other, AT_MOST_ONCE. */
  readonly queue?: string;
  /** Of a durable one that is new. What is older than now is there for subjects that are retained. Default `now`. */
  readonly from?: StartFrom;
  /** Messages that this handler may have at a time. Default 1; those of one key never beside each other. */
  readonly concurrency?: number;
  /** When so many wait, `publish` rejects with QueueFullError. Default 1,000,000. */
  readonly waitingLimit?: number;
  /** For messages without a policy of their own. */
  readonly retry?: RetryPolicy;
  /** What follows a message that is tried again: `hold` what has its key (default), or let it `pass`. */
  readonly order?: 'hold' | 'pass';
  /** How long a handler may take before its message is given to another. Default 30,000. */
  readonly ackTimeoutMs?: number;
}

/** Their names. */
export const SUBSCRIBE_OPTIONS: readonly (keyof SubscribeOptions)[] = [
  'name',
  'queue',
  'from',
  'concurrency',
  'waitingLimit',
  'retry',
  'order',
  'ackTimeoutMs',
];

export interface Subscription extends AsyncDisposable {
  readonly name: string;
  readonly pattern: string;
  /** Ends listening once what is being handled is finished. A durable one keeps its place and its messages. */
  close(): Promise<void>;
  /** Ends it for good: what waits for it is dropped. */
  delete(): Promise<void>;
}

export interface RequestOptions {
  /** Default 5,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface Broker {
  readonly name: string;
  /**
   * Accepts a message: on disk when this resolves, for AT_LEAST_ONCE and EXACTLY_ONCE.
   *
   * @throws InvalidMessageError, InvalidSubjectError, ContractViolationError, MessageTooLargeError, NoSubscriberError (a command that
   *   nobody takes), QueueFullError, BrokerUnavailableError
   */
  publish(draft: MessageDraft): Promise<Receipt>;
  /**
   * Publishes and resolves with what the handler returned. An answer that comes too late is reported, not given.
   *
   * @throws RequestTimeoutError, NoHandlerError (a query that nobody takes), the handler's error, and what `publish` throws
   */
  request<TReply = unknown>(draft: MessageDraft, options?: RequestOptions): Promise<TReply>;
  /** @throws InvalidSubjectError, InvalidOptionsError (with all faults) */
  subscribe<TPayload = unknown>(
    pattern: string,
    handler: MessageHandler<TPayload>,
    options?: SubscribeOptions,
  ): Promise<Subscription>;
  /** What became of a message that was published earlier, also before a restart; undefined when it is not known any more. */
  receipt(id: string): Promise<ReceiptState | undefined>;
  /** Durable subscriptions by name, of all processes, where the broker can tell. */
  subscriptions?(): Promise<ReadonlyMap<string, { readonly pattern: string }>>;
}
