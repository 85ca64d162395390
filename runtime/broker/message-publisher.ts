/**
 * The way of a message from draft to adapter.
 *
 * Owns: checks, encoding, the span of sending, and saying that nobody takes a command or answers a query. Defaults are `message-maker.ts`.
 *
 * Invariants:
 * MP1. Messages reach the adapter in the order of the calls, also where a contract takes its time to check one.
 */
import type { Clock } from '../kernel/clock.ts';
import { NoHandlerError, NoSubscriberError } from '../kernel/errors.ts';
import { inSendSpan, isObserved } from '../telemetry/messaging.ts';
import { currentTrace, type TraceCarrier } from '../telemetry/trace-carrier.ts';
import { encodeValue } from '../wire/value-codec.ts';
import type { Accepted, BrokerAdapter, CarriedMessage } from './broker-adapter.ts';
import type { MessageDraft } from './contract/message.ts';
import type { Receipt } from './contract/receipt.ts';
import type { Checked, ContractRegistry } from './contracts/contract-registry.ts';
import type { Header, MessageMaker } from './message-maker.ts';
import { responseOf } from './requests.ts';
import { MessageReceipt } from './message-receipt.ts';

export interface PublisherPorts {
  readonly adapter: BrokerAdapter;
  readonly clock: Clock;
  readonly maker: MessageMaker;
  readonly contracts: ContractRegistry | undefined;
  readonly isTracing: boolean;
  readonly failed: (error: unknown) => void;
}

export class MessagePublisher {
  readonly #ports: PublisherPorts;
  /** A check that takes its time; who comes after it waits for it. */
  #checking: Promise<unknown> | undefined;

  constructor(ports: PublisherPorts) {
    this.#ports = ports;
  }

  /** @throws InvalidMessageError, InvalidSubjectError */
  assertDraft(draft: MessageDraft): void {
    this.#ports.maker.header(draft, undefined);
  }

  publish(draft: MessageDraft, cause: Header | undefined): Promise<Receipt> {
    const { maker, contracts, isTracing } = this.#ports;
    try {
      const header = maker.header(draft, cause);
      const isChecked = this.#checking !== undefined || (contracts !== undefined && header.kind !== 'RESPONSE');
      if (isChecked || (isTracing && isObserved())) return this.#publishSlowly(header, draft.payload);
      return this.#send(header, draft.payload);
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** With a contract to check it against, or a span. */
  async #publishSlowly(made: Header, payload: unknown): Promise<Receipt> {
    const { contracts } = this.#ports;
    let header = made;
    if (this.#checking !== undefined || (contracts !== undefined && header.kind !== 'RESPONSE')) {
      const checked = this.#check(header, payload);
      const { version } = checked instanceof Promise ? await checked : checked;
      if (version !== undefined) header = { ...header, contractVersion: version };
    }
    if (!this.#ports.isTracing || !isObserved()) return this.#send(header, payload);
    const { id, subject, correlationId, traceparent, tracestate } = header;
    // Every request has a reply subject of its own; spans are named by what is few.
    const destination = header.kind === 'RESPONSE' ? '$reply' : subject;
    // An answer leaves after its handler; a draft may name a trace of its own.
    const isElsewhere = traceparent !== undefined && traceparent !== currentTrace()?.traceparent;
    const operation = {
      system: this.#ports.adapter.kind,
      destination,
      id,
      conversationId: correlationId,
      parent: isElsewhere ? { traceparent, tracestate } : undefined,
    };
    return inSendSpan(operation, () => this.#send(inTrace(header, currentTrace()), payload));
  }

  #check(header: Header, payload: unknown): Checked | Promise<Checked> {
    const { contracts } = this.#ports;
    const check = (): Checked | Promise<Checked> =>
      contracts === undefined || header.kind === 'RESPONSE'
        ? { payload, version: header.contractVersion }
        : contracts.checkSent(header.type, payload, header.contractVersion);
    const before = this.#checking;
    const checked = before === undefined ? check() : before.then(check, check);
    if (!(checked instanceof Promise)) return checked;
    this.#checking = checked;
    const settled = (): void => {
      if (this.#checking === checked) this.#checking = undefined;
    };
    checked.then(settled, settled);
    return checked;
  }

  #send(header: Header, payload: unknown): Promise<Receipt> {
    const { adapter } = this.#ports;
    if (adapter.acceptValue !== undefined && header.delivery !== 'AT_MOST_ONCE') {
      return adapter.acceptValue(header, payload, this.#accepted);
    }
    return this.#accept({ header, payload: encodeValue(payload) }).then((accepted) => this.#accepted(header, accepted));
  }

  readonly #accepted = (header: Header, accepted: Accepted): Receipt => {
    const { adapter, clock } = this.#ports;
    const receipt = new MessageReceipt(header.id, accepted, adapter, clock);
    if (accepted.listeners === 0 && receipt.subscriptions === 0 && !accepted.duplicate) assertTaken(header);
    if (accepted.ended === true && header.replyTo !== undefined) {
      void this.#respond(header, header.replyTo, receipt).catch(this.#ports.failed);
    }
    return receipt;
  };

  async #respond(header: Header, subject: string, receipt: Receipt): Promise<void> {
    const payload = responseOf(await receipt.settled());
    await this.publish({ type: header.type, kind: 'RESPONSE', subject, payload, target: header.source }, header);
  }

  #accept(message: CarriedMessage): Promise<Accepted> {
    const { adapter, clock, failed } = this.#ports;
    const { delivery, notBeforeMs } = message.header;
    if (delivery !== 'AT_MOST_ONCE') return adapter.accept(message);
    const waitMs = notBeforeMs === undefined ? 0 : notBeforeMs - clock.now();
    if (waitMs <= 0) {
      return adapter.broadcast(message).then((listeners) => ({
        duplicate: false,
        subscriptions: [],
        ...(listeners === undefined ? {} : { listeners }),
      }));
    }
    clock.wait(waitMs, () => void adapter.broadcast(message).catch(failed));
    return Promise.resolve({ duplicate: false, subscriptions: [] });
  }
}

function inTrace(header: Header, trace: TraceCarrier | undefined): Header {
  if (trace === undefined) return header;
  const { traceparent, tracestate } = trace;
  return { ...header, traceparent, ...(tracestate === undefined ? {} : { tracestate }) };
}

/** A command or a query that nobody is there for. */
function assertTaken({ kind, type, target, subject }: Header): void {
  const details = { subject, type };
  if (kind === 'COMMAND') {
    throw new NoSubscriberError(
      `no subscription takes command "${type}" for "${target ?? subject}": subscribe to ${subject}`,
      { details },
    );
  }
  if (kind === 'QUERY') {
    const whose = target === undefined ? ', which names no target' : ` of "${target}"`;
    const remedy = target === undefined ? ', or name the system that is meant' : '';
    throw new NoHandlerError(`nobody answers query "${type}"${whose}: subscribe to ${subject}${remedy}`, { details });
  }
}
