/**
 * A turn as nested arrays: what its body in a batch is made of.
 *
 * Owns: the order of the fields. An array costs no field names, so that a body is little more than the messages in it. Key,
 * sequence, version, outcome, `obliged` and the consumed id are not in it: they are in the header.
 *
 * Invariants:
 * U1. `turnOf(shapeOf(turn))` is the turn, as far as msgpack carries its values. Ids of sends are left out: a send gets its id
 *     from the position at which it is committed.
 * U2. A code in the table is never given another meaning.
 * U3. Any shape is a turn or a typed error: nothing in it is believed unseen.
 */
import type { CellKey } from '../kernel/address.ts';
import type { EncodedError } from '../kernel/errors.ts';
import type { ExitReason } from '../kernel/exit.ts';
import type { Intent } from '../kernel/intent.ts';
import type { Envelope, ReplyTo } from '../kernel/message.ts';
import { StorageError } from '../kernel/errors.ts';
import { errorOf, flagOf, isAbsent, kindOf, listOf, numberOf, type Shape, textOf } from './shape-fields.ts';
import type { TurnRecord } from './turn-record.ts';

const SEND = 0;
const SEND_VOLATILE = 1;
const REPLY = 2;
const FAIL = 3;
const EFFECT_START = 4;
const EFFECT_CANCEL = 5;
const EFFECT_SEND = 6;
const TIMER_SET = 7;
const TIMER_CANCEL = 8;
const EMIT = 9;
const STASH = 10;
const UNSTASH = 11;
const EXIT = 12;

/** The fields that a turn's header has. */
export interface TurnHeader {
  readonly key: CellKey;
  readonly sequence: number;
  readonly version: number;
  readonly outcome: TurnRecord['outcome'];
  readonly obliged: boolean;
  readonly id: Envelope['id'];
}

export function shapeOf(turn: TurnRecord): Shape {
  const { envelope, intents } = turn;
  const extras = extrasOf(envelope, envelope.to === turn.key);
  let asked: unknown[] | null = null;
  if (intents.length > 0) {
    asked = [];
    for (let i = 0; i < intents.length; i++) asked.push(intentShape(intents[i] as Intent));
  }
  return turn.state === undefined
    ? [turn.timeMs, envelope.message, extras, asked]
    : [turn.timeMs, envelope.message, extras, asked, turn.state];
}

export function turnOf(shape: unknown, header: TurnHeader): TurnRecord {
  const turn = listOf(shape, 'turn');
  const asked = askedOf(turn[3]);
  return {
    key: header.key,
    sequence: header.sequence,
    version: header.version,
    timeMs: numberOf(turn[0], 'timeMs'),
    envelope: envelopeOf(header.key, turn[1], turn[2], header.id),
    outcome: header.outcome,
    intents: asked.length === 0 ? NO_INTENTS : asked.map(intentOf),
    obliged: header.obliged,
    state: turn[4],
  };
}

const NO_INTENTS: readonly Intent[] = [];

/** The envelope of the send at `index` among all sends of a turn. */
export function sendOf(shape: unknown, index: number): Envelope | undefined {
  let at = 0;
  for (const intent of askedOf(listOf(shape, 'turn')[3])) {
    const [code, to, message, extras] = listOf(intent, 'intent');
    if (code !== SEND && code !== SEND_VOLATILE) continue;
    if (at++ === index) return envelopeOf(to, message, extras, undefined);
  }
  return undefined;
}

function askedOf(asked: unknown): Shape {
  return isAbsent(asked) ? [] : listOf(asked, 'intents');
}

/** An answer to a call from outside: call, run, value, error. */
export type AnswerShape = readonly [call: number, run: number, value: unknown, error: EncodedError | null];

export function answersOf(shape: unknown): AnswerShape[] {
  const answers: AnswerShape[] = [];
  for (const intent of askedOf(listOf(shape, 'turn')[3])) {
    const [code, to, content] = listOf(intent, 'intent');
    if (code !== REPLY && code !== FAIL) continue;
    const target = replyOf(to);
    if (target.kind !== 'outside') continue;
    const error = code === FAIL ? errorOf(content, 'error') : null;
    answers.push([target.call, target.run, error === null ? content : undefined, error]);
  }
  return answers;
}

/** Whole envelope as an array, with its id: for dead letters. */
export function envelopeShape(envelope: Envelope): Shape {
  const id = envelope.id;
  return [
    envelope.to,
    envelope.message,
    extrasOf(envelope, true),
    id === undefined ? null : [id.stream, id.position, id.index],
  ];
}

export function envelopeOfShape(shape: unknown): Envelope {
  const [to, message, extras, id] = listOf(shape, 'envelope');
  return envelopeOf(to, message, extras, isAbsent(id) ? undefined : idOf(id));
}

function idOf(shape: unknown): NonNullable<Envelope['id']> {
  const [stream, position, index] = listOf(shape, 'id');
  return {
    stream: numberOf(stream, 'id.stream'),
    position: numberOf(position, 'id.position'),
    index: numberOf(index, 'id.index'),
  };
}

function extrasOf(envelope: Envelope, atHome: boolean): Shape | null {
  const { control, from, replyTo, idempotencyKey, expiresAtMs, unstashed, traceparent } = envelope;
  if (
    atHome &&
    control === undefined &&
    replyTo === undefined &&
    idempotencyKey === undefined &&
    expiresAtMs === undefined &&
    unstashed === undefined &&
    traceparent === undefined
  ) {
    return from === undefined ? null : [from];
  }
  const extras: unknown[] = [from ?? null, replyTo === undefined ? null : replyShape(replyTo), control ?? null];
  extras.push(idempotencyKey ?? null, expiresAtMs ?? null, traceparent ?? null, unstashed ?? null);
  if (!atHome) extras.push(envelope.to);
  // Most envelopes have none of the later ones.
  while (extras.at(-1) === null) extras.pop();
  return extras;
}

