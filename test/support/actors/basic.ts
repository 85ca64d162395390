/** Small actors for tests of the system: one for each thing that an actor can do. */
import { defineActor } from '../../../runtime/index.ts';
import type { ReplyTo } from '../../../runtime/kernel/message.ts';

export interface CounterState {
  readonly n: number;
  readonly at: number;
}

export type CounterMessage =
  | { readonly type: 'ADD'; readonly by: number; readonly data?: unknown }
  | { readonly type: 'GET' }
  | { readonly type: 'BOOM' }
  /** Handled without an answer. */
  | { readonly type: 'QUIET' }
  | { readonly type: 'EMIT'; readonly event: unknown }
  | { readonly type: 'END' };

const counterReducer = {
  init: (input: { readonly start?: number } | undefined): CounterState => ({ n: input?.start ?? 0, at: Date.now() }),
  receive(
    state: CounterState,
    message: CounterMessage,
    turn: import('../../../runtime/kernel/behavior.ts').Turn,
  ): CounterState {
    switch (message.type) {
      case 'ADD': {
        const next = { n: state.n + message.by, at: Date.now() };
        turn.reply(next.n);
        return next;
      }
      case 'GET':
        turn.reply(state);
        return state;
      case 'BOOM':
        throw new Error('boom, on purpose');
      case 'QUIET':
        return state;
      case 'EMIT':
        turn.emit(message.event);
        return state;
      case 'END':
        turn.exit({ kind: 'normal', output: state.n });
        turn.reply('ended');
        return state;
    }
  },
};

const quick = { backoff: { initialMs: 1, maxMs: 1 } };

export const counter = defineActor(import.meta.url, 'counter', { failure: quick, reducer: counterReducer });
export const counterInMemory = defineActor(import.meta.url, 'counter-in-memory', {
  failure: quick,
  durability: 'none',
  reducer: counterReducer,
});
export const counterSnapshot = defineActor(import.meta.url, 'counter-snapshot', {
  failure: quick,
  durability: 'snapshot',
  reducer: counterReducer,
});
/** Comes to life with its first message. */
export const virtualCounter = defineActor(import.meta.url, 'virtual-counter', {
  failure: quick,
  virtual: true,
  passivateAfterMs: 1,
  reducer: counterReducer,
});

/** Does with its turn what the message says: what a buggy actor may do. */
export type PuppetMessage =
  | { readonly type: 'SEND'; readonly to: string; readonly message: unknown }
  | { readonly type: 'SEND_FUNCTION'; readonly to: string }
  | { readonly type: 'REPLY_FUNCTION' }
  | { readonly type: 'KEEP_FUNCTION' }
  | { readonly type: 'ASK'; readonly to: string; readonly message: unknown; readonly timeoutMs?: number }
  | { readonly type: 'WATCH'; readonly key: string }
  | { readonly type: 'UNWATCH'; readonly key: string }
  | { readonly type: 'STOP'; readonly key: string }
  | { readonly type: 'SPAWN'; readonly childId: string; readonly definition: string; readonly id: string }
  | { readonly type: 'TIMER'; readonly id: string; readonly delayMs: number; readonly payload?: unknown }
  | { readonly type: 'CANCEL_TIMER'; readonly id: string }
  | { readonly type: 'STASH'; readonly n: number }
  | { readonly type: 'UNSTASH' }
  | { readonly type: 'TAKE' }
  | { readonly type: 'ANSWER'; readonly value: unknown }
  | { readonly type: 'ANSWER_ERROR' }
  | { readonly type: 'FAIL' }
  | { readonly type: 'LOG'; readonly values: readonly unknown[] }
  | { readonly type: 'LOOK' };

export interface PuppetState {
  readonly seen: readonly unknown[];
  readonly open: boolean;
  readonly taken: readonly ReplyTo[];
  readonly kept?: unknown;
}

export const puppet = defineActor(import.meta.url, 'puppet', {
  failure: quick,
  reducer: {
    init: (): PuppetState => ({ seen: [], open: false, taken: [] }),
    receive(state: PuppetState, message: PuppetMessage, turn): PuppetState {
      switch (message.type) {
        case 'LOOK':
          turn.reply(state.seen);
          return state;
        case 'SEND':
          turn.send(message.to, message.message);
          return state;
        case 'SEND_FUNCTION':
          turn.send(message.to, { type: 'ADD', by: () => 1 });
          return state;
        case 'REPLY_FUNCTION':
          turn.reply({ deep: [{ callback: () => 1 }] });
          return state;
        case 'KEEP_FUNCTION':
          return { ...state, kept: () => 1 };
        case 'ASK':
          turn.ask(message.to, message.message, { ask: 'question', timeoutMs: message.timeoutMs });
          return state;
        case 'WATCH':
          turn.watch(message.key);
          return state;
        case 'UNWATCH':
          turn.unwatch(message.key);
          return state;
        case 'STOP':
          turn.stop(message.key);
          return state;
        case 'SPAWN':
          turn.spawn({ childId: message.childId, actor: { definition: message.definition, id: message.id } });
          return state;
        case 'TIMER':
          turn.setTimer(
            message.payload === undefined ? { ...message, payload: 'due' } : { ...message, payload: message.payload },
          );
          return state;
        case 'CANCEL_TIMER':
          turn.cancelTimer(message.id);
          return state;
        case 'STASH':
          if (!state.open) {
            turn.stash();
            return state;
          }
          return { ...state, seen: [...state.seen, message.n] };
        case 'UNSTASH':
          turn.unstashAll();
          return { ...state, open: true };
        case 'TAKE': {
          const handle = turn.takeReplyTo();
          return handle === undefined ? state : { ...state, taken: [...state.taken, handle] };
        }
        case 'ANSWER':
          for (const handle of state.taken) turn.replyTo(handle, message.value);
          return { ...state, taken: [] };
        case 'ANSWER_ERROR':
          for (const handle of state.taken) turn.failTo(handle, new TypeError('no, on purpose'));
          return { ...state, taken: [] };
        case 'FAIL':
          turn.fail(new RangeError('refused, on purpose'));
          return state;
        case 'LOG':
          turn.log(...message.values);
          return state;
      }
    },
    signal(state: PuppetState, signal, turn): PuppetState {
      switch (signal.kind) {
        case 'timer':
          return { ...state, seen: [...state.seen, { timer: signal.id, payload: signal.payload, at: turn.nowMs }] };
        case 'terminated':
          return {
            ...state,
            seen: [...state.seen, { terminated: signal.key, childId: signal.childId, reason: signal.reason.kind }],
          };
        case 'reply':
          return { ...state, seen: [...state.seen, { reply: signal.value }] };
        case 'ask.failed':
          return { ...state, seen: [...state.seen, { failed: (signal.error as { code?: string }).code }] };
        default:
          return state;
      }
    },
  },
});

/** Whose messages wait for ever, behind one that fails and is tried again in a minute. */
export const stuck = defineActor(import.meta.url, 'stuck', {
  mailboxLimit: 4,
  failure: { maxAttempts: 3, backoff: { initialMs: 60_000, maxMs: 60_000, jitter: 'none' } },
  reducer: {
    init: () => ({ n: 0 }),
    receive(state: { readonly n: number }, message: CounterMessage, turn): { readonly n: number } {
      if (message.type === 'BOOM') throw new Error('boom, on purpose');
      turn.reply(state.n + 1);
      return { n: state.n + 1 };
    },
  },
});
