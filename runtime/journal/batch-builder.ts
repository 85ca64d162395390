/**
 * The writing side of a batch: turns, images and dead letters become bytes at the call.
 *
 * Owns: the growing regions of one batch, and their joining in `seal`. The layout is `batch-layout.ts`.
 *
 * Invariants:
 * B1. A call captures everything or throws and captures nothing.
 * B2. `rewind` leaves the regions as they were at `mark`.
 * B3. Sealed bytes have memory of their own: they can be transferred, and nothing is written to them later.
 */
import type { CellKey } from '../kernel/address.ts';
import { InvalidAddressError } from '../kernel/errors.ts';
import type { Intent } from '../kernel/intent.ts';
import { type Envelope, laneOf } from '../kernel/message.ts';
import { packNext } from '../wire/journal-codec.ts';
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
  KEY_BYTES_LIMIT,
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
  S_KEY,
  SEND_BYTES,
} from './batch-layout.ts';
import { ByteWriter } from './byte-writer.ts';
import { batchSeed, turnSeed } from './batch-seed.ts';
import { copySummed, crc32Of, viewOf } from './crc32.ts';
import type { BatchBuilder } from './host-journal.ts';
import { writeImage, writeLetter } from './row-codec.ts';
import { shapeOf } from './turn-shape.ts';
import type { DeadLetter, ImageRow, TurnRecord } from './turn-record.ts';

/** Who writes: the stream of the sends in its batches, and the run in which they were made. One writer at a time has an origin. */
export interface BatchOrigin {
  readonly slot: number;
  readonly epoch: number;
  readonly run: number;
}

interface Mark {
  turns: number;
  headers: number;
  sends: number;
  bodies: number;
  keys: number;
  images: number;
  imageBytes: number;
  letters: number;
  letterBytes: number;
}

export class BatchWriter implements BatchBuilder {
  readonly #origin: BatchOrigin;
  readonly #headers = new ByteWriter(64 * HEADER_BYTES);
  readonly #sends = new ByteWriter(64 * SEND_BYTES);
  readonly #bodies = new ByteWriter(16 << 10);
  readonly #images = new ByteWriter();
  readonly #letters = new ByteWriter();
  readonly #keyIndex = new Map<CellKey, number>();
  /** Turns and durable sends of each key, two numbers a key. */
  readonly #keyCounts: number[] = [];
  /** Batches sealed. */
  #number = 0;
  /** What the sums of this batch's turns begin with. */
  #seed: number;
  #turns = 0;
  #imageCount = 0;
  #letterCount = 0;
  readonly #mark: Mark = markAtZero();

  constructor(origin: BatchOrigin) {
    this.#origin = origin;
    this.#seed = batchSeed(origin.slot, origin.epoch, origin.run, 0);
  }

  get turns(): number {
    return this.#turns;
  }

  get bytes(): number {
    return (
      PRELUDE_BYTES +
      this.#headers.length +
      this.#sends.length +
      this.#bodies.length +
      this.#images.length +
      this.#letters.length
    );
  }