function envelopeOf(home: unknown, message: unknown, extras: unknown, id: Envelope['id']): Envelope {
  const key: CellKey = textOf(home, 'to');
  if (isAbsent(extras)) return id === undefined ? { to: key, message } : { to: key, message, id };
  const [from, replyTo, control, idempotencyKey, expiresAtMs, traceparent, unstashed, to] = listOf(extras, 'extras');
  return {
    to: isAbsent(to) ? key : textOf(to, 'to'),
    message,
    ...(isAbsent(control) ? {} : { control: kindOf<NonNullable<Envelope['control']>>(control, 'control') }),
    ...(id === undefined ? {} : { id }),
    ...(isAbsent(from) ? {} : { from: textOf(from, 'from') }),
    ...(isAbsent(replyTo) ? {} : { replyTo: replyOf(replyTo) }),
    ...(isAbsent(idempotencyKey) ? {} : { idempotencyKey: textOf(idempotencyKey, 'idempotencyKey') }),
    ...(isAbsent(expiresAtMs) ? {} : { expiresAtMs: numberOf(expiresAtMs, 'expiresAtMs') }),
    ...(isAbsent(unstashed) ? {} : { unstashed: flagOf(unstashed, 'unstashed') }),
    ...(isAbsent(traceparent) ? {} : { traceparent: textOf(traceparent, 'traceparent') }),
  };
}

/** A call from outside begins with a number; a cell with its key. */
function replyShape(to: ReplyTo): Shape {
  const first = to.kind === 'outside' ? [to.call, to.run] : [to.key, to.ask];
  return to.idempotencyKey === undefined ? first : [...first, to.idempotencyKey];
}

function replyOf(shape: unknown): ReplyTo {
  const [whom, what, idempotencyKey] = listOf(shape, 'replyTo');
  return typeof whom === 'number'
    ? { kind: 'outside', call: whom, run: numberOf(what, 'replyTo.run'), ...keyed(idempotencyKey) }
    : {
        kind: 'cell',
        key: textOf(whom, 'replyTo.key'),
        ask: textOf(what, 'replyTo.ask'),
        ...keyed(idempotencyKey),
      };
}

function intentShape(intent: Intent): Shape {
  switch (intent.kind) {
    case 'send': {
      const { envelope } = intent;
      return [intent.durable ? SEND : SEND_VOLATILE, envelope.to, envelope.message, extrasOf(envelope, true)];
    }
    case 'reply':
      return [REPLY, replyShape(intent.to), intent.value, intent.idempotencyKey ?? null];
    case 'fail':
      return [FAIL, replyShape(intent.to), intent.error, intent.idempotencyKey ?? null];
    case 'effect.start':
      return [EFFECT_START, intent.id, intent.source, intent.input];
    case 'effect.cancel':
      return [EFFECT_CANCEL, intent.id];
    case 'effect.send':
      return [EFFECT_SEND, intent.id, intent.message];
    case 'timer.set':
      return [TIMER_SET, intent.id, intent.dueMs, intent.payload];
    case 'timer.cancel':
      return [TIMER_CANCEL, intent.id];
    case 'emit':
      return [EMIT, intent.event];
    case 'stash':
      return [STASH];
    case 'unstash':
      return [UNSTASH];
    case 'exit':
      return [EXIT, intent.reason];
  }
}

function intentOf(shape: unknown): Intent {
  const [code, a, b, c] = listOf(shape, 'intent');
  switch (code) {
    case SEND:
    case SEND_VOLATILE:
      return { kind: 'send', envelope: envelopeOf(a, b, c, undefined), durable: code === SEND };
    case REPLY:
      return { kind: 'reply', to: replyOf(a), value: b, ...keyed(c) };
    case FAIL:
      return { kind: 'fail', to: replyOf(a), error: errorOf(b, 'error'), ...keyed(c) };
    case EFFECT_START:
      return { kind: 'effect.start', id: textOf(a, 'effect'), source: textOf(b, 'effect.source'), input: c };
    case EFFECT_CANCEL:
      return { kind: 'effect.cancel', id: textOf(a, 'effect') };
    case EFFECT_SEND:
      return { kind: 'effect.send', id: textOf(a, 'effect'), message: b };
    case TIMER_SET:
      return { kind: 'timer.set', id: textOf(a, 'timer'), dueMs: numberOf(b, 'timer.dueMs'), payload: c };
    case TIMER_CANCEL:
      return { kind: 'timer.cancel', id: textOf(a, 'timer') };
    case EMIT:
      return { kind: 'emit', event: a };
    case STASH:
      return { kind: 'stash' };
    case UNSTASH:
      return { kind: 'unstash' };
    case EXIT:
      return { kind: 'exit', reason: kindOf<ExitReason>(a, 'exit') };
    default:
      throw new StorageError(
        `a turn of the journal has an intent of code ${typeof code === 'number' ? code : typeof code}, which this version does not know`,
      );
  }
}

function keyed(key: unknown): { idempotencyKey?: string } {
  return isAbsent(key) ? {} : { idempotencyKey: textOf(key, 'idempotencyKey') };
}
