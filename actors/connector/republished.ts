/**
 * A message that was published at one broker, as a draft for another.
 *
 * Owns: what of it goes on. Its id, its keys and its correlation are kept; what remains of its time to live is its time to live; where
 * its reply goes, and how long it was to wait, was the first broker's matter.
 */
import type { Message, MessageDraft } from '../../runtime/broker/contract/message.ts';

export function republished(message: Message, nowMs: number): MessageDraft {
  const { replyTo: _replyTo, timeMs: _timeMs, expiresAtMs, notBeforeMs: _notBeforeMs, ...rest } = message;
  return { ...rest, ...(expiresAtMs === undefined ? {} : { ttlMs: Math.max(1, expiresAtMs - nowMs) }) };
}
