/**
 * Recovery: what a new host of a slot must know, and what a checkpoint may forget.
 *
 * Owns: the index of the tail, how far each slot has been read into it, and the cells known to be damaged. Writes nothing itself.
 *
 * Invariants:
 * R1. After `recover(slot)` the index has every turn of the slot's cells, and every durable message to them, in [checkpoint, end).
 * R2. Where turns of the tail are lost and nothing says whose they were, nobody is served: any actor may be older than it was.
 *     Until that loss has been accepted by command (`doctor --repair`), the journal does not open.
 * R3. A checkpoint forgets traces, never damage: a damaged cell stays so until it is given a new image by command.
 */
import type { CellKey } from '../kernel/address.ts';
import { DataDamagedError, type EncodedError } from '../kernel/errors.ts';
import { packNext, unpackOne } from '../wire/journal-codec.ts';
import { encodeParcels, type RawCell } from './cell-parcel.ts';
import { CellLoader } from './cell-loader.ts';
import { REMEDY } from './data-folder.ts';
import { type LogFault, LogReader } from './log-reader.ts';
import { decodeDamage } from './row-codec.ts';
import type { Store } from './store.ts';
import { type ScanResult, TailIndex } from './tail-index.ts';
import { type AnswerShape, answersOf } from './turn-shape.ts';

/** `Recovery` with envelopes and answers still as bytes. */
export interface RawRecovery {
  readonly end: number;
  readonly wake: readonly CellKey[];
  /** A parcel: each cell's pending messages are to be sent to it again. */
  readonly resend: Uint8Array;
  /** A list of `AnswerShape`. */
  readonly answers: Uint8Array;
}

/** How far the journal has come. */
export interface Reach {
  readonly checkpoint: number;
  readonly end: number;
  readonly run: number;
}

export class JournalRecovery {
  readonly log: LogReader;
  readonly #store: Store;
  readonly #hosts: number;
  readonly #index: TailIndex;
  readonly #loader: CellLoader;
  readonly #damaged = new Map<CellKey, EncodedError>();
  /** Per slot, up to where the log has been read into the index. */
  readonly #scannedTo: number[];

  constructor(store: Store, hosts: number) {
    this.#store = store;
    this.#hosts = hosts;
    this.log = new LogReader(store);
    this.#index = new TailIndex(this.log, hosts);
    this.#loader = new CellLoader(store, this.log, this.#index, this.#damaged);
    this.#scannedTo = Array.from({ length: hosts }, () => 0);
  }

  /** Cells that the tail speaks of. */
  get known(): Iterable<CellKey> {
    return this.#index.traces.keys();
  }

  /** Cells that cannot be served, with the reason. */
  get damaged(): ReadonlyMap<CellKey, EncodedError> {
    return this.#damaged;
  }

  /** Reads the tail for every slot, and sums everything in it. */
  open({ checkpoint, end, run }: Reach): ScanResult {
    for (const { key, bytes } of this.#store.damages()) this.#damaged.set(key, decodeDamage(key, bytes));
    this.#scannedTo.fill(end);
    const found = this.#index.scan(checkpoint, end, run, true, () => true);
    const accepted = this.#store.meta('accepted') ?? 0;
    const nameless = found.faults.filter((fault) => fault.cells === undefined && fault.position >= accepted);
    if (nameless.length > 0) throw lostForSomebody(nameless);
    return found;
  }

  /** `died`: another host of this slot has run before, and hosts of other slots may be waiting for what it sent. */
  recover(slot: number, reach: Reach, nowMs: number, died: boolean): RawRecovery {
    const { checkpoint, end, run } = reach;
    const from = Math.max(checkpoint, this.#scannedTo[slot] as number);
    const found = this.#index.scan(from, end, run, false, (_key, owner) => owner === slot);
    this.#scannedTo[slot] = end;
    const wake = new Set<CellKey>();
    for (const key of this.#damaged.keys()) if (this.#index.slotOf(key) === slot) wake.add(key);
    for (const trace of this.#index.traces.values()) {
      if (trace.slot !== slot) continue;
      trace.loaded = false;
      if (this.#loader.mustWake(trace, checkpoint)) wake.add(trace.key);
    }
    for (const { key } of this.#store.wakes(-1, nowMs, Number.MAX_SAFE_INTEGER)) {
      if (this.#index.slotOf(key) === slot) wake.add(key);
    }
    return {
      end,
      wake: [...wake],
      resend: encodeParcels(died ? this.#unreceived(slot, reach) : []),
      answers: this.#answers(found.answers, run),
    };
  }

  load(key: CellKey, checkpoint: number): RawCell {
    return this.#loader.load(key, checkpoint);
  }

  /** Cells of `slot` that a recovery found behind their image, and that nobody has loaded since. */
  behind(slot: number, checkpoint: number): CellKey[] {
    const keys: CellKey[] = [];
    for (const trace of this.#index.traces.values()) {
      if (trace.slot !== slot || trace.loaded) continue;
      if (this.#loader.isBehind(trace, checkpoint)) keys.push(trace.key);
    }
    return keys;
  }

  /** Before a checkpoint is committed: everything damaged that it will leave behind. */
  noteDamage(): ReadonlyMap<CellKey, EncodedError> {
    for (const trace of this.#index.traces.values()) this.#loader.noteDamage(trace);
    return this.#damaged;
  }

  /** A cell was given a new image by command: what it had lost is past. */
  repaired(key: CellKey): void {
    this.#damaged.delete(key);
    const trace = this.#index.get(key);
    if (trace === undefined) return;
    trace.damage = undefined;
    trace.lostMessages.length = 0;
  }

  /** The checkpoint is at `target` now. */
  checkpointed(target: number): void {
    for (let slot = 0; slot < this.#hosts; slot++) {
      // What was read beyond the target is still wanted.
      if ((this.#scannedTo[slot] as number) > target) continue;
      this.#index.clear(slot);
      this.#scannedTo[slot] = target;
    }
  }

  /** What cells of a dead host sent to cells of other slots, and those have not received as far as the journal knows. */
  #unreceived(slot: number, { checkpoint, end, run }: Reach): RawCell[] {
    // A fresh look: the index of the other slots is as old as their own recovery.
    const now = new TailIndex(this.log, this.#hosts);
    now.scan(checkpoint, end, run, false, (_key, owner) => owner !== slot);
    const loader = new CellLoader(this.#store, this.log, now, new Map());
    const cells: RawCell[] = [];
    for (const trace of now.traces.values()) {
      const pending = loader.pending(trace, checkpoint, slot);
      if (pending.length > 0) cells.push({ key: trace.key, image: undefined, turns: [], pending, damage: undefined });
    }
    return cells;
  }

  #answers(positions: readonly number[], run: number): Uint8Array {
    const answers: AnswerShape[] = [];
    for (const position of positions) {
      const { batch, at } = this.log.turnAt(position);
      const shape = unpackOne(batch.body(at)) as readonly unknown[];
      answers.push(...answersOf(shape).filter((answer) => answer[1] === run));
    }
    const packed = packNext(answers);
    return Uint8Array.prototype.slice.call(packed, packed.start, packed.end);
  }
}

function lostForSomebody(faults: readonly LogFault[]): DataDamagedError {
  const positions = faults.map(({ position }) => position);
  return new DataDamagedError(
    `the log is damaged at position ${positions.slice(0, 5).join(', ')}, and whose turns are lost there cannot be said: it is not opened, ` +
      `since any actor might be older than it was. ${REMEDY}`,
    { details: { table: 'log', positions, faults: faults.map(({ error }) => error.message) } },
  );
}
