/**
 * Journaled actors that hand a token on, and the one that starts tokens and waits for them.
 *
 * Owns: durable traffic from actor to actor. A hop is one durable turn that consumes one message and sends one.
 */
import { defineActor } from '../../runtime/index.ts';
import type { CellKey } from '../../runtime/kernel/address.ts';
import type { Turn } from '../../runtime/kernel/behavior.ts';
import type { ReplyTo } from '../../runtime/kernel/message.ts';
import { type Order, order } from './messages.ts';

interface Token {
  readonly type: 'TOKEN';
  /** Hops left. */
  readonly hops: number;
  /** Told when there are none. */
  readonly home: CellKey;
  readonly order: Order;
}

interface Relay {
  readonly next: CellKey;
  readonly handled: number;
}

export const relay = defineActor(import.meta.url, 'relay', {
  reducer: {
    init: ({ next }: { readonly next: CellKey }): Relay => ({ next, handled: 0 }),
    receive(state: Relay, token: Token, turn: Turn): Relay {
      const { home, hops } = token;
      if (hops > 1) turn.send(state.next, { type: 'TOKEN', hops: hops - 1, home, order: token.order });
      else turn.send(home, { type: 'LANDED' });
      return { next: state.next, handled: state.handled + 1 };
    },
  },
});

export interface RelayRun {
  readonly type: 'START';
  readonly relays: readonly CellKey[];
  readonly tokens: number;
  readonly hops: number;
}

interface Home {
  readonly replyTo: ReplyTo | undefined;
  readonly away: number;
}

/** Asked `RelayRun`, answers when every token has landed. */
export const relayHome = defineActor(import.meta.url, 'relay-home', {
  durability: 'none',
  reducer: {
    init: (): Home => ({ replyTo: undefined, away: 0 }),
    receive(state: Home, message: RelayRun | { readonly type: 'LANDED' }, turn: Turn): Home {
      if (message.type === 'START') {
        const { hops, relays, tokens } = message;
        for (let i = 0; i < tokens; i++) {
          const token: Token = { type: 'TOKEN', hops, home: turn.self, order: order(i) };
          turn.send(relays[i % relays.length] as CellKey, token);
        }
        return { replyTo: turn.takeReplyTo(), away: tokens };
      }
      const away = state.away - 1;
      if (away === 0 && state.replyTo !== undefined) turn.replyTo(state.replyTo, true);
      return { ...state, away };
    },
  },
});
