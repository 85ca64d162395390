/**
 * What a system says to others: commands, events, queries.
 *
 * Owns: making drafts of them, the policies around them (a guard for each target), and which error it is when nobody is there.
 *
 * Invariants:
 * OC1. Nothing is published for a target that is known to be none, and no guard is kept for it.
 */
import type { Broker } from '../../runtime/broker/contract/broker-contract.ts';
import type {
  DeliveryGuarantee,
  Message,
  MessageDraft,
  MessageExtensions,
  RetryPolicy,
} from '../../runtime/broker/contract/message.ts';
import type { Receipt } from '../../runtime/broker/contract/receipt.ts';
import type { ActorHost } from '../../runtime/kernel/actor-host.ts';
import { InvalidOptionsError, UnknownTargetError } from '../../runtime/kernel/errors.ts';
import type { ConnectorDirectory } from './connector-directory.ts';
import type { GuardSet } from './guard-set.ts';
import { assertTaken, explainNobody } from './nobody-there.ts';
import { assertTarget, assertWord } from './system-id.ts';

/** Of the call itself. */
export interface OutgoingOptions {
  /** ms. Default: that of the policies; 5,000 for what waits for a reply. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** The message that this one follows from: it gets its correlation, and the trace goes on. */
  readonly causedBy?: Message;
  readonly correlationId?: string;
  readonly causationId?: string;
  readonly traceparent?: string;
  readonly tracestate?: string;
  readonly extensions?: MessageExtensions;
  readonly contractVersion?: number;
}

/** Of the message that is published. */
export interface PublishOptions extends OutgoingOptions {
  /** Give one to be able to send the same message again. Default: a new one. */
  readonly id?: string;
  /** Two messages of one key are the same message. */
  readonly idempotencyKey?: string;
  readonly delivery?: DeliveryGuarantee;
  /** Messages of one key are handled one after another. Default: this system's id. */
  readonly key?: string;
  readonly ttlMs?: number;
  readonly delayMs?: number;
  readonly retry?: RetryPolicy;
}

export interface CommandOptions extends PublishOptions {
  /** Resolve with what the handler returned, instead of with the receipt. */
  readonly reply?: boolean;
}

/** The dependency that events are published to, in figures: no system can have this id. */
export const EVENTS = '$events';

const REPLY_TIMEOUT_MS = 5_000;

export interface OutgoingPorts {
  readonly id: string;
  readonly broker: Broker;
  readonly directory: ConnectorDirectory;
  readonly host: ActorHost | undefined;
  readonly guards: GuardSet;
  judged(): void;
}

const PASSED_ON = [
  'id',
  'idempotencyKey',
  'delivery',
  'key',
  'ttlMs',
  'delayMs',
  'retry',
  'correlationId',
  'causationId',
  'traceparent',
  'tracestate',
  'extensions',
  'contractVersion',
] as const;
const KNOWN: ReadonlySet<string> = new Set([...PASSED_ON, 'timeoutMs', 'signal', 'causedBy', 'reply']);

export class OutgoingCalls {
  readonly #ports: OutgoingPorts;

  constructor(ports: OutgoingPorts) {
    this.#ports = ports;
  }

  async sendCommand(target: string, action: string, payload: unknown, options: CommandOptions): Promise<unknown> {
    assertTarget(target);
    assertWord('action', action);
    const draft = this.#draft('sendCommand', { kind: 'COMMAND', type: action, target, payload }, options);
    assertTaken(target, action, this.#ports.directory);
    return options.reply === true ? this.#request(target, draft, options) : this.#publish(target, draft, options);
  }

  publishEvent(type: string, data: unknown, options: PublishOptions): Promise<Receipt> {
    assertWord('action', type);
    const draft = this.#draft('publishEvent', { kind: 'EVENT', type, payload: data }, options);
    return this.#publish(EVENTS, draft, options);
  }

  query(target: string, query: string, params: unknown, options: OutgoingOptions): Promise<unknown> {
    assertTarget(target);
    assertWord('query', query);
    const draft = this.#draft('query', { kind: 'QUERY', type: query, target, payload: params }, options);
    return this.#request(target, draft, options);
  }

  async #publish(dependency: string, draft: MessageDraft, options: PublishOptions): Promise<Receipt> {
    return this.#guarded(dependency, draft, options, () => this.#ports.broker.publish(draft), options.timeoutMs);
  }

  async #request(target: string, draft: MessageDraft, options: OutgoingOptions): Promise<unknown> {
    const timeoutMs = options.timeoutMs ?? REPLY_TIMEOUT_MS;
    const request = (signal: AbortSignal): Promise<unknown> => this.#ports.broker.request(draft, { timeoutMs, signal });
    return this.#guarded(target, draft, options, request, timeoutMs);
  }

  async #guarded<T>(
    dependency: string,
    draft: MessageDraft,
    options: OutgoingOptions,
    call: (signal: AbortSignal) => Promise<T>,
    timeoutMs: number | undefined,
  ): Promise<T> {
    const repeatable = draft.kind === 'QUERY' || draft.id !== undefined || draft.idempotencyKey !== undefined;
    try {
      return await this.#ports.guards.of(dependency).run(call, { repeatable, signal: options.signal, timeoutMs });
    } catch (error) {
      const explained = await explainNobody(error, draft, this.#ports);
      if (explained instanceof UnknownTargetError) this.#ports.guards.forget(dependency);
      throw explained;
    } finally {
      this.#ports.judged();
    }
  }

  #draft(call: string, fixed: MessageDraft, options: PublishOptions): MessageDraft {
    if (typeof options !== 'object' || options === null) {
      throw new InvalidOptionsError(
        `${call}: options are ${options === null ? 'null' : typeof options}, expected an object`,
      );
    }
    const unknown = Object.keys(options).filter((name) => !KNOWN.has(name));
    if (unknown.length > 0) {
      throw new InvalidOptionsError(
        `${call}: no such option: ${unknown.join(', ')} (known: ${[...KNOWN].join(', ')})`,
        { details: { faults: unknown } },
      );
    }
    const { causedBy } = options;
    const given = options as Readonly<Record<string, unknown>>;
    return {
      ...fixed,
      source: this.#ports.id,
      ...(causedBy === undefined ? {} : consequenceOf(causedBy)),
      ...Object.fromEntries(PASSED_ON.filter((name) => given[name] !== undefined).map((name) => [name, given[name]])),
    };
  }
}

function consequenceOf(message: Message): Partial<MessageDraft> {
  const { id, correlationId, traceparent, tracestate } = message;
  return {
    correlationId,
    causationId: id,
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(tracestate === undefined ? {} : { tracestate }),
  };
}
