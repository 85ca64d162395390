/**
 * Two frame ports in one thread, for `threads: 0` and for tests.
 *
 * Owns: the order and the turn in which blocks arrive: all that were posted in one turn arrive together in a later one.
 */
import type { Clock } from '../kernel/clock.ts';
import type { FramePort } from './frame-port.ts';

/** A connected pair. What one posts, the other is given by `clock.defer`. */
export function createLocalFramePorts(clock: Pick<Clock, 'defer'>): readonly [FramePort, FramePort] {
  const a = new LocalFramePort(clock);
  const b = new LocalFramePort(clock);
  a.connect(b);
  b.connect(a);
  return [a, b];
}

class LocalFramePort implements FramePort {
  readonly #clock: Pick<Clock, 'defer'>;
  #peer: LocalFramePort | undefined;
  #arrived: Uint8Array[] = [];
  #state: 'open' | 'ending' | 'closed' = 'open';
  #delivering = false;
  #message: ((bytes: Uint8Array) => void) | undefined;
  #close: (() => void) | undefined;

  constructor(clock: Pick<Clock, 'defer'>) {
    this.#clock = clock;
  }

  connect(peer: LocalFramePort): void {
    this.#peer = peer;
  }

  post(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#state === 'open') this.#peer?.arrive(bytes);
  }

  onMessage(listener: (bytes: Uint8Array) => void): void {
    this.#message = listener;
    this.#schedule();
  }

  onClose(listener: () => void): void {
    this.#close = listener;
    this.#schedule();
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#arrived = [];
    this.#peer?.end();
  }

  ref(): void {}
  unref(): void {}

  arrive(bytes: Uint8Array): void {
    if (this.#state !== 'open') return;
    this.#arrived.push(bytes);
    this.#schedule();
  }

  /** The peer has closed: what it posted before still arrives. */
  end(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    this.#schedule();
  }

  #schedule(): void {
    if (this.#delivering || (this.#arrived.length === 0 && this.#state !== 'ending')) return;
    this.#delivering = true;
    this.#clock.defer(() => this.#deliver());
  }

  #deliver(): void {
    this.#delivering = false;
    if (this.#message === undefined) return;
    const blocks = this.#arrived;
    this.#arrived = [];
    try {
      while (blocks.length > 0 && this.#state !== 'closed') this.#message(blocks.shift() as Uint8Array);
    } finally {
      // A listener that throws costs its own block only.
      if (blocks.length > 0 && this.#state !== 'closed') this.#arrived = [...blocks, ...this.#arrived];
      this.#schedule();
    }
    if (this.#state === 'ending' && this.#arrived.length === 0) {
      this.#state = 'closed';
      this.#close?.();
    }
  }
}
