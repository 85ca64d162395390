/**
 * Actors at both ends of the broker: as handlers that get a message directly, and as publishers by way of the exchange.
 *
 * Owns: the one turn in which an actor handles a message, and what comes of it; and the form of what actors publish.
 *
 * Invariants:
 * AR1. An actor handles a message, remembers its key and says what came of it in one turn: accepted is handled. Its own failure policy
 *      decides how often it tries; what it cannot handle is a dead letter of the system.
 */
import type { ActorHandle } from '../../kernel/actor-host.ts';
import { encodeError, HandlerError, MessageExpiredError, NoReplyError } from '../../kernel/errors.ts';
import { decodeValue, encodeValue } from '../../wire/value-codec.ts';
import type { CarriedMessage } from '../broker-adapter.ts';
import type { OutgoingDraft } from './embedded-exchange.ts';
import type { Offering, Route } from './embedded-route.ts';

export async function tellActor(
  route: Route,
  actor: ActorHandle,
  { header, payload }: CarriedMessage,
  nowMs: number,
  offering: Offering,
): Promise<void> {
  const { id, idempotencyKey, expiresAtMs, traceparent } = header;
  const status = { atMs: nowMs, attempt: 1 };
  try {
    const reply = await actor.ask(
      { ...header, payload: decodeValue(payload) },
      {
        idempotencyKey: idempotencyKey ?? id,
        timeoutMs: Number.POSITIVE_INFINITY,
        ...(expiresAtMs === undefined ? {} : { ttlMs: Math.max(1, expiresAtMs - nowMs) }),
        ...(traceparent === undefined ? {} : { traceparent }),
      },
    );
    route.ended(id, { status: 'handled', ...status, ...(reply === undefined ? {} : { reply }) });
  } catch (error) {
    if (error instanceof NoReplyError) {
      route.ended(id, { status: 'handled', ...status });
    } else if (error instanceof HandlerError || error instanceof MessageExpiredError) {
      route.ended(id, { status: 'dead', ...status, error: encodeError(error) });
    } else {
      offering.refused(error);
      return;
    }
  }
  offering.accepted(route, undefined);
}

/** A draft that an actor has sent, in the form that hand-outs have. */
export function outgoingOf(bytes: Uint8Array): CarriedMessage {
  const { id, from, draft } = decodeValue(bytes) as OutgoingDraft;
  const header = {
    id,
    kind: 'EVENT',
    type: '$draft',
    subject: '$draft',
    source: from ?? '',
    timeMs: 0,
    correlationId: id,
    delivery: 'EXACTLY_ONCE',
  } as const;
  return { header, payload: encodeValue(draft) };
}
