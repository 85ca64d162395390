/**
 * An actor as the handler of a subscription.
 *
 * Owns: asking it. The message's id is the idempotency key: the actor remembers it in the turn that handles the message, so that a
 * second hand-out gets the same answer and no second turn.
 */
import type { ActorHost } from '../kernel/actor-host.ts';
import { keyOf } from '../kernel/address.ts';
import { InvalidOptionsError, NoReplyError } from '../kernel/errors.ts';
import { Reference } from '../kernel/reference.ts';
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

/**
 * Where actors publish, of the embedded broker of this name: what is sent there, a `MessageDraft`, is published once the turn is committed,
 * in order, once. While no broker of the name runs, it waits.
 *
 * @example entry: sendTo(exchangeOf(), { type: 'orders.placed', payload })
 */
export function exchangeOf(broker = 'main'): Reference {
  return new Reference(keyOf('broker-exchange', broker));
}

/** The module of the embedded broker's actors, for the `actors` of a system whose actors publish before its first broker is started. */
export const brokerActors: URL = new URL(
  import.meta.url.endsWith('.ts') ? './adapters/embedded-actors.ts' : './adapters/embedded-actors.js',
  import.meta.url,
);
