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
  readonly about: {
    readonly run: string;
    readonly step: string;
    readonly attempt: number;
    readonly idempotencyKey: string;
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

interface Outbox {
  readonly next: number;
  /** In the order of their numbers. */
  readonly entries: readonly OutboxEntry[];
  readonly taker: { readonly handle: ReplyTo; readonly after: number } | undefined;
}

/** Commands that one take hands out. */
const TAKE_LIMIT = 256;

export const outboxBehavior: Behavior<Outbox> = {
  init: () => ({ next: 1, entries: [], taker: undefined }),
  receive(state, given, turn) {
    const message = given as OutboxMessage;
    switch (message.type) {
      case 'publish': {
        const entry = { number: state.next, command: message };
        const next = { ...state, next: state.next + 1, entries: [...state.entries, entry] };
        if (state.taker === undefined) return next;
        turn.replyTo(state.taker.handle, [entry]);
        return { ...next, taker: undefined };
      }
      case 'take': {
        const due = state.entries.filter(({ number }) => number > message.after).slice(0, TAKE_LIMIT);
        const handle = turn.takeReplyTo();
        // A taker that was there before has given up, or its process is gone.
        if (due.length === 0 && handle !== undefined) return { ...state, taker: { handle, after: message.after } };
        if (handle !== undefined) turn.replyTo(handle, due);
        return state;
      }
      case 'settled': {
        const settled = new Set(message.numbers);
        return { ...state, entries: state.entries.filter(({ number }) => !settled.has(number)) };
      }
    }
  },
  signal: (state) => state,
  save: (state) => state,
  load: (saved) => saved as Outbox,
  view: ({ entries }) => ({ waiting: entries.length }),
};
