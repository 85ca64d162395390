/** What a handler is told beside the message. Owns: nothing of its own until it is asked for. */
import type { DeliveryContext } from './contract/broker-contract.ts';
import type { MessageDraft } from './contract/message.ts';
import type { Receipt } from './contract/receipt.ts';
import type { Header } from './message-maker.ts';
import type { MessagePublisher } from './message-publisher.ts';

export class Delivery implements DeliveryContext {
  readonly attempt: number;
  readonly redrives: number;
  readonly subscription: string;
  readonly #signal: () => AbortSignal;
  /** Bound, since handlers take it out: `({ publish }) => …`. */
  readonly publish: (draft: MessageDraft) => Promise<Receipt>;

  constructor(
    attempt: number,
    redrives: number,
    subscription: string,
    signal: () => AbortSignal,
    cause: Header,
    publisher: MessagePublisher,
  ) {
    this.attempt = attempt;
    this.redrives = redrives;
    this.subscription = subscription;
    this.#signal = signal;
    this.publish = (draft) => publisher.publish(draft, cause);
  }

  get signal(): AbortSignal {
    return this.#signal();
  }
}
