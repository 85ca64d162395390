/**
 * What the journal's core is given, and what it gives a host.
 *
 * Owns: the shapes between `journal.ts` and whatever drives it: a thread, a call, a simulation.
 */
import type { CellKey } from '../kernel/address.ts';
import type { Clock, Wait } from '../kernel/clock.ts';
import type { DataDamagedError } from '../kernel/errors.ts';
import type { Retention } from './journal-control.ts';
import type { Store } from './store.ts';

export interface JournalSettings {
  readonly store: Store;
  /** What the store could not read when it was opened, and left out. */
  readonly faults?: readonly DataDamagedError[];
  readonly clock: Clock;
  readonly hosts: number;
  readonly retention: Retention;
  readonly checkpointEveryTurns: number;
  readonly checkpointEveryBytes: number;
  /** Flush the store this long after a commit; undefined: every commit flushes by itself. */
  readonly flushAfterMs?: number | undefined;
  /**
   * Puts time between the acceptance of batches and their write. Beside a thread that writes, others run; where all are one, that has to be
   * arranged. Default: none.
   */
  readonly writeLater?: ((write: () => void) => Wait) | undefined;
  /** Asks the driver to call `pump` soon. */
  readonly schedule: () => void;
  /** The store failed for good (J9). */
  readonly failed: (error: unknown) => void;
}

/** A host's end of the journal. */
export interface HostSession {
  append(number: number, bytes: Uint8Array, forwards?: boolean): void;
  load(request: number, keys: readonly CellKey[]): void;
  clean(round: number): void;
  close(): void;
}
