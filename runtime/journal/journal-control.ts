/**
 * The journal as the system sees it: open, recover, fence, look into, close.
 *
 * Owns: the contract between `system/` and `journal/`. Every method may be called while hosts append.
 */
import type { CellKey } from '../kernel/address.ts';
import type { Envelope, ReplyTo } from '../kernel/message.ts';
import type { EncodedError } from '../kernel/errors.ts';
import type { DeadLetter, ImageRow, TurnRecord } from './turn-record.ts';

/** `group`: a committed batch survives power loss. `relaxed`: it survives a killed process; fsync on an interval. */
export type SyncMode = 'group' | 'relaxed';

/** `keep`: turns stay, for history. `trim`: turns behind the last checkpoint are deleted. */
export type Retention = 'keep' | 'trim';

export interface JournalOptions {
  /** Undefined: in memory. */
  readonly dataDir: string | undefined;
  readonly sync: SyncMode;
  /** Whether every page of the database is looked at before it is opened. Default true. */
  readonly checkPages?: boolean | undefined;
  readonly retention: Retention;
  readonly checkpointEveryTurns: number;
  readonly checkpointEveryBytes: number;
  /** How many hosts there are: which cell is whose. */
  readonly hosts: number;
}

export interface OpenReport {
  /** Number of this run of the system on this data folder, from 1: part of the stream number of outside messages. */
  readonly run: number;
  /** Next position. */
  readonly end: number;
  readonly checkpoint: number;
  /** Turns read since the checkpoint. */
  readonly tailTurns: number;
  /** Batches that failed their checksum, with what could be said of them. */
  readonly damaged: readonly { readonly position: number; readonly error: EncodedError }[];
}

/** What a recovery (of the process, or of one dead host) found. */
export interface Recovery {
  /** Everything below was read; messages that other hosts committed at or above it must come over their links. */
  readonly end: number;
  /** Cells of the recovered slot with pending messages, timers, effects or a stash. */
  readonly wake: readonly CellKey[];
  /**
   * Only for the recovery of one dead host while others live: messages that cells of the slot sent to cells of other slots,
   * committed, and that no turn or image of the receiver in the journal has received; in order of their ids, ids included.
   * The new host sends them again before anything else, since the dead one may not have. Empty for the recovery of the process.
   */
  readonly resend: readonly Envelope[];
  /** Answers to outside calls that were committed, and perhaps never given. Only of this run. */
  readonly answers: readonly { readonly to: ReplyTo; readonly value?: unknown; readonly error?: EncodedError }[];
}

export interface JournalStats {
  readonly end: number;
  readonly checkpoint: number;
  readonly commits: number;
  readonly batches: number;
  readonly bytes: number;
  readonly fileBytes: number;
  readonly storage: 'ok' | 'full';
}

export interface JournalControl {
  open(): Promise<OpenReport>;
  /** From now on only batches of `epoch` are taken from `slot`. */
  fence(slot: number, epoch: number): Promise<void>;
  /** Reads the tail for the cells of `slot`; must come before its new host loads anything. */
  recover(slot: number): Promise<Recovery>;
  /** A cell's turns, oldest first, as far as they are kept. */
  turns(
    key: CellKey,
    range?: { fromSequence?: number; toSequence?: number; limit?: number },
  ): Promise<readonly (TurnRecord & { readonly position: number })[]>;
  image(key: CellKey): Promise<ImageRow | undefined>;
  /** Puts an image of a cell that is not loaded (a fork, a repair). */
  putImage(row: ImageRow): Promise<void>;
  /** Keys of images, in order, for listing: `definition/` prefixes it. */
  keys(options: { prefix?: string; after?: CellKey; limit?: number }): Promise<readonly CellKey[]>;
  deadLetters(options?: { after?: string; limit?: number }): Promise<readonly DeadLetter[]>;
  removeDeadLetters(ids: readonly string[]): Promise<number>;
  /** Asks the hosts to image what is old, and moves the checkpoint. Answers when done. */
  checkpoint(): Promise<number>;
  /** A consistent copy of the data folder. */
  backup(targetDir: string): Promise<void>;
  stats(): Promise<JournalStats>;
  /** After the last batch. Flushes. */
  close(): Promise<void>;
}
