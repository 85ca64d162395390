/**
 * The reading side of a batch: headers without bodies, bodies one by one, and what is damaged.
 *
 * Owns: the look at the bytes of one log row (or of a whole batch as it comes from a host). The layout is `batch-layout.ts`.
 *
 * Invariants:
 * D1. Nothing of a turn whose sum does not fit is given out.
 * D2. A damaged turn's cell is named as long as prelude and keys are whole (L2), and so are the cells to which it sent.
 */
import type { CellKey } from '../kernel/address.ts';
import { DataDamagedError, DataFormatError } from '../kernel/errors.ts';
import type { Envelope, Lane, MessageId } from '../kernel/message.ts';
import { type ReviveReference, unpackOne } from '../wire/journal-codec.ts';
import {
  BATCH_MAGIC,
  FLAG_ANSWERS,
  FLAG_HAS_ID,
  FLAG_OBLIGED,
  FLAG_PARKED,
  FLAG_REFUSED,
  FLAG_SIGNAL_LANE,
  H_BODY_BYTES,
  H_BODY_START,
  H_FLAGS,
  H_INDEX,
  H_KEY,
  H_POSITION,
  H_SENDS,
  H_SENDS_START,
  H_SEQUENCE_HIGH,
  H_SEQUENCE_LOW,
  H_STREAM,
  H_SUM,
  HEADER_BYTES,
  P_BODIES_BYTES,
  P_EPOCH,
  P_IMAGES,
  P_IMAGES_BYTES,
  P_KEYS,
  P_KEYS_BYTES,
  P_LETTERS,
  P_LETTERS_BYTES,
  P_MAGIC,
  P_RUN,
  P_SENDS,
  P_SLOT,
  P_SUM,
  P_TABLE_SUM,
  P_TURNS,
  PRELUDE_BYTES,
  S_INDEX_AND_LANE,
  SEND_BYTES,
} from './batch-layout.ts';
import { ByteReader } from './byte-writer.ts';
import { crc32Of, viewOf } from './crc32.ts';
import type { TurnRecord } from './turn-record.ts';
import { turnOf } from './turn-shape.ts';

/** What a damaged log row has lost. */
export interface BatchDamage {
  /** Turns that cannot be read, counted from the batch's first; all of them when the keys are lost. */
  readonly turns: readonly number[];
  /** Cells that lost turns. Undefined: cannot be said. */
  readonly cells: readonly CellKey[] | undefined;
  /** Cells to which durable messages were lost. Undefined: cannot be said. */
  readonly receivers: readonly CellKey[] | undefined;
}

/** A row that rides in a batch: an image or a dead letter. */
export interface AttachedRow {
  readonly key: string;
  readonly row: Uint8Array;
}

export class BatchReader {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly turns: number;
  readonly slot: number;
  readonly epoch: number;
  readonly run: number;
  readonly keyCount: number;
  /** Length of the part that is the log row. */
  readonly logBytes: number;
  readonly headersStart: number;
  readonly #sendsStart: number;
  readonly #bodiesStart: number;
  readonly #bodiesEnd: number;
  #keys: CellKey[] | undefined;

