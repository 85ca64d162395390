/**
 * Bulkhead: how many calls of one dependency may be under way, and how many may wait for one of them to end.
 *
 * Owns: the places and the queue. Knows nothing of what is called.
 *
 * Invariants:
 * BH1. Never more than `concurrency` calls hold a place, and never more than `queue` wait.
 * BH2. Places are given in the order in which they were asked for. Whoever gives up waiting leaves no gap.
 * BH3. A place is given back once, however often its release is called.
 */
import { BulkheadFullError } from '../../runtime/kernel/errors.ts';

export interface BulkheadOptions {
  /** Calls under way at a time. */
  readonly concurrency: number;
  /** Calls that may wait for a place. Default 0: what finds no place is refused at once. */
  readonly queue?: number;
}

interface Waiter {
  readonly admit: () => void;
}

export class Bulkhead {
  readonly #name: string;
  readonly #concurrency: number;
  readonly #queue: number;
  #running = 0;
  /** In order of arrival; a set, so that leaving it costs the same at any length. */
  readonly #waiting = new Set<Waiter>();

  constructor(name: string, options: BulkheadOptions) {
    this.#name = name;
    this.#concurrency = options.concurrency;
    this.#queue = options.queue ?? 0;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Resolves with what gives the place back.
   *
   * @throws BulkheadFullError; the signal's reason when it aborts first
   */
  enter(signal?: AbortSignal): Promise<() => void> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    if (this.#running < this.#concurrency) {
      this.#running += 1;
      return Promise.resolve(this.#place());
    }
    if (this.#waiting.size >= this.#queue) return Promise.reject(this.#full());
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        this.#waiting.delete(waiter);
        reject(signal?.reason as Error);
      };
      const waiter: Waiter = {
        admit: () => {
          signal?.removeEventListener('abort', giveUp);
          resolve(this.#place());
        },
      };
      this.#waiting.add(waiter);
      signal?.addEventListener('abort', giveUp, { once: true });
    });
  }

  #place(): () => void {
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#leave();
    };
  }

  /** A place that somebody waits for goes from hand to hand: nobody can come in between. */
  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#running -= 1;
      return;
    }
    this.#waiting.delete(next);
    next.admit();
  }

  #full(): BulkheadFullError {
    const details = { dependency: this.#name, concurrency: this.#concurrency, queue: this.#queue };
    return new BulkheadFullError(
      `${this.#name}: ${this.#concurrency} calls are under way and ${this.#queue} wait, as many as may: ` +
        'try again later, or raise bulkhead.concurrency or bulkhead.queue',
      { details },
    );
  }
}
