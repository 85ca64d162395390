/**
 * Loading: a cell's image, the turns after it, and the messages that neither has received.
 *
 * Owns: the joining of image and trace. Decides what is pending and what is damaged.
 *
 * Invariants:
 * A1. Turns of a loaded cell follow its image without a gap (J1); a gap is damage.
 * A2. A message is pending when its id is above the image's watermark and above the highest id that a later turn consumed (M1).
 * A3. Damage is named and nothing is served beside it, not even what could still be read.
 */
import type { CellKey } from '../kernel/address.ts';
import { BlocksError, DataDamagedError, type EncodedError } from '../kernel/errors.ts';
import type { RawCell, RawPending, RawTurn } from './cell-parcel.ts';
import type { LogReader } from './log-reader.ts';
import { type ImageHeader, readImageHeader } from './row-codec.ts';
import type { Store } from './store.ts';
import { type CellTrace, isAfter, laneNumber, type Point, type TailIndex } from './tail-index.ts';

export class CellLoader {
  readonly #store: Store;
  readonly #log: LogReader;
  readonly #index: TailIndex;
  /** Cells that cannot be served, beyond what the index says: damage outlives the checkpoint that passes it. */
  readonly damaged: Map<CellKey, EncodedError>;

  constructor(store: Store, log: LogReader, index: TailIndex, damaged: Map<CellKey, EncodedError>) {
    this.damaged = damaged;
    this.#store = store;
    this.#log = log;
    this.#index = index;
  }

  /** Everything below `from` is in the image. */
  load(key: CellKey, from: number): RawCell {
    const trace = this.#index.get(key);
    // Whatever comes of it: a checkpoint waits for nobody who was given to its host.
    if (trace !== undefined) trace.loaded = true;
    try {
      const image = this.#store.image(key);
      const header = image === undefined ? undefined : readImageHeader(key, image);
      const damage = this.damaged.get(key) ?? (trace === undefined ? undefined : damageOf(trace, header));
      if (damage !== undefined) return this.#refuse(key, damage);
      if (trace === undefined) return { key, image, turns: [], pending: [], damage: undefined };
      return {
        key,
        image,
        turns: this.#turnsAfter(trace, header?.sequence ?? 0, from),
        pending: this.#pending(trace, header, from),
        damage: undefined,
      };
    } catch (error) {
      if (!(error instanceof BlocksError)) throw error;
      return this.#refuse(key, error.toJSON());
    }
  }

