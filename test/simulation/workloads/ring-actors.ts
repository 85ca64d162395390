/** Rings with little room: what comes in goes on to the next member, or in a web to any other, until it has gone far enough. */
import { defineActor } from '../../../actors/index.ts';

/** How many members a ring has. */
export const MEMBERS = 4;
export const RINGS = ['a', 'b', 'web'] as const;

export type MemberMessage =
  /** Begins so many tokens at once, more than there is room for. */
  | { readonly type: 'BEGIN'; readonly name: string; readonly tokens: number; readonly steps: number }
  | { readonly type: 'PASS'; readonly token: string; readonly steps: number };

export interface MemberState {
  /** How often each token has come by. */
  readonly seen: Readonly<Record<string, number>>;
  /** Tokens that were begun here, and the steps of each. */
  readonly begun: Readonly<Record<string, number>>;
}

/** A member is named `ring-place`. */
export const member = defineActor(import.meta.url, 'member', {
  reducer: {
    init: (): MemberState => ({ seen: {}, begun: {} }),
    receive(state: MemberState, message: MemberMessage, turn): MemberState {
      const [ring, place] = turn.self.slice(turn.self.indexOf('/') + 1).split('-') as [string, string];
      const nextOf = (token: string, steps: number): string => {
        const skipped = ring === 'web' ? (steps * 5 + token.charCodeAt(token.length - 1)) % (MEMBERS - 1) : 0;
        return `member/${ring}-${(Number(place) + 1 + skipped) % MEMBERS}`;
      };
      if (message.type === 'BEGIN') {
        const begun: Record<string, number> = { ...state.begun };
        for (let i = 0; i < message.tokens; i++) {
          const token = `${message.name}.${i}`;
          begun[token] = message.steps;
          turn.send(nextOf(token, message.steps), { type: 'PASS', token, steps: message.steps });
        }
        return { ...state, begun };
      }
      const { token, steps } = message;
      if (steps > 1) turn.send(nextOf(token, steps), { type: 'PASS', token, steps: steps - 1 });
      return { ...state, seen: { ...state.seen, [token]: (state.seen[token] ?? 0) + 1 } };
    },
  },
  virtual: true,
  mailboxLimit: 4,
  snapshotEveryTurns: 25,
  passivateAfterMs: 500,
});
