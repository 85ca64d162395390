/**
 * One message as a JetStream consumer delivers it, and the answers that may be given.
 *
 * Owns: reading the reply subject, which has the numbers of a delivery (NATS ADR-15), and the words of acknowledgement.
 */
import type { Msg, NatsConnection } from '@nats-io/transport-node';

export interface Delivery {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply: string;
  /** How often it was delivered, this time included. */
  readonly deliveries: number;
  readonly sequence: number;
  /** When it was stored. */
  readonly storedMs: number;
}

/** Undefined when it is no delivery. */
export function deliveryOf({ subject, data, reply }: Msg): Delivery | undefined {
  if (reply === undefined || !reply.startsWith('$JS.ACK.')) return undefined;
  const tokens = reply.split('.');
  // Newer servers put a domain and the account's hash before the stream.
  const at = tokens.length === 9 ? 4 : 6;
  const [deliveries, sequence, , stamp = '0'] = tokens.slice(at);
  return {
    subject,
    data,
    reply,
    deliveries: Number(deliveries),
    sequence: Number(sequence),
    storedMs: Number(stamp.slice(0, -6)),
  };
}

/** As the reply subject of a message that somebody else was given: of a delivery of it that is not settled. */
export const tokenFor = (stream: string, consumer: string, sequence: number, delivery: number): string =>
  `$JS.ACK.${stream}.${consumer}.1.${sequence}.${delivery}.0.0`;

export const acknowledge = (connection: NatsConnection, { reply }: Delivery): void => connection.publish(reply, '+ACK');

/** Resolves when the server has done it, and all that were sent before it to the same consumer. */
export const acknowledged = async (connection: NatsConnection, reply: string, timeoutMs: number): Promise<void> => {
  await connection.request(reply, '+ACK', { timeout: timeoutMs });
};

/** Gives it back: to be delivered again at once. */
export const giveBack = (connection: NatsConnection, { reply }: Delivery): void => connection.publish(reply, '-NAK');

/** Keeps it for another acknowledgement timeout. */
export const stillWorking = (connection: NatsConnection, { reply }: Delivery): void =>
  connection.publish(reply, '+WPI');
