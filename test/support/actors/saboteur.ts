/**
 * Saboteurs: actors that end the thread they run on, in every way that a thread can end, once or for ever.
 *
 * A `flag` is a file: written before the deed, so that whoever comes after the crash finds it and does no more harm.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { defineActor } from '../../../runtime/index.ts';

export type Way = 'exit' | 'uncaught' | 'rejection' | 'out_of_memory' | 'loop' | 'wait_for_end';

export type SaboteurMessage =
  /** In the turn itself. */
  | { readonly type: 'DIE'; readonly way: Way; readonly flag?: string }
  /** From a callback, when the host has nothing to do. */
  | { readonly type: 'DIE_LATER'; readonly way: Way; readonly flag: string }
  /** In an effect. */
  | { readonly type: 'DIE_IN_EFFECT'; readonly way: Way; readonly flag: string; readonly class: 'once' | 'again' }
  | { readonly type: 'PING' };

export interface SaboteurState {
  readonly pings: number;
  readonly survived: number;
  readonly outcomes: readonly string[];
}

interface Deed {
  readonly way: Way;
  readonly flag: string;
}

const endlessly = (): never => {
  for (;;);
};

/** Ends this thread; `wait_for_end` stays in it until somebody else does. */
const die = (way: Way): void => {
  switch (way) {
    case 'exit':
      process.exit(3);
      break;
    case 'uncaught':
      setTimeout(() => {
        throw new Error('uncaught, on purpose');
      });
      break;
    case 'rejection':
      void Promise.reject(new Error('unhandled, on purpose'));
      break;
    case 'out_of_memory': {
      const hoard: unknown[] = [];
      for (;;) hoard.push(Array.from({ length: 100 }, (_, i) => ({ i })));
    }
    case 'loop':
    case 'wait_for_end':
      endlessly();
  }
};

const dieOnce = (way: Way, flag: string): boolean => {
  if (existsSync(flag)) return false;
  writeFileSync(flag, '');
  die(way);
  return true;
};

const inEffect = async ({ input }: { readonly input: unknown }): Promise<string> => {
  const { way, flag } = input as Deed;
  if (existsSync(flag)) return 'ran again';
  writeFileSync(flag, '');
  if (way !== 'wait_for_end') die(way);
  // The deed takes a moment; until then the effect is under way.
  return new Promise(() => {});
};

export const saboteur = defineActor(import.meta.url, 'saboteur', {
  failure: { backoff: { initialMs: 1, maxMs: 1 } },
  reducer: {
    init: (): SaboteurState => ({ pings: 0, survived: 0, outcomes: [] }),
    receive(state: SaboteurState, message: SaboteurMessage, turn): SaboteurState {
      switch (message.type) {
        case 'DIE':
          if (message.flag === undefined) die(message.way);
          else dieOnce(message.way, message.flag);
          turn.reply('survived');
          return { ...state, survived: state.survived + 1 };
        case 'DIE_LATER': {
          const { way, flag } = message;
          if (!turn.replaying && !existsSync(flag)) {
            writeFileSync(flag, '');
            setTimeout(() => die(way), 50);
          }
          return state;
        }
        case 'DIE_IN_EFFECT':
          turn.startEffect({
            id: message.flag,
            source: message.class,
            input: { way: message.way, flag: message.flag },
          });
          return state;
        case 'PING':
          turn.reply(state.pings + 1);
          return { ...state, pings: state.pings + 1 };
      }
    },
    signal(state: SaboteurState, signal): SaboteurState {
      if (signal.kind === 'effect.done') return { ...state, outcomes: [...state.outcomes, String(signal.output)] };
      if (signal.kind === 'effect.failed') {
        return {
          ...state,
          outcomes: [...state.outcomes, (signal.error as { code?: string }).code ?? signal.error.message],
        };
      }
      return state;
    },
    effects: {
      once: { kind: 'call', class: 'at_most_once', run: inEffect },
      again: { kind: 'call', class: 'idempotent', run: inEffect },
    },
  },
});
