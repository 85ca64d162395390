/**
 * When a host without work looks after its cells all the same.
 *
 * Owns: the two waits behind which an idle host wakes up: to unload what has grown old, and to finish a checkpoint.
 */
import type { Clock, Wait } from '../kernel/clock.ts';
import type { Residence } from './residence.ts';

/** How often a host that has nothing to do looks for cells to unload. */
const SWEEP_EVERY_MS = 5_000;
/** How often a host that waits to finish a checkpoint looks whether it can. */
const CHECKPOINT_AGAIN_MS = 10;

export class Upkeep {
  readonly #clock: Clock;
  readonly #residence: Residence;
  readonly #wake: () => void;
  #sweeping: Wait | undefined;
  #checkpointing: Wait | undefined;
  #closed = false;

  constructor(clock: Clock, residence: Residence, wake: () => void) {
    this.#clock = clock;
    this.#residence = residence;
    this.#wake = wake;
  }

  /** A host without work has no slices, and its cells grow old all the same. */
  sweepLater(): void {
    if (this.#sweeping !== undefined || this.#closed || this.#residence.size === 0) return;
    this.#sweeping = this.#clock.wait(SWEEP_EVERY_MS, () => {
      this.#sweeping = undefined;
      if (this.#residence.beginRound()) this.#wake();
    });
  }

  /** Nobody tells the host that what it has sent was accepted. */
  checkpointLater(): void {
    if (this.#checkpointing !== undefined || this.#closed) return;
    this.#checkpointing = this.#clock.wait(CHECKPOINT_AGAIN_MS, () => {
      this.#checkpointing = undefined;
      this.#wake();
    });
  }

  close(): void {
    this.#closed = true;
    this.#sweeping?.cancel();
    this.#checkpointing?.cancel();
  }
}
