/** A desk that sagas call: books and unbooks by name, fails or stays silent on request, and remembers how often it was asked for what. */
import { defineActor } from '../../../actors/index.ts';
import type { Turn } from '../../../runtime/kernel/behavior.ts';

interface Command {
  readonly type: 'BOOK' | 'UNBOOK' | 'SILENT' | 'MUTE' | 'STATE';
  readonly what?: string;
  /** Tries that fail before one succeeds. */
  readonly failures?: number;
  readonly code?: string;
  readonly workflow?: { readonly step: string; readonly attempt: number; readonly idempotencyKey: string };
}

interface Desk {
  readonly booked: readonly string[];
  readonly asked: readonly string[];
  readonly tries: Readonly<Record<string, number>>;
}

class DeskError extends Error {
  readonly code: string;
  constructor(code: string) {
    super(`the desk says ${code}`);
    this.code = code;
  }
}

export const desk = defineActor(import.meta.url, 'desk', {
  virtual: true,
  failure: { maxAttempts: 1 },
  reducer: {
    init: (): Desk => ({ booked: [], asked: [], tries: {} }),
    receive(state: Desk, { type, what = '', failures = 0, code = 'BUSY', workflow }: Command, turn: Turn): Desk {
      if (type === 'STATE') {
        turn.reply(state);
        return state;
      }
      const asked = [...state.asked, `${type} ${what} ${workflow?.idempotencyKey}`];
      const name = `${type} ${what}`;
      const tries = { ...state.tries, [name]: (state.tries[name] ?? 0) + 1 };
      if (type === 'SILENT') {
        turn.takeReplyTo();
        return { ...state, asked, tries };
      }
      if (type === 'MUTE') return { ...state, asked, tries };
      if ((tries[name] as number) <= failures) {
        turn.fail(new DeskError(code));
        return { ...state, asked, tries };
      }
      turn.reply({ what, number: state.booked.length + 1 });
      const booked = type === 'BOOK' ? [...state.booked, what] : state.booked.filter((one) => one !== what);
      return { booked, asked, tries };
    },
  },
});
