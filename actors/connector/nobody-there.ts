/**
 * Nobody took a message: is there no such system, or has it no such handler?
 *
 * Owns: that distinction. Known is a system that has connected in this process, has an actor in the system of actors, or whose
 * subscriptions the broker has.
 */
import type { Broker } from '../../runtime/broker/contract/broker-contract.ts';
import type { MessageDraft } from '../../runtime/broker/contract/message.ts';
import type { ActorHost } from '../../runtime/kernel/actor-host.ts';
import { keyOf } from '../../runtime/kernel/address.ts';
import { NoHandlerError, NoSubscriberError, UnknownTargetError } from '../../runtime/kernel/errors.ts';
import { connector } from './connector-actor.ts';
import type { ConnectorDirectory } from './connector-directory.ts';

/** Where it is looked up whether there is such a system. */
export interface Whereabouts {
  readonly broker: Broker;
  readonly directory: ConnectorDirectory;
  readonly host: ActorHost | undefined;
}

/** CD1: of a system that lives here it is known whether it has the handler. @throws NoSubscriberError */
export function assertTaken(target: string, action: string, directory: ConnectorDirectory): void {
  const living = directory.living(target);
  if (living.length === 0 || living.some((entry) => entry.takesCommand(action))) return;
  throw new NoSubscriberError(`"${target}" is connected, and has no handler for the command "${action}"`, {
    details: { target, action },
  });
}

/** The error to give instead of `error`, which may be any. */
export async function explainNobody(
  error: unknown,
  { target, type }: MessageDraft,
  { broker, directory, host }: Whereabouts,
): Promise<unknown> {
  if (target === undefined || !(error instanceof NoSubscriberError || error instanceof NoHandlerError)) return error;
  if (directory.isKnown(target) || (await hasActor(target, host)) || (await hasQueue(target, broker))) return error;
  return new UnknownTargetError(
    `no system "${target}" is known, and nobody takes "${type}" for it: is the id right, and was a connector of it started?`,
    { cause: error, details: { target, type } },
  );
}

/** Whether a process, this or another one, has made the durable queue of its commands. */
async function hasQueue(target: string, broker: Broker): Promise<boolean> {
  try {
    return (await broker.subscriptions?.())?.has(target) === true;
  } catch {
    // Not to be found out now, as below.
    return true;
  }
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
