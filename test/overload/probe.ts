/**
 * How long answers take under load, beside what the machine itself makes one wait.
 *
 * Owns: the ping to a thread that does nothing else, and percentiles.
 */
import { Worker } from 'node:worker_threads';

export interface Delays {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Waits kept of one kind; beyond it every second one is forgotten. */
const KEPT = 20_000;

export class Stopwatch {
  #waits: number[] = [];
  #maxMs = 0;
  #count = 0;

  async time<T>(call: () => Promise<T>): Promise<T> {
    const startMs = performance.now();
    try {
      return await call();
    } finally {
      const ms = performance.now() - startMs;
      this.#count++;
      this.#maxMs = Math.max(this.#maxMs, ms);
      this.#waits.push(ms);
      if (this.#waits.length > KEPT) this.#waits = this.#waits.filter((_, i) => i % 2 === 0);
    }
  }

  get delays(): Delays {
    const sorted = this.#waits.toSorted((a, b) => a - b);
    const at = (part: number): number => round(sorted[Math.floor(sorted.length * part)] ?? 0);
    return { count: this.#count, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: round(this.#maxMs) };
  }
}

/** A thread that answers at once: what it takes is the machine's and this thread's own. */
export class IdleThread implements AsyncDisposable {
  readonly #worker = new Worker(new URL('echo-thread.ts', import.meta.url));
  readonly #pending = new Map<number, () => void>();
  #next = 0;

  constructor() {
    this.#worker.on('message', (number: number) => {
      this.#pending.get(number)?.();
      this.#pending.delete(number);
    });
  }

  ping(): Promise<void> {
    const number = this.#next++;
    return new Promise((resolve) => {
      this.#pending.set(number, resolve);
      this.#worker.postMessage(number);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
