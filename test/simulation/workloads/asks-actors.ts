/** Requesters and repliers: actors that ask actors, with deadlines, late answers and answers kept for later. */
import { defineActor } from '../../../actors/index.ts';
import type { ReplyTo } from '../../../runtime/kernel/message.ts';

export interface ReplierState {
  /** Requests by their name: how often handled. */
  readonly handled: Readonly<Record<string, number>>;
  readonly kept: readonly { readonly to: ReplyTo; readonly name: string }[];
  readonly total: number;
}

export type ReplierMessage = {
  readonly type: 'ADD';
  readonly name: string;
  readonly amount: number;
  readonly how: 'now' | 'later' | 'never' | 'fail';
};

export const replier = defineActor(import.meta.url, 'replier', {
  reducer: {
    init: (): ReplierState => ({ handled: {}, kept: [], total: 0 }),
    receive(state: ReplierState, message: ReplierMessage, turn): ReplierState {
      const { name, amount, how } = message;
      const next = {
        ...state,
        handled: { ...state.handled, [name]: (state.handled[name] ?? 0) + 1 },
        total: state.total + amount,
      };
      switch (how) {
        case 'now':
          turn.reply({ name, total: next.total });
          return next;
        case 'fail':
          turn.fail(new Error(`no ${name}`));
          return next;
        case 'never':
          turn.takeReplyTo();
          return next;
        case 'later': {
          const to = turn.takeReplyTo();
          turn.setTimer({ id: 'answer', delayMs: 50, payload: null });
          return to === undefined ? next : { ...next, kept: [...next.kept, { to, name }] };
        }
      }
    },
    signal(state, signal, turn) {
      if (signal.kind !== 'timer') return state;
      for (const { to, name } of state.kept) turn.replyTo(to, { name, total: state.total });
      return { ...state, kept: [] };
    },
  },
  virtual: true,
  snapshotEveryTurns: 12,
  passivateAfterMs: 300,
});

export interface RequesterState {
  readonly asked: number;
  readonly outcomes: Readonly<Record<string, string>>;
}

export interface RequesterMessage {
  readonly type: 'GO';
  readonly to: string;
  readonly how: ReplierMessage['how'];
}

export const requester = defineActor(import.meta.url, 'requester', {
  reducer: {
    init: (): RequesterState => ({ asked: 0, outcomes: {} }),
    receive(state: RequesterState, message: RequesterMessage, turn): RequesterState {
      const name = `${turn.self}#${state.asked}`;
      turn.ask(message.to, { type: 'ADD', name, amount: 1, how: message.how }, { ask: name, timeoutMs: 2_000 });
      return { ...state, asked: state.asked + 1 };
    },
    signal(state, signal) {
      if (signal.kind !== 'reply' && signal.kind !== 'ask.failed') return state;
      const before = state.outcomes[signal.ask];
      const outcome = signal.kind === 'reply' ? 'reply' : ((signal.error as { code?: string }).code ?? 'error');
      return {
        ...state,
        outcomes: { ...state.outcomes, [signal.ask]: before === undefined ? outcome : `${before},${outcome}` },
      };
    },
  },
  virtual: true,
  durability: 'snapshot',
  snapshotEveryTurns: 9,
  passivateAfterMs: 700,
});
