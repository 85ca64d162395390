/**
 * The outbox: commands of runs to systems, kept until their answer is with the run.
 *
 * Owns: the list of what is to be published, and who publishes. Publishing is `command-dispatcher.ts`, where the broker is; an actor cannot
 * reach it.
 *
 * Invariants:
 * OB1. A command is here from the turn of its run until the dispatcher has told the run what became of it. A crash between the two
 *      publishes it again, under the same id.
 * OB2. One taker has the seat and is handed the commands; the others stand by. The seat is free when its taker leaves, when its system is
 *      another one (the process has ended), and when it was not heard of for `SEAT_MS`.
 */
import { type CellKey, keyOf } from '../../runtime/kernel/address.ts';
import type { Behavior, Turn } from '../../runtime/kernel/behavior.ts';
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
  /** Its handler is to be heard of. */
  readonly listens?: boolean;
  readonly about: {
    readonly run: string;
    readonly step: string;
    readonly attempt: number;
    readonly idempotencyKey: string;
    /** What the handler of an earlier try has said last. */
    readonly heartbeat?: unknown;
  };
}

/** Who takes commands: a dispatcher, by its number, of one life of an actor system. */
export interface Taker {
  readonly system: string;
  readonly number: number;
}

/** Commands from number `after` on: at once, or when there are any and the seat is the taker's. Empty: ask again. */
export interface TakeRequest {
  readonly type: 'take';
  readonly after: number;
  readonly taker: Taker;
}

export interface OutboxEntry {
  readonly number: number;
  readonly command: PublishCommand;
}

type OutboxMessage =
  | PublishCommand
  | TakeRequest
  | { readonly type: 'leave'; readonly taker: Taker }
  | { readonly type: 'settled'; readonly numbers: readonly number[] };

/** Entries by `number >> CHUNK_BITS`, each chunk in order: what a turn copies stays small, however many wait. */
type Chunks = Readonly<Record<number, readonly OutboxEntry[]>>;

interface Waiting {
  readonly taker: Taker;
  readonly handle: ReplyTo;
}

interface Outbox {
  readonly next: number;
  readonly chunks: Chunks;
  readonly seat: { readonly taker: Taker; readonly seenMs: number } | undefined;
  /** The seat's taker, where it waits for commands. */
  readonly waiting: ReplyTo | undefined;
  readonly standby: readonly Waiting[];
}

/** Commands that one take hands out. */
const TAKE_LIMIT = 256;
const CHUNK_BITS = 8;
/** A taker that was silent for so long has lost its seat. It asks every 10 s, unless it has its hands full. */
const SEAT_MS = 60_000;
/** Others are told to ask again. */
const STANDBY_LIMIT = 16;

export const outboxBehavior: Behavior<Outbox> = {
  init: () => ({ next: 1, chunks: {}, seat: undefined, waiting: undefined, standby: [] }),
  receive(state, given, turn) {
    const message = given as OutboxMessage;
    switch (message.type) {
      case 'publish': {
        const entry = { number: state.next, command: message };
        const at = entry.number >> CHUNK_BITS;
        const chunks = { ...state.chunks, [at]: [...(state.chunks[at] ?? []), entry] };
        if (state.waiting !== undefined) turn.replyTo(state.waiting, [entry]);
        return { ...state, next: state.next + 1, chunks, waiting: undefined };
      }
      case 'take':
        return take(state, message, turn);
      case 'leave':
        return isSame(state.seat?.taker, message.taker) ? handOn(state, turn) : state;
      case 'settled':
        return { ...state, chunks: message.numbers.reduce(without, state.chunks) };
    }
  },
  signal: (state) => state,
  save: (state) => state,
  load: (saved) => saved as Outbox,
  view: ({ chunks }) => ({ waiting: Object.values(chunks).reduce((sum, chunk) => sum + chunk.length, 0) }),
};

function take(state: Outbox, { taker, after }: TakeRequest, turn: Turn): Outbox {
  const handle = turn.takeReplyTo();
  if (handle === undefined) return state;
  const { seat } = state;
  const isTaken = seat !== undefined && seat.taker.system === taker.system && turn.nowMs - seat.seenMs < SEAT_MS;
  if (isTaken && !isSame(seat.taker, taker)) return standBy(state, { taker, handle }, turn);
  // A taker that was there before has given up, or is told to stand by when it asks again.
  if (state.waiting !== undefined && !isSame(seat?.taker, taker)) turn.replyTo(state.waiting, []);
  const standby = state.standby.filter((one) => one.taker.system === taker.system && !isSame(one.taker, taker));
  const seated = { ...state, seat: { taker, seenMs: turn.nowMs }, waiting: undefined, standby };
  const due = entriesAfter(state.chunks, after);
  if (due.length === 0) return { ...seated, waiting: handle };
  turn.replyTo(handle, due);
  return seated;
}

function standBy(state: Outbox, waiting: Waiting, turn: Turn): Outbox {
  const others = state.standby.filter(({ taker }) => !isSame(taker, waiting.taker));
  for (const { handle } of others.slice(0, Math.max(0, others.length + 1 - STANDBY_LIMIT))) turn.replyTo(handle, []);
  return { ...state, standby: [...others.slice(1 - STANDBY_LIMIT), waiting] };
}

/** The next in line takes the seat when it asks. */
function handOn(state: Outbox, turn: Turn): Outbox {
  const [next, ...standby] = state.standby;
  if (next !== undefined) turn.replyTo(next.handle, []);
  return { ...state, seat: undefined, waiting: undefined, standby };
}

function isSame(a: Taker | undefined, b: Taker): boolean {
  return a !== undefined && a.system === b.system && a.number === b.number;
}

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
