/**
 * The index of the log's tail: per cell, which turns and which messages lie behind the last checkpoint.
 *
 * Owns: traces, made from headers alone. Bodies are read when a cell is loaded (`cell-loader.ts`).
 *
 * Invariants:
 * X1. A trace has every readable turn of its cell and every readable durable message to it within `[checkpoint, scannedTo)`.
 * X2. What the sums show to be lost is in the trace of the cell that lost it.
 * X3. Scanning a range twice is prevented by `scannedTo`, which only grows.
 */
import { type CellKey, placementOf } from '../kernel/address.ts';
import type { EncodedError } from '../kernel/errors.ts';
import type { Lane, Stream } from '../kernel/message.ts';
import type { BatchReader } from './batch-reader.ts';
import type { LogFault, LogReader } from './log-reader.ts';

/** A point in a stream: everything up to it has been received. */
export interface Point {
  readonly position: number;
  readonly index: number;
}

export class CellTrace {
  readonly key: CellKey;
  readonly slot: number;
  /** Positions of its turns, growing. */
  readonly turns: number[] = [];
  lastSequence = 0;
  lastObliged = false;
  /** Highest id consumed by a turn, per stream and lane. */
  readonly consumed = new Map<number, Point>();
  /** Durable messages to the cell: stream, position, index * 2 + lane; three numbers each. */
  readonly incoming: number[] = [];
  /** Why the cell cannot be served. */
  damage: EncodedError | undefined;
  /** Messages lost: stream and position of the turn that sent them. */
  readonly lostMessages: { readonly stream: Stream; readonly position: number; readonly error: EncodedError }[] = [];
  /** A host has asked for it since the last recovery of its slot. */
  loaded = false;

  constructor(key: CellKey, slot: number) {
    this.key = key;
    this.slot = slot;
  }

  addTurn(position: number, batch: BatchReader, at: number): void {
    this.turns.push(position);
    this.lastSequence = batch.sequence(at);
    this.lastObliged = batch.obliged(at);
    const id = batch.consumed(at);
    if (id === undefined) return;
    const lane = laneNumber(id.stream, batch.lane(at));
    const before = this.consumed.get(lane);
    if (before === undefined || isAfter(id, before)) this.consumed.set(lane, id);
  }
}

/** The number of a stream's lane. */
export function laneNumber(stream: Stream, lane: Lane): number {
  return stream * 2 + (lane === 'signal' ? 1 : 0);
}

export function isAfter(a: Point, b: Point): boolean {
  return a.position > b.position || (a.position === b.position && a.index > b.index);
}

/** What a scan found besides traces. */
export interface ScanResult {
  readonly turns: number;
  readonly bytes: number;
  /** Positions of turns of this run that answered calls from outside. */
  readonly answers: readonly number[];
  readonly faults: readonly LogFault[];
}

export class TailIndex {
  readonly traces = new Map<CellKey, CellTrace>();
  readonly #log: LogReader;
  readonly #hosts: number;

  constructor(log: LogReader, hosts: number) {
    this.#log = log;
    this.#hosts = hosts;
  }

  /** Reads the headers of `[from, to)` for the cells that `wanted` names. `bodies`: sum the bodies as well. */
  scan(
    from: number,
    to: number,
    run: number,
    bodies: boolean,
    wanted: (key: CellKey, slot: number) => boolean,
  ): ScanResult {
    let turns = 0;
    let bytes = 0;
    const answers: number[] = [];
    const faults: LogFault[] = [];
    for (const row of this.#log.rows(from, to, bodies, (fault) => faults.push(fault))) {
      bytes += row.bytes;
      const { batch } = row;
      if (batch === undefined) continue;
      turns += batch.turns;
      const traces = batch.keys.map((key) => this.#wantedTrace(key, wanted));
      const lost = row.damage === undefined ? undefined : new Set(row.damage.turns);
      for (let i = 0; i < batch.turns; i++) {
        if (lost?.has(i) === true) continue;
        const at = batch.header(i);
        const position = row.position + i;
        const trace = traces[batch.keyIndex(at)];
        if (trace !== undefined) {
          trace.addTurn(position, batch, at);
          if (batch.run === run && batch.answers(at)) answers.push(position);
        }
        const sends = batch.sends(at);
        for (let s = 0; s < sends; s++) {
          const send = batch.send(at, s);
          traces[batch.receiverIndex(send)]?.incoming.push(batch.slot, position, batch.indexAndLane(send));
        }
      }
      if (row.damage !== undefined) this.#noteDamage(row.position, batch, faults.at(-1) as LogFault, wanted);
    }
    return { turns, bytes, answers, faults };
  }

  get(key: CellKey): CellTrace | undefined {
    return this.traces.get(key);
  }

  slotOf(key: CellKey): number {
    return placementOf(key, this.#hosts);
  }

  /** The trace of `key`, made if need be. */
  trace(key: CellKey): CellTrace {
    let trace = this.traces.get(key);
    if (trace === undefined) {
      trace = new CellTrace(key, placementOf(key, this.#hosts));
      this.traces.set(key, trace);
    }
    return trace;
  }

  /** Forgets the cells of `slot`. */
  clear(slot: number): void {
    for (const [key, trace] of this.traces) if (trace.slot === slot) this.traces.delete(key);
  }

  #wantedTrace(key: CellKey, wanted: (key: CellKey, slot: number) => boolean): CellTrace | undefined {
    const known = this.traces.get(key);
    if (known !== undefined) return wanted(key, known.slot) ? known : undefined;
    return wanted(key, placementOf(key, this.#hosts)) ? this.trace(key) : undefined;
  }

  #noteDamage(
    position: number,
    batch: BatchReader,
    fault: LogFault,
    wanted: (key: CellKey, slot: number) => boolean,
  ): void {
    const error = fault.error.toJSON();
    for (const key of fault.cells ?? []) {
      const trace = this.#wantedTrace(key, wanted);
      if (trace !== undefined) trace.damage ??= error;
    }
    for (const key of fault.receivers ?? []) {
      // Its lane is not known any more, and its place in the turn neither: the last turn of the batch is the safe guess.
      this.#wantedTrace(key, wanted)?.lostMessages.push({
        stream: batch.slot,
        position: position + batch.turns - 1,
        error,
      });
    }
  }
}
