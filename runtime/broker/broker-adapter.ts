/**
 * The port between `MessageBroker` and what keeps its messages: LMDB by way of actors, Redis Streams, NATS JetStream, a test's own.
 *
 * Owns: the contract. Envelopes, contracts, tracing, handlers, retry decisions and redriving are the broker's, and the same for all
 * adapters; an adapter keeps, hands out and settles. `test/contract/broker.ts` is the suite that each must pass.
 *
 * Invariants:
 * BA1. What `accept` has resolved for is kept until it is settled as handled or dead, or has expired, whatever dies meanwhile.
 * BA2. A message whose idempotency key (or id) was accepted within the window is not accepted again: `duplicate`.
 * BA3. What was handed out and not settled is handed out again, to anyone, when its consumer is gone: soon after the end of its
 *      connection, where the adapter hears of that, and at the latest `ackTimeoutMs` after its last sign of life. Then settling it by the
 *      old hand-out is without effect. A living consumer keeps what it has: the broker itself settles a message whose handler takes
 *      longer than `ackTimeoutMs`.
 * BA4. Messages are handed out in the order of their acceptance, per source; one that waits for its next try holds back what has its key
 *      (`order: 'hold'`).
 *      What the broker gives back (`released`) comes again in its old place, as the same attempt. The broker gives back what has the key
 *      of a message that is to be tried again, as long as the settling of that one is under way. The adapter itself takes back what else
 *      of that key is handed out when it settles it, or something that is given back a moment later would come behind its followers.
 * BA5. `settle` resolves once the outcome is as durable as the adapter's `accept`.
 * BA6. A message that kills its process does not do it for ever, and none dies for being in the hands of a process that another one
 *      killed. An adapter that can, counts hand-outs whose consumer died apart from those that failed (`lost`), and hands out a message
 *      that was lost `SUSPECT_AFTER_LOST` times alone: nothing else of the subscription is out with that consumer. An adapter that cannot
 *      tell the two leaves `lost` out, counts both as attempts, and does not count what was given back: the runner then handles a
 *      message in its last attempt alone, and gives back everything else before.
 */
import type { CellKey } from '../kernel/address.ts';
import type { EncodedError } from '../kernel/errors.ts';
import type { Message } from './contract/message.ts';
import type { RetainedPositions, StartFrom } from './contract/broker-contract.ts';
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
  /** Decodes the payload; default: `decodeValue` of it. */
  readPayload?(): unknown;
  /** 1 for the first try. Where `lost` is known: one more than it has failed. */
  readonly attempt: number;
  /** How often it was handed out to a process that died before it was settled; undefined: the adapter counts such as attempts. */
  readonly lost?: number;
  /** How often it was sent again from the dead letters. Default 0. */
  readonly redrives?: number;
  readonly firstDeliveredMs: number;
  /** The adapter's own way to find it again. */
  readonly token: unknown;
}

/** Lost so often, a message may be what killed its process, and is handed out alone. */
export const SUSPECT_AFTER_LOST = 2;

/** What came of a hand-out. Replies are encoded as payloads are. */
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

/** That there is a new dead letter. */
export interface DeadLetterNotice {
  readonly id: string;
  readonly messageId: string;
  readonly subscription: string;
  readonly reason: DeadReason;
  readonly error: EncodedError;
  readonly attempts: number;
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
  /** Of a duplicate: the id of the message that was accepted before. */
  readonly id?: string | undefined;
  /** Names of the durable subscriptions that it is for. */
  readonly subscriptions: readonly string[];
  /** It has ended everywhere already: whoever handled it did so in the same commit, and has not answered. */
  readonly ended?: boolean;
  /** How many that `listen` heard it, where that is known. */
  readonly listeners?: number;
  /** The adapter's own way to find it again: given to `settled`. */
  readonly token?: unknown;
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
  /** A message has become a dead letter without being settled so: it has expired, mostly. */
  dead(notice: DeadLetterNotice): void;
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
  /**
   * `accept` of a payload that is not bytes yet, for an adapter that packs it right into what it sends, in the call. Resolves with what
   * `done` makes of the acceptance, which saves a promise a message.
   */
  acceptValue?<T>(
    header: CarriedMessage['header'],
    payload: unknown,
    done: (header: CarriedMessage['header'], accepted: Accepted) => T,
  ): Promise<T>;
  /** At most once: to whoever listens now, in any process. Resolves with how many heard it; undefined where that is not known. */
  broadcast(message: CarriedMessage): Promise<number | undefined>;
  /**
   * Hears what is broadcast, and what is accepted, from now on; of those with one `queue` only one hears each message. With `isOfKept:
   * false` it may be left out where a message is accepted.
   */
  listen(
    pattern: string,
    queue: string | undefined,
    hear: (message: CarriedMessage) => void,
    isOfKept?: boolean,
  ): Promise<() => Promise<void>>;

  /** Joins a durable subscription, which is made when it is new. One that exists with another pattern is refused. */
  subscribe(spec: SubscriptionSpec, deliver: (handOuts: readonly HandOut[]) => void): Promise<AdapterConsumer>;
  /** Ends a durable subscription for good, with what waits for it. */
  unsubscribe(name: string): Promise<void>;
  /** Durable subscriptions by name, with their pattern and how many messages are accepted and not settled. */
  subscriptions(): Promise<
    ReadonlyMap<string, { readonly pattern: string; readonly waiting: number; readonly dead: number }>
  >;

  receipt(id: string): Promise<ReceiptState | undefined>;
  /** Resolves when `id` is settled everywhere; rejects with the reason of `signal`, if there is one. `token` is that of its `Accepted`, if at hand. */
  settled(id: string, signal: AbortSignal | undefined, token?: unknown): Promise<ReceiptState>;

  deadLetters(query: DeadLetterQuery): Promise<readonly DeadLetterRecord[]>;
  /**
   * Puts dead letters back at the end of their subscription, as new, counted; not those that have been redriven `redrivesLimit` times.
   * Resolves with how many there were.
   */
  redrive(ids: readonly string[], redrivesLimit: number): Promise<number>;
  purge(ids: readonly string[]): Promise<number>;

  /** Keeps messages of these subjects for subscriptions that begin in the past. */
  retain(pattern: string, limits: { readonly messages?: number; readonly ageMs?: number }): Promise<void>;
  /** Patterns that are retained, with where each begins and goes on. */
  retained(): Promise<ReadonlyMap<string, RetainedPositions>>;
  readonly records: AdapterRecords;

  /**
   * Only where messages and actors are kept in one journal: a subscription's messages are handed to an actor from now on, each in one
   * turn of it, or (undefined) to functions again.
   */
  direct?(name: string, actor: CellKey | undefined): Promise<void>;
  /** Only there: what actors have sent to the exchange (`exchangeOf`), as drafts. */
  outgoing?(deliver: (handOuts: readonly HandOut[]) => void): AdapterConsumer;
  close(): Promise<void>;
}
