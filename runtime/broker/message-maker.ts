/**
 * From what a sender gives to a whole message: defaults, what follows from the message being handled, and every fault at once.
 *
 * Owns: the defaults of `MessageDraft` and its checks. Payloads and contracts are looked at elsewhere.
 *
 * Invariants:
 * MM1. A draft that passes gives a message whose header an adapter can carry.
 */
import { InvalidMessageError } from '../kernel/errors.ts';
import type { TraceCarrier } from '../telemetry/trace-carrier.ts';
import type { DeliveryGuarantee, Message, MessageDraft, MessageKind } from './contract/message.ts';
import { isWithin, type NumberBounds, wordsOf } from '../kernel/number-bounds.ts';
import { isPlainObject, OptionFaults, show } from '../kernel/option-faults.ts';
import { assertSubject, commandSubject, querySubject } from './subjects.ts';

export interface MakerPorts {
  /** Source of messages that name none. */
  readonly source: string;
  readonly ttlMs: number | undefined;
  readonly nowMs: () => number;
  readonly newId: () => string;
  readonly trace: () => TraceCarrier | undefined;
}

export type Header = CarriedHeader;
type CarriedHeader = Omit<Message, 'payload'>;

const KINDS: ReadonlySet<string> = new Set<MessageKind>(['COMMAND', 'EVENT', 'QUERY', 'RESPONSE']);
const DELIVERIES: ReadonlySet<string> = new Set<DeliveryGuarantee>(['AT_MOST_ONCE', 'AT_LEAST_ONCE', 'EXACTLY_ONCE']);
const KNOWN: ReadonlySet<string> = new Set<keyof MessageDraft>([
  'type',
  'payload',
  'id',
  'kind',
  'subject',
  'source',
  'target',
  'ttlMs',
  'delayMs',
  'notBeforeMs',
  'correlationId',
  'causationId',
  'replyTo',
  'delivery',
  'key',
  'idempotencyKey',
  'retry',
  'contractVersion',
  'traceparent',
  'tracestate',
  'extensions',
]);
/** Longest id, key or idempotency key. */
const ID_LENGTH_LIMIT = 256;
const A_TEXT = `a text of 1 to ${ID_LENGTH_LIMIT} characters`;
const TEXTS = [
  'id',
  'source',
  'target',
  'correlationId',
  'causationId',
  'replyTo',
  'key',
  'idempotencyKey',
] as const satisfies readonly (keyof MessageDraft)[];
const ONE_OR_MORE: NumberBounds = { least: 1 };
const NOUGHT_OR_MORE: NumberBounds = { least: 0 };
/** Subjects that were found valid: a program publishes to few, again and again. */
const SUBJECTS_KEPT = 4_096;

export class MessageMaker {
  readonly #ports: MakerPorts;
  readonly #validSubjects = new Set<string>();

  constructor(ports: MakerPorts) {
    this.#ports = ports;
  }

  /** @throws InvalidMessageError with all faults, InvalidSubjectError */
  header(draft: MessageDraft, cause: Header | undefined): Header {
    const faults = faultsOf(draft);
    if (faults !== undefined) throw invalid(draft, faults);
    const { source: ownSource, ttlMs: defaultTtlMs, nowMs, newId, trace } = this.#ports;
    const { type, target, causationId, replyTo, key, idempotencyKey, retry, contractVersion, extensions } = draft;
    const timeMs = nowMs();
    const id = draft.id ?? newId();
    const kind = draft.kind ?? (target === undefined ? 'EVENT' : 'COMMAND');
    const subject = draft.subject ?? subjectOf(kind, target, type);
    this.#assertSubject(subject);
    // One of the broker's own has a number of each request: it is not remembered.
    if (replyTo !== undefined) assertSubject(replyTo);
    const ttlMs = draft.ttlMs ?? defaultTtlMs;
    const notBeforeMs = draft.notBeforeMs ?? (draft.delayMs === undefined ? undefined : timeMs + draft.delayMs);
    const carrier = draft.traceparent === undefined ? (trace() ?? cause) : draft;
    const header: Mutable<Header> = {
      id,
      kind,
      type,
      subject,
      source: draft.source ?? ownSource,
      timeMs,
      correlationId: draft.correlationId ?? cause?.correlationId ?? id,
      delivery: draft.delivery ?? (kind === 'QUERY' || kind === 'RESPONSE' ? 'AT_MOST_ONCE' : 'AT_LEAST_ONCE'),
    };
    if (target !== undefined) header.target = target;
    const follows = causationId ?? cause?.id;
    if (follows !== undefined) header.causationId = follows;
    if (ttlMs !== undefined) header.expiresAtMs = Math.max(timeMs, notBeforeMs ?? 0) + ttlMs;
    if (notBeforeMs !== undefined) header.notBeforeMs = notBeforeMs;
    if (replyTo !== undefined) header.replyTo = replyTo;
    if (key !== undefined) header.key = key;
    if (idempotencyKey !== undefined) header.idempotencyKey = idempotencyKey;
    if (retry !== undefined) header.retry = retry;
    if (contractVersion !== undefined) header.contractVersion = contractVersion;
    if (carrier?.traceparent !== undefined) {
      header.traceparent = carrier.traceparent;
      if (carrier.tracestate !== undefined) header.tracestate = carrier.tracestate;
    }
    if (extensions !== undefined) header.extensions = extensions;
    return header;
  }

