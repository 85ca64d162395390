/** The receipt that `publish` resolves with. Owns: the deadline of a wait for the end. */
import type { Clock } from '../kernel/clock.ts';
import { RequestTimeoutError } from '../kernel/errors.ts';
import type { Accepted, BrokerAdapter } from './broker-adapter.ts';
import type { Receipt, ReceiptState } from './contract/receipt.ts';
import { waitingFault } from '../kernel/option-faults.ts';

export class MessageReceipt implements Receipt {
  readonly id: string;
  readonly duplicate: boolean;
  readonly subscriptions: number;
  readonly #adapter: BrokerAdapter;
  readonly #clock: Clock;
  readonly #token: unknown;

  constructor(id: string, accepted: Accepted, adapter: BrokerAdapter, clock: Clock) {
    this.id = accepted.id ?? id;
    this.duplicate = accepted.duplicate;
    this.subscriptions = accepted.subscriptions.length;
    // A duplicate is asked for: it may have ended long ago.
    this.#token = accepted.duplicate ? undefined : accepted.token;
    this.#adapter = adapter;
    this.#clock = clock;
  }

  settled(options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {}): Promise<ReceiptState> {
    const fault = waitingFault('settled', options);
    if (fault !== undefined) return Promise.reject(fault);
    if (this.subscriptions === 0) return Promise.resolve(this.#nowhere());
    const { timeoutMs, signal } = options;
    if (timeoutMs === undefined && signal === undefined) {
      return this.#adapter.settled(this.id, undefined, this.#token);
    }
    return this.#settledWithin(timeoutMs, signal);
  }

  #settledWithin(timeoutMs: number | undefined, signal: AbortSignal | undefined): Promise<ReceiptState> {
    const ending = new AbortController();
    const abort = (): void => ending.abort(signal?.reason);
    if (signal?.aborted === true) abort();
    else signal?.addEventListener('abort', abort);
    const wait =
      timeoutMs === undefined
        ? undefined
        : this.#clock.wait(timeoutMs, () =>
            ending.abort(
              new RequestTimeoutError(`message ${this.id} was neither handled nor dead within ${timeoutMs} ms`),
            ),
          );
    return this.#adapter.settled(this.id, ending.signal, this.#token).finally(() => {
      wait?.cancel();
      signal?.removeEventListener('abort', abort);
    });
  }

  async state(): Promise<ReceiptState> {
    if (this.subscriptions === 0) return this.#nowhere();
    return (await this.#adapter.receipt(this.id)) ?? this.#nowhere();
  }

  #nowhere(): ReceiptState {
    return { id: this.id, status: 'accepted', subscriptions: {} };
  }
}
