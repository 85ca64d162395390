/**
 * An actor as the handler of a subscription.
 *
 * Owns: asking it. The message's idempotency key (its id, without one) is the actor's: the actor remembers it in the turn that handles
 * the message, so that a second hand-out gets the same answer and no second turn. A failure is remembered like any answer: one that is
 * redriven has a key of its own.
 */
import type { ActorHost } from '../kernel/actor-host.ts';
import { InvalidOptionsError, NoReplyError } from '../kernel/errors.ts';
import { IDEMPOTENCY_KEY_LENGTH_LIMIT } from '../kernel/limits.ts';
import type { Reference } from '../kernel/reference.ts';
import type { MessageHandler } from './contract/broker-contract.ts';

export function actorHandler(system: ActorHost | undefined, actor: Reference): MessageHandler {
  if (system === undefined) {
    throw new InvalidOptionsError(`an actor (${actor.key}) can handle messages when the broker is given its system`);
  }
  const ref = system.refOf(actor.key);
  return async (message, { signal, redrives }) => {
    const key = message.idempotencyKey ?? message.id;
    try {
      return await ref.ask(message, {
        idempotencyKey: redrives === 0 ? key : redrivenKey(key, redrives),
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

/** Longer than any key may be, one of 256 characters would be refused: its end stands for it. */
function redrivenKey(key: string, redrives: number): string {
  const mark = `~${redrives}`;
  return `${key.slice(mark.length - IDEMPOTENCY_KEY_LENGTH_LIMIT)}${mark}`;
}

/** The module of the embedded broker's actors, for the `actors` of a system whose actors publish before its first broker is started. */
export const brokerActors: URL = new URL(
  import.meta.url.endsWith('.ts') ? './adapters/embedded-actors.ts' : './adapters/embedded-actors.js',
  import.meta.url,
);
