/** What a handler is told beside the message. Owns: nothing of its own until it is asked for. */
import type { DeliveryContext } from './contract/broker-contract.ts';
import type { MessageDraft } from './contract/message.ts';
import type { Receipt } from './contract/receipt.ts';
import type { Header } from './message-maker.ts';
import type { MessagePublisher } from './message-publisher.ts';
import type { Attempt } from './runner-ports.ts';

export class Delivery implements DeliveryContext {
  readonly subscription: string;
  readonly #attempt: Attempt;
  readonly #cause: Header;
  readonly #publisher: MessagePublisher;

  constructor(attempt: Attempt, subscription: string, cause: Header, publisher: MessagePublisher) {
    this.subscription = subscription;
    this.#attempt = attempt;
    this.#cause = cause;
    this.#publisher = publisher;
  }

  get attempt(): number {
    return this.#attempt.number;
  }

  get redrives(): number {
    return this.#attempt.redrives;
  }

  get signal(): AbortSignal {
    return this.#attempt.signal;
  }

  /** Bound, since handlers take it out: `({ publish }) => …`. */
  get publish(): (draft: MessageDraft) => Promise<Receipt> {
    return (draft) => this.#publisher.publish(draft, this.#cause);
  }
}
