/**
 * What is said between the embedded adapter and its actors.
 *
 * Owns: the forms and names. Lists of numbers and tuples, not objects with names: tens of thousands of them a second are packed, written
 * to disk twice and unpacked. Nobody outside `adapters/embedded-*` sees them.
 */
import { type CellKey, keyOf } from '../../kernel/address.ts';
import type { EncodedError } from '../../kernel/errors.ts';
import type { DeadReason } from '../broker-adapter.ts';
import type { HandledRuns, PackedBatch } from './embedded-batch.ts';
import type { WireEnd } from './embedded-record.ts';

export const QUEUE = 'broker-queue';
export const SEGMENT = 'broker-segment';
export const LETTERS = 'broker-letters';
export const LETTER = 'broker-letter';
export const STREAM = 'broker-stream';
export const REGISTRY = 'broker-registry';
export const EXCHANGE = 'broker-exchange';
/** The queue that brokers publish from what actors have sent. No subscription may be called so. */
export const EXCHANGE_QUEUE = '$exchange';

export const queueKey = (broker: string, subscription: string): CellKey => keyOf(QUEUE, `${broker}.${subscription}`);
export const streamKey = (broker: string, pattern: string): CellKey => keyOf(STREAM, `${broker}.${pattern}`);
export const lettersKey = (queue: CellKey): CellKey => keyOf(LETTERS, queue.slice(QUEUE.length + 1));
export const segmentKey = (owner: CellKey, number: number): CellKey => keyOf(SEGMENT, `${owner}.${number}`);
export const letterKey = (letters: CellKey, slot: number): CellKey => keyOf(LETTER, `${letters}.${slot}`);

/** A message for a queue on its own: id, key, deduplication key if it is not the id, expiry and earliest time (0: none), what was packed. */
export type WireMessage = readonly [
  id: string,
  key: string,
  dedupe: string | null,
  expiresAtMs: number,
  notBeforeMs: number,
  bytes: Uint8Array,
];

/** What a queue says of a message: its number; 0 when there is no room; the id of the message that was accepted before it. */
export type Verdict = number | string;

/** Outcomes that say more than that it was handled. */
export type WireOutcome =
  | readonly [seq: number, lease: number, kind: 'handled', reply: Uint8Array]
  | readonly [seq: number, lease: number, kind: 'retry', delayMs: number, error: EncodedError]
  | readonly [seq: number, lease: number, kind: 'dead', reason: DeadReason, error: EncodedError]
  | readonly [seq: number, lease: number, kind: 'released'];

/** How far a message has come, as a queue remembers it. */
export interface WireStatus {
  readonly status: 'accepted' | 'delivered' | 'handled' | 'dead';
  readonly atMs: number;
  readonly attempt: number;
  readonly reply?: Uint8Array | undefined;
  readonly error?: EncodedError | undefined;
}

export interface QueueSpec {
  readonly order: 'hold' | 'pass';
  readonly waitingLimit: number;
  /** Messages that are remembered after their acceptance: for duplicates and receipts. */
  readonly rememberedLimit: number;
  readonly lettersLimit: number;
}

export type QueueMessage =
  /** `instance` is the run that consumers belong to: what those of another run have is handed out again. */
  | { readonly type: 'OPEN'; readonly instance: string; readonly spec: QueueSpec }
  | { readonly type: 'ACCEPT'; readonly messages: readonly WireMessage[] }
  /** `isKept`: whoever sends it keeps the bytes for its own consumers, until they are handed out. */
  | { readonly type: 'BATCH'; readonly batch: PackedBatch; readonly isKept: boolean }
  /** What an actor took directly, and how it ended there. */
  | { readonly type: 'RECORD'; readonly ends: readonly WireEnd[] }
  | { readonly type: 'PULL'; readonly consumer: string; readonly count: number }
  | {
      readonly type: 'SETTLE';
      readonly consumer: string;
      /** Those that were handled and have no reply. */
      readonly handled: HandledRuns;
      readonly other: readonly WireOutcome[];
      readonly count: number;
    }
  /** The bytes of messages that are handed out, by number and lease, one after the other. */
  | { readonly type: 'BYTES'; readonly leases: readonly number[] }
  | { readonly type: 'CLOSE'; readonly consumer: string }
  | { readonly type: 'STATE'; readonly ids: readonly string[] }
  | { readonly type: 'REQUEUE'; readonly letter: WireLetter }
  | { readonly type: 'DELETE' };

/** Everything about a dead letter. */
export interface WireLetter {
  readonly id: string;
  readonly messageId: string;
  readonly key: string;
  readonly dedupe: string | null;
  readonly bytes: Uint8Array;
  readonly reason: DeadReason;
  readonly error: EncodedError;
  readonly attempts: number;
  readonly firstMs: number;
  readonly deadMs: number;
  readonly redrives: number;
  /** No consumer has said so: the queue found that it has expired. */
  readonly unasked: boolean;
}

export type LettersMessage =
  | { readonly type: 'ADD'; readonly letters: readonly WireLetter[]; readonly limit: number }
  /** Newest last. `after`: id of the last one of the page before. */
  | { readonly type: 'LIST'; readonly after: string | null; readonly count: number }
  | { readonly type: 'REDRIVE'; readonly ids: readonly string[]; readonly redrivesLimit: number }
  | { readonly type: 'PURGE'; readonly ids: readonly string[] }
  | { readonly type: 'CLEAR' };

export interface LettersPage {
  readonly slots: readonly number[];
  readonly more: boolean;
}

export type LetterMessage =
  | { readonly type: 'PUT'; readonly letter: WireLetter }
  | { readonly type: 'GET' }
  | { readonly type: 'REDRIVE'; readonly queue: CellKey }
  | { readonly type: 'CLEAR' };

/** Some of a queue's or a stream's messages, set aside; the form is the owner's. */
export type SegmentMessage =
  | { readonly type: 'PUT'; readonly entries: readonly unknown[] }
  | { readonly type: 'TAKE' }
  | { readonly type: 'DROP' };

/** How much of a retained subject is kept. */
export interface RetentionLimits {
  readonly messages?: number;
  readonly ageMs?: number;
}

/** A retained message: its position, and when it was accepted. */
export type WireRetained = readonly [position: number, atMs: number, message: WireMessage];

export type StreamMessage =
  | { readonly type: 'OPEN'; readonly limits: RetentionLimits }
  | { readonly type: 'BATCH'; readonly batch: PackedBatch }
  | { readonly type: 'READ'; readonly position: number }
  | { readonly type: 'POSITIONS' };

export interface StreamPage {
  /** Of the next message that will be accepted. */
  readonly next: number;
  /** Where this page begins, and what is older than this is gone. */
  readonly position: number;
  readonly leastMs: number;
  /** The segment that has it, or -1: it is in `entries`. */
  readonly segment: number;
  /** Where the page after this one begins. */
  readonly after: number;
  readonly entries: readonly WireRetained[];
}

export type RegistryMessage =
  | { readonly type: 'PUT'; readonly kind: string; readonly name: string; readonly value: unknown }
  | { readonly type: 'LIST'; readonly kind: string }
  | { readonly type: 'DELETE'; readonly kind: string; readonly name: string };

/** Messages of one hand-out, or of one call of `accept`. */
export const BATCH_MESSAGES = 512;
/** Their bytes; a larger message goes alone. */
export const BATCH_BYTES = 512 << 10;
/** What is reckoned for an error, with its stack. */
export const ERROR_BYTES = 4 << 10;