  #refuse(key: CellKey, damage: EncodedError): RawCell {
    this.damaged.set(key, damage);
    return { key, image: undefined, turns: [], pending: [], damage };
  }

  /** Notes the damage of a cell that was not loaded, before its trace is forgotten. */
  noteDamage(trace: CellTrace): void {
    if (trace.damage === undefined && trace.lostMessages.length === 0) return;
    const header = this.#headerOf(trace.key);
    const damage = header === 'damaged' ? trace.damage : damageOf(trace, header);
    if (damage !== undefined && !this.damaged.has(trace.key)) this.damaged.set(trace.key, damage);
  }

  /** Whether the cell has something to do, or something to tell, though nobody writes to it. */
  mustWake(trace: CellTrace, from: number): boolean {
    const header = this.#headerOf(trace.key);
    if (header === 'damaged' || damageOf(trace, header) !== undefined) return true;
    if (trace.lastObliged && trace.lastSequence > (header?.sequence ?? 0)) return true;
    return this.#hasPending(trace, header, from);
  }

  /** Messages to the cell that it has not received, as far as the journal knows. */
  pending(trace: CellTrace, from: number, stream: number): RawPending[] {
    const header = this.#headerOf(trace.key);
    if (header === 'damaged') return [];
    return this.#pending(trace, header, from).filter((pending) => pending.stream === stream);
  }

  /** Whether anything of the trace is not yet in the image. */
  isBehind(trace: CellTrace, from: number): boolean {
    const header = this.#headerOf(trace.key);
    if (header === 'damaged') return true;
    const last = trace.turns.at(-1) ?? -1;
    return (last >= from && trace.lastSequence > (header?.sequence ?? 0)) || this.#hasPending(trace, header, from);
  }

  #headerOf(key: CellKey): ImageHeader | undefined | 'damaged' {
    const image = this.#store.image(key);
    if (image === undefined) return undefined;
    try {
      return readImageHeader(key, image);
    } catch (error) {
      if (error instanceof BlocksError) return 'damaged';
      throw error;
    }
  }

  #turnsAfter(trace: CellTrace, sequence: number, from: number): RawTurn[] {
    const turns: RawTurn[] = [];
    let expected = sequence + 1;
    for (const position of trace.turns) {
      if (position < from) continue;
      const { batch, at } = this.#log.turnAt(position);
      const found = batch.sequence(at);
      if (found <= sequence) continue;
      if (found !== expected) throw gap(trace.key, expected, found);
      expected++;
      turns.push(batch.rawTurn(at, position));
    }
    return turns;
  }

  #pending(trace: CellTrace, header: ImageHeader | undefined, from: number): RawPending[] {
    const pending: { stream: number; position: number; indexes: number[]; body: Uint8Array }[] = [];
    const seen = receivedBy(trace, header);
    forEachPending(trace, seen, from, (stream, position, index) => {
      const last = pending.at(-1);
      if (last?.position === position) {
        last.indexes.push(index);
        return true;
      }
      const { batch, at } = this.#log.turnAt(position);
      pending.push({ stream, position, indexes: [index], body: batch.body(at) });
      return true;
    });
    return pending;
  }

  #hasPending(trace: CellTrace, header: ImageHeader | undefined, from: number): boolean {
    let found = false;
    forEachPending(trace, receivedBy(trace, header), from, () => {
      found = true;
      return false;
    });
    return found;
  }
}

function damageOf(trace: CellTrace, header: ImageHeader | undefined): EncodedError | undefined {
  if (trace.damage !== undefined) return trace.damage;
  if (trace.lostMessages.length === 0) return undefined;
  const seen = receivedBy(trace, header);
  const isCovered = (stream: number, lane: 'user' | 'signal', position: number): boolean =>
    (seen.get(laneNumber(stream, lane))?.position ?? -1) > position;
  // Which lane the lost message had is not known any more: a lane of that stream that has gone on is taken for its own.
  return trace.lostMessages.find(
    ({ stream, position }) => !isCovered(stream, 'user', position) && !isCovered(stream, 'signal', position),
  )?.error;
}

/** The highest id received per lane, by the image or by a turn after it. */
function receivedBy(trace: CellTrace, header: ImageHeader | undefined): ReadonlyMap<number, Point> {
  if (header === undefined || header.received.length === 0) return trace.consumed;
  const seen = new Map(trace.consumed);
  for (const mark of header.received) {
    const lane = laneNumber(mark.stream, mark.lane);
    const before = seen.get(lane);
    if (before === undefined || isAfter(mark, before)) seen.set(lane, mark);
  }
  return seen;
}

/** Calls `visit` for each pending message, in order, until it answers false. */
function forEachPending(
  trace: CellTrace,
  seen: ReadonlyMap<number, Point>,
  from: number,
  visit: (stream: number, position: number, index: number) => boolean,
): void {
  const { incoming } = trace;
  for (let i = 0; i < incoming.length; i += 3) {
    const stream = incoming[i] as number;
    const position = incoming[i + 1] as number;
    const place = incoming[i + 2] as number;
    if (position < from) continue;
    const index = place >>> 1;
    const mark = seen.get(stream * 2 + (place & 1));
    if (mark !== undefined && !isAfter({ position, index }, mark)) continue;
    if (!visit(stream, position, index)) return;
  }
}

function gap(key: CellKey, expected: number, found: number): DataDamagedError {
  return new DataDamagedError(
    `${key} has no turn ${expected} in the journal, the next is ${found}: it cannot be replayed`,
    {
      details: { table: 'log', key, sequence: expected },
    },
  );
}
