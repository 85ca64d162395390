/** The chances of one hostile case: they follow from the run's seed and the case's number, so that a case can be repeated alone. */
import { seededRandom } from '../../runtime/kernel/random.ts';

export class Dice {
  readonly #next: () => number;

  constructor(seed: number, number: number) {
    this.#next = seededRandom(seed, number).next;
  }

  /** A whole number from 0 to `end - 1`; 0 when there is none. */
  below(end: number): number {
    return Math.floor(this.#next() * end);
  }

  chance(share: number): boolean {
    return this.#next() < share;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }
}
