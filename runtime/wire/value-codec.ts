/**
 * A value as bytes that stand for themselves: what the journal keeps, and what a message is once it is accepted.
 *
 * Owns: which values can be carried, and how large and deep they may be. Frames between threads, which share state from one to the
 * next, are `frame-codec.ts`.
 *
 * Carried: null, undefined (also as a property), booleans, numbers (NaN and infinities too; -0 becomes 0), strings (well formed
 * ones: a lone surrogate becomes U+FFFD), bigints of 64 bits, plain objects and arrays (a hole becomes undefined), Map, Set, Date,
 * Uint8Array (a Buffer comes back as one), the other typed arrays, ArrayBuffer, `Reference`, `Error` (as `decodeError` makes it).
 * Of a plain object: its own enumerable string keys. Anything else goes by its `toJSON()`, or is refused by path.
 *
 * Invariants:
 * X1. Bytes depend on nothing but the value: any codec of this version decodes them, in any thread, at any time.
 * X2. What `encodeValue` accepts `decodeValue` accepts, with the same limits.
 * X3. `decodeValue` of any bytes gives a value or a `FrameError`; it never pollutes a prototype, runs out of stack, or makes
 *     anything much larger than the bytes.
 * X4. A refused value leaves no trace in the codec.
 */
import { Packr, RESERVE_START_SPACE, RESET_BUFFER_MODE, REUSE_BUFFER_MODE } from 'msgpackr';
import { type FrameError, MessageTooLargeError } from '../kernel/errors.ts';
import { MESSAGE_BYTES_LIMIT, MESSAGE_DEPTH_LIMIT } from '../kernel/limits.ts';
import { ByteScan, refuse } from './byte-scan.ts';
import {
  enterDecoding,
  EncodeFault,
  enterEncoding,
  leaveDecoding,
  leaveEncoding,
  type ReviveReference,
  reviveAsReference,
} from './special-values.ts';
import { unserializable } from './value-fault.ts';

