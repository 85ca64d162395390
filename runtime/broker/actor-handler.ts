/**
 * An actor as the handler of a subscription.
 *
 * Owns: asking it. The message's id is the idempotency key: the actor remembers it in the turn that handles the message, so that a
 * second hand-out gets the same answer and no second turn.
 */
import type { ActorHost } from '../kernel/actor-host.ts';
import { InvalidOptionsError, NoReplyError } from '../kernel/errors.ts';
import type { Reference } from '../kernel/reference.ts';
import type { MessageHandler } from './contract/broker-contract.ts';

export function actorHandler(system: ActorHost | undefined, actor: Reference): MessageHandler {
  if (system === undefined) {
    throw new InvalidOptionsError(`an actor (${actor.key}) can handle messages when the broker is given its system`);
  }
  const ref = system.refOf(actor.key);
  return async (message, { signal }) => {
    try {
      return await ref.ask(message, {
        idempotencyKey: message.id,
        timeoutMs: Number.POSITIVE_INFINITY,
        signal,
        ...(message.traceparent === undefined ? {} : { traceparent: message.traceparent }),
      });
    } catch (error) {
      // It has handled the message, and has nothing to say.
      if (error instanceof NoReplyError) return undefined;
      throw error;
    }
  };
}

/** The module of the embedded broker's actors, for the `actors` of a system whose actors publish before its first broker is started. */
export const brokerActors: URL = new URL(
  import.meta.url.endsWith('.ts') ? './adapters/embedded-actors.ts' : './adapters/embedded-actors.js',
  import.meta.url,
);
