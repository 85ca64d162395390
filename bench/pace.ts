/**
 * Batches of work until a sample has taken long enough.
 *
 * Owns: how big a batch is, found while warming up, and the stopwatch around them.
 */

/** Does about `size` units of work; resolves with how many, when all of them are done. */
export type Batch = (size: number) => number | Promise<number>;

/** Rates of one kind of work. */
export class Pace {
  readonly #batch: Batch;
  readonly #sampleMs: number;
  readonly #most: number;
  #size: number;

  /** `most`: no batch is bigger. */
  constructor(sampleMs: number, batch: Batch, options: { readonly first?: number; readonly most?: number } = {}) {
    this.#batch = batch;
    this.#sampleMs = sampleMs;
    this.#most = options.most ?? 10_000_000;
    this.#size = this.#bounded(options.first ?? 1_000);
  }

  /** Runs for about two samples, and settles on a batch that takes a third of one. */
  async warmUp(): Promise<void> {
    const endMs = performance.now() + this.#sampleMs * 2;
    for (;;) {
      const startMs = performance.now();
      await this.#batch(this.#size);
      const nowMs = performance.now();
      const tookMs = nowMs - startMs;
      if (nowMs >= endMs && tookMs >= this.#sampleMs / 20) {
        this.#size = this.#bounded((this.#size * this.#sampleMs) / 3 / tookMs);
        return;
      }
      if (tookMs < this.#sampleMs / 4) {
        const bigger = this.#bounded(this.#size * 2);
        // At its biggest a batch is as long as it gets.
        if (bigger === this.#size && nowMs >= endMs) return;
        this.#size = bigger;
      }
    }
  }

  /** Units a second over at least one sample's time. */
  async rate(): Promise<number> {
    const startMs = performance.now();
    const endMs = startMs + this.#sampleMs;
    let done = 0;
    while (performance.now() < endMs) {
      done += await this.#batch(this.#size);
    }
    return (done / (performance.now() - startMs)) * 1_000;
  }

  #bounded(size: number): number {
    return Math.max(1, Math.min(this.#most, Math.round(size)));
  }
}

/** Nanoseconds of each of the round trips that fit into `ms`, one after the other; at least `least`. */
export async function roundTrips(ms: number, least: number, trip: () => Promise<unknown>): Promise<number[]> {
  const took: number[] = [];
  const endMs = performance.now() + ms;
  while (took.length < least || performance.now() < endMs) {
    const start = process.hrtime.bigint();
    await trip();
    took.push(Number(process.hrtime.bigint() - start));
  }
  return took;
}

/** Does `total` calls with `width` of them under way at any time. Rejects with the first error. */
export function inFlight(total: number, width: number, call: (index: number) => Promise<unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    let started = 0;
    let left = total;
    const next = (): void => {
      if (started === total) return;
      const index = started;
      started += 1;
      call(index).then(settled, reject);
    };
    const settled = (): void => {
      left -= 1;
      if (left === 0) resolve();
      else next();
    };
    if (total === 0) resolve();
    for (let i = Math.min(width, total); i > 0; i--) next();
  });
}

/** Starts `count` actors, says how long that took, and stops them, which is not counted. */
export type SpawnRound = (count: number, round: number) => Promise<number>;

/** Rates of spawning. A round is a number of actors and not a time: they stay in memory until it is over. */
export class Spawning {
  readonly #sampleMs: number;
  readonly #count: number;
  readonly #round: SpawnRound;
  #rounds = 0;

  constructor({ quick, sampleMs }: { readonly quick: boolean; readonly sampleMs: number }, round: SpawnRound) {
    this.#sampleMs = sampleMs;
    this.#count = quick ? 5_000 : 20_000;
    this.#round = round;
  }

  /** Actors a second, over as many rounds as fill a sample's time. */
  async rate(): Promise<number> {
    let spawned = 0;
    let spentMs = 0;
    while (spentMs < this.#sampleMs) {
      this.#rounds += 1;
      spentMs += await this.#round(this.#count, this.#rounds);
      spawned += this.#count;
    }
    return (spawned / spentMs) * 1_000;
  }
}
