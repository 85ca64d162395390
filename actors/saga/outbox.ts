/**
 * The outbox: commands of runs to systems, kept until their answer is with the run.
 *
 * Owns: the list of what is to be published. Publishing is `command-dispatcher.ts`, where the broker is; an actor cannot reach it.
 *
 * Invariants:
 * OB1. A command is here from the turn of its run until the dispatcher has told the run what became of it. A crash between the two
 *      publishes it again, under the same id.
 */
import { type CellKey, keyOf } from '../../runtime/kernel/address.ts';
import type { Behavior } from '../../runtime/kernel/behavior.ts';
import type { ReplyTo } from '../../runtime/kernel/message.ts';
import type { TraceCarrier } from '../../runtime/telemetry/trace-carrier.ts';

export const OUTBOX_DEFINITION = 'saga-outbox';
export const OUTBOX_KEY: CellKey = keyOf(OUTBOX_DEFINITION, 'commands');

export interface PublishCommand {
  readonly type: 'publish';
  readonly run: CellKey;
  /** The command's id in its run. */
  readonly id: string;
  readonly target: string;
  readonly action: string;
  readonly parameters: unknown;
  readonly timeoutMs: number;
  /** Absent: the run was started in none. */
  readonly trace?: TraceCarrier;
  readonly about: {
    readonly run: string;
    readonly step: string;
    readonly attempt: number;
    readonly idempotencyKey: string;
    /** What the handler of an earlier try has said last. */
    readonly heartbeat?: unknown;
  };
}

/** Commands from number `after` on: at once, or when there are any. */
export interface TakeRequest {
  readonly type: 'take';
  readonly after: number;
}

export interface OutboxEntry {
  readonly number: number;
  readonly command: PublishCommand;
}

type OutboxMessage = PublishCommand | TakeRequest | { readonly type: 'settled'; readonly numbers: readonly number[] };

/** Entries by `number >> CHUNK_BITS`, each chunk in order: what a turn copies stays small, however many wait. */
type Chunks = Readonly<Record<number, readonly OutboxEntry[]>>;

interface Outbox {
  readonly next: number;
  readonly chunks: Chunks;
  readonly taker: { readonly handle: ReplyTo; readonly after: number } | undefined;
}

/** Commands that one take hands out. */
const TAKE_LIMIT = 256;
const CHUNK_BITS = 8;

export const outboxBehavior: Behavior<Outbox> = {
  init: () => ({ next: 1, chunks: {}, taker: undefined }),
  receive(state, given, turn) {
    const message = given as OutboxMessage;
    switch (message.type) {
      case 'publish': {
        const entry = { number: state.next, command: message };
        const at = entry.number >> CHUNK_BITS;
        const chunks = { ...state.chunks, [at]: [...(state.chunks[at] ?? []), entry] };
        if (state.taker !== undefined) turn.replyTo(state.taker.handle, [entry]);
        return { next: state.next + 1, chunks, taker: undefined };
      }
      case 'take': {
        const due = entriesAfter(state.chunks, message.after);
        const handle = turn.takeReplyTo();
        if (handle === undefined) return state;
        // A taker that was there before has given up, or its process is gone.
        if (due.length === 0) return { ...state, taker: { handle, after: message.after } };
        turn.replyTo(handle, due);
        return state;
      }
      case 'settled':
        return { ...state, chunks: message.numbers.reduce(without, state.chunks) };
    }
  },
  signal: (state) => state,
  save: (state) => state,
  load: (saved) => saved as Outbox,
  view: ({ chunks }) => ({ waiting: Object.values(chunks).reduce((sum, chunk) => sum + chunk.length, 0) }),
};

function entriesAfter(chunks: Chunks, after: number): OutboxEntry[] {
  const due: OutboxEntry[] = [];
  // Whole numbers are the members of an object in their order.
  for (const [at, chunk] of Object.entries(chunks)) {
    if (Number(at) < after >> CHUNK_BITS) continue;
    for (const entry of chunk) if (entry.number > after) due.push(entry);
    if (due.length >= TAKE_LIMIT) break;
  }
  return due.slice(0, TAKE_LIMIT);
}

function without(chunks: Chunks, number: number): Chunks {
  const at = number >> CHUNK_BITS;
  const left = chunks[at]?.filter((entry) => entry.number !== number);
  if (left === undefined) return chunks;
  const { [at]: _old, ...others } = chunks;
  return left.length === 0 ? others : { ...others, [at]: left };
}