/** A part of a buffer that is somebody else's. */
export interface BytesPart {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

export interface ValueCodec {
  /**
   * `value` as bytes. They are never written to again, but are a part of a larger buffer: copy them before they are posted to
   * another thread or kept for long.
   */
  readonly encodeValue: (value: unknown) => Uint8Array;
  readonly decodeValue: (bytes: Uint8Array) => unknown;
  /** The length of what `encodeValue` gives. */
  readonly encodedSizeOf: (value: unknown) => number;
  /** What `encodeValue` gives, where it lies until the next value is encoded: for one who copies it at once. A view of it costs as much as a short copy. */
  readonly encodePart: (value: unknown) => BytesPart;
  /** The value of the bytes from `start` to `end`; leaves a mark (a property) on `bytes`. */
  readonly decodePart: (bytes: Uint8Array, start: number, end: number) => unknown;
}

export interface ValueCodecOptions {
  /** What a reference becomes; default: a plain `Reference`. */
  readonly reviveReference?: ReviveReference | undefined;
  /** Default `MESSAGE_BYTES_LIMIT`. */
  readonly bytesLimit?: number | undefined;
  /** Default `MESSAGE_DEPTH_LIMIT`. Objects and arrays count 1, a Set or an Error 3. */
  readonly depthLimit?: number | undefined;
}

/** The first byte of a value with a Map in it. msgpack never uses it. */
const WITH_RECORDS = 0xc1;

const MAP_MET = new EncodeFault('a Map was met');

/**
 * Writes objects as msgpack maps: the fastest form for single values. It has no word for a Map then, so the first one that is met
 * (msgpackr asks for this option when it meets one) ends the attempt, and the value is written with records instead.
 */
class PlainPackr extends Packr {
  get mapAsEmptyObject(): boolean {
    throw MAP_MET;
  }
}

// One of each for the thread: none of them keeps anything from one value to the next.
const plain = new PlainPackr({ useRecords: false, mapsAsObjects: true, variableMapSize: true, copyBuffers: true });
const records = new Packr({ copyBuffers: true });

export function createValueCodec(options: ValueCodecOptions = {}): ValueCodec {
  const reviveReference = options.reviveReference ?? reviveAsReference;
  const bytesLimit = options.bytesLimit ?? MESSAGE_BYTES_LIMIT;
  const depthLimit = options.depthLimit ?? MESSAGE_DEPTH_LIMIT;
  const plainScan = new ByteScan({ records: false, depthLimit });
  const recordsScan = new ByteScan({ records: true, depthLimit });

  const scan = (bytes: Uint8Array, start: number, end: number): void => {
    if (bytes[start] !== WITH_RECORDS) return plainScan.scan(bytes, start, end);
    recordsScan.reset();
    recordsScan.scan(bytes, start + 1, end);
  };

  const encode = (value: unknown, mode: number): PackedPart => {
    const before = enterEncoding();
    let packed: PackedPart;
    try {
      packed = packPlainOrRecords(value, mode | REUSE_BUFFER_MODE);
      if (packed.end - packed.start <= bytesLimit) scan(packed, packed.start, packed.end);
    } catch (cause) {
      throw unserializable(value, depthLimit, cause);
    } finally {
      leaveEncoding(before);
    }
    const size = packed.end - packed.start;
    if (size > bytesLimit) throw tooLarge(size, bytesLimit);
    return packed;
  };

  const decode = (bytes: Uint8Array, start: number, end: number): unknown => {
    const before = enterDecoding(reviveReference);
    try {
      scan(bytes, start, end);
      const isPlain = bytes[start] !== WITH_RECORDS;
      part.start = isPlain ? start : start + 1;
      part.end = end;
      return isPlain ? plain.unpack(bytes, part) : records.unpack(bytes, part);
    } catch (fault) {
      throw refuse('a value', fault);
    } finally {
      leaveDecoding(before);
    }
  };

  return {
    encodeValue(value) {
      const packed = encode(value, 0);
      return packed.subarray(packed.start, packed.end);
    },

    encodedSizeOf(value) {
      const { start, end } = encode(value, RESET_BUFFER_MODE);
      return end - start;
    },

    encodePart(value) {
      const packed = encode(value, RESET_BUFFER_MODE);
      encoded.bytes = packed;
      encoded.start = packed.start;
      encoded.end = packed.end;
      return encoded;
    },

    decodeValue(source) {
      if (source.length > bytesLimit) throw overLimit(source.length, bytesLimit);
      // msgpackr answers in the class of its source, and a Buffer's `slice` is no copy.
      const bytes =
        source.constructor === Uint8Array
          ? source
          : new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
      return decode(bytes, 0, bytes.length);
    },

    decodePart(bytes, start, end) {
      if (end - start > bytesLimit) throw overLimit(end - start, bytesLimit);
      return decode(bytes, start, end);
    },
  };
}

/** What msgpackr gives when it is not to make a view: its whole buffer, and from where to where the value is. */
type PackedPart = Uint8Array & { readonly start: number; readonly end: number };

/** Of the value being decoded: msgpackr looks into it at once. */
const part = { start: 0, end: 0 };
/** Of the value encoded last. */
const encoded = { bytes: new Uint8Array(0) as Uint8Array, start: 0, end: 0 };

function packPlainOrRecords(value: unknown, mode: number): PackedPart {
  try {
    return plain.pack(value, mode) as unknown as PackedPart;
  } catch (error) {
    if (error !== MAP_MET) throw error;
  }
  const packed = records.pack(value, mode | RESERVE_START_SPACE | 1) as unknown as PackedPart;
  packed[packed.start] = WITH_RECORDS;
  return packed;
}

function overLimit(size: number, limit: number): FrameError {
  return refuse('a value', new Error(`it has ${size} bytes, the limit is ${limit}`));
}

function tooLarge(size: number, limit: number): MessageTooLargeError {
  return new MessageTooLargeError(
    `the value has ${size} bytes, the limit is ${limit}: keep large data in a store of its own and send its address`,
    { details: { bytes: size, limit } },
  );
}

const shared = createValueCodec();

/** `encodeValue` of a codec with default options. */
export const encodeValue: (value: unknown) => Uint8Array = shared.encodeValue;
/** `decodeValue` of a codec with default options. */
export const decodeValue: (bytes: Uint8Array) => unknown = shared.decodeValue;
/** `encodedSizeOf` of a codec with default options. */
export const encodedSizeOf: (value: unknown) => number = shared.encodedSizeOf;
/** `encodePart` of a codec with default options. */
export const encodePart: ValueCodec['encodePart'] = shared.encodePart;
/** `decodePart` of a codec with default options. */
export const decodePart: ValueCodec['decodePart'] = shared.decodePart;
