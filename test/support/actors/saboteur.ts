/**
 * Saboteurs: actors that end the thread they run on, in a turn or in an effect, once or for ever.
 *
 * A `flag` is a file: written before the deed, so that whoever comes after the crash finds it and does no more harm.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { defineActor } from '../../../runtime/index.ts';

export type Way = 'exit' | 'loop';

export type SaboteurMessage =
  /** In the turn itself. */
  | { readonly type: 'DIE'; readonly way: Way; readonly flag?: string }
  | { readonly type: 'DIE_IN_EFFECT'; readonly way: Way; readonly flag?: string; readonly class: 'once' | 'again' }
  /** An effect that does no harm, and ends when the file is there. */
  | { readonly type: 'WAIT_IN_EFFECT'; readonly until: string }
  | { readonly type: 'PING' };

export interface SaboteurState {
  readonly pings: number;
  readonly survived: number;
  readonly outcomes: readonly string[];
}

interface Deed {
  readonly way: Way;
  readonly flag: string | undefined;
}

const die = (way: Way): never => {
  if (way === 'exit') process.exit(3);
  for (;;);
};

const dieOnce = (way: Way, flag: string | undefined): void => {
  if (flag !== undefined) {
    if (existsSync(flag)) return;
    writeFileSync(flag, '');
  }
  die(way);
};

const dieInEffect = ({ input }: { readonly input: unknown }): string => {
  const { way, flag } = input as Deed;
  dieOnce(way, flag);
  return 'ran again';
};

const waitInEffect = async ({ input }: { readonly input: unknown }): Promise<string> => {
  while (!existsSync(input as string)) await pause(5);
  return 'waited';
};

export const saboteur = defineActor(import.meta.url, 'saboteur', {
  failure: { backoff: { initialMs: 1, maxMs: 1 } },
  reducer: {
    init: (): SaboteurState => ({ pings: 0, survived: 0, outcomes: [] }),
    receive(state: SaboteurState, message: SaboteurMessage, turn): SaboteurState {
      switch (message.type) {
        case 'DIE':
          dieOnce(message.way, message.flag);
          turn.reply('survived');
          return { ...state, survived: state.survived + 1 };
        case 'DIE_IN_EFFECT': {
          const { way, flag } = message;
          turn.startEffect({ id: 'deed', source: message.class, input: { way, flag } });
          return state;
        }
        case 'WAIT_IN_EFFECT':
          turn.startEffect({ id: 'wait', source: 'wait', input: message.until });
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
      once: { kind: 'call', class: 'at_most_once', run: dieInEffect },
      again: { kind: 'call', class: 'idempotent', run: dieInEffect },
      wait: { kind: 'call', class: 'idempotent', run: waitInEffect },
    },
  },
});
