/**
 * The trace of a simulation: everything that was chosen or happened, as lines, and their digest.
 *
 * Owns: the digest and the last lines for a report. Two runs of one seed are the same run when their digests are.
 */
import { createHash, type Hash } from 'node:crypto';

/** Lines kept for a report. */
const TAIL_LINES = 2_000;
/** Lines hashed at once. */
const CHUNK_LINES = 512;

export class SimulationTrace {
  readonly #hash: Hash = createHash('sha256');
  readonly #echo: ((line: string) => void) | undefined;
  #chunk: string[] = [];
  #tail: string[] = [];
  lines = 0;

  constructor(echo?: (line: string) => void) {
    this.#echo = echo;
  }

  note(line: string): void {
    this.lines += 1;
    this.#echo?.(line);
    this.#chunk.push(line);
    if (this.#chunk.length >= CHUNK_LINES) this.#flush();
  }

  /** The last lines, oldest first. */
  tail(count: number): readonly string[] {
    return [...this.#tail, ...this.#chunk].slice(-count);
  }

  digest(): string {
    this.#flush();
    return this.#hash.copy().digest('hex');
  }

  #flush(): void {
    this.#hash.update(this.#chunk.join('\n'));
    this.#tail = [...this.#tail, ...this.#chunk].slice(-TAIL_LINES);
    this.#chunk = [];
  }
}
