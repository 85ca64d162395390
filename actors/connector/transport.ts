/**
 * The port between a connector and a system that is not behind the same broker: reached by HTTP, by another broker, in this process, or
 * in a way of one's own.
 *
 * Owns: the contract. A transport carries one message at a time and tells whether the other side is there; when to connect, to wait and
 * to give up is the connector's.
 *
 * Invariants:
 * CT1. `deliver` resolves once the other side has taken the message over: it may be dropped here. What it rejects with is tried again
 *      when it is `retryable`; `ConnectorUnavailableError` means that the connection, not the message, is at fault.
 * CT2. The same message may be delivered twice. Its `id` is the same each time: give it to the other side as its idempotency key.
 */
import type { Message } from '../../runtime/broker/contract/message.ts';
import type { Clock } from '../../runtime/kernel/clock.ts';

export interface TransportContext {
  /** The system that the transport leads to. */
  readonly system: string;
  readonly clock: Clock;
  /** Aborts when connecting takes too long. */
  readonly signal: AbortSignal;
  /** To be called when the connection is lost while it is open. */
  lost(error: Error): void;
}

export interface DeliverOptions {
  /** Aborts at the deadline, and when the connector is closed. */
  readonly signal: AbortSignal;
  /** What is left of the time that the receiver of the reply waits, ms; undefined when nobody waits for one. */
  readonly replyWithinMs: number | undefined;
}

export interface ConnectorTransport {
  /** `http`, `broker`, `handlers`, or a word of one's own: for display. */
  readonly kind: string;
  /** @throws ConnectorUnavailableError */
  open(context: TransportContext): Promise<void>;
  /** Hands a message to the other side. What it resolves with is the reply, if one is waited for. */
  deliver(message: Message, options: DeliverOptions): Promise<unknown>;
  /** Resolves when the other side is well. Without it, an open connection counts as healthy. */
  check?(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
