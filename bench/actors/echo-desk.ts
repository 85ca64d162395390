/** Answers each command of a saga, and keeps how many there were: journaled. What it is to decline fails. */
import { defineActor } from '../../runtime/index.ts';
import type { Turn } from '../../runtime/kernel/behavior.ts';

export interface DeskCommand {
  readonly type: 'DO' | 'UNDO' | 'DECLINE';
  readonly order?: number;
}

export const echoDesk = defineActor(import.meta.url, 'echo-desk', {
  virtual: true,
  reducer: {
    init: (): number => 0,
    receive(count: number, { type }: DeskCommand, turn: Turn): number {
      if (type === 'DECLINE') turn.fail(new Error('declined'));
      else turn.reply(count + 1);
      return count + 1;
    },
  },
});
