/**
 * How large a value is on its way, near enough, counted without encoding it.
 *
 * Owns: the bound that commands and results are held to. What travels between threads is refused beyond `MESSAGE_BYTES_LIMIT`, and
 * whether it travels depends on where an actor happens to live; a run must not depend on that.
 */
import { MessageTooLargeError } from '../../runtime/kernel/errors.ts';
import { MESSAGE_BYTES_LIMIT } from '../../runtime/kernel/limits.ts';

/** Room for what is around the value: addresses, ids, the other members of a message. */
const AROUND_BYTES = 16 << 10;
/** What a command carries, or a run gives back. */
export const VALUE_BYTES_LIMIT = MESSAGE_BYTES_LIMIT - AROUND_BYTES;

/** @throws MessageTooLargeError naming `what` */
export function assertFits(value: unknown, what: string): void {
  if (bytesOf(value, VALUE_BYTES_LIMIT) <= VALUE_BYTES_LIMIT) return;
  throw new MessageTooLargeError(
    `${what} has more than ${VALUE_BYTES_LIMIT} bytes: keep it in a store, and hand on where it is`,
    { details: { limit: VALUE_BYTES_LIMIT } },
  );
}

/** Texts up to here are counted by their letters. */
const SHORT_BYTES = 3_000;

/** Stops counting beyond `limit`. */
function bytesOf(value: unknown, limit: number): number {
  switch (typeof value) {
    case 'string':
      // Of a short text it does not matter whether a letter has one byte or three.
      return 5 + (value.length * 3 <= SHORT_BYTES ? value.length : Buffer.byteLength(value));
    case 'object': {
      if (value === null) return 1;
      if (value instanceof Uint8Array) return 5 + value.byteLength;
      let bytes = 5;
      const members = Array.isArray(value) ? value : Object.entries(value);
      for (const member of members as unknown[]) {
        bytes += bytesOf(member, limit - bytes);
        if (bytes > limit) return bytes;
      }
      return bytes;
    }
    default:
      return 9;
  }
}
