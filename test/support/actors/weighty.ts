/** Actors that ask each other for much: requests and replies of as many bytes as one likes. In memory, and journaled. */
import { defineBehavior, type Definition } from '../../../runtime/kernel/definition.ts';
import type { Behavior } from '../../../runtime/kernel/behavior.ts';
import type { ReplyTo } from '../../../runtime/kernel/message.ts';

export type WeightyMessage =
  /** Asks `to` with so many bytes for so many bytes; replies with how many came, or with the code of what went wrong. */
  | { readonly type: 'ASK'; readonly to: string; readonly askBytes: number; readonly replyBytes: number }
  | { readonly type: 'GIVE'; readonly bytes: number; readonly ballast: string };

type Asker = ReplyTo | undefined;

const behavior: Behavior<Asker> = {
  init: () => undefined,
  receive(asker, message, turn) {
    const told = message as WeightyMessage;
    if (told.type === 'GIVE') {
      turn.reply('x'.repeat(told.bytes));
      return asker;
    }
    const handle = turn.takeReplyTo();
    const give: WeightyMessage = { type: 'GIVE', bytes: told.replyBytes, ballast: 'x'.repeat(told.askBytes) };
    turn.ask(told.to, give, { ask: 'much', timeoutMs: 60_000 });
    return handle;
  },
  signal(asker, signal, turn) {
    if (asker === undefined) return asker;
    if (signal.kind === 'reply') turn.replyTo(asker, (signal.value as string).length);
    if (signal.kind === 'ask.failed') turn.replyTo(asker, (signal.error as Error & { code: string }).code);
    return undefined;
  },
  save: (asker) => asker,
  load: (saved) => saved as Asker,
  view: () => undefined,
};

const failure = { maxAttempts: 1 };
export const weighty: Definition = defineBehavior(import.meta.url, 'weighty', behavior, { virtual: true, failure });
export const weightyInMemory: Definition = defineBehavior(import.meta.url, 'weighty-in-memory', behavior, {
  virtual: true,
  durability: 'none',
  failure,
});
