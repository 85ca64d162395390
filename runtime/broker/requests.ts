/**
 * Requests under way: who waits for which answer.
 *
 * Owns: the numbers of requests, their deadlines, and telling an answer that came too late from one that is waited for.
 *
 * Invariants:
 * RQ1. Every request ends once: with its answer, at its deadline, by its signal, or when the broker closes.
 */
import type { Clock } from '../kernel/clock.ts';
import {
  type BlocksError,
  decodeError,
  encodeError,
  RemoteError,
  type EncodedError,
  RequestTimeoutError,
} from '../kernel/errors.ts';
import type { Receipt, ReceiptState } from './contract/receipt.ts';
import type { RequestOptions } from './contract/broker-contract.ts';
import { waitingFault } from '../kernel/option-faults.ts';

/** Payload of a RESPONSE. */
export interface ResponsePayload {
  readonly value?: unknown;
  readonly error?: EncodedError;
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

const EXPIRED = 'MESSAGE_EXPIRED';

/** Default deadline of a request. */
export const REQUEST_TIMEOUT_MS = 5_000;

export class Requests {
  readonly #clock: Clock;
  readonly #trouble: () => Error | undefined;
  readonly #pending = new Map<string, Pending>();
  #next = 1;

  /** `trouble`: why nothing can be heard of anybody at present. */
  constructor(clock: Clock, trouble: () => Error | undefined) {
    this.#clock = clock;
    this.#trouble = trouble;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Runs `send` with the request's number, and resolves with its answer. What `send` throws ends it. */
  run(
    what: string,
    options: RequestOptions,
    send: (number: string, answer: (payload: ResponsePayload) => void, signal: AbortSignal) => Promise<unknown>,
  ): Promise<unknown> {
    const fault = waitingFault('request', options);
    if (fault !== undefined) return Promise.reject(fault);
    const { timeoutMs = REQUEST_TIMEOUT_MS, signal } = options;
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    const number = String(this.#next++);
    const ending = new AbortController();
    return new Promise((resolve, reject) => {
      const abort = (): void => end(() => reject(signal?.reason as Error));
      const wait = this.#clock.wait(timeoutMs, () => end(() => reject(this.#timeoutOf(what, timeoutMs))));
      const end = (then: () => void): void => {
        if (!this.#pending.delete(number)) return;
        wait.cancel();
        signal?.removeEventListener('abort', abort);
        ending.abort();
        then();
      };
      this.#pending.set(number, {
        resolve: (value) => end(() => resolve(value)),
        reject: (error) => end(() => reject(error instanceof Error ? error : new Error(String(error)))),
      });
      signal?.addEventListener('abort', abort);
      send(number, (payload) => this.answer(number, payload), ending.signal).catch((error: unknown) =>
        this.#pending.get(number)?.reject(error),
      );
    });
  }

  /** An answer has come; false when nobody waits for it, and it is news. */
  answer(number: string, payload: ResponsePayload): boolean {
    const pending = this.#pending.get(number);
    // That it has expired was said by its receipt, or was to be expected at a deadline after that.
    if (pending === undefined) return payload.error?.code === EXPIRED;
    if (payload.error === undefined) pending.resolve(payload.value);
    else pending.reject(decodeError(payload.error));
    return true;
  }

  #timeoutOf(what: string, timeoutMs: number): RequestTimeoutError {
    const cause = this.#trouble();
    if (cause === undefined) {
      return new RequestTimeoutError(
        `no answer to ${what} within ${timeoutMs} ms; it may still be handled: repeat it with the same id`,
      );
    }
    return new RequestTimeoutError(
      `no answer to ${what} within ${timeoutMs} ms, and the connection to the broker's server is down: it may not even have left; repeat it with the same id`,
      { cause, details: { connection: 'down' } },
    );
  }

  close(error: BlocksError): void {
    for (const { reject } of [...this.#pending.values()]) reject(error);
  }
}

/**
 * What its receipt says of a request that nobody is going to answer, once it is settled: it was asked before, and answered then; or it has
 * expired (`expires`: before the request's own deadline), and who finds that may not know who has asked. Undefined: whoever has handled it
 * answers.
 */
export async function receiptsAnswer(
  receipt: Receipt,
  expires: boolean,
  signal: AbortSignal,
): Promise<ResponsePayload | undefined> {
  if (receipt.duplicate) return responseOf(await receipt.settled({ signal }));
  if (!expires || receipt.subscriptions === 0) return undefined;
  const response = responseOf(await receipt.settled({ signal }));
  return response.error?.code === EXPIRED ? response : undefined;
}

/** The answer in the receipt of a message that was published before. */
export function responseOf({ subscriptions }: ReceiptState): ResponsePayload {
  for (const status of Object.values(subscriptions)) {
    if (status.status === 'handled') return status.reply === undefined ? {} : { value: status.reply };
    if (status.status === 'dead') return { error: status.error };
  }
  return { error: encodeError(new RemoteError('Error', 'ANSWER_FORGOTTEN', 'the answer is not remembered any more')) };
}
