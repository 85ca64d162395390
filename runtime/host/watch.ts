/**
 * What a host's loop is doing, for someone who looks at it from another thread.
 *
 * Owns: the port, the form in shared memory, and reading it. A blocked event loop cannot report itself; shared memory can.
 *
 * Invariants:
 * W1. `beat` grows at every slice and every heartbeat; a reader that sees it stand still knows that the loop does not turn.
 * W2. The name is that of the cell that is running, if one is; it may be cut, never mixed of two.
 * W3. Every effect that is under way is counted under its mark; two effects may have the same one.
 */
import { hashOf } from '../kernel/random.ts';

/** Told by a host what it is at. */
export interface Watch {
  beat(): void;
  enter(key: string): void;
  /** The cell that was entered begins the turn after `sequence`. */
  turn(sequence: number): void;
  leave(): void;
  /** An effect with this mark has begun (1) or ended (-1). */
  effect(mark: EffectMark, change: 1 | -1): void;
  /** The effect with this mark is tried alone: it ran at every one of the last deaths. */
  tries(mark: EffectMark): void;
}

/** A short name for one start of one effect. */
export type EffectMark = number;

const EFFECT_MARKS = 1_024;

export function effectMark(key: string, id: string, started: number): EffectMark {
  return hashOf(`${key} ${id} ${started}`) % EFFECT_MARKS;
}

/** For hosts that nobody watches. */
export const unwatched: Watch = {
  beat: () => {},
  enter: () => {},
  turn: () => {},
  leave: () => {},
  effect: () => {},
  tries: () => {},
};

const BEAT = 0;
const NAME_LENGTH = 1;
const SEQUENCE = 2;
/** The mark of the effect that is tried alone, from 1; 0: none. */
const TRIED = 3;
const HEADER_INTS = 4;
const HEADER_BYTES = 4 * HEADER_INTS;
const NAME_BYTES = 248;

/** Shared memory for one host. */
export function newWatchMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(HEADER_BYTES + NAME_BYTES + 4 * EFFECT_MARKS);
}

/** The writing side, on the host's thread. */
export class SharedWatch implements Watch {
  readonly #header: Int32Array;
  readonly #name: Uint8Array;
  readonly #effects: Int32Array;
  #entered = '';

  constructor(memory: SharedArrayBuffer) {
    this.#header = new Int32Array(memory, 0, HEADER_INTS);
    this.#name = new Uint8Array(memory, HEADER_BYTES, NAME_BYTES);
    this.#effects = new Int32Array(memory, HEADER_BYTES + NAME_BYTES, EFFECT_MARKS);
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

  effect(mark: EffectMark, change: 1 | -1): void {
    this.#effects[mark] = (this.#effects[mark] ?? 0) + change;
  }

  tries(mark: EffectMark): void {
    this.#header[TRIED] = mark + 1;
  }
}

/** The reading side. */
export class WatchReader {
  readonly #header: Int32Array;
  readonly #name: Uint8Array;
  readonly #effects: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.#header = new Int32Array(memory, 0, HEADER_INTS);
    this.#name = new Uint8Array(memory, HEADER_BYTES, NAME_BYTES);
    this.#effects = new Int32Array(memory, HEADER_BYTES + NAME_BYTES, EFFECT_MARKS);
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

  /** Marks of the effects that are under way. */
  get effects(): EffectMark[] {
    return [...this.#effects.keys()].filter((mark) => (this.#effects[mark] ?? 0) > 0);
  }

  /** The effect that is tried alone, if one is. */
  get tried(): EffectMark | undefined {
    const mark = this.#header[TRIED] ?? 0;
    return mark === 0 ? undefined : mark - 1;
  }
}
