/**
 * A cell's mailbox: two lanes of envelopes, first in first out each.
 *
 * Owns: the order of what waits. Knows nothing of bounds' consequences: who offers checks `full` and decides who waits.
 *
 * Invariants:
 * B1. FIFO within a lane; the signal lane empties first.
 * B2. `unshift` puts messages back in front in the order that they are given in (unstash, a message to be tried again).
 * B3. An empty mailbox holds no array: an idle cell costs next to nothing.
 */
import { type Envelope, laneOf } from '../kernel/message.ts';

/** Slots freed at the front before the array is compacted. */
const COMPACT_AFTER = 1_024;

class Lane {
  items: Envelope[] = [];
  head = 0;

  get length(): number {
    return this.items.length - this.head;
  }

  shift(): Envelope | undefined {
    if (this.head === this.items.length) return undefined;
    const envelope = this.items[this.head];
    // Lets go of the message at once: it may be large and the array live long.
    (this.items as (Envelope | undefined)[])[this.head] = undefined;
    this.head += 1;
    if (this.head === this.items.length) {
      this.items.length = 0;
      this.head = 0;
    } else if (this.head >= COMPACT_AFTER && this.head * 2 >= this.items.length) {
      this.items.splice(0, this.head);
      this.head = 0;
    }
    return envelope;
  }

  waiting(): Envelope[] {
    return this.items.slice(this.head);
  }
}

export class Mailbox {
  #user: Lane | undefined;
  #signal: Lane | undefined;

  /** Messages in the users' lane. */
  get userLength(): number {
    return this.#user === undefined ? 0 : this.#user.length;
  }

  get length(): number {
    return this.userLength + (this.#signal === undefined ? 0 : this.#signal.length);
  }

  push(envelope: Envelope): void {
    if (laneOf(envelope) === 'user') {
      this.#user ??= new Lane();
      this.#user.items.push(envelope);
    } else {
      this.#signal ??= new Lane();
      this.#signal.items.push(envelope);
    }
  }

  /** The next message: signals first. */
  shift(): Envelope | undefined {
    if (this.#signal !== undefined) {
      const signal = this.#signal.shift();
      if (signal !== undefined) return signal;
      this.#signal = undefined;
    }
    if (this.#user === undefined) return undefined;
    return this.#user.shift();
  }

  /** Puts user messages in front of everything else in their lane. */
  unshift(envelopes: readonly Envelope[]): void {
    if (envelopes.length === 0) return;
    this.#user ??= new Lane();
    const lane = this.#user;
    lane.items = [...envelopes, ...lane.waiting()];
    lane.head = 0;
  }

  /** Puts one message back where `shift` took it from. */
  putBack(envelope: Envelope): void {
    if (laneOf(envelope) === 'user') {
      this.unshift([envelope]);
      return;
    }
    this.#signal ??= new Lane();
    this.#signal.items = [envelope, ...this.#signal.waiting()];
    this.#signal.head = 0;
  }

  /** Drops the arrays of an idle cell. */
  trim(): void {
    if (this.userLength === 0) this.#user = undefined;
    if (this.#signal !== undefined && this.#signal.length === 0) this.#signal = undefined;
  }

  /** Everything that waits: signals, then users' messages, in order. */
  waiting(): Envelope[] {
    return [...(this.#signal?.waiting() ?? []), ...(this.#user?.waiting() ?? [])];
  }
}
