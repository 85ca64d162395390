/**
 * Messages that never waited in a queue: an actor took each directly, and the queue is told how it ended.
 *
 * Owns: remembering such ends, for receipts and duplicates, and setting aside what the actor could not handle, as if the queue had
 * handed it out.
 *
 * Invariants:
 * ED1. A message that the queue knows already, by id or key, changes nothing: what is known of it is newer.
 */
import type { EncodedError } from '../../kernel/errors.ts';
import type { DeadReason } from '../broker-adapter.ts';
import type { Verdict, WireMessage } from './embedded-protocol.ts';
import type { QueueState } from './embedded-queue-state.ts';

/** How a message ended at an actor. `bytes` of the message are there when it is dead, and empty else. */
export type WireEnd = readonly [message: WireMessage, end: WireHandled | WireDead];
export type WireHandled = { readonly status: 'handled'; readonly reply?: Uint8Array };
export interface WireDead {
  readonly status: 'dead';
  readonly reason: DeadReason;
  readonly error: EncodedError;
  readonly attempts: number;
}

export function recordEnds(state: QueueState, ends: readonly WireEnd[], nowMs: number): Verdict[] {
  return ends.map(([message, end]) => recordEnd(state, message, end, nowMs));
}

function recordEnd(state: QueueState, message: WireMessage, end: WireHandled | WireDead, nowMs: number): Verdict {
  const { window } = state;
  const [messageId, key, dedupe, , , bytes] = message;
  const known = window.find(messageId, dedupe);
  if (known !== undefined) return known.id;
  const seq = state.nextSeq++;
  const item = window.accept(messageId, dedupe, nowMs);
  item.status = end.status;
  if (end.status === 'handled') {
    state.handled += 1;
    item.attempt = 1;
    if (end.reply !== undefined) window.reply(item, end.reply);
    return seq;
  }
  const { reason, error, attempts } = end;
  state.dead += 1;
  item.attempt = attempts;
  item.error = error;
  state.letters.push({
    id: String(seq),
    messageId,
    key,
    dedupe,
    bytes,
    reason,
    error,
    attempts,
    firstMs: attempts === 0 ? 0 : nowMs,
    deadMs: nowMs,
    redrives: 0,
    unasked: true,
  });
  return seq;
}