  turn(record: TurnRecord): void {
    const { envelope, intents, sequence } = record;
    const packed = packNext(shapeOf(record), record);
    const { start, end } = packed;
    const headers = this.#headers;
    const sends = this.#sends;
    const sendsStart = sends.length;
    let flags = record.obliged ? FLAG_OBLIGED : 0;
    if (record.outcome === 'parked') flags |= FLAG_PARKED;
    else if (record.outcome === 'refused') flags |= FLAG_REFUSED;

    // Every key is judged before anything is written.
    const key = this.#keyOf(record.key);
    for (let i = 0; i < intents.length; i++) {
      const intent = intents[i] as Intent;
      if (intent.kind === 'send' && intent.durable) this.#keyOf(intent.envelope.to);
    }
    let sent = 0;
    for (let i = 0; i < intents.length; i++) {
      const intent = intents[i] as Intent;
      if (intent.kind === 'send') {
        if (intent.durable) this.#send(intent.envelope, sent);
        sent++;
      } else if ((intent.kind === 'reply' || intent.kind === 'fail') && intent.to.kind === 'outside') {
        flags |= FLAG_ANSWERS;
      }
    }

    headers.reserve(HEADER_BYTES);
    const at = headers.length;
    const view = headers.view;
    const id = envelope.id;
    if (id !== undefined) {
      flags |= laneOf(envelope) === 'signal' ? FLAG_HAS_ID | FLAG_SIGNAL_LANE : FLAG_HAS_ID;
      view.setUint32(at + H_STREAM, id.stream, true);
      view.setUint32(at + H_INDEX, id.index, true);
      view.setFloat64(at + H_POSITION, id.position, true);
    } else {
      view.setFloat64(at + H_STREAM, 0, true);
      view.setFloat64(at + H_POSITION, 0, true);
    }
    view.setUint32(at + H_KEY, key, true);
    view.setUint32(at + H_BODY_START, this.#bodies.length, true);
    view.setUint32(at + H_BODY_BYTES, end - start, true);
    view.setUint32(at + H_SEQUENCE_LOW, sequence >>> 0, true);
    view.setUint16(at + H_SEQUENCE_HIGH, (sequence / 0x1_0000_0000) & 0xffff, true);
    view.setUint16(at + H_FLAGS, flags, true);
    view.setUint32(at + H_SENDS_START, sendsStart / SEND_BYTES, true);
    view.setUint32(at + H_VERSION, record.version, true);
    view.setUint32(at + H_SENDS, (sends.length - sendsStart) / SEND_BYTES, true);
    let sum = crc32Of(headers.bytes, view, at + H_SUM + 4, at + HEADER_BYTES, turnSeed(this.#seed, at));
    if (sends.length > sendsStart) sum = crc32Of(sends.bytes, sends.view, sendsStart, sends.length, sum);
    const bodies = this.#bodies;
    bodies.reserve(end - start);
    sum = copySummed(packed, packed.dataView, start, end, bodies.bytes, bodies.view, bodies.length, sum);
    bodies.length += end - start;
    view.setUint32(at + H_SUM, sum, true);
    headers.length = at + HEADER_BYTES;
    (this.#keyCounts[key * 2] as number)++;
    this.#turns++;
  }

  image(row: ImageRow): void {
    assertKey(row.key);
    this.#appendRow(this.#images, row.key, () => writeImage(this.#images, row));
    this.#imageCount++;
  }

  deadLetter(letter: DeadLetter): void {
    assertKey(letter.id);
    this.#appendRow(this.#letters, letter.id, () => writeLetter(this.#letters, letter));
    this.#letterCount++;
  }

  mark(): void {
    const mark = this.#mark;
    mark.turns = this.#turns;
    mark.headers = this.#headers.length;
    mark.sends = this.#sends.length;
    mark.bodies = this.#bodies.length;
    mark.keys = this.#keyIndex.size;
    mark.images = this.#imageCount;
    mark.imageBytes = this.#images.length;
    mark.letters = this.#letterCount;
    mark.letterBytes = this.#letters.length;
  }

  rewind(): void {
    const mark = this.#mark;
    for (let at = mark.headers; at < this.#headers.length; at += HEADER_BYTES) {
      (this.#keyCounts[this.#headers.view.getUint32(at + H_KEY, true) * 2] as number)--;
    }
    for (let at = mark.sends; at < this.#sends.length; at += SEND_BYTES) {
      (this.#keyCounts[this.#sends.view.getUint32(at + S_KEY, true) * 2 + 1] as number)--;
    }
    this.#turns = mark.turns;
    this.#headers.length = mark.headers;
    this.#sends.length = mark.sends;
    this.#bodies.length = mark.bodies;
    this.#imageCount = mark.images;
    this.#images.length = mark.imageBytes;
    this.#letterCount = mark.letters;
    this.#letters.length = mark.letterBytes;
    if (this.#keyIndex.size > mark.keys) {
      this.#keyCounts.length = mark.keys * 2;
      for (const [key, index] of this.#keyIndex) if (index >= mark.keys) this.#keyIndex.delete(key);
    }
  }

  seal(): Uint8Array {
    const keys = new ByteWriter(this.#keyIndex.size * 32);
    for (const [key, index] of this.#keyIndex) {
      keys.string(key);
      keys.u32(this.#keyCounts[index * 2] as number);
      keys.u32(this.#keyCounts[index * 2 + 1] as number);
    }
    const regions = [keys, this.#headers, this.#sends, this.#bodies, this.#images, this.#letters];
    const size = regions.reduce((sum, region) => sum + region.length, PRELUDE_BYTES);
    const bytes = Buffer.allocUnsafeSlow(size);
    const view = viewOf(bytes);
    const starts: number[] = [];
    let at = PRELUDE_BYTES;
    for (const region of regions) {
      starts.push(at);
      region.bytes.copy(bytes, at, 0, region.length);
      at += region.length;
    }
    const headersStart = starts[1] as number;
    const bodiesStart = starts[3] as number;
    view.setUint32(P_MAGIC, BATCH_MAGIC, true);
    view.setUint32(P_SLOT, this.#origin.slot, true);
    view.setUint32(P_EPOCH, this.#origin.epoch, true);
    view.setUint32(P_RUN, this.#origin.run, true);
    view.setUint32(P_NUMBER, this.#number, true);
    view.setUint32(P_TURNS, this.#turns, true);
    view.setUint32(P_KEYS, this.#keyIndex.size, true);
    view.setUint32(P_SENDS, this.#sends.length / SEND_BYTES, true);
    view.setUint32(P_KEYS_BYTES, keys.length, true);
    view.setUint32(P_BODIES_BYTES, this.#bodies.length, true);
    view.setUint32(P_TABLE_SUM, crc32Of(bytes, view, headersStart, bodiesStart), true);
    view.setUint32(P_SEAT, 0, true);
    view.setUint32(P_IMAGES, this.#imageCount, true);
    view.setUint32(P_IMAGES_BYTES, this.#images.length, true);
    view.setUint32(P_LETTERS, this.#letterCount, true);
    view.setUint32(P_LETTERS_BYTES, this.#letters.length, true);
    view.setUint32(P_SUM, crc32Of(bytes, view, P_SUM + 4, headersStart), true);
    this.#clear();
    return bytes;
  }

  #clear(): void {
    Object.assign(this.#mark, markAtZero());
    const { slot, epoch, run } = this.#origin;
    this.#number = (this.#number + 1) >>> 0;
    this.#seed = batchSeed(slot, epoch, run, this.#number);
    this.#keyIndex.clear();
    this.#keyCounts.length = 0;
    this.#turns = 0;
    this.#imageCount = 0;
    this.#letterCount = 0;
    for (const region of [this.#headers, this.#sends, this.#bodies, this.#images, this.#letters]) region.length = 0;
  }

  #send(envelope: Envelope, index: number): void {
    const key = this.#keyOf(envelope.to);
    const sends = this.#sends;
    sends.reserve(SEND_BYTES);
    sends.view.setUint32(sends.length + S_KEY, key, true);
    sends.view.setUint32(sends.length + S_INDEX_AND_LANE, index * 2 + (laneOf(envelope) === 'signal' ? 1 : 0), true);
    sends.length += SEND_BYTES;
    (this.#keyCounts[key * 2 + 1] as number)++;
  }

  #keyOf(key: CellKey): number {
    const known = this.#keyIndex.get(key);
    if (known !== undefined) return known;
    assertKey(key);
    const index = this.#keyIndex.size;
    this.#keyIndex.set(key, index);
    this.#keyCounts.push(0, 0);
    return index;
  }

  /** Key, size and row; nothing of it when the row throws. */
  #appendRow(region: ByteWriter, key: string, write: () => void): void {
    const before = region.length;
    try {
      region.string(key);
      const sizeAt = region.length;
      region.u32(0);
      write();
      region.view.setUint32(sizeAt, region.length - sizeAt - 4, true);
    } catch (error) {
      region.length = before;
      throw error;
    }
  }
}

function assertKey(key: string): void {
  // UTF-8 needs at most three bytes a UTF-16 unit, so that most keys are judged by their length alone.
  if (key.length * 3 <= KEY_BYTES_LIMIT || Buffer.byteLength(key) <= KEY_BYTES_LIMIT) return;
  throw new InvalidAddressError(
    `the key ${JSON.stringify(`${key.slice(0, 64)}…`)} is longer than ${KEY_BYTES_LIMIT} bytes: nest fewer children, or name them shorter`,
  );
}

function markAtZero(): Mark {
  return { turns: 0, headers: 0, sends: 0, bodies: 0, keys: 0, images: 0, imageBytes: 0, letters: 0, letterBytes: 0 };
}