  #assertSubject(subject: string): void {
    if (this.#validSubjects.has(subject)) return;
    assertSubject(subject);
    if (this.#validSubjects.size >= SUBJECTS_KEPT) this.#validSubjects.clear();
    this.#validSubjects.add(subject);
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function subjectOf(kind: MessageKind, target: string | undefined, type: string): string {
  if (target === undefined) return type;
  if (kind === 'COMMAND') return commandSubject(target, type);
  return kind === 'QUERY' ? querySubject(target, type) : type;
}

function faultsOf(draft: MessageDraft): string[] | undefined {
  if (typeof draft !== 'object' || draft === null) return [`${show(draft)} is not a message: give { type, payload }`];
  // Nothing is made for a draft that is right: this is on the way of every message.
  let faults: string[] | undefined;
  for (const name in draft) {
    if (!KNOWN.has(name))
      faults = withFault(faults, draft, name, `a field of a message (known: ${[...KNOWN].join(', ')})`);
  }
  const { type, kind, delivery, retry, extensions, traceparent, tracestate, delayMs, notBeforeMs } = draft;
  if (typeof type !== 'string' || !isText(type)) faults = withFault(faults, draft, 'type', A_TEXT);
  if (kind !== undefined && !KINDS.has(kind))
    faults = withFault(faults, draft, 'kind', `one of ${[...KINDS].join(', ')}`);
  if (delivery !== undefined && !DELIVERIES.has(delivery))
    faults = withFault(faults, draft, 'delivery', `one of ${[...DELIVERIES].join(', ')}`);
  for (const name of TEXTS) if (!isText(draft[name])) faults = withFault(faults, draft, name, A_TEXT);
  faults = withNumberFault(faults, draft, 'ttlMs', ONE_OR_MORE);
  faults = withNumberFault(faults, draft, 'delayMs', NOUGHT_OR_MORE);
  faults = withNumberFault(faults, draft, 'notBeforeMs', NOUGHT_OR_MORE);
  faults = withNumberFault(faults, draft, 'contractVersion', ONE_OR_MORE);
  if (draft.contractVersion !== undefined && !Number.isInteger(draft.contractVersion))
    faults = withFault(faults, draft, 'contractVersion', 'a whole number of 1 or more');
  if (traceparent !== undefined && typeof traceparent !== 'string')
    faults = withFault(faults, draft, 'traceparent', 'a text');
  if (tracestate !== undefined && typeof tracestate !== 'string')
    faults = withFault(faults, draft, 'tracestate', 'a text');
  if (delayMs !== undefined && notBeforeMs !== undefined)
    faults = withFault(faults, draft, 'notBeforeMs', 'needed beside delayMs: give one of them');
  if (kind === 'COMMAND' && draft.target === undefined && draft.subject === undefined) {
    faults = withFault(
      faults,
      draft,
      'target',
      'the id of a system: a COMMAND goes to one (or to a subject of your own); without either it is an EVENT',
    );
  }
  if (retry !== undefined) {
    const wrong = retryFaults(retry);
    if (wrong.length > 0) (faults ??= []).push(...wrong);
  }
  if (extensions !== undefined && !isExtensions(extensions)) {
    const expected = 'an object of extension attributes, each a text, a number or true or false';
    faults = withFault(faults, draft, 'extensions', expected);
  }
  return faults;
}

function withFault(faults: string[] | undefined, draft: MessageDraft, name: string, expected: string): string[] {
  const fault = `${name}: ${show(draft[name as keyof MessageDraft])} is not ${expected}`;
  return faults === undefined ? [fault] : [...faults, fault];
}

function withNumberFault(
  faults: string[] | undefined,
  draft: MessageDraft,
  name: keyof MessageDraft,
  bounds: NumberBounds,
): string[] | undefined {
  const value = draft[name];
  return value === undefined || isWithin(value, bounds) ? faults : withFault(faults, draft, name, wordsOf(bounds));
}

const isText = (value: unknown): boolean =>
  value === undefined || (typeof value === 'string' && value !== '' && value.length <= ID_LENGTH_LIMIT);

function retryFaults(retry: unknown): readonly string[] {
  const wrong = new OptionFaults();
  wrong.retry('retry', retry, ['whenExhausted']);
  const { whenExhausted }: { readonly whenExhausted?: unknown } = isPlainObject(retry) ? retry : {};
  if (whenExhausted !== undefined && whenExhausted !== 'letter' && whenExhausted !== 'answer') {
    wrong.add('retry.whenExhausted', whenExhausted, "'letter' or 'answer'");
  }
  return wrong.found;
}

function isExtensions(value: unknown): boolean {
  return (
    isPlainObject(value) && Object.values(value).every((one) => ['string', 'number', 'boolean'].includes(typeof one))
  );
}

function invalid(draft: MessageDraft, faults: readonly string[]): InvalidMessageError {
  const type: unknown = (draft as { type?: unknown } | null)?.type;
  const what = typeof type === 'string' && type !== '' ? `message "${type}"` : 'message';
  return new InvalidMessageError(`${what}: ${faults.join('; ')}`, { details: { faults } });
}
