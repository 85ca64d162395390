/**
 * What a queue sets aside: messages whose consumer has given them up, and those whose time was over before anybody took them.
 *
 * Owns: making letters of them, sending those on their way, and finding what has expired. Letters are kept by `embedded-letters.ts`.
 */
import type { Turn } from '../../kernel/behavior.ts';
import type { EncodedError } from '../../kernel/errors.ts';
import type { DeadReason } from '../broker-adapter.ts';
import { bytesOf, type Entry } from './embedded-entry.ts';
import { BATCH_BYTES, ERROR_BYTES, lettersKey, type LettersMessage, type WireLetter } from './embedded-protocol.ts';
import type { QueueState } from './embedded-queue-state.ts';

/** Expiries are looked at no more often: a look goes through all that is in memory. */
const EXPIRY_STEP_MS = 50;

/** `unasked`: no consumer has said so. */
export function bury(
  state: QueueState,
  entry: Entry,
  reason: DeadReason,
  error: EncodedError,
  nowMs: number,
  unasked: boolean,
): void {
  const { id: messageId, key, dedupe, attempt, firstMs, redrives, seq, item } = entry;
  state.dead += 1;
  if (item !== undefined) {
    item.status = 'dead';
    item.atMs = nowMs;
    item.error = error;
  }
  state.letters.push({
    id: String(seq),
    messageId,
    key,
    dedupe,
    bytes: bytesOf(entry),
    reason,
    error,
    attempts: attempt,
    firstMs,
    deadMs: nowMs,
    redrives,
    unasked,
  });
}

/** Sets aside one that nobody has taken in time. */
export function buryExpired(state: QueueState, entry: Entry, nowMs: number): void {
  bury(state, entry, 'expired', expiredError(entry), nowMs, true);
}

/** Sets aside what has expired, of that which is in memory. */
export function expire(state: QueueState, nowMs: number): void {
  const isOut = ({ expiresAtMs }: Entry): boolean => expiresAtMs > 0 && expiresAtMs <= nowMs;
  const expired = [...state.backlog.removeIf(isOut), ...state.lanes.removeParkedIf(isOut)];
  const delayed = state.delayed.filter(isOut);
  if (delayed.length > 0) state.delayed = state.delayed.filter((entry) => !isOut(entry));
  for (const entry of delayed) state.backlog.restore(state.lanes.unhold(entry));
  for (const entry of [...expired, ...delayed]) buryExpired(state, entry, nowMs);
  let next = 0;
  const see = ({ expiresAtMs }: Entry): boolean => {
    if (expiresAtMs > 0 && (next === 0 || expiresAtMs < next)) next = expiresAtMs;
    return false;
  };
  state.backlog.removeIf(see);
  state.lanes.removeParkedIf(see);
  for (const entry of state.delayed) see(entry);
  state.expiryMs = next === 0 ? 0 : Math.max(next, nowMs + EXPIRY_STEP_MS);
}

/** Letters leave in parcels that a message can be as large as. */
export function sendLetters(state: QueueState, turn: Turn): void {
  if (state.letters.length === 0) return;
  const limit = state.spec.lettersLimit;
  let letters: WireLetter[] = [];
  let bytes = 0;
  const send = (): void => turn.send(lettersKey(turn.self), { type: 'ADD', letters, limit } satisfies LettersMessage);
  for (const letter of state.letters) {
    if (letters.length > 0 && bytes + letter.bytes.length > BATCH_BYTES) {
      send();
      letters = [];
      bytes = 0;
    }
    letters.push(letter);
    bytes += letter.bytes.length + ERROR_BYTES;
  }
  send();
  state.letters = [];
}

/** Made without a stack: a turn gives the same at every replay. */
const expiredError = ({ id }: Entry): EncodedError => ({
  name: 'MessageExpiredError',
  code: 'MESSAGE_EXPIRED',
  message: `message ${id} waited longer than its time to live`,
});
