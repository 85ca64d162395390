/**
 * One message on its way to everything that takes it.
 *
 * Owns: counting who has it, and what its publisher is told when all have answered.
 */
import type { Offering, Route } from './embedded-route.ts';

/** Counts the queues that have a message, until all do. */
export class Acceptance implements Offering {
  readonly #done: (duplicateOf: string | undefined, error: Error | undefined) => void;
  #left: number;
  #accepted = 0;
  #duplicateOf: string | undefined;
  #error: Error | undefined;
  /** How many messages had ended at each route when this one was offered. */
  readonly ends: number[];

  constructor(routes: readonly Route[], done: (duplicateOf: string | undefined, error: Error | undefined) => void) {
    this.#left = routes.length;
    this.#done = done;
    this.ends = routes.map(({ ends }) => ends);
  }

  accepted(_route: Route, duplicateOf: string | undefined): void {
    if (duplicateOf === undefined) this.#accepted += 1;
    else this.#duplicateOf = duplicateOf;
    this.#one();
  }

  refused(error: unknown): void {
    this.#error ??= error instanceof Error ? error : new Error(String(error));
    this.#one();
  }

  #one(): void {
    this.#left -= 1;
    // One that some had and others had not is accepted now: it was published again because of those.
    if (this.#left === 0) this.#done(this.#accepted > 0 ? undefined : this.#duplicateOf, this.#error);
  }
}
