/**
 * One subscription that is open while it is wanted.
 *
 * Owns: opening and closing one after the other, whatever is wanted meanwhile.
 *
 * Invariants:
 * IN1. At most one subscription is open. What `set` resolves with is done: open, or closed with everything under way finished.
 */
import type { Subscription } from '../../runtime/broker/contract/broker-contract.ts';

export class Intake {
  readonly #subscribe: () => Promise<Subscription>;
  #subscription: Subscription | undefined;
  #wanted = false;
  #turning: Promise<void> = Promise.resolve();

  constructor(subscribe: () => Promise<Subscription>) {
    this.#subscribe = subscribe;
  }

  /** @throws what subscribing throws; it is tried again at the next call */
  set(wanted: boolean): Promise<void> {
    this.#wanted = wanted;
    this.#turning = this.#turning.catch(() => {}).then(() => this.#turn());
    return this.#turning;
  }

  async #turn(): Promise<void> {
    if (this.#wanted) {
      this.#subscription ??= await this.#subscribe();
      return;
    }
    const subscription = this.#subscription;
    this.#subscription = undefined;
    await subscription?.close();
  }
}
