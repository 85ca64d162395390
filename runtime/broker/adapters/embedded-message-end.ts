/**
 * Waiting for a message to be handled or dead, everywhere.
 *
 * Owns: which subscriptions are still open, and giving up. What ended lately is known without a question; what is older is asked for.
 *
 * Invariants:
 * EM1. Resolves or rejects once; then nobody keeps it any more.
 */
import type { DeliveryStatus, ReceiptState } from '../contract/receipt.ts';
import { receiptStateOf } from '../receipt-state.ts';
import { type EndWaiter, isEnd, type Route } from './embedded-route.ts';

export class MessageEnd implements EndWaiter {
  readonly #id: string;
  readonly #resolve: (state: ReceiptState) => void;
  readonly #reject: (error: Error) => void;
  /** All that wait, for whoever ends them. */
  readonly #waiting: Set<MessageEnd>;
  /** Mostly of one subscription: the state is made once, when it is complete. */
  readonly #statuses: Record<string, DeliveryStatus> = {};
  readonly #open: Route[] = [];
  #signal: AbortSignal | undefined;
  #abort: (() => void) | undefined;
  #isOver = false;

  constructor(
    id: string,
    resolve: (state: ReceiptState) => void,
    reject: (error: Error) => void,
    waiting: Set<MessageEnd>,
  ) {
    this.#id = id;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#waiting = waiting;
  }

  /** A subscription that has the message since `ends` messages had ended there. */
  add(route: Route, ends: number): void {
    const end = route.recentEnd(this.#id);
    if (end !== undefined) {
      this.#statuses[route.name] = end;
    } else if (route.remembersSince(ends)) {
      this.#open.push(route);
      route.wait(this.#id, this);
    } else {
      this.ask(route);
    }
  }

  /** A subscription that may have it. */
  ask(route: Route): void {
    this.#open.push(route);
    route.wait(this.#id, this);
    route.status(this.#id).then(
      (status) => {
        if (status === undefined) this.#close(route);
        else if (isEnd(status)) this.ended(route, status);
      },
      (error: unknown) => this.giveUp(error),
    );
  }

  begin(signal: AbortSignal | undefined): void {
    if (this.#open.length === 0) {
      this.#finish();
      return;
    }
    this.#waiting.add(this);
    if (signal === undefined) return;
    this.#signal = signal;
    this.#abort = () => this.giveUp(signal.reason);
    signal.addEventListener('abort', this.#abort);
  }

  ended(route: Route, status: DeliveryStatus): void {
    if (this.#isOver) return;
    this.#statuses[route.name] = status;
    this.#close(route);
  }

  giveUp(error: unknown): void {
    if (this.#over()) this.#reject(error as Error);
  }

  #close(route: Route): void {
    const at = this.#open.indexOf(route);
    if (this.#isOver || at === -1) return;
    route.unwait(this.#id, this);
    this.#open.splice(at, 1);
    if (this.#open.length === 0) this.#finish();
  }

  #finish(): void {
    if (this.#over()) this.#resolve(receiptStateOf(this.#id, this.#statuses));
  }

  #over(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    for (const route of this.#open) route.unwait(this.#id, this);
    this.#waiting.delete(this);
    if (this.#abort !== undefined) this.#signal?.removeEventListener('abort', this.#abort);
    return true;
  }
}
