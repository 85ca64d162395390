/**
 * What a host does although nobody asks: it looks again after cells that grow old and after a checkpoint that cannot be finished yet.
 *
 * Owns: the waits between two looks. What is unloaded or stored is the residence's.
 *
 * Invariants:
 * HK1. At most one wait of each kind, and none once nothing in memory grows old: a host without work comes to rest.
 */
import type { Clock, Wait } from '../kernel/clock.ts';
import type { Residence } from './residence.ts';

/** How often a host that has nothing to do looks for cells to unload. */
const SWEEP_EVERY_MS = 5_000;
/** How often a host that waits to finish a checkpoint looks whether it can: nobody tells it that what it sent was accepted. */
const CHECKPOINT_AGAIN_MS = 10;

export class Housekeeping {
  readonly #clock: Clock;
  readonly #residence: Residence;
  readonly #wake: () => void;
  #sweep: Wait | undefined;
  #checkpoint: Wait | undefined;

  constructor(clock: Clock, residence: Residence, wake: () => void) {
    this.#clock = clock;
    this.#residence = residence;
    this.#wake = wake;
  }

  /** Part of every slice. */
  tend(): void {
    const residence = this.#residence;
    if (residence.continueCheckpoint()) this.#wake();
    else if (residence.checkpointing) this.#checkpointLater();
    if (residence.sweep()) this.#wake();
    if (residence.size > 0) this.#sweepLater();
  }

  close(): void {
    this.#sweep?.cancel();
    this.#checkpoint?.cancel();
  }

  #checkpointLater(): void {
    this.#checkpoint ??= this.#clock.wait(CHECKPOINT_AGAIN_MS, () => {
      this.#checkpoint = undefined;
      this.#wake();
    });
  }

  #sweepLater(): void {
    this.#sweep ??= this.#clock.wait(SWEEP_EVERY_MS, () => {
      this.#sweep = undefined;
      if (this.#residence.beginRound()) this.#wake();
    });
  }
}
