/**
 * Receipts: what became of a message, as its sender can learn now and later.
 *
 * Owns: the shapes. Where receipts are kept, and how long, is each adapter's.
 *
 * Invariants:
 * RC1. A status only moves on: accepted, delivered, then handled or dead. A redriven dead letter is accepted again.
 */
import type { EncodedError } from '../../kernel/errors.ts';

/** How far a message has come at one subscription. */
export type DeliveryStatus =
  /** Kept: it will be delivered. */
  | { readonly status: 'accepted'; readonly atMs: number }
  /** A handler has it, for the `attempt`th time, or it waits for the next one. */
  | { readonly status: 'delivered'; readonly atMs: number; readonly attempt: number }
  /** A handler has finished with it. */
  | { readonly status: 'handled'; readonly atMs: number; readonly attempt: number; readonly reply?: unknown }
  /** Set aside: see `broker.deadLetters`. */
  | { readonly status: 'dead'; readonly atMs: number; readonly attempt: number; readonly error: EncodedError };

/** How far a message has come, everywhere. */
export interface ReceiptState {
  readonly id: string;
  /** `dead` if it is anywhere; else the least of all. With no subscription: `accepted`. */
  readonly status: DeliveryStatus['status'];
  /** By name of the subscription. */
  readonly subscriptions: Readonly<Record<string, DeliveryStatus>>;
}

/** What `publish` resolves with once the message is accepted: for AT_LEAST_ONCE and EXACTLY_ONCE it is on disk then. */
export interface Receipt {
  readonly id: string;
  /** A message of this id or idempotency key was accepted before: this one was dropped. */
  readonly duplicate: boolean;
  /** Subscriptions that it went to. */
  readonly subscriptions: number;
  /**
   * Resolves when it is handled or dead everywhere.
   *
   * @throws RequestTimeoutError
   */
  settled(options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal }): Promise<ReceiptState>;
  /** How far it has come by now. */
  state(): Promise<ReceiptState>;
}
