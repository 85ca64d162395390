/**
 * The message that a handler is at work on, for whatever it publishes later.
 *
 * Owns: the asynchronous context in which handlers run. It holds nothing but their message: what whoever published, or delivered, had in
 * its own is not theirs.
 */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import type { MessageHandler } from './contract/broker-contract.ts';
import type { Message } from './contract/message.ts';
import type { Delivery } from './delivery.ts';
import type { Header } from './message-maker.ts';

const handling = new AsyncLocalStorage<Header>();
const emptyContext = new AsyncResource('MessageHandler', { requireManualDestroy: true });

const enterAndCall = (handle: MessageHandler, message: Message, context: Delivery): unknown => {
  handling.enterWith(message);
  return handle(message, context);
};

/** Of whoever asks; undefined outside of handlers. */
export const messageInHands = (): Header | undefined => handling.getStore();

/** In the context of the caller, for spans. */
export const callWithin = (handle: MessageHandler, message: Message, context: Delivery): unknown =>
  handling.run(message, handle, message, context);

/**
 * Since Node 24 a context is copied each time it changes, and `run` changes it twice: into the message, and back. From an empty one it is
 * changed once, and dropped (a call: 180 ns, with `run` 300). Before, what is entered would stay in what is taken for empty.
 */
export const callAlone: typeof callWithin =
  Number.parseInt(process.versions.node, 10) >= 24
    ? (handle, message, context) => emptyContext.runInAsyncScope(enterAndCall, undefined, handle, message, context)
    : callWithin;
