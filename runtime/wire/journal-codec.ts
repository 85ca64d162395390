/**
 * The journal's way to msgpack: many values packed one after another, without a buffer of its own for each.
 *
 * Owns: one packer and one unpacker per thread, with the same forms and rules as `value-codec.ts`, so that what the journal takes
 * can travel too. It does not limit sizes, since a state may be larger than a message.
 *
 * Invariants:
 * Z1. What `packNext` returns is valid until the next pack of any codec of this thread: copy it at once.
 * Z2. A value that cannot be carried throws `UnserializableValueError`, and nothing has been captured.
 * Z3. Every value can be read alone, by any thread, at any time.
 * Z4. `unpackOne` of any bytes gives a value or a `StorageError`: a sum that fits says who wrote them last, not that they are sound.
 */
import { Packr, RESERVE_START_SPACE, RESET_BUFFER_MODE, REUSE_BUFFER_MODE } from 'msgpackr';
import { StorageError } from '../kernel/errors.ts';
import { MESSAGE_DEPTH_LIMIT } from '../kernel/limits.ts';
import { ByteScan } from './byte-scan.ts';
import {
  enterDecoding,
  enterEncoding,
  leaveDecoding,
  leaveEncoding,
  type ReviveReference,
  reviveAsReference,
} from './special-values.ts';
import { unserializable } from './value-fault.ts';

export type { ReviveReference } from './special-values.ts';

/** msgpackr's own target buffer, with the place of what was just packed. */
export interface Packed extends Buffer {
  readonly start: number;
  readonly end: number;
  /** A view of the whole buffer. */
  readonly dataView: DataView;
}

/** The first byte of a value with a Map in it, as in `value-codec.ts`. */
const WITH_RECORDS = 0xc1;

// The same place of the same buffer again and again: it stays in the cache, and no buffer is allocated for every 8 KiB.
const MODE = REUSE_BUFFER_MODE | RESET_BUFFER_MODE;

/** Ends an attempt; one object for all, so that no stack is written down. */
const MAP_MET = new Error('a Map was met');

class PlainPackr extends Packr {
  get mapAsEmptyObject(): boolean {
    throw MAP_MET;
  }
}

const plain = new PlainPackr({ useRecords: false, mapsAsObjects: true, variableMapSize: true, copyBuffers: true });
const records = new Packr({ copyBuffers: true });

/** What is being unpacked; one object for all. */
const PART = { start: 0, end: 0 };

/** Turns and images wrap the values in them. */
const DEPTH_LIMIT = MESSAGE_DEPTH_LIMIT + 8;
const plainScan = new ByteScan({ records: false, depthLimit: DEPTH_LIMIT });
const recordsScan = new ByteScan({ records: true, depthLimit: DEPTH_LIMIT });

/** `value` in msgpackr's buffer. An error names the path of the fault in `blamed`. */
export function packNext(value: unknown, blamed: unknown = value): Packed {
  const before = enterEncoding();
  try {
    return packPlainOrRecords(value);
  } catch (cause) {
    throw unserializable(blamed, DEPTH_LIMIT, cause);
  } finally {
    leaveEncoding(before);
  }
}

function packPlainOrRecords(value: unknown): Packed {
  try {
    const packed = plain.pack(value, MODE) as Packed;
    plainScan.scan(packed, packed.start, packed.end);
    return packed;
  } catch (error) {
    if (error !== MAP_MET) throw error;
  }
  const packed = records.pack(value, MODE | RESERVE_START_SPACE | 1) as Packed;
  packed[packed.start] = WITH_RECORDS;
  recordsScan.reset();
  recordsScan.scan(packed, packed.start + 1, packed.end);
  return packed;
}

/** The value in `bytes`, which must be exactly what was packed. */
export function unpackOne(bytes: Uint8Array, revive?: ReviveReference): unknown {
  return unpackPart(bytes, 0, bytes.length, revive);
}

/** The value in `bytes[start, end)`, which must be exactly what was packed. */
export function unpackPart(
  bytes: Uint8Array,
  start: number,
  end: number,
  revive: ReviveReference = reviveAsReference,
): unknown {
  // msgpackr answers in the class of its source, and a Buffer's `slice` is no copy. Other bytes are read where they are: a view of each
  // of many parts costs as much as reading it.
  const isBuffer = bytes instanceof Buffer;
  const source = isBuffer ? new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start) : bytes;
  PART.start = isBuffer ? 0 : start;
  PART.end = isBuffer ? end - start : end;
  const before = enterDecoding(revive);
  try {
    if (source[PART.start] !== WITH_RECORDS) {
      plainScan.scan(source, PART.start, PART.end);
      return plain.unpack(source, PART);
    }
    PART.start += 1;
    recordsScan.reset();
    recordsScan.scan(source, PART.start, PART.end);
    return records.unpack(source, PART);
  } catch (cause) {
    throw new StorageError('a value of the journal cannot be read by this version', { cause });
  } finally {
    leaveDecoding(before);
  }
}
