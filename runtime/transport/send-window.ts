/**
 * What one side of a link has sent and the other has not yet accepted.
 *
 * Owns: the count of frames and bytes in flight and their marks. Knows nothing of ports or codecs.
 *
 * Invariants:
 * D1. Frames are accepted in the order in which they were sent; an acceptance beyond what was sent is refused.
 * D2. The bytes in flight are those of exactly the frames that are not accepted.
 */

interface SentFrame {
  readonly bytes: number;
  /** Smallest mark in the frame; Infinity without one. */
  readonly mark: number;
}

export class SendWindow {
  readonly #frames: SentFrame[] = [];
  #head = 0;
  #accepted = 0;
  #bytes = 0;

  /** Bytes in flight. */
  get bytes(): number {
    return this.#bytes;
  }

  sent(bytes: number, mark: number): void {
    this.#frames.push({ bytes, mark });
    this.#bytes += bytes;
  }

  /** The peer has accepted `count` frames since the link began. False when that cannot be. */
  accepted(count: number): boolean {
    const news = count - this.#accepted;
    // An older count than the last is an acceptance that was overtaken: harmless.
    if (!Number.isSafeInteger(count) || news > this.#frames.length - this.#head) return false;
    for (let i = 0; i < news; i++) this.#bytes -= (this.#frames[this.#head++] as SentFrame).bytes;
    if (news > 0) this.#accepted = count;
    if (this.#head > 1_024 && this.#head * 2 > this.#frames.length) {
      this.#frames.splice(0, this.#head);
      this.#head = 0;
    }
    return true;
  }

  /** Smallest mark in flight; Infinity without one. */
  oldestMark(): number {
    let oldest = Infinity;
    for (let i = this.#head; i < this.#frames.length; i++) {
      const { mark } = this.#frames[i] as SentFrame;
      if (mark < oldest) oldest = mark;
    }
    return oldest;
  }
}
