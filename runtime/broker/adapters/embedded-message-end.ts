/**
 * Waiting for a message to be handled or dead, everywhere.
 *
 * Owns: at how many subscriptions it is still open, and giving up. What ended lately is known without a question; what is older is asked for.
 *
 * Invariants:
 * EM1. Resolves or rejects once; then nobody keeps it any more.
 */
import type { DeliveryStatus, ReceiptState } from '../contract/receipt.ts';
import { receiptStateOf } from '../receipt-state.ts';
import type { Acceptance } from './embedded-acceptance.ts';
import { type EndWaiter, isEnd, type Route } from './embedded-route.ts';

/** All that wait, for whoever ends them. */
export class Waiting {
  readonly #ends: MessageEnd[] = [];

  add(end: MessageEnd): void {
    end.place = this.#ends.length;
    this.#ends.push(end);
  }

  remove(end: MessageEnd): void {
    const last = this.#ends.pop();
    if (last === undefined || last === end) return;
    this.#ends[end.place] = last;
    last.place = end.place;
  }

  giveUp(error: Error): void {
    for (const end of [...this.#ends]) end.giveUp(error);
  }
}

export class MessageEnd implements EndWaiter {
  /** Among all that wait. */
  place = -1;
  readonly #id: string;
  readonly #resolve: (state: ReceiptState) => void;
  readonly #reject: (error: Error) => void;
  readonly #waiting: Waiting;
  readonly #statuses: Record<string, DeliveryStatus> = {};
  /** Where it has not ended yet: mostly that is one route. */
  #open: Route | undefined;
  #othersOpen: Set<Route> | undefined;
  #acceptance: Acceptance | undefined;
  #signal: AbortSignal | undefined;
  #abort: (() => void) | undefined;
  #isOver = false;

  constructor(
    id: string,
    resolve: (state: ReceiptState) => void,
    reject: (error: Error) => void,
    waiting: Waiting,
    signal: AbortSignal | undefined,
  ) {
    this.#id = id;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#waiting = waiting;
    waiting.add(this);
    if (signal === undefined) return;
    this.#signal = signal;
    this.#abort = () => this.giveUp(signal.reason);
    signal.addEventListener('abort', this.#abort);
  }

  /** Waits for a message that was published here. */
  waitFor(acceptance: Acceptance): void {
    const { routes } = acceptance;
    this.#acceptance = acceptance;
    for (let at = 0; at < routes.length; at++) {
      const route = routes[at] as Route;
      const { number, ends, end } = acceptance.place(at);
      const isRecent = route.remembersSince(ends);
      const known = isRecent ? (end ?? route.recentEnd(number)) : undefined;
      if (known !== undefined) this.#statuses[route.name] = known;
      else if (isRecent && route.waitFor(number, this)) this.#isOpenAt(route);
      else this.#ask(route);
    }
    if (this.#open === undefined) this.#finish();
  }

  /** Waits for one that any of `routes` may have. */
  waitAnywhere(routes: Iterable<Route>): void {
    for (const route of routes) this.#ask(route);
    if (this.#open === undefined) this.#finish();
  }

  ended(route: Route, status: DeliveryStatus): void {
    if (this.#isOver) return;
    this.#statuses[route.name] = status;
    this.#acceptance?.endedLater(route, status);
    this.#close(route);
  }

  forgotten(route: Route): void {
    this.#close(route);
  }

  giveUp(error: unknown): void {
    if (this.#over()) this.#reject(error as Error);
  }

  #isOpenAt(route: Route): void {
    if (this.#open === undefined) this.#open = route;
    else (this.#othersOpen ??= new Set()).add(route);
  }

  #ask(route: Route): void {
    this.#isOpenAt(route);
    route.wait(this.#id, this);
    route.status(this.#id).then(
      (status) => {
        if (status === undefined) this.#close(route);
        else if (isEnd(status)) this.ended(route, status);
      },
      (error: unknown) => this.giveUp(error),
    );
  }

  #close(route: Route): void {
    if (this.#isOver) return;
    if (this.#open === route) {
      this.#open = this.#anotherOpen();
    } else if (this.#othersOpen?.delete(route) !== true) return;
    this.#unwait(route);
    if (this.#open === undefined) this.#finish();
  }

  /** Takes one of the others. */
  #anotherOpen(): Route | undefined {
    if (this.#othersOpen === undefined) return undefined;
    const [next] = this.#othersOpen;
    if (next !== undefined) this.#othersOpen.delete(next);
    return next;
  }

  #unwait(route: Route): void {
    route.unwait(this.#acceptance?.numberOn(route) ?? 0, this.#id, this);
  }

  #finish(): void {
    if (this.#over()) this.#resolve(receiptStateOf(this.#id, this.#statuses));
  }

  #over(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    if (this.#open !== undefined) this.#unwait(this.#open);
    if (this.#othersOpen !== undefined) for (const route of this.#othersOpen) this.#unwait(route);
    this.#waiting.remove(this);
    if (this.#abort !== undefined) this.#signal?.removeEventListener('abort', this.#abort);
    return true;
  }
}
