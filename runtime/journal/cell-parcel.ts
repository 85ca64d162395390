/**
 * Cells on their way from the journal to a host: bytes that the host decodes, so that the journal's thread need not.
 *
 * Owns: the frame of loaded cells. Rows and turns in it are as they are in the store.
 *
 * Invariants:
 * C1. `decodeParcels` of what `encodeParcels` wrote gives the cells in the order written.
 * C2. Pending messages come in the order of their positions and indexes.
 * C3. A cell whose records cannot be read is given out as damaged; only a parcel that is no parcel throws, and then a typed error.
 */
import type { CellKey } from '../kernel/address.ts';
import { BlocksError, type EncodedError } from '../kernel/errors.ts';
import type { Envelope, MessageId, Stream } from '../kernel/message.ts';
import { packNext, type ReviveReference, unpackOne } from '../wire/journal-codec.ts';
import { HEADER_BYTES } from './batch-layout.ts';
import { decodeTurn } from './batch-reader.ts';
import { ByteReader, ByteWriter } from './byte-writer.ts';
import { decodeImage } from './row-codec.ts';
import { errorOf } from './shape-fields.ts';
import { sendOf } from './turn-shape.ts';
import type { LoadedCell, TurnRecord, TurnRecords } from './turn-record.ts';

const HAS_IMAGE = 1;
const HAS_DAMAGE = 2;

/** Room for what a parcel has besides turns. */
const PARCEL_BYTES = 1_024;

/** A turn as it lies in a batch: its header at `at`, its body from `start` to `end`. `view` is of the same memory as `bytes`. */
export interface RawTurn {
  readonly position: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly at: number;
  readonly start: number;
  readonly end: number;
}

/** Messages that one turn sent to the cell. */
export interface RawPending {
  readonly stream: Stream;
  readonly position: number;
  readonly indexes: readonly number[];
  readonly body: Uint8Array;
}

export interface RawCell {
  readonly key: CellKey;
  readonly image: Uint8Array | undefined;
  readonly turns: readonly RawTurn[];
  readonly pending: readonly RawPending[];
  readonly damage: EncodedError | undefined;
}

/** A cell as it lies in the parcel. */
interface ParcelCell extends Omit<RawCell, 'turns' | 'damage'> {
  readonly turns: ParcelTurns;
  readonly damage: Uint8Array | undefined;
}

export function encodeParcels(cells: readonly RawCell[]): Uint8Array {
  const out = new ByteWriter(PARCEL_BYTES + turnsBytes(cells));
  out.u32(cells.length);
  for (const cell of cells) {
    out.string(cell.key);
    out.u8((cell.image === undefined ? 0 : HAS_IMAGE) | (cell.damage === undefined ? 0 : HAS_DAMAGE));
    if (cell.image !== undefined) out.sized(cell.image);
    if (cell.damage !== undefined) {
      const packed = packNext(cell.damage);
      out.sized(packed.subarray(packed.start, packed.end));
    }
    writeTurns(out, cell.turns);
    out.u32(cell.pending.length);
    for (const { stream, position, indexes, body } of cell.pending) {
      out.u32(stream);
      out.f64(position);
      out.u32(indexes.length);
      for (const index of indexes) out.u32(index);
      out.sized(body);
    }
  }
  return out.whole();
}

/** A long past is many megabytes, which are not to be moved while they grow. */
function turnsBytes(cells: readonly RawCell[]): number {
  let bytes = 0;
  for (const { turns } of cells) for (const { start, end } of turns) bytes += PLACE_BYTES + HEADER_BYTES + end - start;
  return bytes;
}

export function decodeParcels(bytes: Uint8Array, revive?: ReviveReference): LoadedCell[] {
  const reader = new ByteReader(bytes);
  const cells: LoadedCell[] = [];
  for (let left = reader.u32(); left > 0; left--) {
    const raw = readCell(reader, revive);
    try {
      cells.push(decodeCell(raw, revive));
    } catch (error) {
      // Its sums fit, and still it cannot be read: the cell is blocked, and those beside it are served.
      if (!(error instanceof BlocksError)) throw error;
      cells.push({ key: raw.key, image: undefined, turns: [], pending: [], damage: error.toJSON() });
    }
  }
  return cells;
}

function readCell(reader: ByteReader, revive: ReviveReference | undefined): ParcelCell {
  const key = reader.string();
  const flags = reader.u8();
  const image = flags & HAS_IMAGE ? reader.sized() : undefined;
  const damage = flags & HAS_DAMAGE ? reader.sized() : undefined;
  const turns = new ParcelTurns(key, reader, revive);
  const pending: RawPending[] = [];
  for (let sources = reader.u32(); sources > 0; sources--) {
    const stream = reader.u32();
    const position = reader.f64();
    const indexes: number[] = [];
    for (let count = reader.u32(); count > 0; count--) indexes.push(reader.u32());
    pending.push({ stream, position, indexes, body: reader.sized() });
  }
  return { key, image, damage, turns, pending };
}

