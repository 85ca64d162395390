/** A chain: what comes in is numbered and handed on; the last link keeps everything. */
import { defineActor } from '../../../actors/index.ts';

/** How many links a chain has. */
export const LINKS = 4;

export interface LinkMessage {
  readonly type: 'PASS';
  /** The client that began it, and its place among what that client sent down this chain. */
  readonly client: string;
  readonly number: number;
}

export interface LinkState {
  /** How many messages of each client have come. */
  readonly seen: Readonly<Record<string, number>>;
  /** Anything that came out of order. */
  readonly faults: readonly string[];
}

/** A link is named `chain-place`. Every third message goes on twice as a stashed one would: later, in its old order. */
export const link = defineActor(import.meta.url, 'link', {
  reducer: {
    init: (): LinkState => ({ seen: {}, faults: [] }),
    receive(state: LinkState, message: LinkMessage, turn): LinkState {
      const { client, number } = message;
      const expected = state.seen[client] ?? 0;
      const [chain, place] = turn.self.slice(turn.self.indexOf('/') + 1).split('-') as [string, string];
      if (Number(place) + 1 < LINKS) turn.send(`link/${chain}-${Number(place) + 1}`, message);
      const faults =
        number === expected ? state.faults : [...state.faults, `${client}: ${number} instead of ${expected}`];
      return { seen: { ...state.seen, [client]: number + 1 }, faults };
    },
  },
  virtual: true,
  mailboxLimit: 8,
  snapshotEveryTurns: 15,
  passivateAfterMs: 500,
});

export interface HeapState {
  readonly open: boolean;
  readonly items: readonly number[];
}

export type HeapMessage = { readonly type: 'ITEM'; readonly number: number } | { readonly type: 'TOGGLE' };

/** Keeps what comes while it is closed for later. */
export const heap = defineActor(import.meta.url, 'heap', {
  reducer: {
    init: (): HeapState => ({ open: true, items: [] }),
    receive(state: HeapState, message: HeapMessage, turn): HeapState {
      if (message.type === 'TOGGLE') {
        if (!state.open) turn.unstashAll();
        return { ...state, open: !state.open };
      }
      if (!state.open) {
        turn.stash();
        return state;
      }
      return { ...state, items: [...state.items, message.number] };
    },
  },
  snapshotEveryTurns: 10,
});
