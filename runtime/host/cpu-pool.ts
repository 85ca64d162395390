/**
 * The pool for CPU-bound effects: piscina, started with the first of them.
 *
 * Owns: the only use of piscina. Actors do not live on it: an idle worker of it blocks in `Atomics.wait`.
 *
 * Invariants:
 * CP1. An aborted task ends: piscina ends its thread. Nothing of ours lives there, so nothing else is lost.
 */
import type { Piscina } from 'piscina';
import type { PoolRun } from './effect-runner.ts';

const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './cpu-entry.ts' : './cpu-entry.js', import.meta.url);

/** Idle threads are kept so long, for the next task. */
const IDLE_MS = 10_000;

export class CpuPool {
  #pool: Promise<Piscina> | undefined;

  readonly run: PoolRun = async (work, context, signal) => {
    this.#pool ??= import('piscina').then(
      ({ Piscina }) => new Piscina({ filename: ENTRY.href, minThreads: 0, idleTimeout: IDLE_MS, atomics: 'disabled' }),
    );
    const pool = await this.#pool;
    return pool.run({ work, context }, { signal, name: 'runEffect' });
  };

  async close(): Promise<void> {
    const pool = await this.#pool;
    this.#pool = undefined;
    await pool?.destroy();
  }
}
