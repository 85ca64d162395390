/** Actors that send to each other in a ring, with little room. */
import { defineActor } from '../../../runtime/index.ts';

export interface RingMessage {
  /** BEGIN sends `count` ROUNDs on; a ROUND goes on `copies` times while it has rounds left; STUMBLE fails, and is tried again in an hour. */
  readonly type: 'BEGIN' | 'ROUND' | 'STUMBLE';
  readonly count?: number;
  readonly rounds?: number;
  readonly copies?: number;
}

const reducer = {
  init: (): number => 0,
  receive(
    handled: number,
    message: RingMessage,
    turn: { readonly self: string; send(to: string, message: unknown): void },
  ): number {
    const { rounds = 0, copies = 1 } = message;
    const next = nextOf(turn.self);
    const send = (times: number, left: number): void => {
      for (let i = 0; next !== undefined && i < times; i++) turn.send(next, { type: 'ROUND', rounds: left, copies });
    };
    switch (message.type) {
      case 'STUMBLE':
        throw new Error('stumbled');
      case 'BEGIN':
        send(message.count ?? 0, rounds);
        return handled;
      case 'ROUND':
        if (rounds > 1) send(copies, rounds - 1);
        return handled + 1;
    }
  },
};

/** An id is `name-place-size`; after the last place comes the first, but not in a ring whose name begins with `open`. */
function nextOf(self: string): string | undefined {
  const slash = self.indexOf('/');
  const [name = '', place, size] = self.slice(slash + 1).split('-');
  const next = Number(place) + 1;
  if (next === Number(size) && name.startsWith('open')) return undefined;
  return `${self.slice(0, slash)}/${name}-${next % Number(size)}-${size}`;
}

/** Room for four. */
export const member = defineActor(import.meta.url, 'member', {
  mailboxLimit: 4,
  virtual: true,
  failure: { maxAttempts: 100, backoff: { initialMs: 3_600_000, maxMs: 3_600_000, factor: 1, jitter: 'none' } },
  reducer,
});

/** Room for four, in memory only. */
export const memberInMemory = defineActor(import.meta.url, 'member-in-memory', {
  mailboxLimit: 4,
  virtual: true,
  durability: 'none',
  reducer,
});
