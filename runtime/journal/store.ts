/**
 * The store: where the journal's rows are kept. LMDB, memory, or memory with faults for the testkit.
 *
 * Owns: the contract. A store knows rows, not what is in them: sums, decoding and positions are the journal's matter.
 *
 * Tables:
 *   log     position of a batch's first turn → bytes of its turns
 *   image   cell key → row; a row that says when its cell must be woken is listed by that time too
 *   letter  id → row
 *   meta    name → number
 *   damage  cell key → why the cell cannot be served, for what lies behind a checkpoint
 *
 * Invariants:
 * S1. One thread, one writer: every call is synchronous, and no other store has the same data open.
 * S2. `commit` is all or nothing. When it returns, everything survives what the sync mode promises; when it throws, nothing has
 *     changed, not after a crash either.
 * S3. A full disk is `StorageFullError`: the same commit may be tried again. Any other failure is final: the store is not used on.
 * S4. Reads see every commit that has returned, and none that has not.
 * S5. Keys are ordered by their UTF-8 bytes, positions by value.
 * S6. Bytes handed in are not changed by anybody afterwards; bytes handed out are the reader's to keep.
 */
import type { CellKey } from '../kernel/address.ts';

export interface LogRow {
  readonly position: number;
  readonly bytes: Uint8Array;
}

export interface WakeRow {
  readonly atMs: number;
  readonly key: CellKey;
}

/** What one commit may write. Later writes of a commit win over earlier ones. */
export interface StoreWrites {
  /** `position` is above every position in the log. */
  log(position: number, bytes: Uint8Array): void;
  removeLog(position: number): void;
  image(key: CellKey, row: Uint8Array, wakeAtMs: number | undefined): void;
  letter(id: string, row: Uint8Array): void;
  removeLetter(id: string): void;
  meta(name: MetaName, value: number): void;
  damage(key: CellKey, bytes: Uint8Array): void;
  removeDamage(key: CellKey): void;
}

/**
 * `run`: how often the data were opened. `checkpoint`: where recovery begins. `trimmed`: below it there is no log.
 * `frame`: see `ahead-store.ts`. `accepted`: what is lost below it, and was nobody's by name, has been accepted by command.
 */
export const META_NAMES = ['run', 'checkpoint', 'trimmed', 'frame', 'accepted'] as const;
export type MetaName = (typeof META_NAMES)[number];

export interface KeyRange {
  readonly prefix?: string | undefined;
  readonly after?: string | undefined;
  readonly limit: number;
}

export interface Store {
  commit(write: (writes: StoreWrites) => void): void;

  meta(name: MetaName): number | undefined;
  /** Rows from the first at or above `from`, in order. The iterator ends with the call that got it: no commits in between. */
  logFrom(from: number): Iterable<LogRow>;
  /** Keys of the first rows at or above `from`. */
  logPositions(from: number, limit: number): readonly number[];
  /** The last row at or below `position`. */
  logAt(position: number): LogRow | undefined;
  image(key: CellKey): Uint8Array | undefined;
  imageKeys(range: KeyRange): readonly CellKey[];
  /** Cells to be woken after `afterMs` and up to `upToMs`, earliest first. */
  wakes(afterMs: number, upToMs: number, limit: number): readonly WakeRow[];
  letter(id: string): Uint8Array | undefined;
  letterIds(range: KeyRange): readonly string[];
  damages(): readonly { readonly key: CellKey; readonly bytes: Uint8Array }[];

  fileBytes(): number;
  /** Makes everything committed survive power loss, where `commit` does not. */
  flush(): void;
  /** A consistent copy in `targetDir`, which must not hold data. */
  backup(targetDir: string): Promise<void>;
  /** After a flush. No call may follow. */
  close(): Promise<void>;
}
