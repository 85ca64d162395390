/** Answers each command of a saga, and keeps how many there were: journaled. */
import { defineActor } from '../../runtime/index.ts';
import type { Turn } from '../../runtime/kernel/behavior.ts';

export const echoDesk = defineActor(import.meta.url, 'echo-desk', {
  virtual: true,
  reducer: {
    init: (): number => 0,
    receive(count: number, _message: unknown, turn: Turn): number {
      turn.reply(count + 1);
      return count + 1;
    },
  },
});
