/**
 * Token bucket: how many calls may begin in a span of time.
 *
 * Owns: the level of the bucket as a function of the time that it is given. Waits for nothing.
 *
 * Invariants:
 * TB1. In any span of t ms no more than `burst + t x permits / perMs` tokens are taken.
 * TB2. After a wait as long as `take` said there is a token, if nobody else took it.
 */

export interface RateLimitOptions {
  /** Calls that may begin per `perMs`. */
  readonly permits: number;
  /** Default 1,000. */
  readonly perMs?: number;
  /** Calls that may begin at once after a quiet time. Default `permits`. */
  readonly burst?: number;
}

/** Tokens are counted in parts, so that a whole number of milliseconds fills a whole number of them. */
const PARTS = 1_000_000;

export class TokenBucket {
  readonly #partsPerMs: number;
  readonly #capacity: number;
  #level: number;
  #atMs: number;

  constructor(options: RateLimitOptions, nowMs: number) {
    const { permits, perMs = 1_000, burst = permits } = options;
    this.#partsPerMs = (permits * PARTS) / perMs;
    this.#capacity = burst * PARTS;
    this.#level = this.#capacity;
    this.#atMs = nowMs;
  }

  /** Takes a token: 0. There is none: how long until there is one, in ms, at least 1. */
  take(nowMs: number): number {
    this.#fill(nowMs);
    // A part is lost to rounding here and there; half of one must not cost a caller another wait.
    if (this.#level >= PARTS - 0.5) {
      this.#level -= PARTS;
      return 0;
    }
    return Math.max(1, Math.ceil((PARTS - 0.5 - this.#level) / this.#partsPerMs));
  }

  /** Whole tokens that are there now. */
  level(nowMs: number): number {
    this.#fill(nowMs);
    return Math.floor((this.#level + 0.5) / PARTS);
  }

  #fill(nowMs: number): void {
    if (nowMs <= this.#atMs) return;
    this.#level = Math.min(this.#capacity, this.#level + (nowMs - this.#atMs) * this.#partsPerMs);
    this.#atMs = nowMs;
  }
}
