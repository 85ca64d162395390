/**
 * What a process holds: its resident memory, once every thread has collected its garbage and given free pages back.
 *
 * Owns: the question to all threads, and which pages count. How a thread answers is `thread-memory.ts`, which is loaded into all of them.
 */
import { existsSync, readFileSync } from 'node:fs';
import { type Asked, CHANNEL, type Said } from './thread-memory.ts';

export interface ProcessMemory {
  /** Alive on the heaps of all threads. */
  readonly heapBytes: number;
  /**
   * Resident, but for pages of mapped files: those are the kernel's, who takes them when it likes, and the database is judged by its
   * size. Where the kernel does not tell them apart, all that is resident.
   */
  readonly heldBytes: number;
}

const STATUS = '/proc/self/status';
/** One that does not answer for so long hangs. */
const PATIENCE_MS = 60_000;

/** What the allocator of glibc is told, so that what is freed is given back: it ignores what it was not told at the start. */
export const FRUGAL_ALLOCATOR: Readonly<Record<string, string>> = {
  // Else every thread has arenas of its own, whose holes nobody else can fill.
  MALLOC_ARENA_MAX: '1',
  // Its own defaults; not told, it raises both to 32 and 64 MB as it meets large blocks, and keeps those.
  MALLOC_MMAP_THRESHOLD_: '131072',
  MALLOC_TRIM_THRESHOLD_: '131072',
};

export class ProcessMemoryProbe {
  readonly #channel = new BroadcastChannel(CHANNEL);
  readonly #usedBytes = new Map<number, number>();
  #threads = 1;
  #number = 0;
  #look: () => void = () => {};

  /** Before the first thread is started: those that are there already are not waited for. */
  constructor() {
    process.on('worker', (worker) => {
      this.#threads++;
      worker.once('exit', () => {
        this.#threads--;
        this.#look();
      });
    });
    this.#channel.onmessage = ({ data }): void => {
      const said = data as Said | Asked;
      if (said.kind === 'here') this.#ask();
      if (said.kind !== 'heap' || said.number !== this.#number) return;
      this.#usedBytes.set(said.thread, said.usedBytes);
      this.#look();
    };
    this.#channel.unref();
  }

  async now(): Promise<ProcessMemory> {
    this.#number++;
    this.#usedBytes.clear();
    const all = Promise.withResolvers<void>();
    this.#look = (): void => {
      if (this.#usedBytes.size >= this.#threads) all.resolve();
    };
    const giveUp = (): void =>
      all.reject(new Error(`${this.#usedBytes.size} of ${this.#threads} threads say what they hold`));
    const patience = setTimeout(giveUp, PATIENCE_MS);
    this.#ask();
    try {
      await all.promise;
    } finally {
      clearTimeout(patience);
    }
    const heapBytes = [...this.#usedBytes.values()].reduce((sum, bytes) => sum + bytes, 0);
    return { heapBytes, heldBytes: heldBytes() };
  }

  #ask(): void {
    this.#channel.postMessage({ kind: 'ask', number: this.#number } satisfies Asked);
  }
}

function heldBytes(): number {
  if (!existsSync(STATUS)) return process.memoryUsage.rss();
  const status = readFileSync(STATUS, 'utf8');
  const bytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1_024;
  return bytes('VmRSS') - bytes('RssFile');
}
