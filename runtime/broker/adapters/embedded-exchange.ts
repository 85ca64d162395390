/**
 * Where actors publish: one that sends a message draft here has published it when its turn is committed.
 *
 * Owns: giving each draft an id that is the same whatever dies, and handing it to the queue that brokers of this name publish from. So
 * a draft waits while no broker runs, is published once, and those of one actor in order.
 */
import type { Behavior } from '../../kernel/behavior.ts';
import { encodeValue } from '../../wire/value-codec.ts';
import { EXCHANGE, EXCHANGE_QUEUE, queueKey, type QueueMessage, type WireMessage } from './embedded-protocol.ts';

/** What an actor has sent, on its way. */
export interface OutgoingDraft {
  readonly id: string;
  readonly from: string | undefined;
  readonly draft: unknown;
}

export const exchangeBehavior: Behavior<null> = {
  init: () => null,
  receive(state, draft, turn) {
    const id = `${turn.self}#${turn.sequence}`;
    const outgoing: OutgoingDraft = { id, from: turn.from, draft };
    const message: WireMessage = [id, turn.from ?? '', null, 0, 0, encodeValue(outgoing)];
    const broker = turn.self.slice(EXCHANGE.length + 1);
    turn.send(queueKey(broker, EXCHANGE_QUEUE), { type: 'ACCEPT', messages: [message] } satisfies QueueMessage);
    turn.reply(id);
    return state;
  },
  save: (state) => state,
  load: () => null,
  view: () => null,
};
