/**
 * A turn as nested arrays: what its body in a batch is made of.
 *
 * Owns: the order of the fields. An array costs no field names, so that a body is little more than the messages in it. Key,
 * sequence, outcome, `obliged` and the consumed id are not in it: they are in the header.
 *
 * Invariants:
 * U1. `turnOf(shapeOf(turn))` is the turn, as far as msgpack carries its values. Ids of sends are left out: a send gets its id
 *     from the position at which it is committed.
 * U2. A code in the table is never given another meaning.
 */
import type { CellKey } from '../kernel/address.ts';
import type { EncodedError } from '../kernel/errors.ts';
import type { ExitReason } from '../kernel/exit.ts';
import type { Intent } from '../kernel/intent.ts';
import type { Envelope, ReplyTo } from '../kernel/message.ts';
import { StorageError } from '../kernel/errors.ts';
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

type Shape = readonly unknown[];

/** The fields that a turn's header has. */
export interface TurnHeader {
  readonly key: CellKey;
  readonly sequence: number;
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

export function turnOf(shape: Shape, header: TurnHeader): TurnRecord {
  const [timeMs, message, extras, asked, state] = shape as [number, unknown, Shape | null, Shape[] | null, unknown];
  const envelope = envelopeOf(header.key, message, extras, header.id);
  return {
    key: header.key,
    sequence: header.sequence,
    timeMs,
    envelope,
    outcome: header.outcome,
    intents: asked === null ? [] : asked.map(intentOf),
    obliged: header.obliged,
    ...(state === undefined ? {} : { state }),
  };
}

/** The envelope of the send at `index` among all sends of a turn. */
export function sendOf(shape: Shape, index: number): Envelope | undefined {
  const asked = shape[3] as Shape[] | null;
  let at = 0;
  for (const intent of asked ?? []) {
    if (intent[0] !== SEND && intent[0] !== SEND_VOLATILE) continue;
    if (at++ === index) return envelopeOf(intent[1] as CellKey, intent[2], intent[3] as Shape | null, undefined);
  }
  return undefined;
}

/** An answer to a call from outside: call, run, value, error. */
export type AnswerShape = readonly [call: number, run: number, value: unknown, error: EncodedError | null];

export function answersOf(shape: Shape): AnswerShape[] {
  const answers: AnswerShape[] = [];
  for (const [code, to, content] of (shape[3] as Shape[] | null) ?? []) {
    if (code !== REPLY && code !== FAIL) continue;
    const target = replyOf(to as Shape);
    if (target.kind !== 'outside') continue;
    const error = code === FAIL ? (content as EncodedError) : null;
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

export function envelopeOfShape(shape: Shape): Envelope {
  const [to, message, extras, id] = shape as [CellKey, unknown, Shape | null, [number, number, number] | null];
  return envelopeOf(to, message, extras, id === null ? undefined : { stream: id[0], position: id[1], index: id[2] });
}

function extrasOf(envelope: Envelope, atHome: boolean): Shape | null {
  const { control, from, replyTo, idempotencyKey, expiresAtMs, unstashed, traceparent } = envelope;
  if (
    atHome &&
    control === undefined &&
    from === undefined &&
    replyTo === undefined &&
    idempotencyKey === undefined &&
    expiresAtMs === undefined &&
    unstashed === undefined &&
    traceparent === undefined
  )
    return null;
  const extras: unknown[] = [from ?? null, replyTo === undefined ? null : replyShape(replyTo), control ?? null];
  extras.push(idempotencyKey ?? null, expiresAtMs ?? null, traceparent ?? null, unstashed ?? null);
  if (!atHome) extras.push(envelope.to);
  // Most envelopes have none of the later ones.
  while (extras.at(-1) === null) extras.pop();
  return extras;
}

function envelopeOf(key: CellKey, message: unknown, extras: Shape | null, id: Envelope['id']): Envelope {
  if (extras === null) return id === undefined ? { to: key, message } : { to: key, message, id };
  const [from, replyTo, control, idempotencyKey, expiresAtMs, traceparent, unstashed, to] = extras as [
    (CellKey | null)?,
    (Shape | null)?,
    (NonNullable<Envelope['control']> | null)?,
    (string | null)?,
    (number | null)?,
    (string | null)?,
    (boolean | null)?,
    CellKey?,
  ];
  return {
    to: to ?? key,
    message,
    ...(isAbsent(control) ? {} : { control }),
    ...(id === undefined ? {} : { id }),
    ...(isAbsent(from) ? {} : { from }),
    ...(isAbsent(replyTo) ? {} : { replyTo: replyOf(replyTo) }),
    ...(isAbsent(idempotencyKey) ? {} : { idempotencyKey }),
    ...(isAbsent(expiresAtMs) ? {} : { expiresAtMs }),
    ...(isAbsent(unstashed) ? {} : { unstashed }),
    ...(isAbsent(traceparent) ? {} : { traceparent }),
  };
}

function isAbsent<T>(field: T | null | undefined): field is null | undefined {
  return field === null || field === undefined;
}

/** A call from outside begins with a number; a cell with its key. */
function replyShape(to: ReplyTo): Shape {
  const first = to.kind === 'outside' ? [to.call, to.run] : [to.key, to.ask];
  return to.idempotencyKey === undefined ? first : [...first, to.idempotencyKey];
}

function replyOf([whom, what, idempotencyKey]: Shape): ReplyTo {
  const extra = typeof idempotencyKey === 'string' ? { idempotencyKey } : {};
  return typeof whom === 'number'
    ? { kind: 'outside', call: whom, run: what as number, ...extra }
    : { kind: 'cell', key: whom as CellKey, ask: what as string, ...extra };
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

function intentOf(shape: Shape): Intent {
  const [code, a, b, c] = shape;
  switch (code) {
    case SEND:
    case SEND_VOLATILE:
      return {
        kind: 'send',
        envelope: envelopeOf(a as CellKey, b, c as Shape | null, undefined),
        durable: code === SEND,
      };
    case REPLY:
      return { kind: 'reply', to: replyOf(a as Shape), value: b, ...keyed(c) };
    case FAIL:
      return { kind: 'fail', to: replyOf(a as Shape), error: b as EncodedError, ...keyed(c) };
    case EFFECT_START:
      return { kind: 'effect.start', id: a as string, source: b as string, input: c };
    case EFFECT_CANCEL:
      return { kind: 'effect.cancel', id: a as string };
    case EFFECT_SEND:
      return { kind: 'effect.send', id: a as string, message: b };
    case TIMER_SET:
      return { kind: 'timer.set', id: a as string, dueMs: b as number, payload: c };
    case TIMER_CANCEL:
      return { kind: 'timer.cancel', id: a as string };
    case EMIT:
      return { kind: 'emit', event: a };
    case STASH:
      return { kind: 'stash' };
    case UNSTASH:
      return { kind: 'unstash' };
    case EXIT:
      return { kind: 'exit', reason: a as ExitReason };
    default:
      throw new StorageError(
        `a turn of the journal has an intent of code ${String(code)}, which this version does not know`,
      );
  }
}

function keyed(key: unknown): { idempotencyKey?: string } {
  return typeof key === 'string' ? { idempotencyKey: key } : {};
}
