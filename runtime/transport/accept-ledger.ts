/**
 * What one side of a link has received and accepted, and owes the other a word about.
 *
 * Owns: the count of frames accepted without a gap, and the bytes of those not yet reported.
 *
 * Invariants:
 * L1. `accepted` counts a frame only when every frame before it is accepted too, in whatever order that happened.
 */
export class AcceptLedger {
  #received = 0;
  #accepted = 0;
  #reported = 0;
  /** Frames accepted ahead of an older one. */
  readonly #early = new Set<number>();
  #owedBytes = 0;

  get accepted(): number {
    return this.#accepted;
  }

  /** Bytes of accepted frames that the sender has not been told of. */
  get owedBytes(): number {
    return this.#owedBytes;
  }

  /** Whether there is anything new to tell. */
  get owed(): boolean {
    return this.#accepted !== this.#reported;
  }

  /** The number of the frame that has just come. */
  receive(): number {
    return this.#received++;
  }

  accept(frame: number, bytes: number): void {
    this.#early.add(frame);
    while (this.#early.delete(this.#accepted)) this.#accepted += 1;
    this.#owedBytes += bytes;
  }

  report(): void {
    this.#reported = this.#accepted;
    this.#owedBytes = 0;
  }
}
