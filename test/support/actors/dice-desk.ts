/** A desk whose answers follow from the key of the command: it does it, fails, fails for good, or says nothing that can be relied on. */
import { defineActor } from '../../../actors/index.ts';
import type { Turn } from '../../../runtime/kernel/behavior.ts';
import { hashOf } from '../../../runtime/kernel/random.ts';

export interface Throw {
  readonly key: string;
  readonly outcome: 'done' | 'SOME' | 'FINAL' | 'ASK_TIMEOUT';
}

interface Command {
  readonly type: 'a' | 'undo' | 'STATE';
  readonly workflow?: { readonly idempotencyKey: string };
}

class DiceError extends Error {
  readonly code: string;
  constructor(code: string) {
    super(`the dice say ${code}`);
    this.code = code;
  }
}

/** Of 20 tries 14 go well; what undoes fails less often. */
function outcomeOf(type: Command['type'], key: string): Throw['outcome'] {
  const draw = hashOf(key) % 20;
  if (draw >= (type === 'undo' ? 2 : 6)) return 'done';
  if (draw === 0) return 'FINAL';
  return draw <= 2 ? 'ASK_TIMEOUT' : 'SOME';
}

/** Its state is what it was asked, in order. */
export const diceDesk = defineActor(import.meta.url, 'dice-desk', {
  virtual: true,
  failure: { maxAttempts: 1 },
  reducer: {
    init: (): readonly Throw[] => [],
    receive(thrown: readonly Throw[], { type, workflow }: Command, turn: Turn): readonly Throw[] {
      if (type === 'STATE') {
        turn.reply(thrown);
        return thrown;
      }
      const key = workflow?.idempotencyKey ?? '';
      const outcome = outcomeOf(type, key);
      if (outcome === 'done') turn.reply(key);
      else turn.fail(new DiceError(outcome));
      return [...thrown, { key, outcome }];
    },
  },
});
