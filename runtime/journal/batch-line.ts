/**
 * Batches on their way to the disk: those that have come, and those that have their places in the log.
 *
 * Owns: positions, and who is told of them when. Commits nothing itself.
 *
 * Invariants:
 * BL1. Positions are given in the order of arrival, without a gap; a batch that has one keeps it for good once its host was told.
 * BL2. A batch has its place for good, too, when one behind it has been told: others may have acted on that one.
 */
import type { CellKey } from '../kernel/address.ts';
import { type AttachedRows, BatchReader } from './batch-reader.ts';
import type { HostLink, Session } from './host-sessions.ts';
import { wakeAtOf } from './row-codec.ts';
import type { StoreWrites } from './store.ts';

interface Batch {
  readonly session: Session;
  readonly number: number;
  readonly batch: BatchReader;
  /** What rides in it. Read on arrival: a host that writes nonsense must not be found out in the middle of a commit. */
  readonly attached: AttachedRows | undefined;
  /** Its host waits for the acceptance. */
  readonly forwards: boolean;
  isTold: boolean;
}

/** What one commit has written. */
export interface Written {
  readonly bytes: number;
  /** Cells whose images were in it, and when they are to be woken. */
  readonly images: readonly (readonly [CellKey, number | undefined])[];
}

export class BatchLine {
  #waiting: Batch[] = [];
  #accepted: Batch[] = [];
  /** Every position below it is on the disk. */
  #end = 1;
  /** Every position below it is given. */
  #acceptedEnd = 1;
  #batches = 0;
  #bytes = 0;

  get end(): number {
    return this.#end;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#accepted.length === 0;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  get hasAccepted(): boolean {
    return this.#accepted.length > 0;
  }

  /** In all. */
  get written(): { readonly batches: number; readonly bytes: number } {
    return { batches: this.#batches, bytes: this.#bytes };
  }

  beginAt(end: number): void {
    this.#end = end;
    this.#acceptedEnd = end;
  }

  /** Takes a batch. False when its bytes are not what `session` may send. */
  add(session: Session, number: number, bytes: Uint8Array, forwards: boolean): boolean {
    const read = readBatch(bytes);
    const isNext = number === (session.nextNumber ?? number);
    if (read === undefined || !isNext || read.batch.slot !== session.slot || read.batch.epoch !== session.epoch)
      return false;
    session.nextNumber = number + 1;
    session.waiting++;
    this.#waiting.push({ session, number, forwards, isTold: false, ...read });
    return true;
  }

  /** What hosts of `slot` below `epoch` have sent is worth nothing any more, unless it has its place. */
  giveUp(slot: number, epoch: number): void {
    this.#waiting = this.#waiting.filter(({ session }) => session.slot !== slot || session.epoch >= epoch);
  }

  /** Gives what waits its places, with `tells` tells those who wait for that. Answers whether any host was. */
  accept(tells: boolean): boolean {
    const told = new Map<HostLink, number[]>();
    for (const waiting of this.#waiting) {
      const { session, number, batch, forwards } = waiting;
      this.#accepted.push(waiting);
      if (tells && forwards && session.state === 'open' && session.link.accepted !== undefined) {
        waiting.isTold = true;
        const pairs = told.get(session.link);
        if (pairs === undefined) told.set(session.link, [number, this.#acceptedEnd]);
        else pairs.push(number, this.#acceptedEnd);
      }
      this.#acceptedEnd += batch.turns;
    }
    this.#waiting = [];
    for (const [link, pairs] of told) link.accepted?.(pairs);
    return told.size > 0;
  }

  /** The disk has no room: only what must keep its place does. */
  takeBack(): void {
    const kept = this.#accepted.findLastIndex(({ isTold }) => isTold) + 1;
    this.#waiting.unshift(...this.#accepted.splice(kept));
    this.#acceptedEnd = this.#accepted.reduce((end, { batch }) => end + batch.turns, this.#end);
  }

  /** Writes what was accepted. */
  writeTo(writes: StoreWrites): Written {
    const images: [CellKey, number | undefined][] = [];
    let position = this.#end;
    let bytes = 0;
    for (const { batch, attached } of this.#accepted) {
      if (batch.turns > 0) {
        batch.takeSeat(position);
        writes.log(position, batch.bytes.subarray(0, batch.logBytes));
        position += batch.turns;
        bytes += batch.logBytes;
      }
      if (attached === undefined) continue;
      for (const { key, row } of attached.images) {
        const wakeAtMs = wakeAtOf(row);
        writes.image(key, row, wakeAtMs);
        images.push([key, wakeAtMs]);
      }
      for (const { key, row } of attached.letters) writes.letter(key, row);
    }
    return { bytes, images };
  }

  /** What was accepted is on the disk. `tell` says so to the hosts. */
  committed(): { tell(): void } {
    const batches = this.#accepted;
    let first = this.#end;
    this.#accepted = [];
    this.#end = this.#acceptedEnd;
    this.#batches += batches.length;
    this.#bytes += batches.reduce((sum, { batch }) => sum + (batch.turns > 0 ? batch.logBytes : 0), 0);
    return {
      tell() {
        for (const { session, number, batch } of batches) {
          session.waiting--;
          if (session.state === 'open') session.link.committed(number, first);
          first += batch.turns;
        }
      },
    };
  }
}

function readBatch(bytes: Uint8Array): Pick<Batch, 'batch' | 'attached'> | undefined {
  try {
    const batch = new BatchReader(bytes);
    return { batch, attached: batch.hasAttached ? batch.attached() : undefined };
  } catch {
    return undefined;
  }
}