function decodeCell(raw: ParcelCell, revive: ReviveReference | undefined): LoadedCell {
  const { key } = raw;
  const pending: Envelope[] = [];
  for (const { stream, position, indexes, body } of raw.pending) {
    const shape = unpackOne(body, revive);
    for (const index of indexes) {
      const envelope = sendOf(shape, index);
      const id: MessageId = { stream, position, index };
      if (envelope !== undefined) pending.push({ ...envelope, id });
    }
  }
  return {
    key,
    image: raw.image === undefined ? undefined : decodeImage(key, raw.image, revive),
    turns: raw.turns,
    pending,
    ...(raw.damage === undefined ? {} : { damage: errorOf(unpackOne(raw.damage), 'damage') }),
  };
}

/** Turns without cells, one after another. */
export class TurnsWriter {
  readonly #out = new ByteWriter();
  #count = 0;

  constructor() {
    this.#out.u32(0);
  }

  get count(): number {
    return this.#count;
  }

  add(turn: RawTurn): void {
    writeTurn(this.#out, turn);
    this.#count++;
  }

  take(): Uint8Array {
    this.#out.view.setUint32(0, this.#count, true);
    return this.#out.whole();
  }
}

export function decodeTurns(bytes: Uint8Array, key: CellKey, revive?: ReviveReference): PlacedTurn[] {
  return [...new ParcelTurns(key, new ByteReader(bytes), revive).placed()];
}

export type PlacedTurn = TurnRecord & { readonly position: number };

/** Before a turn's header: its position, the size of its body. */
const PLACE_BYTES = 12;

/** Turns in a parcel, decoded as they are asked for: of a long past only one turn at a time is in memory as values. */
class ParcelTurns implements TurnRecords {
  readonly length: number;
  readonly #key: CellKey;
  readonly #reader: ByteReader;
  /** The same memory, and no Buffer: turns are decoded from it as it is. */
  readonly #bytes: Uint8Array;
  readonly #start: number;
  readonly #revive: ReviveReference | undefined;

  /** Moves `reader` behind the turns. */
  constructor(key: CellKey, reader: ByteReader, revive: ReviveReference | undefined) {
    this.#key = key;
    this.#reader = reader;
    const { buffer, byteLength, byteOffset } = reader.bytes;
    this.#bytes = new Uint8Array(buffer, byteOffset, byteLength);
    this.#revive = revive;
    this.length = reader.u32();
    this.#start = reader.at;
    for (let left = this.length; left > 0; left--) {
      reader.skip(PLACE_BYTES - 4);
      const bodyBytes = reader.u32();
      reader.skip(HEADER_BYTES + bodyBytes);
    }
  }

  /** No generator: a long past is gone through once, mostly by code that has just begun to run. */
  [Symbol.iterator](): Iterator<TurnRecord, undefined> {
    let at = this.#start;
    let left = this.length;
    return {
      next: () => {
        if (left === 0) return { done: true, value: undefined };
        const value = this.#turn(at);
        at = this.#end(at);
        left -= 1;
        return { done: false, value };
      },
    };
  }

  *placed(): Generator<PlacedTurn, void, undefined> {
    for (const at of this.#places()) {
      yield { ...this.#turn(at), position: this.#reader.view.getFloat64(at, true) };
    }
  }

  *#places(): Generator<number, void, undefined> {
    let at = this.#start;
    for (let left = this.length; left > 0; left--) {
      yield at;
      at = this.#end(at);
    }
  }

  #turn(at: number): TurnRecord {
    const { view } = this.#reader;
    const bytes = this.#bytes;
    const header = at + PLACE_BYTES;
    return decodeTurn(this.#key, bytes, view, header, header + HEADER_BYTES, this.#end(at), this.#revive);
  }

  #end(at: number): number {
    return at + PLACE_BYTES + HEADER_BYTES + this.#reader.view.getUint32(at + PLACE_BYTES - 4, true);
  }
}

function writeTurns(out: ByteWriter, turns: readonly RawTurn[]): void {
  out.u32(turns.length);
  for (const turn of turns) writeTurn(out, turn);
}

function writeTurn(out: ByteWriter, { position, bytes, view, at, start, end }: RawTurn): void {
  out.f64(position);
  out.u32(end - start);
  out.copy(bytes, view, at, at + HEADER_BYTES);
  out.copy(bytes, view, start, end);
}
