/**
 * Frames: many items between two threads as one block of bytes, with the shapes of objects said once for the whole link.
 *
 * Owns: one direction of one link, encoder and decoder. They share state by order alone: every frame must be decoded, once and in
 * order, and each carries its number to prove it. Values that must stand for themselves are `value-codec.ts`.
 *
 * Layout: magic, version and flags (one byte each), two bytes of zero, items (uint32), number (float64: exact to 2^53), then the
 * items as a msgpack array with msgpackr's records.
 *
 * Invariants:
 * F1. A frame that is lost, repeated, out of order, cut or altered in its structure is refused; it never decodes to other items.
 * F2. After a refusal the decoder refuses everything: what it knows no longer matches what the encoder knows.
 * F3. An item that cannot be carried is reported with its index, and costs the other items nothing but time: the encoder starts
 *     with new records, says so in the frame, and packs the others again.
 * F4. The bytes of a frame are a buffer of their own, fit to be transferred.
 */
import { Packr, RESET_BUFFER_MODE, Unpackr } from 'msgpackr';
import { FrameError, MessageTooLargeError, type UnserializableValueError } from '../kernel/errors.ts';
import { FRAME_BYTES_LIMIT, MESSAGE_BYTES_LIMIT, MESSAGE_DEPTH_LIMIT } from '../kernel/limits.ts';
import { ByteScan, refuse } from './byte-scan.ts';
import {
  enterDecoding,
  enterEncoding,
  leaveDecoding,
  leaveEncoding,
  type ReviveReference,
  reviveAsReference,
} from './special-values.ts';
import { createValueCodec } from './value-codec.ts';

const MAGIC = 0xcb;
const VERSION = 1;
const NEW_RECORDS = 1;
export const FRAME_HEADER_BYTES = 16;

/** A message may be as deep as allowed, and lies in an envelope in the array of items. */
const FRAME_DEPTH_LIMIT = MESSAGE_DEPTH_LIMIT + 8;

export interface RefusedItem {
  readonly index: number;
  readonly error: UnserializableValueError | MessageTooLargeError;
}

export interface EncodedFrame {
  /** Undefined when every item was refused: there is nothing to send. */
  readonly bytes: Uint8Array<ArrayBuffer> | undefined;
  /** How many items, from the first, are dealt with: fewer than given when the rest would not fit into a frame. */
  readonly taken: number;
  readonly refused: readonly RefusedItem[];
}

/** Bytes that one item may have, but for what it is wrapped in. */
export type ItemBytesLimit = (item: unknown) => number;

/** Bytes that an envelope may add to its message. */
const ENVELOPE_BYTES = 4_096;

const anyFitting: ItemBytesLimit = () => FRAME_BYTES_LIMIT;

const NONE_REFUSED: readonly RefusedItem[] = [];

const checker = createValueCodec({
  bytesLimit: FRAME_BYTES_LIMIT - FRAME_HEADER_BYTES - 16,
  depthLimit: FRAME_DEPTH_LIMIT,
});

export class FrameEncoder {
  readonly #scan = new ByteScan({ records: true, depthLimit: FRAME_DEPTH_LIMIT });
  readonly #limitOf: ItemBytesLimit;
  readonly #unlimitedBytes: number;
  #packr = new Packr({ sequential: true });
  #newRecords = true;
  #number = 0;

  /** `limitOf`: what each item may have; default: what fits into a frame. */
  constructor(limitOf: ItemBytesLimit = anyFitting) {
    this.#limitOf = limitOf;
    // A frame no larger than the largest message holds none that is too large.
    this.#unlimitedBytes = limitOf === anyFitting ? FRAME_BYTES_LIMIT : MESSAGE_BYTES_LIMIT;
  }

  /** `items` as the next frame, with `reserve` bytes of zero in front for the caller's own header. */
  encode(items: readonly unknown[], reserve = 0): EncodedFrame {
    try {
      const bytes = this.#pack(items, reserve);
      if (bytes.length - reserve <= this.#unlimitedBytes) return this.#sent(bytes, items.length, NONE_REFUSED);
    } catch {
      // What was wrong is found out item by item.
    }
    return this.#encodeSound(items, reserve);
  }

  /** After an attempt that failed: finds the items at fault and packs the others, with records from scratch. */
  #encodeSound(items: readonly unknown[], reserve: number): EncodedFrame {
    const refused: RefusedItem[] = [];
    const sound: unknown[] = [];
    let size = 0;
    let taken = 0;
    for (; taken < items.length; taken++) {
      try {
        // On its own an item is at least as long as in a frame that has no records yet, give or take a byte.
        const itemSize = checker.encodedSizeOf(items[taken]) + 16;
        const limit = this.#limitOf(items[taken]);
        if (itemSize > limit + ENVELOPE_BYTES) {
          throw new MessageTooLargeError(
            `a message of ${itemSize} bytes is over the limit of ${limit}: keep large values elsewhere and send their address`,
          );
        }
        if (size + itemSize > FRAME_BYTES_LIMIT - FRAME_HEADER_BYTES && sound.length > 0) break;
        size += itemSize;
        sound.push(items[taken]);
      } catch (error) {
        refused.push({ index: taken, error: error as RefusedItem['error'] });
      }
    }
    this.#forgetRecords();
    if (sound.length === 0) return { bytes: undefined, taken, refused };
    try {
      const bytes = this.#pack(sound, reserve);
      if (bytes.length - reserve > FRAME_BYTES_LIMIT) throw new Error('a frame is larger than its items');
      return this.#sent(bytes, taken, refused);
    } catch (cause) {
      // An item that encodes once and not twice (a getter that throws now and then): no guessing which.
      this.#forgetRecords();
      const error = new MessageTooLargeError('items that encode differently each time cannot be carried', { cause });
      return { bytes: undefined, taken, refused: Array.from({ length: taken }, (_, index) => ({ index, error })) };
    }
  }

