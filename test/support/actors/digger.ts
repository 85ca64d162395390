/** Digs for as long as the test likes: says how far it is when told to, and answers the call when something is found. */
import { defineActor, sendHeartbeat, type WorkflowTry } from '../../../actors/index.ts';
import type { Turn } from '../../../runtime/kernel/behavior.ts';
import type { ReplyTo } from '../../../runtime/kernel/message.ts';

type Command =
  | { readonly type: 'DIG'; readonly workflow: WorkflowTry }
  | { readonly type: 'BEAT'; readonly metres: number }
  | { readonly type: 'FOUND'; readonly what: string }
  | { readonly type: 'STATE' };

interface Digger {
  readonly tries: readonly WorkflowTry[];
  readonly handles: readonly ReplyTo[];
}

export const digger = defineActor(import.meta.url, 'digger', {
  virtual: true,
  reducer: {
    init: (): Digger => ({ tries: [], handles: [] }),
    receive(state: Digger, command: Command, turn: Turn): Digger {
      switch (command.type) {
        case 'DIG': {
          const handle = turn.takeReplyTo() as ReplyTo;
          return { tries: [...state.tries, command.workflow], handles: [...state.handles, handle] };
        }
        case 'BEAT':
          sendHeartbeat(turn, state.tries.at(-1) as WorkflowTry, { metres: command.metres });
          turn.reply(null);
          return state;
        case 'FOUND':
          turn.replyTo(state.handles.at(-1) as ReplyTo, command.what);
          turn.reply(null);
          return state;
        case 'STATE':
          turn.reply(state);
          return state;
      }
    },
  },
});
