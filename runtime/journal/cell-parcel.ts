/**
 * Cells on their way from the journal to a host: bytes that the host decodes, so that the journal's thread need not.
 *
 * Owns: the frame of loaded cells. Rows and turns in it are as they are in the store.
 *
 * Invariants:
 * C1. `decodeParcels` of what `ParcelWriter` wrote gives the cells in the order written.
 * C2. Pending messages come in the order of their positions and indexes.
 */
import type { CellKey } from '../kernel/address.ts';
import type { EncodedError } from '../kernel/errors.ts';
import type { Envelope, MessageId, Stream } from '../kernel/message.ts';
import { packNext, type ReviveReference, unpackOne } from '../wire/journal-codec.ts';
import { HEADER_BYTES } from './batch-layout.ts';
import { decodeTurn } from './batch-reader.ts';
import { ByteReader, ByteWriter } from './byte-writer.ts';
import { decodeImage } from './row-codec.ts';
import { sendOf } from './turn-shape.ts';
import type { LoadedCell, TurnRecord } from './turn-record.ts';

const HAS_IMAGE = 1;
const HAS_DAMAGE = 2;

/** A turn as bytes. */
export interface RawTurn {
  readonly position: number;
  readonly header: Uint8Array;
  readonly body: Uint8Array;
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

export function encodeParcels(cells: readonly RawCell[]): Uint8Array {
  const out = new ByteWriter();
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
  return out.take();
}

export function decodeParcels(bytes: Uint8Array, revive?: ReviveReference): LoadedCell[] {
  const reader = new ByteReader(bytes);
  const cells: LoadedCell[] = [];
  for (let left = reader.u32(); left > 0; left--) {
    const key = reader.string();
    const flags = reader.u8();
    const image = flags & HAS_IMAGE ? decodeImage(key, reader.sized(), revive) : undefined;
    const damage = flags & HAS_DAMAGE ? (unpackOne(reader.sized()) as EncodedError) : undefined;
    const turns = readTurns(reader, key, revive);
    const pending: Envelope[] = [];
    for (let sources = reader.u32(); sources > 0; sources--) {
      const stream = reader.u32();
      const position = reader.f64();
      const indexes: number[] = [];
      for (let count = reader.u32(); count > 0; count--) indexes.push(reader.u32());
      const shape = unpackOne(reader.sized(), revive) as readonly unknown[];
      for (const index of indexes) {
        const envelope = sendOf(shape, index);
        const id: MessageId = { stream, position, index };
        if (envelope !== undefined) pending.push({ ...envelope, id });
      }
    }
    cells.push({ key, image, turns, pending, ...(damage === undefined ? {} : { damage }) });
  }
  return cells;
}

export function encodeTurns(turns: readonly RawTurn[]): Uint8Array {
  const out = new ByteWriter();
  writeTurns(out, turns);
  return out.take();
}

export function decodeTurns(
  bytes: Uint8Array,
  key: CellKey,
  revive?: ReviveReference,
): (TurnRecord & { readonly position: number })[] {
  return readTurns(new ByteReader(bytes), key, revive);
}

function writeTurns(out: ByteWriter, turns: readonly RawTurn[]): void {
  out.u32(turns.length);
  for (const { position, header, body } of turns) {
    out.f64(position);
    out.raw(header);
    out.sized(body);
  }
}

function readTurns(
  reader: ByteReader,
  key: CellKey,
  revive: ReviveReference | undefined,
): (TurnRecord & { readonly position: number })[] {
  const turns: (TurnRecord & { readonly position: number })[] = [];
  for (let left = reader.u32(); left > 0; left--) {
    const position = reader.f64();
    const header = reader.raw(HEADER_BYTES);
    turns.push({ ...decodeTurn(key, header, reader.sized(), revive), position });
  }
  return turns;
}
