/**
 * What the journal keeps: turns, images of cells, dead letters.
 *
 * Owns: the shapes. Their bytes are `batch-codec.ts`; where they are kept is a `Store`.
 *
 * Invariants:
 * J1. Sequence numbers of one cell are dense and growing, from 1.
 * J2. A turn, its consumed message, its sends, its replies, its timers and its effects are one record: all committed or none.
 * J3. A record is readable by the version that wrote it, or refused by name; never guessed.
 * J4. An image at sequence n stands for the turns 1 … n of its cell, and for every message that it names as received.
 */
import type { CellKey } from '../kernel/address.ts';
import type { EncodedError } from '../kernel/errors.ts';
import type { Intent } from '../kernel/intent.ts';
import type { Envelope, Lane, Stream } from '../kernel/message.ts';

/** One turn. Its position is given by the journal at commit. */
export interface TurnRecord {
  readonly key: CellKey;
  readonly sequence: number;
  /** Of the definition that made the turn: only that version can repeat it. */
  readonly version: number;
  readonly timeMs: number;
  /** The message consumed, with its id if it had one. */
  readonly envelope: Envelope;
  /** `handled`: the behavior ran. `parked`: it threw too often and the message is a dead letter. `refused`: it never ran (stopped, expired). */
  readonly outcome: 'handled' | 'parked' | 'refused';
  readonly intents: readonly Intent[];
  /** After this turn the cell has timers, effects or a stash: it must be woken by a recovery. */
  readonly obliged: boolean;
  /** `snapshot` durability only: the state after the turn. */
  readonly state?: unknown;
}

/** Everything up to `position`, `index` of this stream and lane is consumed or in the image's backlog. */
export interface Watermark {
  readonly stream: Stream;
  readonly lane: Lane;
  readonly position: number;
  readonly index: number;
}

/** A cell's whole durable self at one sequence number. `body` is the cell's own business. */
export interface ImageRow {
  readonly key: CellKey;
  readonly sequence: number;
  readonly received: readonly Watermark[];
  /** When the cell must be loaded though nobody writes to it: the due time of its first timer, 0 for at once, undefined for never. */
  readonly wakeAtMs: number | undefined;
  readonly body: unknown;
}

/** A message that was set aside, with everything needed to send it again. */
export interface DeadLetter {
  /** Unique and stable: a repeated write is no second letter. */
  readonly id: string;
  readonly timeMs: number;
  readonly reason: 'handler_failed' | 'actor_stopped' | 'actor_not_found' | 'expired' | 'undeliverable';
  readonly error: EncodedError;
  readonly attempts: number;
  readonly envelope: Envelope;
}

/** Turns in order. An array is one; the journal's are decoded one by one, at each iteration anew. */
export interface TurnRecords extends Iterable<TurnRecord> {
  readonly length: number;
}

/** What the journal knows of a cell that is being loaded. */
export interface LoadedCell {
  readonly key: CellKey;
  readonly image: ImageRow | undefined;
  /** Turns after the image, oldest first. Only after a crash: a cell that was unloaded in peace has an image of its last turn. */
  readonly turns: TurnRecords;
  /** Committed messages to the cell that neither image nor turns have received, in order. Only after a crash. */
  readonly pending: readonly Envelope[];
  /** The cell's bytes were damaged: it must be blocked with this error, not guessed at. */
  readonly damage?: EncodedError | undefined;
}