  #pack(items: readonly unknown[], reserve: number): Uint8Array<ArrayBuffer> {
    const before = enterEncoding();
    try {
      const packed = this.#packr.pack(items, RESET_BUFFER_MODE);
      const bytes = new Uint8Array(reserve + FRAME_HEADER_BYTES + packed.length);
      bytes.set(packed, reserve + FRAME_HEADER_BYTES);
      this.#scan.scan(bytes, reserve + FRAME_HEADER_BYTES);
      const view = new DataView(bytes.buffer, reserve);
      view.setUint8(0, MAGIC);
      view.setUint8(1, VERSION);
      view.setUint8(2, this.#newRecords ? NEW_RECORDS : 0);
      view.setUint32(4, items.length);
      view.setFloat64(8, this.#number);
      return bytes;
    } finally {
      leaveEncoding(before);
    }
  }

  #sent(bytes: Uint8Array<ArrayBuffer>, taken: number, refused: readonly RefusedItem[]): EncodedFrame {
    this.#number += 1;
    this.#newRecords = false;
    return { bytes, taken, refused };
  }

  #forgetRecords(): void {
    this.#packr = new Packr({ sequential: true });
    this.#scan.reset();
    this.#newRecords = true;
  }
}

export class FrameDecoder {
  readonly #reviveReference: ReviveReference;
  readonly #scan = new ByteScan({ records: true, depthLimit: FRAME_DEPTH_LIMIT });
  #unpackr: Unpackr | undefined;
  #number = 0;
  #broken: FrameError | undefined;

  constructor(options: { readonly reviveReference?: ReviveReference | undefined } = {}) {
    this.#reviveReference = options.reviveReference ?? reviveAsReference;
  }

  /** The items of the frame that begins at `offset`. Throws `FrameError`. */
  decode(bytes: Uint8Array, offset = 0): unknown[] {
    if (this.#broken !== undefined) throw this.#broken;
    const before = enterDecoding(this.#reviveReference);
    try {
      return this.#unpack(bytes, offset);
    } catch (fault) {
      this.#broken = fault instanceof FrameError ? fault : refuse(`frame ${this.#number}`, fault);
      throw this.#broken;
    } finally {
      leaveDecoding(before);
    }
  }

  #unpack(bytes: Uint8Array, offset: number): unknown[] {
    const size = bytes.length - offset;
    if (size < FRAME_HEADER_BYTES) throw new FrameError(`a frame of ${size} bytes is too short`);
    if (size > FRAME_BYTES_LIMIT)
      throw new FrameError(`a frame of ${size} bytes is over the limit of ${FRAME_BYTES_LIMIT}`);
    const view = new DataView(bytes.buffer, bytes.byteOffset + offset, size);
    if (view.getUint8(0) !== MAGIC) throw new FrameError('these bytes are no frame');
    if (view.getUint8(1) !== VERSION)
      throw new FrameError(`a frame of version ${view.getUint8(1)}, expected ${VERSION}`);
    const number = view.getFloat64(8);
    if (number !== this.#number) throw new FrameError(`frame ${number} came, expected ${this.#number}`);
    if (view.getUint8(2) === NEW_RECORDS) {
      this.#unpackr = new Unpackr({ sequential: true, copyBuffers: true });
      this.#scan.reset();
    } else if (view.getUint8(2) !== 0 || this.#unpackr === undefined) {
      throw new FrameError('a frame has flags that do not fit');
    }
    this.#scan.scan(bytes, offset + FRAME_HEADER_BYTES);
    const items: unknown = this.#unpackr.unpack(bytes.subarray(offset + FRAME_HEADER_BYTES));
    if (!Array.isArray(items) || items.length !== view.getUint32(4))
      throw new FrameError('a frame has other items than it says');
    this.#number += 1;
    return items;
  }
}
