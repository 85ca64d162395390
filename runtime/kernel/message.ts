/**
 * A message on its way to a cell: its identity, its lane, its content.
 *
 * Owns: the shapes. Knows nothing of mailboxes, links or bytes.
 *
 * Invariants:
 * M1. Ids of one stream and lane grow: `position` first, then `index`. A receiver that has consumed an id has consumed, or never
 *     will see, every smaller one of that stream and lane. One watermark per (stream, lane) is therefore all the memory that
 *     deduplication needs.
 * M2. A message without an id is delivered at most once: its sender keeps no record of it.
 */
import type { CellKey } from './address.ts';
import type { EncodedError } from './errors.ts';
import type { ExitReason } from './exit.ts';

/** `signal` messages (stop, watch, terminated, …) never wait behind `user` messages. */
export type Lane = 'user' | 'signal';

/**
 * Where a message with an id came from. A host's slot number is the stream of everything that its cells send; each run of a
 * system has one more for the messages from outside.
 */
export type Stream = number;

/** Identity of a message: the turn that sent it and its place among that turn's sends. From outside: a counter and 0. */
export interface MessageId {
  readonly stream: Stream;
  readonly position: number;
  readonly index: number;
}

/** Where an answer goes: to a call waiting outside, or to a cell as a `reply` signal. */
export type ReplyTo =
  | { readonly kind: 'outside'; readonly call: number; readonly run: number; readonly idempotencyKey?: string }
  | { readonly kind: 'cell'; readonly key: CellKey; readonly ask: string; readonly idempotencyKey?: string };

/** What a cell is told by the runtime or another cell, as opposed to what its users say. */
export type ControlMessage =
  | {
      readonly kind: 'spawn';
      /** Path of inline logic below the root's definition; empty for a root. Absent: as before, parent and reports too (`resume` only). */
      readonly logic?: readonly string[];
      readonly input: unknown;
      readonly parent?: CellKey;
      readonly childId?: string;
      /** Which start of this child by its parent it is: the parent's turn. Its end says the same. */
      readonly incarnation?: number;
      /** What the child tells its parent besides its end: 1 its snapshots, 2 its emitted events, 3 both. */
      readonly reports?: number;
      /** What to do when the cell already lives: refuse, leave it, or start a stopped one again from its last good state. */
      readonly ifExists: 'refuse' | 'attach' | 'resume' | 'reset';
    }
  | { readonly kind: 'stop'; readonly reason: ExitReason }
  | { readonly kind: 'watch'; readonly watcher: CellKey }
  | { readonly kind: 'unwatch'; readonly watcher: CellKey }
  | {
      readonly kind: 'terminated';
      readonly key: CellKey;
      readonly childId?: string;
      readonly incarnation?: number;
      readonly reason: ExitReason;
    }
  | { readonly kind: 'reply'; readonly ask: string; readonly value: unknown }
  | { readonly kind: 'ask.failed'; readonly ask: string; readonly error: EncodedError }
  | { readonly kind: 'child.snapshot'; readonly childId: string; readonly snapshot: unknown }
  | { readonly kind: 'child.event'; readonly childId: string; readonly event: unknown };

/** What a cell tells itself: results of its effects and its timers. Never crosses a link, never has an id. */
export type SelfMessage =
  | { readonly kind: 'timer'; readonly id: string; readonly armed: number }
  | { readonly kind: 'effect.done'; readonly id: string; readonly output: unknown }
  | { readonly kind: 'effect.failed'; readonly id: string; readonly error: EncodedError }
  | { readonly kind: 'effect.event'; readonly id: string; readonly event: unknown };

/** One message as it lies in a mailbox. */
export interface Envelope {
  readonly to: CellKey;
  /** The user's message, when `control` is absent. */
  readonly message: unknown;
  readonly control?: ControlMessage | SelfMessage | undefined;
  /** Given by the journal's position when the sender's turn is committed. */
  id?: MessageId | undefined;
  readonly from?: CellKey | undefined;
  readonly replyTo?: ReplyTo | undefined;
  readonly idempotencyKey?: string | undefined;
  /** Wall clock in ms after which the message is a dead letter. */
  readonly expiresAtMs?: number | undefined;
  /** It was stashed before: its id is consumed already. */
  readonly unstashed?: boolean | undefined;
  /** W3C trace context. */
  readonly traceparent?: string | undefined;
}

/** The lane of an envelope. Results of own effects and timers share the users' lane, so that they cannot starve it. */
export function laneOf(envelope: Envelope): Lane {
  const control = envelope.control;
  if (control === undefined) return 'user';
  switch (control.kind) {
    case 'timer':
    case 'effect.done':
    case 'effect.failed':
    case 'effect.event':
    case 'reply':
    case 'ask.failed':
    case 'child.snapshot':
    case 'child.event':
      return 'user';
    default:
      return 'signal';
  }
}
