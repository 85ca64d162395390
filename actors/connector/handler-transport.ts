/**
 * A system behind functions of this process: an SDK, a legacy module, a fake for a test.
 *
 * Owns: finding the function by kind and type. Beside handlers given with `onCommand` it has what transports have: the connection with
 * its checks, and the policies around every call.
 */
import type { Message } from '../../runtime/broker/contract/message.ts';
import { NoHandlerError, NoSubscriberError } from '../../runtime/kernel/errors.ts';
import type { ConnectorTransport, DeliverOptions, TransportContext } from './transport.ts';

/** Gets the payload and the whole message. What it returns is the reply. */
export type TransportHandler = (
  payload: never,
  call: { readonly message: Message; readonly signal: AbortSignal },
) => unknown;

export interface HandlerTransportOptions {
  readonly commands?: Readonly<Record<string, TransportHandler>>;
  readonly queries?: Readonly<Record<string, TransportHandler>>;
  /** Takes the events of `forward`. */
  readonly event?: TransportHandler;
  readonly open?: (context: TransportContext) => void | Promise<void>;
  /** Throws when the other side is not well. */
  readonly check?: (signal: AbortSignal) => void | Promise<void>;
  readonly close?: () => void | Promise<void>;
}

/** @example handlerTransport({ commands: { charge: ({ cents }) => stripe.charge(cents) }, check: () => stripe.ping() }) */
export function handlerTransport(options: HandlerTransportOptions): ConnectorTransport {
  const { commands = {}, queries = {}, event, open, check, close } = options;
  const handlerOf = ({ kind, type }: Message): TransportHandler | undefined => {
    if (kind === 'EVENT') return event;
    const table = kind === 'QUERY' ? queries : commands;
    return Object.hasOwn(table, type) ? table[type] : undefined;
  };
  return {
    kind: 'handlers',
    open: async (context) => open?.(context),
    deliver: async (message: Message, { signal }: DeliverOptions) => {
      const handler = handlerOf(message);
      if (handler !== undefined) return handler(message.payload as never, { message, signal });
      const what = `"${message.target ?? ''}" has no handler for "${message.type}"`;
      throw message.kind === 'QUERY' ? new NoHandlerError(what) : new NoSubscriberError(what);
    },
    check: async (signal) => check?.(signal),
    close: async () => close?.(),
  };
}
