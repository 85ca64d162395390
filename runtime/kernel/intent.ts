/**
 * Intents: what a turn asked for, as data. Recorded with the turn, executed after its commit, compared at replay.
 *
 * Owns: the shapes. `cell/` makes and applies them, `journal/` writes them, `host/` executes them.
 *
 * Invariants:
 * N1. An intent is plain data once encoded: executing it twice is prevented by ids, never by identity of objects.
 */
import type { EncodedError } from './errors.ts';
import type { ExitReason } from './exit.ts';
import type { Envelope, ReplyTo } from './message.ts';

/**
 * What an actor in memory sends: envelope and intent in one object, since it is what actors do most. Never recorded: its sender has no
 * journal.
 */
export type DirectSend = Envelope & { readonly kind?: undefined };

/** A question of an actor in memory, with its deadline. A journaled actor's is recorded as two intents: what is sent, and a timer. */
export interface DirectAsk {
  readonly kind: 'ask';
  readonly ask: string;
  readonly envelope: Envelope;
  readonly dueMs: number;
}

/** What a turn asked for: of an actor in memory, in shorter forms too. */
export type Asked = Intent | DirectSend | DirectAsk;

export type Intent =
  /** `durable`: the receiver is journaled, so that the message is kept until a turn of the receiver consumes it. */
  | { readonly kind: 'send'; readonly envelope: Envelope; readonly durable: boolean }
  | {
      readonly kind: 'reply';
      readonly to: ReplyTo;
      readonly value: unknown;
      readonly idempotencyKey?: string | undefined;
    }
  | {
      readonly kind: 'fail';
      readonly to: ReplyTo;
      readonly error: EncodedError;
      readonly idempotencyKey?: string | undefined;
    }
  | { readonly kind: 'effect.start'; readonly id: string; readonly source: string; readonly input: unknown }
  | { readonly kind: 'effect.cancel'; readonly id: string }
  | { readonly kind: 'effect.send'; readonly id: string; readonly message: unknown }
  | { readonly kind: 'timer.set'; readonly id: string; readonly dueMs: number; readonly payload: unknown }
  | { readonly kind: 'timer.cancel'; readonly id: string }
  | { readonly kind: 'emit'; readonly event: unknown }
  | { readonly kind: 'stash' }
  | { readonly kind: 'unstash' }
  | { readonly kind: 'exit'; readonly reason: ExitReason };
