/**
 * Vaults: actors that notice whatever a crash may do to keyed requests, to requests among themselves, durable timers and effects.
 *
 * Effects leave a line in a file outside: what was really done, whatever the actor believes. `moves` are `at_most_once`, `copies` are
 * `idempotent`.
 */
import { defineActor } from '../../../runtime/index.ts';
import { writeDeed } from './deed.ts';

export interface VaultState {
  readonly sink: string;
  /** Keyed requests handled. */
  readonly served: number;
  readonly timers: {
    readonly set: number;
    readonly fired: number;
    readonly early: number;
    readonly strange: number;
    readonly due: Readonly<Record<string, number>>;
  };
  readonly moves: EffectTally;
  readonly copies: EffectTally;
  readonly advice: {
    /** By others, and given. */
    readonly given: number;
    readonly sought: number;
    readonly got: number;
    readonly failed: readonly string[];
  };
  readonly whispers: number;
}

export interface EffectTally {
  readonly started: number;
  readonly done: number;
  /** Numbers of those whose outcome is not known. */
  readonly unknown: readonly number[];
  readonly failed: readonly string[];
}

export type VaultMessage =
  | { readonly type: 'SERVE'; readonly n: number }
  | { readonly type: 'TIMER'; readonly delayMs: number }
  | { readonly type: 'MOVE' }
  | { readonly type: 'COPY' }
  /** Asks another vault. */
  | { readonly type: 'CONSULT'; readonly other: string }
  | { readonly type: 'ADVISE' }
  /** Tells an actor in memory. */
  | { readonly type: 'WHISPER'; readonly to: string }
  | { readonly type: 'GET' };

const NONE: EffectTally = { started: 0, done: 0, unknown: [], failed: [] };

/** Longer than any crash keeps an answer away. */
const ADVICE_TIMEOUT_MS = 600_000;

type Kind = 'moves' | 'copies';
const kindOf = (id: string): Kind => (id.startsWith('move') ? 'moves' : 'copies');

export const vault = defineActor(import.meta.url, 'vault', {
  snapshotEveryTurns: 20,
  reducer: {
    init: (input: { readonly sink: string }): VaultState => ({
      sink: input.sink,
      served: 0,
      timers: { set: 0, fired: 0, early: 0, strange: 0, due: {} },
      moves: NONE,
      copies: NONE,
      advice: { given: 0, sought: 0, got: 0, failed: [] },
      whispers: 0,
    }),
    receive(state: VaultState, message: VaultMessage, turn): VaultState {
      switch (message.type) {
        case 'GET':
          turn.reply(state);
          return state;
        case 'SERVE':
          turn.reply({ n: message.n, serial: state.served + 1, at: Date.now(), nonce: Math.random() });
          return { ...state, served: state.served + 1 };
        case 'TIMER': {
          const id = `timer-${state.timers.set + 1}`;
          turn.setTimer({ id, delayMs: message.delayMs, payload: undefined });
          const due = { ...state.timers.due, [id]: turn.nowMs + message.delayMs };
          return { ...state, timers: { ...state.timers, set: state.timers.set + 1, due } };
        }
        case 'MOVE':
        case 'COPY': {
          const kind: Kind = message.type === 'MOVE' ? 'moves' : 'copies';
          const started = state[kind].started + 1;
          const id = `${message.type.toLowerCase()}-${started}`;
          turn.startEffect({ id, source: message.type, input: { sink: state.sink, name: `${turn.self} ${id}` } });
          return { ...state, [kind]: { ...state[kind], started } };
        }
        case 'CONSULT': {
          const sought = state.advice.sought + 1;
          turn.ask(message.other, { type: 'ADVISE' }, { ask: `advice-${sought}`, timeoutMs: ADVICE_TIMEOUT_MS });
          return { ...state, advice: { ...state.advice, sought } };
        }
        case 'ADVISE':
          turn.reply('go on');
          return { ...state, advice: { ...state.advice, given: state.advice.given + 1 } };
        case 'WHISPER': {
          const whispers = state.whispers + 1;
          turn.send(message.to, { sink: state.sink, name: `${turn.self}-${whispers}` });
          return { ...state, whispers };
        }
      }
    },
    signal(state: VaultState, signal, turn): VaultState {
      switch (signal.kind) {
        case 'timer': {
          const { [signal.id]: dueMs, ...due } = state.timers.due;
          const { fired, early, strange } = state.timers;
          return {
            ...state,
            timers: {
              ...state.timers,
              fired: fired + 1,
              early: early + (dueMs !== undefined && turn.nowMs < dueMs ? 1 : 0),
              strange: strange + (dueMs === undefined ? 1 : 0),
              due,
            },
          };
        }
        case 'effect.done': {
          const kind = kindOf(signal.id);
          return { ...state, [kind]: { ...state[kind], done: state[kind].done + 1 } };
        }
        case 'effect.failed': {
          const kind = kindOf(signal.id);
          const tally = state[kind];
          const code = (signal.error as { code?: string }).code;
          const number = Number(signal.id.split('-')[1]);
          const changed: EffectTally =
            code === 'UNKNOWN_OUTCOME'
              ? { ...tally, unknown: [...tally.unknown, number] }
              : { ...tally, failed: [...tally.failed, signal.error.message] };
          return { ...state, [kind]: changed };
        }
        case 'reply':
          return { ...state, advice: { ...state.advice, got: state.advice.got + 1 } };
        case 'ask.failed':
          return { ...state, advice: { ...state.advice, failed: [...state.advice.failed, signal.error.message] } };
        default:
          return state;
      }
    },
    effects: {
      MOVE: { kind: 'call', class: 'at_most_once', run: writeDeed },
      COPY: { kind: 'call', class: 'idempotent', run: writeDeed },
    },
  },
});
