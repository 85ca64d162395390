/**
 * The port between `MessageBroker` and what keeps its messages: LMDB by way of actors, Redis Streams, NATS JetStream, a test's own.
 *
 * Owns: the contract. Envelopes, contracts, tracing, handlers, retry decisions and redriving are the broker's, and the same for all
 * adapters; an adapter keeps, hands out and settles. `test/contract/broker.ts` is the suite that each must pass.
 *
 * Invariants:
 * BA1. What `accept` has resolved for is kept until it is settled as handled or dead, or has expired, whatever dies meanwhile.
 * BA2. A message whose idempotency key (or id) was accepted within the window is not accepted again: `duplicate`.
 * BA3. What was handed out and not settled is handed out again, to anyone, when its consumer is gone or its `ackTimeoutMs` is over; then
 *      settling it by the old hand-out is without effect.
 * BA4. Messages are handed out in the order of their acceptance, per source; one that waits for its next try holds back what has its key
 *      (`order: 'hold'`).
 * BA5. `settle` resolves once the outcome is as durable as the adapter's `accept`.
 */
import type { EncodedError } from '../kernel/errors.ts';
import type { Message } from './contract/message.ts';
import type { StartFrom } from './contract/broker-contract.ts';
import type { ReceiptState } from './contract/receipt.ts';

/** A message as adapters carry it: nobody but sender and handler looks into the payload. */
export interface CarriedMessage {
  readonly header: Omit<Message, 'payload'>;
  readonly payload: Uint8Array;
}

export interface SubscriptionSpec {
  readonly name: string;
  readonly pattern: string;
  readonly from: StartFrom;
  readonly waitingLimit: number;
  readonly order: 'hold' | 'pass';
  readonly ackTimeoutMs: number;
}

/** A message that was handed to a consumer, and not settled yet. */
export interface HandOut {
  readonly message: CarriedMessage;
  /** 1 for the first try. */
  readonly attempt: number;
  readonly firstDeliveredMs: number;
  /** The adapter's own way to find it again. */
  readonly token: unknown;
}

/** What came of a hand-out. */
export type Outcome =
  | { readonly kind: 'handled'; readonly reply?: Uint8Array }
  /** Hand it out again after `delayMs`, as the next attempt. */
  | { readonly kind: 'retry'; readonly delayMs: number; readonly error: EncodedError }
  /** Set it aside. */
  | { readonly kind: 'dead'; readonly reason: DeadReason; readonly error: EncodedError }
  /** Not begun: as if it had not been handed out. */
  | { readonly kind: 'released' };

export type DeadReason = 'attempts' | 'expired' | 'refused' | 'contract' | 'undecodable';

export interface DeadLetterRecord {
  /** Of the letter; a message may be dead in several subscriptions. */
  readonly id: string;
  readonly subscription: string;
  readonly message: CarriedMessage;
  readonly reason: DeadReason;
  readonly error: EncodedError;
  readonly attempts: number;
  readonly firstDeliveredMs: number;
  readonly deadMs: number;
  /** How often it was sent again. */
  readonly redrives: number;
}

export interface DeadLetterQuery {
  readonly subscription?: string;
  readonly subjectPattern?: string;
  readonly type?: string;
  readonly reason?: DeadReason;
  readonly errorCode?: string;
  readonly deadAfterMs?: number;
  readonly deadBeforeMs?: number;
  readonly limit: number;
  /** Id of the last one of the page before. */
  readonly after?: string;
}

export interface Accepted {
  readonly duplicate: boolean;
  /** Names of the durable subscriptions that it is for. */
  readonly subscriptions: readonly string[];
}

/** Somebody's end of a durable subscription. */
export interface AdapterConsumer {
  /** Asks for `count` more hand-outs: the only way to get any. */
  request(count: number): void;
  settle(handOut: HandOut, outcome: Outcome): Promise<void>;
  /** Gives back what was handed out and not settled. */
  close(): Promise<void>;
}

export interface AdapterEvents {
  /** The connection is lost or there again: what is under way is tried again by the adapter itself. */
  connection(state: 'up' | 'down', error?: Error): void;
  /** Something that nobody asked for failed. */
  failed(error: Error): void;
}

/** Small records of the broker's own, by name: schedules, retention. */
export interface AdapterRecords {
  put(kind: string, name: string, value: unknown): Promise<void>;
  list(kind: string): Promise<ReadonlyMap<string, unknown>>;
  delete(kind: string, name: string): Promise<boolean>;
}

export interface BrokerAdapter {
  readonly kind: string;
  /** @throws BrokerUnavailableError, BrokerConfigurationError, MissingPackageError */
  open(events: AdapterEvents): Promise<void>;

  /** Keeps a message for every durable subscription whose pattern matches, and for retained subjects. */
  accept(message: CarriedMessage): Promise<Accepted>;
  /** At most once: to whoever listens now, in any process. How many did is not known to all adapters. */
  broadcast(message: CarriedMessage): Promise<void>;
  /** Hears what is broadcast, and what is accepted, from now on; of those with one `queue` only one hears each message. */
  listen(
    pattern: string,
    queue: string | undefined,
    hear: (message: CarriedMessage) => void,
  ): Promise<() => Promise<void>>;

  /** Joins a durable subscription, which is made when it is new. One that exists with another pattern is refused. */
  subscribe(spec: SubscriptionSpec, deliver: (handOuts: readonly HandOut[]) => void): Promise<AdapterConsumer>;
  /** Ends a durable subscription for good, with what waits for it. */
  unsubscribe(name: string): Promise<void>;
  /** Durable subscriptions by name, with their pattern and how many messages wait. */
  subscriptions(): Promise<
    ReadonlyMap<string, { readonly pattern: string; readonly waiting: number; readonly dead: number }>
  >;

  receipt(id: string): Promise<ReceiptState | undefined>;
  /** Resolves when `id` is settled everywhere; the caller's signal ends the wait. */
  settled(id: string, signal: AbortSignal): Promise<ReceiptState>;

  deadLetters(query: DeadLetterQuery): Promise<readonly DeadLetterRecord[]>;
  /** Puts dead letters back at the end of their subscription, as new, counted. Resolves with how many there were. */
  redrive(ids: readonly string[]): Promise<number>;
  purge(ids: readonly string[]): Promise<number>;

  /** Keeps messages of these subjects for subscriptions that begin in the past. */
  retain(pattern: string, limits: { readonly messages?: number; readonly ageMs?: number }): Promise<void>;
  readonly records: AdapterRecords;
  close(): Promise<void>;
}
