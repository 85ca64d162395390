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

const NO_ITEMS: Envelope[] = [];

class Lane {
  /** The next message is kept apart from those behind it: most lanes never have more than one, and so no array. */
  #first: Envelope | undefined;
  #behind = NO_ITEMS;
  #head = 0;

  get length(): number {
    return this.#first === undefined ? 0 : 1 + this.#behind.length - this.#head;
  }

  push(envelope: Envelope): void {
    if (this.#first === undefined) this.#first = envelope;
    else if (this.#behind === NO_ITEMS) this.#behind = [envelope];
    else this.#behind.push(envelope);
  }

  shift(): Envelope | undefined {
    const envelope = this.#first;
    const behind = this.#behind;
    if (behind === NO_ITEMS) {
      this.#first = undefined;
      return envelope;
    }
    this.#first = behind[this.#head];
    // Lets go of the message at once: it may be large and the array live long.
    (behind as (Envelope | undefined)[])[this.#head] = undefined;
    this.#head += 1;
    if (this.#head === behind.length) {
      this.#behind = NO_ITEMS;
      this.#head = 0;
    } else if (this.#head >= COMPACT_AFTER && this.#head * 2 >= behind.length) {
      behind.splice(0, this.#head);
      this.#head = 0;
    }
    return envelope;
  }

  /** Puts messages in front of all that wait. */
  unshift(envelopes: readonly Envelope[]): void {
    if (envelopes.length === 0) return;
    const [first, ...behind] = [...envelopes, ...this.waiting()];
    this.#first = first;
    this.#behind = behind.length === 0 ? NO_ITEMS : behind;
    this.#head = 0;
  }

  waiting(): Envelope[] {
    return this.#first === undefined ? [] : [this.#first, ...this.#behind.slice(this.#head)];
  }
}

export class Mailbox {
  readonly #user = new Lane();
  /** Most cells have none: signals are rare. */
  #signal: Lane | undefined;

  /** Messages in the users' lane. */
  get userLength(): number {
    return this.#user.length;
  }

  get length(): number {
    return this.#user.length + (this.#signal === undefined ? 0 : this.#signal.length);
  }

  push(envelope: Envelope): void {
    this.#laneOf(envelope).push(envelope);
  }

  /** The next message: signals first. */
  shift(): Envelope | undefined {
    if (this.#signal !== undefined) {
      const signal = this.#signal.shift();
      if (signal !== undefined) return signal;
      this.#signal = undefined;
    }
    return this.#user.shift();
  }

  /** Puts user messages in front of everything else in their lane. */
  unshift(envelopes: readonly Envelope[]): void {
    this.#user.unshift(envelopes);
  }

  /** Puts one message back where `shift` took it from. */
  putBack(envelope: Envelope): void {
    this.#laneOf(envelope).unshift([envelope]);
  }

  /** Everything that waits: signals, then users' messages, in order. */
  waiting(): Envelope[] {
    return [...(this.#signal?.waiting() ?? []), ...this.#user.waiting()];
  }

  #laneOf(envelope: Envelope): Lane {
    if (laneOf(envelope) === 'user') return this.#user;
    this.#signal ??= new Lane();
    return this.#signal;
  }
}
