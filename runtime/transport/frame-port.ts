/**
 * The port below a link: something that carries blocks of bytes to one peer, in order.
 *
 * Owns: the contract. A MessagePort between threads, a pair in one thread, or a pair with faults in simulation; a pipe to a child
 * process could be one too, so there is no shared memory in it.
 *
 * Invariants:
 * O1. Blocks arrive whole, once and in the order of `post`, or the port is at fault (a link finds out by the frames' numbers).
 * O2. No listener is called from within `post` or `close`: the peer runs in a later turn.
 * O3. Blocks posted before `close` arrive before the peer's `onClose`.
 * O4. What arrives before there is a listener waits for it.
 */
export interface FramePort {
  /** Sends a block, which the caller must not touch again: its buffer may be transferred. Without effect once closed. */
  post(bytes: Uint8Array<ArrayBuffer>): void;
  /** Sets the one listener for blocks. */
  onMessage(listener: (bytes: Uint8Array) => void): void;
  /** Sets the one listener for the end: the peer has closed, or is gone. */
  onClose(listener: () => void): void;
  close(): void;
  /** Keeps the thread alive while the port is open (the default of a MessagePort), or not. */
  ref(): void;
  unref(): void;
}
