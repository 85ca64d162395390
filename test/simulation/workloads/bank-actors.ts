/** A bank: accounts that send money to each other. The sum over all accounts and all money on its way is constant. */
import { defineActor } from '../../../actors/index.ts';

export interface AccountState {
  readonly balance: number;
  /** Names of transfers that were begun here and of those that have arrived here, in order. */
  readonly sent: readonly string[];
  readonly received: readonly string[];
}

export type AccountMessage =
  | { readonly type: 'TRANSFER'; readonly name: string; readonly to: string; readonly amount: number }
  | { readonly type: 'DEPOSIT'; readonly name: string; readonly amount: number }
  | { readonly type: 'BALANCE' };

export const account = defineActor(import.meta.url, 'account', {
  reducer: {
    init: (input: { readonly balance: number }): AccountState => ({ balance: input.balance, sent: [], received: [] }),
    receive(state: AccountState, message: AccountMessage, turn): AccountState {
      switch (message.type) {
        case 'TRANSFER': {
          if (message.amount > state.balance) {
            turn.reply({ done: false });
            return state;
          }
          turn.send(message.to, { type: 'DEPOSIT', name: message.name, amount: message.amount });
          turn.reply({ done: true, balance: state.balance - message.amount });
          return { ...state, balance: state.balance - message.amount, sent: [...state.sent, message.name] };
        }
        case 'DEPOSIT':
          return { ...state, balance: state.balance + message.amount, received: [...state.received, message.name] };
        case 'BALANCE':
          turn.reply(state.balance);
          return state;
      }
    },
  },
  snapshotEveryTurns: 20,
  passivateAfterMs: 2_000,
});
