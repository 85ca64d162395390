/**
 * The load whose disk is cut: what its process is told to do, and what it writes down as promised.
 *
 * Owns: the orders and the words of the promises. The process itself is `load-process.ts`.
 *
 *   RUN life sync        a system has been started; what follows is of this life
 *   FOUND a n            account `a` answered that it is at `n`
 *   SPAWNED a            the spawn of account `a` was acknowledged
 *   TOLD a n             so was its message `n`
 *   CHECKPOINT position  a checkpoint was said to have come so far
 *   BACKUP begins name, BACKUP done name
 *   STOPPED              the system has stopped in good order
 */
import type { Retention, SyncMode } from '../../runtime/journal/journal-control.ts';

export interface LifeOrder {
  readonly sync: SyncMode;
  readonly threads: number;
  readonly retention: Retention;
  readonly checkpointEveryTurns: number;
  /** Messages to each account. */
  readonly messages: number;
  /** Name of the folder that gets a backup in the middle of the load. */
  readonly backup?: string | undefined;
  /** Ends in good order; otherwise the process just ends. */
  readonly stops: boolean;
}

export interface LoadOrder {
  /** The recorded folder. The data folder is `data` in it. */
  readonly root: string;
  /** Number of the first life. */
  readonly life: number;
  readonly lives: readonly LifeOrder[];
}

/** The data folder: below a folder that must be made too. */
export const DATA = 'home/data';
