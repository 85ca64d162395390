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
import { type ReviveReference, unpackPart } from '../wire/journal-codec.ts';
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
  H_VERSION,
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
  P_NUMBER,
  P_RUN,
  P_SEAT,
  P_SENDS,
  P_SLOT,
  P_SUM,
  P_TABLE_SUM,
  P_TURNS,
  PRELUDE_BYTES,
  S_INDEX_AND_LANE,
  SEND_BYTES,
} from './batch-layout.ts';
import { batchSeed, turnSeed } from './batch-seed.ts';
import { ByteReader } from './byte-writer.ts';
import { crc32Of, flippedBit, viewOf } from './crc32.ts';
import type { RawTurn } from './cell-parcel.ts';
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

/** Everything that rides in a batch. */
export interface AttachedRows {
  readonly images: readonly AttachedRow[];
  readonly letters: readonly AttachedRow[];
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
  readonly #seed: number;
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
    this.#seed = batchSeed(this.slot, this.epoch, this.run, view.getUint32(P_NUMBER, true));
    this.keyCount = view.getUint32(P_KEYS, true);
    this.headersStart = PRELUDE_BYTES + view.getUint32(P_KEYS_BYTES, true);
    this.#sendsStart = this.headersStart + this.turns * HEADER_BYTES;
    this.#bodiesStart = this.#sendsStart + view.getUint32(P_SENDS, true) * SEND_BYTES;
    this.#bodiesEnd = this.#bodiesStart + view.getUint32(P_BODIES_BYTES, true);
    this.logBytes = this.#bodiesEnd;
    if (this.#bodiesEnd > bytes.length) throw new DataDamagedError('a batch of turns is cut off');
  }

