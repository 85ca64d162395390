/**
 * Long reads of the log, a slice at a time: between two slices the journal commits.
 *
 * Owns: whose slice is next. What a slice reads, and what it makes of a log that has changed since the last one, is the read's matter.
 *
 * Invariants:
 * SR1. However many reads are under way, one slice of one of them is read in a turn of the event loop; a read's first slice is read in
 *      the turn of its call. They take turns.
 */
import type { Clock } from '../kernel/clock.ts';

/** A read that stops after each slice. Its value is the answer. */
export type Slices<T> = Generator<undefined, T, undefined>;

export class SlicedReads {
  readonly #clock: Pick<Clock, 'defer'>;
  readonly #waiting: (() => void)[] = [];

  constructor(clock: Pick<Clock, 'defer'>) {
    this.#clock = clock;
  }

  /** `assertOpen` throws when the log must not be read on. */
  async run<T>(slices: Slices<T>, assertOpen: () => void): Promise<T> {
    for (;;) {
      const slice = slices.next();
      if (slice.done === true) return slice.value;
      await this.#turn();
      assertOpen();
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === 1) this.#scheduleNext();
    });
  }

  #scheduleNext(): void {
    this.#clock.defer(() => {
      this.#waiting.shift()?.();
      if (this.#waiting.length > 0) this.#scheduleNext();
    });
  }
}

/** Where nobody waits for a turn. */
export function readAtOnce<T>(slices: Slices<T>): T {
  for (;;) {
    const slice = slices.next();
    if (slice.done === true) return slice.value;
  }
}
