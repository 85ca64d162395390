/**
 * Actors at both ends of the broker: as handlers that get a message directly, and as publishers by way of the exchange.
 *
 * Owns: the one turn in which an actor handles a message, and what comes of it; and the form of what actors publish.
 *
 * Invariants:
 * AR1. An actor handles a message, remembers its key and says what came of it in one turn: accepted is handled, or dead. Its own failure
 *      policy decides how often it tries.
 * AR2. What was accepted so is known to the queue: as a receipt, as a duplicate, as a dead letter. If the process dies between the two,
 *      the message was not accepted; published again, it gets the actor's answer from before.
 */
import type { ActorHandle, ActorHost } from '../../kernel/actor-host.ts';
import type { Clock } from '../../kernel/clock.ts';
import { encodeError, HandlerError, MessageExpiredError, NoReplyError } from '../../kernel/errors.ts';
import { decodePart, encodeValue } from '../../wire/value-codec.ts';
import type { CarriedMessage } from '../broker-adapter.ts';
import type { DeliveryStatus } from '../contract/receipt.ts';
import type { Acceptance } from './embedded-acceptance.ts';
import { BatchBuilder, dedupeOf, NO_BYTES } from './embedded-batch.ts';
import { REPLY_BYTES_LIMIT } from './embedded-end-recorder.ts';
import type { OutgoingDraft } from './embedded-exchange.ts';
import { MessagePacker } from './embedded-frame.ts';
import type { ReadHandOut } from './embedded-hand-out.ts';
import type { WireDead, WireHandled } from './embedded-record.ts';
import type { Route } from './embedded-route.ts';

type Header = CarriedMessage['header'];

export interface TellingPorts {
  readonly system: ActorHost;
  readonly clock: Clock;
  readonly failed: (error: Error) => void;
}

interface End {
  readonly wire: WireHandled | WireDead;
  readonly status: DeliveryStatus;
  /** The system's own dead letter of it. */
  readonly letter?: unknown;
}

/** Gives a message to the actor of a subscription, and says what came of it. */
export async function tellActor(
  route: Route,
  actor: ActorHandle,
  header: Header,
  payload: unknown,
  acceptance: Acceptance,
  { system, clock, failed }: TellingPorts,
): Promise<void> {
  const { id, idempotencyKey, expiresAtMs = 0, notBeforeMs = 0 } = header;
  try {
    const { wire: how, status, letter } = await endAt(actor, header, payload, clock);
    const bytes = how.status === 'dead' ? packedOf(header, payload) : NO_BYTES;
    const key = header.key ?? header.source;
    const verdict = await route.recorder.record([
      [id, key, dedupeOf(idempotencyKey), expiresAtMs, notBeforeMs, bytes],
      how,
    ]);
    route.endedById(id, status);
    if (typeof verdict === 'string') acceptance.accepted(route, 0, verdict);
    else acceptance.endedAtOnce(route, verdict, status);
    // It is set aside here: in two places it could be sent again twice.
    if (typeof letter === 'string') await system.deadLetters?.purge([letter]).catch(failed);
  } catch (error) {
    acceptance.refused(error);
  }
}

function packedOf(header: Header, payload: unknown): Uint8Array {
  const builder = new BatchBuilder();
  builder.add(new MessagePacker(), header, payload, false);
  return builder.packedAt(0);
}

/** Throws what kept the message from the actor. */
async function endAt(actor: ActorHandle, header: Header, payload: unknown, clock: Clock): Promise<End> {
  const { id, idempotencyKey, expiresAtMs, traceparent } = header;
  try {
    const reply = await actor.ask(
      { ...header, payload },
      {
        idempotencyKey: idempotencyKey ?? id,
        timeoutMs: Number.POSITIVE_INFINITY,
        ...(expiresAtMs === undefined ? {} : { ttlMs: Math.max(1, expiresAtMs - clock.now()) }),
        ...(traceparent === undefined ? {} : { traceparent }),
      },
    );
    const status = { status: 'handled', atMs: clock.now(), attempt: 1 } as const;
    if (reply === undefined) return { wire: { status: 'handled' }, status };
    const bytes = encodeValue(reply);
    const wire = { status: 'handled', ...(bytes.length > REPLY_BYTES_LIMIT ? {} : { reply: bytes }) } as const;
    return { wire, status: { ...status, reply } };
  } catch (error) {
    const atMs = clock.now();
    if (error instanceof NoReplyError) {
      return { wire: { status: 'handled' }, status: { status: 'handled', atMs, attempt: 1 } };
    }
    if (!(error instanceof HandlerError || error instanceof MessageExpiredError)) throw error;
    const { attempts: tries, letter } = error.details;
    const attempts = typeof tries === 'number' ? tries : 0;
    const encoded = encodeError(error);
    const reason = error instanceof HandlerError ? 'attempts' : 'expired';
    return {
      wire: { status: 'dead', reason, error: encoded, attempts },
      status: { status: 'dead', atMs, attempt: attempts, error: encoded },
      letter,
    };
  }
}

/** A draft that an actor has sent, in the form that hand-outs have. */
export const readsDrafts: ReadHandOut = (block, start, end) => {
  const { id, from, draft } = decodePart(block.bytes, start, end) as OutgoingDraft;
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
  const bytes = new Uint8Array(encodeValue(draft));
  return { header, bytes, start: 0, end: bytes.length };
};
