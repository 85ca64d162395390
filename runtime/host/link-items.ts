/**
 * What an item is while it crosses a link: an envelope as a flat list of the fields that it has, with numbers in place of keys that
 * are said again and again.
 *
 * Owns: that form, both ways, and the names of one link. Tuples (`items.ts`) cross as they are: they begin with a word, an envelope
 * with the number that says which fields it has. Measured against a record with all fields, an envelope costs half.
 *
 * Invariants:
 * LI1. A name is given in an item of its own, before the first item that uses it; so an item that is refused takes no name with it.
 * LI2. At most `NAMES_LIMIT` names are given, and none is ever taken back: an item that waits can be read at any time.
 * LI3. A reader gives out only envelopes of the right shape; anything else is a `FrameError`.
 */
import type { CellKey } from '../kernel/address.ts';
import { FrameError } from '../kernel/errors.ts';
import type { ControlMessage, Envelope, MessageId, ReplyTo } from '../kernel/message.ts';
import { fieldChecks } from '../wire/field-checks.ts';

/** An item that gives the next number to a key. */
const NAME = 'name';

/** Keys that may have a number: about two megabytes on either side. The others are said in full. */
const NAMES_LIMIT = 16_384;
/** Keys that are remembered because they were said once. */
const HEARD_LIMIT = 4_096;

const HAS_FROM = 1;
const HAS_ID = 2;
const HAS_CONTROL = 4;
const HAS_REPLY_TO = 8;
const HAS_IDEMPOTENCY_KEY = 16;
const HAS_EXPIRY = 32;
const IS_UNSTASHED = 64;
const HAS_TRACE = 128;

const { kindOf, numberOf, textOf } = fieldChecks(
  (what, expected) => new FrameError(`an item of a link is malformed: ${what} is not ${expected}`),
);

type Flat = readonly unknown[];

export class ItemWriter {
  readonly #push: (item: unknown, mark: number) => void;
  readonly #names = new Map<CellKey, number>();
  /** Keys that were said once: only what comes again is worth a number. */
  readonly #heard = new Set<CellKey>();
  /** `push` sends an item as it is. */
  constructor(push: (item: unknown, mark: number) => void) {
    this.#push = push;
  }

  /** What was written as `item`: for one that was refused. */
  original(item: unknown): unknown {
    const fields: unknown = (item as Flat)[0];
    return typeof fields === 'number' ? envelopeOf(item as Flat, fields, [...this.#names.keys()]) : item;
  }

  write(item: unknown, mark: number): void {
    this.#push(Array.isArray(item) ? item : this.#flat(item as Envelope), mark);
  }

  #flat(envelope: Envelope): Flat {
    const { from, id, control, replyTo, idempotencyKey, expiresAtMs, traceparent } = envelope;
    const isBare = control === undefined && replyTo === undefined && idempotencyKey === undefined;
    if (
      isBare &&
      from !== undefined &&
      expiresAtMs === undefined &&
      envelope.unstashed !== true &&
      traceparent === undefined
    ) {
      // Nearly all messages between actors: a list that grows field by field is given room for many more.
      const to = this.#nameOf(envelope.to);
      const sender = this.#nameOf(from);
      if (id === undefined) return [HAS_FROM, to, envelope.message, sender];
      return [HAS_FROM | HAS_ID, to, envelope.message, sender, id.stream, id.position, id.index];
    }
    const flat: unknown[] = [0, this.#nameOf(envelope.to), envelope.message];
    let fields = 0;
    if (from !== undefined) {
      fields |= HAS_FROM;
      flat.push(this.#nameOf(from));
    }
    if (id !== undefined) {
      fields |= HAS_ID;
      flat.push(id.stream, id.position, id.index);
    }
    if (control !== undefined) {
      fields |= HAS_CONTROL;
      flat.push(control);
    }
    if (replyTo !== undefined) {
      fields |= HAS_REPLY_TO;
      flat.push(replyTo);
    }
    if (idempotencyKey !== undefined) {
      fields |= HAS_IDEMPOTENCY_KEY;
      flat.push(idempotencyKey);
    }
    if (expiresAtMs !== undefined) {
      fields |= HAS_EXPIRY;
      flat.push(expiresAtMs);
    }
    if (envelope.unstashed === true) fields |= IS_UNSTASHED;
    if (traceparent !== undefined) {
      fields |= HAS_TRACE;
      flat.push(traceparent);
    }
    flat[0] = fields;
    return flat;
  }

  #nameOf(key: CellKey): number | CellKey {
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    if (this.#names.size >= NAMES_LIMIT) return key;
    if (!this.#heard.delete(key)) {
      if (this.#heard.size >= HEARD_LIMIT) this.#heard.clear();
      this.#heard.add(key);
      return key;
    }
    const name = this.#names.size;
    this.#names.set(key, name);
    this.#push([NAME, key], Number.POSITIVE_INFINITY);
    return name;
  }
}

export class ItemReader {
  readonly #names: CellKey[] = [];

  /** The items of a frame. Throws `FrameError`. */
  read(frame: readonly unknown[]): unknown[] {
    const items: unknown[] = [];
    for (const item of frame) {
      if (!Array.isArray(item)) throw new FrameError('an item of a link is no list');
      const first: unknown = item[0];
      if (typeof first === 'number') items.push(envelopeOf(item, first, this.#names));
      else if (first === NAME) this.#name(item[1]);
      else items.push(item);
    }
    return items;
  }

  #name(key: unknown): void {
    if (typeof key !== 'string' || this.#names.length >= NAMES_LIMIT) throw new FrameError('a name is given wrongly');
    this.#names.push(key);
  }
}

/** The fields are always the same, and in the order in which a turn makes them: so envelopes have one shape wherever they come from. */
function envelopeOf(flat: Flat, fields: number, names: readonly CellKey[]): Envelope {
  if (fields === HAS_FROM) {
    // A plain message, as `CellTurn` makes it.
    return { to: keyOf(flat[1], names, 'to'), message: flat[2], from: keyOf(flat[3], names, 'from') };
  }
  let at = 3;
  const from = fields & HAS_FROM ? keyOf(flat[at++], names, 'from') : undefined;
  const id = fields & HAS_ID ? idOf(flat[at++], flat[at++], flat[at++]) : undefined;
  const control = fields & HAS_CONTROL ? kindOf<ControlMessage>(flat[at++], 'control') : undefined;
  const replyTo = fields & HAS_REPLY_TO ? kindOf<ReplyTo>(flat[at++], 'replyTo') : undefined;
  const idempotencyKey = fields & HAS_IDEMPOTENCY_KEY ? textOf(flat[at++], 'idempotencyKey') : undefined;
  const expiresAtMs = fields & HAS_EXPIRY ? numberOf(flat[at++], 'expiresAtMs') : undefined;
  const unstashed = fields & IS_UNSTASHED ? true : undefined;
  const traceparent = fields & HAS_TRACE ? textOf(flat[at++], 'traceparent') : undefined;
  const message = flat[2];
  const to = keyOf(flat[1], names, 'to');
  return { to, message, control, id, from, replyTo, idempotencyKey, expiresAtMs, unstashed, traceparent };
}

function keyOf(name: unknown, names: readonly CellKey[], what: string): CellKey {
  const key = typeof name === 'number' ? names[name] : name;
  return textOf(key, what);
}

function idOf(stream: unknown, position: unknown, index: unknown): MessageId {
  return {
    stream: numberOf(stream, 'id.stream'),
    position: numberOf(position, 'id.position'),
    index: numberOf(index, 'id.index'),
  };
}
