/**
 * The handlers of one system: which command or query goes to whom.
 *
 * Owns: one handler a word, and what a handler is told beside the payload.
 *
 * Invariants:
 * HT1. A word has one handler at a time: a second one is refused, not put beside the first.
 */
import type { DeliveryContext } from '../../runtime/broker/contract/broker-contract.ts';
import type { Message, MessageDraft } from '../../runtime/broker/contract/message.ts';
import type { Receipt } from '../../runtime/broker/contract/receipt.ts';
import type { Clock } from '../../runtime/kernel/clock.ts';
import { AckTimeoutError, InvalidOptionsError, NoHandlerError } from '../../runtime/kernel/errors.ts';
import { isPlainObject, OptionFaults } from '../../runtime/kernel/option-faults.ts';
import { heartbeatDraft, lastHeartbeat } from '../saga/heartbeat-message.ts';
import { assertWord } from './system-id.ts';
import { timedCall } from './timed-call.ts';

/** What a handler is told beside the payload. */
export interface HandlerContext<TPayload = unknown> {
  readonly message: Message<TPayload>;
  /** 1 for the first try. */
  readonly attempt: number;
  /** Aborts at the handler's deadline, when its message is given to another, and when the connector closes. */
  readonly signal: AbortSignal;
  /** Publishes as a consequence of this message: correlation, causation and trace follow on. */
  publish(draft: MessageDraft): Promise<Receipt>;
  /**
   * Says that a command of a workflow is being worked on, and how far it is: see `heartbeatTimeoutMs` of its step. Of any other message: nothing.
   * `ackTimeoutMs` of the connector's commands must be as long as the work.
   */
  heartbeat(details?: unknown): Promise<void>;
  /** What the handler of an earlier try of the same step has said last; undefined: nothing. */
  readonly lastHeartbeat: unknown;
}

/** What it returns is the reply; what it throws is tried again by policy (commands, events) or is the caller's error (queries). */
export type ConnectorHandler<TPayload = unknown> = (payload: TPayload, context: HandlerContext<TPayload>) => unknown;

export interface HandlerOptions {
  /** How long it may take, ms. Default: the queue's `ackTimeoutMs` for commands, none for queries. */
  readonly timeoutMs?: number;
}

/** `beside`: what may stand beside the handler's own options, and is looked at elsewhere. @throws InvalidOptionsError */
export function assertHandlerOptions(where: string, options: unknown, beside: readonly string[] = []): void {
  const faults = new OptionFaults();
  if (!isPlainObject(options)) faults.add('options', options, 'an object of options');
  else {
    faults.unknown(options, ['timeoutMs', ...beside]);
    const { timeoutMs }: HandlerOptions = options;
    faults.number('timeoutMs', timeoutMs, undefined, { above: 0, endless: true });
  }
  faults.throwIfAny(where);
}

interface Entry {
  readonly handler: ConnectorHandler;
  readonly timeoutMs: number | undefined;
}

export class HandlerTable {
  readonly #what: 'action' | 'query';
  readonly #entries = new Map<string, Entry>();

  constructor(what: 'action' | 'query') {
    this.#what = what;
  }

  get words(): readonly string[] {
    return [...this.#entries.keys()];
  }

  has(word: string): boolean {
    return this.#entries.has(word);
  }

  add(word: string, handler: ConnectorHandler, { timeoutMs }: HandlerOptions): void {
    if (this.#entries.has(word)) {
      throw new InvalidOptionsError(
        `${this.#what} "${word}" has a handler already: close the registration that was made for it first`,
      );
    }
    this.#entries.set(word, { handler, timeoutMs });
  }

  delete(word: string): void {
    this.#entries.delete(word);
  }

  /** Runs the handler of `message.type`, which must be there. */
  run(message: Message, context: DeliveryContext, clock: Clock): Promise<unknown> {
    const entry = this.#entries.get(message.type);
    if (entry === undefined) return Promise.reject(new NoHandlerError(`"${message.type}" has no handler any more`));
    return runHandler(entry.handler, message, context, { clock, timeoutMs: entry.timeoutMs });
  }
}

/** Runs one handler, with its deadline. */
export function runHandler(
  handler: ConnectorHandler,
  message: Message,
  context: DeliveryContext,
  limits: { readonly clock: Clock; readonly timeoutMs: number | undefined },
): Promise<unknown> {
  const { clock, timeoutMs } = limits;
  const { attempt } = context;
  return timedCall(
    async (signal) =>
      handler(message.payload, {
        message,
        attempt,
        signal,
        publish: (draft) => context.publish(draft),
        heartbeat: async (details: unknown = null) => {
          const draft = heartbeatDraft(message, details);
          if (draft !== undefined) await context.publish(draft);
        },
        lastHeartbeat: lastHeartbeat(message),
      }),
    {
      clock,
      timeoutMs,
      signal: context.signal,
      overdue: () =>
        new AckTimeoutError(`the handler of "${message.type}" took longer than ${timeoutMs} ms`, {
          details: { timeoutMs, type: message.type },
        }),
    },
  );
}

/** Throws for what cannot be a handler, or the word of one. Patterns are the broker's to check. */
export function assertHandler(
  call: string,
  what: 'action' | 'query' | undefined,
  word: unknown,
  handler: unknown,
): void {
  if (what !== undefined) assertWord(what, word);
  if (typeof handler === 'function') return;
  throw new InvalidOptionsError(`${call}(${JSON.stringify(word)}): handler is ${typeof handler}, expected a function`);
}
