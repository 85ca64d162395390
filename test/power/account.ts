/**
 * Accounts: actors whose state tells every message that they were ever given, and from which start of the load it came.
 *
 * Owns: the actor, and what its state must be after `n` messages. A message's text follows from the load's start (a *life*), the
 * account and the number, so that a turn which is not of this history shows itself.
 */
import { crc32 } from 'node:zlib';
import { defineActor } from '../../runtime/index.ts';

export const ACCOUNTS = 5;

export interface AccountState {
  /** Last number from outside. */
  readonly n: number;
  /** Folded over the texts of 1 … n. */
  readonly digest: number;
  /** Last number from the account before it. */
  readonly peer: number;
  readonly gaps: number;
  readonly doubles: number;
}

export type AccountMessage =
  | { readonly type: 'ADD'; readonly n: number; readonly text: string; readonly to: string }
  | { readonly type: 'PEER'; readonly n: number }
  | { readonly type: 'GET' };

export const FRESH: AccountState = { n: 0, digest: 0, peer: 0, gaps: 0, doubles: 0 };

export const accountKey = (account: number): string => `account/a${account}`;

/** Mostly short; now and then longer than a page, so that a row has pages of its own. */
export const textOf = (life: number, account: number, n: number): string => {
  const size = (n * 7 + account) % 29 === 0 ? 9_000 : (n * 3 + account) % 11 === 0 ? 2_500 : 20 + ((n * 13) % 90);
  return `life ${life} account ${account} number ${n} `.repeat(1 + size / 32).slice(0, size);
};

/** Every fifth message is a request with this key. */
export const ASKED_EVERY = 5;
export const askKey = (n: number): string => `number-${n}`;

export const foldText = (digest: number, text: string): number => crc32(text, digest);

const next = (state: AccountState, field: 'n' | 'peer', n: number): AccountState => {
  if (n === state[field] + 1) return { ...state, [field]: n };
  return n <= state[field] ? { ...state, doubles: state.doubles + 1 } : { ...state, gaps: state.gaps + 1, [field]: n };
};

export const foldMessage = (state: AccountState, message: AccountMessage): AccountState => {
  switch (message.type) {
    case 'ADD':
      return { ...next(state, 'n', message.n), digest: foldText(state.digest, message.text) };
    case 'PEER':
      return next(state, 'peer', message.n);
    case 'GET':
      return state;
  }
};

export const account = defineActor(import.meta.url, 'account', {
  snapshotEveryTurns: 20,
  reducer: {
    init: (): AccountState => FRESH,
    receive(state: AccountState, message: AccountMessage, turn): AccountState {
      const after = foldMessage(state, message);
      if (message.type === 'ADD') turn.send(message.to, { type: 'PEER', n: message.n });
      if (message.type !== 'PEER') turn.reply(after);
      return after;
    },
  },
});
