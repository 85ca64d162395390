/**
 * The history of a simulation: what was seen from outside, and what the journal holds in the end. Plain data.
 *
 * Owns: the shapes, and the reading of the journal's log into turns. Judges nothing: `invariants.ts` does.
 */
import type { CellKey } from '../kernel/address.ts';
import type { EncodedError } from '../kernel/errors.ts';
import type { MessageId } from '../kernel/message.ts';
import { BatchReader } from '../journal/batch-reader.ts';
import type { StoreContent } from '../journal/memory-store.ts';
import type { LogRow } from '../journal/store.ts';
import { decodeLetter } from '../journal/row-codec.ts';
import type { TurnRecord } from '../journal/turn-record.ts';

/** What the outside sent or heard, in order. `run` and `call` name a call. */
export type OutsideEvent =
  | {
      readonly kind: 'sent';
      readonly run: number;
      readonly call: number;
      readonly atMs: number;
      readonly to: CellKey;
      readonly ask: boolean;
      readonly control: string | undefined;
      readonly idempotencyKey: string | undefined;
    }
  | { readonly kind: 'receipt'; readonly run: number; readonly call: number; readonly atMs: number }
  | {
      readonly kind: 'reply';
      readonly run: number;
      readonly call: number;
      readonly atMs: number;
      readonly value: unknown;
    }
  | {
      readonly kind: 'fail';
      readonly run: number;
      readonly call: number;
      readonly atMs: number;
      readonly error: EncodedError;
    }
  | { readonly kind: 'host_died'; readonly slot: number; readonly atMs: number }
  | { readonly kind: 'crashed'; readonly where: string; readonly lostCommits: number; readonly atMs: number }
  | { readonly kind: 'clock_jumped'; readonly ms: number; readonly atMs: number };

/** A turn as the log has it. */
export interface LoggedTurn extends TurnRecord {
  readonly position: number;
  /** Slot of the host that ran it: the stream of what it sent. */
  readonly slot: number;
}

/** An actor as it answers in the end. */
export interface FinalActor {
  readonly key: CellKey;
  readonly status: 'absent' | 'running' | 'stopped' | 'blocked' | 'waiting';
  readonly sequence: number;
  readonly view: unknown;
  /** Of messages that wait in its mailbox. */
  readonly mailbox?: number | undefined;
  /** Why it is blocked. */
  readonly error?: EncodedError | undefined;
}

export interface DeadMessage {
  readonly id: MessageId | undefined;
  readonly to: CellKey;
  readonly reason: string;
  /** Its host died each time that it was handled. */
  readonly isStruckDown: boolean;
}

/** Everything that a checker needs. */
export interface History {
  readonly outside: readonly OutsideEvent[];
  /** By position. */
  readonly turns: readonly LoggedTurn[];
  readonly actors: readonly FinalActor[];
  /** The same actors, by a fold of their turns. */
  readonly folded: readonly FinalActor[];
  readonly deadLetters: readonly DeadMessage[];
  /** Whether everything came to rest: only then can it be said what never happened. */
  readonly settled: boolean;
  /** Virtual wall clock at the end, in ms. */
  readonly endMs: number;
  /** Whether a message to this key is kept in the journal. */
  readonly isDurable: (key: CellKey) => boolean;
  /** Whether this effect of the actor is a call, which ends by itself. */
  readonly isCall: (key: CellKey, source: string) => boolean;
}

/** All turns in a store's content, and in rows that were removed from it, by position. */
export function turnsIn(content: StoreContent | undefined, removed: readonly LogRow[] = []): LoggedTurn[] {
  const turns: LoggedTurn[] = [];
  for (const row of [...removed, ...(content?.log ?? [])]) {
    const batch = new BatchReader(row.bytes);
    for (let i = 0; i < batch.turns; i++) {
      turns.push({ ...batch.turn(batch.header(i)), position: row.position + i, slot: batch.slot });
    }
  }
  return turns;
}

/** The dead letters in a store's content. */
export function lettersIn(content: StoreContent | undefined): DeadMessage[] {
  return [...(content?.letters ?? [])].map(([name, row]) => {
    const { envelope, error, reason } = decodeLetter(name, row);
    const isStruckDown = error.cause?.code === 'HOST_LOST';
    return { id: envelope.id, to: envelope.to, reason, isStruckDown };
  });
}