  /** Throws unless the prelude is one of ours and its sizes fit; sums are `damage`'s matter. */
  constructor(bytes: Uint8Array) {
    const view = viewOf(bytes);
    if (bytes.length < PRELUDE_BYTES || (view.getUint32(P_MAGIC, true) & 0xffffff) !== (BATCH_MAGIC & 0xffffff))
      throw new DataDamagedError('these bytes are no batch of turns');
    if (view.getUint32(P_MAGIC, true) !== BATCH_MAGIC)
      throw new DataFormatError(`a batch of layout ${view.getUint8(P_MAGIC + 3)} was written by another version`);
    this.bytes = bytes;
    this.view = view;
    this.turns = view.getUint32(P_TURNS, true);
    this.slot = view.getUint32(P_SLOT, true);
    this.epoch = view.getUint32(P_EPOCH, true);
    this.run = view.getUint32(P_RUN, true);
    this.keyCount = view.getUint32(P_KEYS, true);
    this.headersStart = PRELUDE_BYTES + view.getUint32(P_KEYS_BYTES, true);
    this.#sendsStart = this.headersStart + this.turns * HEADER_BYTES;
    this.#bodiesStart = this.#sendsStart + view.getUint32(P_SENDS, true) * SEND_BYTES;
    this.#bodiesEnd = this.#bodiesStart + view.getUint32(P_BODIES_BYTES, true);
    this.logBytes = this.#bodiesEnd;
    if (this.#bodiesEnd > bytes.length) throw new DataDamagedError('a batch of turns is cut off');
  }

  get keys(): readonly CellKey[] {
    return (this.#keys ??= this.#readKeys().keys);
  }

  /** Byte offset of the header of turn `i`; the accessors below take it. */
  header(i: number): number {
    return this.headersStart + i * HEADER_BYTES;
  }

  keyIndex(at: number): number {
    return this.view.getUint32(at + H_KEY, true);
  }

  keyOf(at: number): CellKey {
    return this.keys[this.keyIndex(at)] as CellKey;
  }

  sequence(at: number): number {
    return (
      this.view.getUint32(at + H_SEQUENCE_LOW, true) + this.view.getUint16(at + H_SEQUENCE_HIGH, true) * 0x1_0000_0000
    );
  }

  obliged(at: number): boolean {
    return (this.view.getUint16(at + H_FLAGS, true) & FLAG_OBLIGED) !== 0;
  }

  answers(at: number): boolean {
    return (this.view.getUint16(at + H_FLAGS, true) & FLAG_ANSWERS) !== 0;
  }

  lane(at: number): Lane {
    return this.view.getUint16(at + H_FLAGS, true) & FLAG_SIGNAL_LANE ? 'signal' : 'user';
  }

  /** Id of the message that the turn consumed, if it had one. */
  consumed(at: number): MessageId | undefined {
    if ((this.view.getUint16(at + H_FLAGS, true) & FLAG_HAS_ID) === 0) return undefined;
    return {
      stream: this.view.getUint32(at + H_STREAM, true),
      position: this.view.getFloat64(at + H_POSITION, true),
      index: this.view.getUint32(at + H_INDEX, true),
    };
  }

  /** How many durable sends the turn has; `send` gives the offset of one. */
  sends(at: number): number {
    return this.view.getUint32(at + H_SENDS, true);
  }

  send(at: number, i: number): number {
    return this.#sendsStart + (this.view.getUint32(at + H_SENDS_START, true) + i) * SEND_BYTES;
  }

  receiverIndex(sendAt: number): number {
    return this.view.getUint32(sendAt, true);
  }

  /** Index among all sends of the turn, times two; plus one for the signal lane. */
  indexAndLane(sendAt: number): number {
    return this.view.getUint32(sendAt + S_INDEX_AND_LANE, true);
  }

  /** Bytes of the turn's body. Throws `DataDamagedError` unless the turn is whole. */
  body(at: number): Uint8Array {
    if (!this.#isWhole(at)) {
      throw new DataDamagedError(`turn ${(at - this.headersStart) / HEADER_BYTES} of a batch is damaged`);
    }
    const start = this.#bodiesStart + this.view.getUint32(at + H_BODY_START, true);
    return this.bytes.subarray(start, start + this.view.getUint32(at + H_BODY_BYTES, true));
  }

  /** The turn, decoded. Throws `DataDamagedError` unless it is whole. */
  turn(at: number, revive?: ReviveReference): TurnRecord {
    return decodeTurn(this.keyOf(at), this.bytes.subarray(at, at + HEADER_BYTES), this.body(at), revive);
  }

  /**
   * Undefined when all is well. `bodies: false` looks at prelude, keys, headers and sends only.
   */
  damage(bodies = true): BatchDamage | undefined {
    const { view, bytes } = this;
    let keys: CellKey[];
    let counts: number[];
    try {
      if (view.getUint32(P_SUM, true) !== crc32Of(bytes, view, P_SUM + 4, this.headersStart)) return this.#allLost();
      ({ keys, counts } = this.#readKeys());
    } catch {
      return this.#allLost();
    }
    const tableFits = view.getUint32(P_TABLE_SUM, true) === crc32Of(bytes, view, this.headersStart, this.#bodiesStart);
    if (tableFits && (!bodies || this.#allWhole())) return undefined;

    // Something is wrong: sum turn by turn, and take what is whole off the counts. What remains is what was lost.
    const lost: number[] = [];
    for (let i = 0; i < this.turns; i++) {
      const at = this.header(i);
      if (!this.#isWhole(at)) {
        lost.push(i);
        continue;
      }
      (counts[this.keyIndex(at) * 2] as number)--;
      for (let s = 0; s < this.sends(at); s++) (counts[this.receiverIndex(this.send(at, s)) * 2 + 1] as number)--;
    }
    return {
      turns: lost,
      cells: keys.filter((_, i) => (counts[i * 2] as number) > 0),
      receivers: keys.filter((_, i) => (counts[i * 2 + 1] as number) > 0),
    };
  }

  /** Images and dead letters of a batch that came from a host. */
  attached(): { readonly images: readonly AttachedRow[]; readonly letters: readonly AttachedRow[] } {
    const reader = new ByteReader(this.bytes, this.#bodiesEnd);
    const read = (count: number): AttachedRow[] =>
      Array.from({ length: count }, () => ({ key: reader.string(), row: reader.sized() }));
    const images = read(this.view.getUint32(P_IMAGES, true));
    return { images, letters: read(this.view.getUint32(P_LETTERS, true)) };
  }

  /** Whether anything rides behind the log row. */
  get hasAttached(): boolean {
    return this.view.getUint32(P_IMAGES_BYTES, true) + this.view.getUint32(P_LETTERS_BYTES, true) > 0;
  }

  #readKeys(): { keys: CellKey[]; counts: number[] } {
    const reader = new ByteReader(this.bytes, PRELUDE_BYTES);
    const keys: CellKey[] = [];
    const counts: number[] = [];
    for (let i = 0; i < this.keyCount; i++) {
      keys.push(reader.string());
      counts.push(reader.u32(), reader.u32());
    }
    return { keys, counts };
  }

  #allWhole(): boolean {
    for (let i = 0; i < this.turns; i++) if (!this.#isWhole(this.header(i))) return false;
    return true;
  }

  #isWhole(at: number): boolean {
    const { view, bytes } = this;
    const bodyStart = this.#bodiesStart + view.getUint32(at + H_BODY_START, true);
    const bodyEnd = bodyStart + view.getUint32(at + H_BODY_BYTES, true);
    const sendsStart = this.send(at, 0);
    const sendsEnd = sendsStart + this.sends(at) * SEND_BYTES;
    if (bodyEnd > this.#bodiesEnd || sendsEnd > this.#bodiesStart || this.keyIndex(at) >= this.keyCount) return false;
    let sum = crc32Of(bytes, view, at + H_SUM + 4, at + HEADER_BYTES);
    if (sendsEnd > sendsStart) sum = crc32Of(bytes, view, sendsStart, sendsEnd, sum);
    return crc32Of(bytes, view, bodyStart, bodyEnd, sum) === view.getUint32(at + H_SUM, true);
  }

  #allLost(): BatchDamage {
    return { turns: Array.from({ length: this.turns }, (_, i) => i), cells: undefined, receivers: undefined };
  }
}

/** The turn that a header (48 bytes) and a body say, for the cell `key`. */
export function decodeTurn(key: CellKey, header: Uint8Array, body: Uint8Array, revive?: ReviveReference): TurnRecord {
  const view = viewOf(header);
  const flags = view.getUint16(H_FLAGS, true);
  const id: Envelope['id'] =
    flags & FLAG_HAS_ID
      ? {
          stream: view.getUint32(H_STREAM, true),
          position: view.getFloat64(H_POSITION, true),
          index: view.getUint32(H_INDEX, true),
        }
      : undefined;
  return turnOf(unpackOne(body, revive) as readonly unknown[], {
    key,
    sequence: view.getUint32(H_SEQUENCE_LOW, true) + view.getUint16(H_SEQUENCE_HIGH, true) * 0x1_0000_0000,
    outcome: flags & FLAG_PARKED ? 'parked' : flags & FLAG_REFUSED ? 'refused' : 'handled',
    obliged: (flags & FLAG_OBLIGED) !== 0,
    id,
  });
}
