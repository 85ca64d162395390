/**
 * What a host's loop is doing, for someone who looks at it from another thread.
 *
 * Owns: the port, the form in shared memory, and reading it. A blocked event loop cannot report itself; shared memory can.
 *
 * Invariants:
 * W1. `beat` grows at every slice and every heartbeat; a reader that sees it stand still knows that the loop does not turn.
 * W2. The name is that of the cell that is running, if one is; it may be cut, never mixed of two.
 */

/** Told by a host what it is at. */
export interface Watch {
  beat(): void;
  enter(key: string): void;
  /** The cell that was entered begins the turn after `sequence`. */
  turn(sequence: number): void;
  leave(): void;
}

/** For hosts that nobody watches. */
export const unwatched: Watch = { beat: () => {}, enter: () => {}, turn: () => {}, leave: () => {} };

const BEAT = 0;
const NAME_LENGTH = 1;
const SEQUENCE = 2;
const HEADER_INTS = 3;
const HEADER_BYTES = 4 * HEADER_INTS;
const NAME_BYTES = 248;

/** Shared memory for one host. */
export function newWatchMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(HEADER_BYTES + NAME_BYTES);
}

/** The writing side, on the host's thread. */
export class SharedWatch implements Watch {
  readonly #header: Int32Array;
  readonly #name: Uint8Array;
  #entered = '';

  constructor(memory: SharedArrayBuffer) {
    this.#header = new Int32Array(memory, 0, HEADER_INTS);
    this.#name = new Uint8Array(memory, HEADER_BYTES, NAME_BYTES);
  }

  beat(): void {
    Atomics.add(this.#header, BEAT, 1);
  }

  enter(key: string): void {
    if (key !== this.#entered) {
      this.#entered = key;
      // Byte by byte: keys are short and mostly ASCII, and TextEncoder costs more than the whole step of a small actor.
      const length = Math.min(key.length, NAME_BYTES);
      for (let i = 0; i < length; i++) this.#name[i] = key.charCodeAt(i) & 0x7f;
    }
    this.#header[NAME_LENGTH] = Math.min(key.length, NAME_BYTES);
  }

  turn(sequence: number): void {
    this.#header[SEQUENCE] = sequence;
  }

  leave(): void {
    this.#header[NAME_LENGTH] = 0;
  }
}

/** The reading side. */
export class WatchReader {
  readonly #header: Int32Array;
  readonly #name: Uint8Array;

  constructor(memory: SharedArrayBuffer) {
    this.#header = new Int32Array(memory, 0, HEADER_INTS);
    this.#name = new Uint8Array(memory, HEADER_BYTES, NAME_BYTES);
  }

  get beats(): number {
    return Atomics.load(this.#header, BEAT);
  }

  /** The last turn, modulo 2^32, before the one that is running. */
  get sequence(): number {
    return this.#header[SEQUENCE] ?? 0;
  }

  /** The key of the cell that is running; undefined between slices. */
  get running(): string | undefined {
    const length = this.#header[NAME_LENGTH] ?? 0;
    if (length === 0) return undefined;
    return String.fromCharCode(...this.#name.slice(0, length));
  }
}
