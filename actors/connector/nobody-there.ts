/**
 * Nobody took a message: is there no such system, or has it no such handler?
 *
 * Owns: that distinction. Known is a system that has connected in this process, has an actor in the system of actors, or whose
 * subscriptions the broker has.
 */
import type { MessageDraft } from '../../runtime/broker/contract/message.ts';
import type { ActorHost } from '../../runtime/kernel/actor-host.ts';
import { keyOf } from '../../runtime/kernel/address.ts';
import { NoHandlerError, NoSubscriberError, UnknownTargetError } from '../../runtime/kernel/errors.ts';
import { connector } from './connector-actor.ts';
import type { ConnectorDirectory } from './connector-directory.ts';

/** The error to give instead of `error`, which may be any. */
export async function explainNobody(
  error: unknown,
  { target, type }: MessageDraft,
  directory: ConnectorDirectory,
  host: ActorHost | undefined,
): Promise<unknown> {
  if (target === undefined || !(error instanceof NoSubscriberError || error instanceof NoHandlerError)) return error;
  if (directory.isKnown(target) || (await hasActor(target, host))) return error;
  return new UnknownTargetError(
    `no system "${target}" is known, and nobody takes "${type}" for it: is the id right, and was a connector of it started?`,
    { cause: error, details: { target, type } },
  );
}

async function hasActor(target: string, host: ActorHost | undefined): Promise<boolean> {
  if (host === undefined) return false;
  try {
    return (await host.refOf(keyOf(connector.name, target)).snapshot()).status !== 'absent';
  } catch {
    // Not to be found out now: say no more than the broker did.
    return true;
  }
}