  /** What the sum of the turn whose header is at `at` begins with. */
  sumSeed(at: number): number {
    return turnSeed(this.#seed, at - this.headersStart);
  }

  get keys(): readonly CellKey[] {
    return (this.#keys ??= this.#readKeys().keys);
  }

  /** Whether `key` may be one of the keys; false: it is not. Spares a reader of one cell's turns from decoding all the others' keys. */
  mentions(key: Buffer): boolean {
    const { buffer, byteOffset } = this.bytes;
    return Buffer.from(buffer, byteOffset + PRELUDE_BYTES, this.headersStart - PRELUDE_BYTES).includes(key);
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
    this.#assertWhole(at);
    return this.bytes.subarray(this.#bodyStart(at), this.#bodyEnd(at));
  }

  /** The turn where it lies, not decoded. Throws `DataDamagedError` unless it is whole. */
  rawTurn(at: number, position: number): RawTurn {
    this.#assertWhole(at);
    const { bytes, view } = this;
    return { position, bytes, view, at, start: this.#bodyStart(at), end: this.#bodyEnd(at) };
  }

  /** The turn, decoded. Throws `DataDamagedError` unless it is whole. */
  turn(at: number, revive?: ReviveReference): TurnRecord {
    this.#assertWhole(at);
    return decodeTurn(this.keyOf(at), this.bytes, this.view, at, this.#bodyStart(at), this.#bodyEnd(at), revive);
  }

  /** Says in the row where it stands. After this, and before nothing else, it is written. */
  takeSeat(position: number): void {
    this.view.setUint32(P_SEAT, this.#seatOf(position), true);
  }

  /** Whether the row was written to stand at `position`. */
  isSeatedAt(position: number): boolean {
    return this.view.getUint32(P_SEAT, true) === this.#seatOf(position);
  }

  /**
   * Undefined when all is well. `bodies: false` looks at prelude, keys, headers and sends only.
   */
  damage(bodies = true): BatchDamage | undefined {
    const { view, bytes } = this;
    let keys: CellKey[];
    let counts: number[];
    try {
      if (view.getUint32(P_SUM, true) !== preludeSum(bytes, view, this.headersStart)) return this.#allLost();
      ({ keys, counts } = this.#readKeys());
    } catch {
      return this.#allLost();
    }
    const tableFits = view.getUint32(P_TABLE_SUM, true) === crc32Of(bytes, view, this.headersStart, this.#bodiesStart);
    if (tableFits && (bodies ? this.#allWhole() : this.#allWithin())) return undefined;

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
  attached(): AttachedRows {
    const reader = new ByteReader(this.bytes, this.#bodiesEnd);
    // Not an array of that length from the start: a count may say anything.
    const read = (count: number): AttachedRow[] => {
      const rows: AttachedRow[] = [];
      for (let i = 0; i < count; i++) rows.push({ key: reader.string(), row: reader.sized() });
      return rows;
    };
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

  #allWithin(): boolean {
    for (let i = 0; i < this.turns; i++) if (!this.#isWithin(this.header(i))) return false;
    return true;
  }

  /** Whether a header points at what there is. One whose sum fits does, unless somebody made it fit. */
  #isWithin(at: number): boolean {
    return (
      this.#bodyEnd(at) <= this.#bodiesEnd &&
      this.send(at, this.sends(at)) <= this.#bodiesStart &&
      this.keyIndex(at) < this.keyCount
    );
  }

  #bodyStart(at: number): number {
    return this.#bodiesStart + this.view.getUint32(at + H_BODY_START, true);
  }

  #bodyEnd(at: number): number {
    return this.#bodyStart(at) + this.view.getUint32(at + H_BODY_BYTES, true);
  }

  #assertWhole(at: number): void {
    if (this.#isWhole(at)) return;
    throw new DataDamagedError(`turn ${(at - this.headersStart) / HEADER_BYTES} of a batch is damaged`);
  }

  #isWhole(at: number): boolean {
    if (!this.#isWithin(at)) return false;
    const { view, bytes } = this;
    const sendsStart = this.send(at, 0);
    const sendsEnd = this.send(at, this.sends(at));
    let sum = crc32Of(bytes, view, at + H_SUM + 4, at + HEADER_BYTES, this.sumSeed(at));
    if (sendsEnd > sendsStart) sum = crc32Of(bytes, view, sendsStart, sendsEnd, sum);
    return crc32Of(bytes, view, this.#bodyStart(at), this.#bodyEnd(at), sum) === view.getUint32(at + H_SUM, true);
  }

  /** Whether prelude and keys are whole. */
  get hasKeys(): boolean {
    const damage = this.damage(false);
    return damage === undefined || damage.cells !== undefined;
  }

  /** What is lost with a row none of whose turns can be taken, though its keys can. */
  everything(): BatchDamage {
    const { keys, counts } = this.#readKeys();
    return {
      ...this.#allLost(),
      cells: keys.filter((_, i) => (counts[i * 2] as number) > 0),
      receivers: keys.filter((_, i) => (counts[i * 2 + 1] as number) > 0),
    };
  }

  #seatOf(position: number): number {
    const { bytes, view } = this;
    SEAT.setFloat64(0, position, true);
    // The prelude's sum stands for the row: another row's seat does not fit.
    return crc32Of(SEAT_BYTES, SEAT, 0, 8, crc32Of(bytes, view, P_SUM, P_SUM + 4));
  }

  #allLost(): BatchDamage {
    return { turns: Array.from({ length: this.turns }, (_, i) => i), cells: undefined, receivers: undefined };
  }
}

const SEAT_BYTES = Buffer.alloc(8);
const SEAT = viewOf(SEAT_BYTES);
const NO_SEAT = Buffer.alloc(4);

/** The sum of prelude and keys, without the seat. */
function preludeSum(bytes: Uint8Array, view: DataView, headersStart: number): number {
  let sum = crc32Of(bytes, view, P_SUM + 4, P_SEAT);
  sum = crc32Of(NO_SEAT, viewOf(NO_SEAT), 0, NO_SEAT.length, sum);
  return crc32Of(bytes, view, P_SEAT + 4, headersStart, sum);
}

/**
 * The row with the one flipped bit of its prelude or keys put right, which the sum betrays; undefined when it is not one bit. A copy:
 * what it says of turns and owners is good enough to name them.
 */
export function mendPrelude(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length < PRELUDE_BYTES) return undefined;
  const mended = Uint8Array.from(bytes);
  const view = viewOf(mended);
  view.setUint32(P_MAGIC, BATCH_MAGIC, true);
  const stored = view.getUint32(P_SUM, true);
  const keysBytes = view.getUint32(P_KEYS_BYTES, true);
  // The flipped bit may be one of those that say how far the sum reaches.
  for (let bit = -1; bit < 32; bit++) {
    const end = PRELUDE_BYTES + (bit < 0 ? keysBytes : (keysBytes ^ (1 << bit)) >>> 0);
    if (end > bytes.length) continue;
    if (bit >= 0) view.setUint32(P_KEYS_BYTES, end - PRELUDE_BYTES, true);
    const computed = preludeSum(mended, view, end);
    if (computed === stored) return mended;
    if (bit >= 0) continue;
    const start = P_SUM + 4;
    const flipped = flippedBit(stored, computed, end - start);
    if (flipped === undefined) continue;
    if (flipped === -1) view.setUint32(P_SUM, computed, true);
    else mended[start + (flipped >>> 3)] = (mended[start + (flipped >>> 3)] as number) ^ (1 << (flipped & 7));
    return mended;
  }
  return undefined;
}

/** The turn of the cell `key` whose header is at `at` of `bytes`, and whose body from `start` to `end`. `view` is of the same memory. */
export function decodeTurn(
  key: CellKey,
  bytes: Uint8Array,
  view: DataView,
  at: number,
  start: number,
  end: number,
  revive?: ReviveReference,
): TurnRecord {
  const flags = view.getUint16(at + H_FLAGS, true);
  const id: Envelope['id'] =
    flags & FLAG_HAS_ID
      ? {
          stream: view.getUint32(at + H_STREAM, true),
          position: view.getFloat64(at + H_POSITION, true),
          index: view.getUint32(at + H_INDEX, true),
        }
      : undefined;
  return turnOf(unpackPart(bytes, start, end, revive), {
    key,
    sequence: view.getUint32(at + H_SEQUENCE_LOW, true) + view.getUint16(at + H_SEQUENCE_HIGH, true) * 0x1_0000_0000,
    version: view.getUint32(at + H_VERSION, true),
    outcome: flags & FLAG_PARKED ? 'parked' : flags & FLAG_REFUSED ? 'refused' : 'handled',
    obliged: (flags & FLAG_OBLIGED) !== 0,
    id,
  });
}
