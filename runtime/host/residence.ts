/**
 * Which cells are in memory: loading, unloading, and storing them for checkpoints.
 *
 * Owns: the cells of one host by key, the requests for those that are loading, the sweep that unloads idle ones, and images.
 *
 * Invariants:
 * V1. A key has at most one cell in memory, and only on the host that its placement names.
 * V2. A durable cell is unloaded only when an image of its last turn is in the batch before it: whoever loads it next gets it.
 * V3. A cell with anything running or observed in this process stays, and one with a timer that is due or nearly so.
 * V4. A checkpoint is answered when every cell with turns, and every message with an id in a mailbox, below its target is imaged,
 *     and everything that this host released below it was accepted by its receiver.
 */
import type { CellKey } from '../kernel/address.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Definition } from '../kernel/definition.ts';
import type { Envelope } from '../kernel/message.ts';
import { Cell } from '../cell/cell.ts';
import type { CellTurn } from '../cell/cell-turn.ts';
import { carryImage, isCarried } from '../cell/carry.ts';
import { imageOf, outsideStreamOf, OUTSIDE_STREAM_BASE } from '../cell/image.ts';
import { recover } from '../cell/replay.ts';
import type { HostJournal } from '../journal/host-journal.ts';
import type { LoadedCell } from '../journal/turn-record.ts';
import type { CommitQueue } from './commit-queue.ts';
import type { DefinitionTable } from './definition-table.ts';

export interface ResidencePorts {
  readonly clock: Clock;
  readonly journal: HostJournal;
  readonly commits: CommitQueue;
  readonly turn: CellTurn;
  readonly run: number;
  readonly residentCellsLimit: number;
  /** Which definition a key has, if it is loaded, and whether its cell is journaled. */
  readonly definitions: Pick<DefinitionTable, 'of' | 'isDurable' | 'whenLoaded'>;
  /** The cell is in memory, recovered or blocked. */
  arrived(cell: Cell): void;
  /** A cell begins again, as another one: who waits for the old one is told. */
  replaced(old: Cell, cell: Cell): void;
  /** Smallest position that this host has released and no receiver has accepted. */
  oldestUnaccepted(): number | undefined;
}

/** Cells looked at in one sweep between two slices. */
const SWEEP_CELLS = 64;
/** Cells imaged for a checkpoint between two slices. */
const CHECKPOINT_CELLS = 256;
/** Cells asked for in one request. */
const LOAD_CELLS = 512;

/** Turns between two images for each message that waits: what waits is written again with each image. */
const BACKLOG_TURNS = 8;

/** A cell whose timer is due within this time stays: its alarm may have rung already, and would not ring again. */
const SOON_MS = 1_000;

interface Checkpoint {
  readonly round: number;
  readonly target: number;
  readonly queue: Iterator<Cell>;
  imaged: boolean;
}

export class Residence {
  readonly #ports: ResidencePorts;
  readonly #cells = new Map<CellKey, Cell>();
  #toLoad: CellKey[] = [];
  #hand: Iterator<Cell> | undefined;
  /** Cells to look at before the round is over. */
  #round = 0;
  /** Cells looked at in a row that could not be unloaded, nor after a second look. */
  #barren = 0;
  /** Some cell will be old enough one day. */
  #aging = true;
  #checkpoint: Checkpoint | undefined;
  #loading = 0;

  constructor(ports: ResidencePorts) {
    this.#ports = ports;
    ports.definitions.whenLoaded(() => this.#defined());
  }

  get size(): number {
    return this.#cells.size;
  }

  /** Cells that cannot be brought back by the present code. */
  get blocked(): number {
    let blocked = 0;
    for (const cell of this.#cells.values()) if (cell.phase.kind === 'blocked') blocked += 1;
    return blocked;
  }

  get loading(): number {
    return this.#loading;
  }

  get(key: CellKey): Cell | undefined {
    return this.#cells.get(key);
  }

  values(): IterableIterator<Cell> {
    return this.#cells.values();
  }

  /** The cell of `key`, which begins to load if it was not in memory. */
  activate(key: CellKey, definition: Definition): Cell {
    const known = this.#cells.get(key);
    if (known !== undefined) return known;
    const cell = new Cell(key, definition);
    this.#cells.set(key, cell);
    if (cell.durable) {
      this.#toLoad.push(key);
      this.#loading += 1;
    } else {
      cell.run();
    }
    return cell;
  }

  /** Sends the requests for cells that are to be loaded. Call after sealing the batch: an image in it must be there first. */
  flushLoads(): void {
    while (this.#toLoad.length > 0) {
      const keys = this.#toLoad.splice(0, LOAD_CELLS);
      this.#ports.journal.load(keys, (cells) => {
        for (const loaded of cells) this.#loaded(loaded);
      });
    }
  }

  get hasLoads(): boolean {
    return this.#toLoad.length > 0;
  }

  /**
   * Takes a blocked cell out and loads it again, with what waits in its mailbox. Of that the journal finds only what an earlier run or a
   * checkpoint has left; what it finds too comes twice, and the second one is old. Callers outside were told that it is blocked.
   */
  reload(cell: Cell, definition: Definition): void {
    const outside = outsideStreamOf(this.#ports.run);
    this.#toLoad.push(cell.key);
    this.#loading += 1;
    this.#renew(cell, definition, ({ id }) => id?.stream !== outside);
  }

  /** Cells that were kept without their definition begin again. */
  #defined(): void {
    for (const cell of this.#cells.values()) {
      const definition = cell.phase.kind === 'blocked' ? this.#missed(cell) : undefined;
      if (definition !== undefined) this.reload(cell, definition);
    }
  }

  /** Marks that the cell has a turn which no image covers. */
  dirty(cell: Cell): void {
    if (cell.dirtyFrom < 0) cell.dirtyFrom = this.#ports.commits.committedEnd;
  }

  /** Stores the cell's state when it has had enough turns since the last time: enough to pay for the backlog that goes with it. */
  imageIfDue(cell: Cell): void {
    const turns = cell.sequence - cell.imagedSequence;
    if (turns >= cell.definition.snapshotEveryTurns && turns >= cell.mailbox.length * BACKLOG_TURNS) this.image(cell);
  }

  image(cell: Cell): void {
    // The journal keeps what it knows of damage by itself, and the damaged row may still be mended: it is not written over for nothing.
    if (cell.carried?.damage === undefined || cell.mailbox.waiting().some((envelope) => envelope.id !== undefined)) {
      this.#ports.commits.image(
        cell.carried === undefined ? imageOf(cell, this.#ports.run) : carryImage(cell, cell.carried),
      );
    }
    cell.imagedSequence = cell.sequence;
    cell.dirtyFrom = -1;
  }

  /** A cell that has stopped, or never was, has nothing left to do. */
  settle(cell: Cell): void {
    if (cell.durable && cell.book.status.kind === 'stopped') {
      if (cell.dirtyFrom >= 0) this.image(cell);
    } else if (cell.holds <= 0 && cell.mailbox.length === 0 && cell.phase.kind === 'running') {
      this.#cells.delete(cell.key);
    }
  }

  /**
   * Looks at some cells, and unloads those that were idle for long, or, over the limit, the first ones found untouched since they
   * were last looked at. True when it should be called again at once.
   */
  sweep(): boolean {
    const nowMs = this.#ports.clock.now();
    let budget = this.#crowded || this.#round > 0 ? SWEEP_CELLS * 16 : SWEEP_CELLS;
    while (budget > 0 && this.#cells.size > 0) {
      budget -= 1;
      this.#hand ??= this.#cells.values();
      const next = this.#hand.next();
      if (next.done === true) {
        this.#hand = undefined;
        break;
      }
      this.#round -= 1;
      this.#barren += 1;
      this.#look(next.value, nowMs);
    }
    return this.#round > 0 || (this.#crowded && this.#barren < this.#cells.size);
  }

  /** Lets `sweep` look at every cell. True when there are any that grow old. */
  beginRound(): boolean {
    if (!this.#aging) return false;
    this.#aging = false;
    this.#round = this.#cells.size;
    return true;
  }

  #look(cell: Cell, nowMs: number): void {
    if (!this.#idle(cell)) return;
    const { passivateAfterMs } = cell.definition;
    if (!cell.touched && (this.#crowded || nowMs - cell.lastActiveMs >= passivateAfterMs) && !isDueSoon(cell, nowMs)) {
      this.#unload(cell);
      this.#barren = 0;
      return;
    }
    if (cell.touched) this.#barren = 0;
    cell.touched = false;
    if (passivateAfterMs < Number.POSITIVE_INFINITY) this.#aging = true;
  }

  get #crowded(): boolean {
    return this.#cells.size > this.#ports.residentCellsLimit;
  }

  /** Begins a round of a checkpoint. */
  checkpoint(round: number, target: number): void {
    this.#checkpoint = { round, target, queue: this.#cells.values(), imaged: false };
  }

  get checkpointing(): boolean {
    return this.#checkpoint !== undefined;
  }

  /** Goes on with the checkpoint; true when there is more to do at once. */
  continueCheckpoint(): boolean {
    const checkpoint = this.#checkpoint;
    if (checkpoint === undefined) return false;
    if (!checkpoint.imaged) {
      for (let i = 0; i < CHECKPOINT_CELLS; i++) {
        const next = checkpoint.queue.next();
        if (next.done === true) {
          checkpoint.imaged = true;
          break;
        }
        if (this.#owes(next.value, checkpoint.target)) this.image(next.value);
      }
      if (!checkpoint.imaged) return true;
    }
    // A loading cell may hold messages below the target; a cell that ran while we went round may owe again.
    if (this.#loading > 0) return false;
    const unaccepted = this.#ports.oldestUnaccepted();
    if (this.#ports.commits.committedEnd < checkpoint.target && !this.#ports.commits.idle) return false;
    if (unaccepted !== undefined && unaccepted < checkpoint.target) return false;
    for (const cell of this.#cells.values()) if (this.#owes(cell, checkpoint.target)) this.image(cell);
    this.#checkpoint = undefined;
    // The images are in the batch being written: `clean` must come after it.
    this.#ports.commits.seal();
    this.#ports.journal.clean(checkpoint.round);
    return false;
  }

  #owes(cell: Cell, target: number): boolean {
    if (!cell.durable || cell.phase.kind === 'loading') return false;
    if (cell.dirtyFrom >= 0 && cell.dirtyFrom < target) return true;
    return (
      cell.mailbox.length > 0 &&
      cell.mailbox
        .waiting()
        .some(({ id }) => id !== undefined && id.stream < OUTSIDE_STREAM_BASE && id.position < target)
    );
  }

  #idle(cell: Cell): boolean {
    if (!cell.durable) return cell.book.status.kind === 'stopped' && cell.mailbox.length === 0 && cell.holds <= 0;
    return cell.phase.kind === 'running' && cell.holds === 0 && cell.mailbox.length === 0 && !this.#mustStay(cell);
  }

  /** One that must hear of the end of cells in memory cannot be found by whoever loses them, unless it is in memory too. */
  #mustStay(cell: Cell): boolean {
    const { book } = cell;
    if (book.unstashed !== undefined) return true;
    for (const { key } of book.children?.values() ?? []) if (!this.#ports.definitions.isDurable(key)) return true;
    for (const key of book.watching ?? []) if (!this.#ports.definitions.isDurable(key)) return true;
    return false;
  }

  #unload(cell: Cell): void {
    // One that waits for a timer is stored all the same: its alarm may have rung while the clock was wrong, and is set again so.
    if (cell.durable && (cell.dirtyFrom >= 0 || cell.book.wakeAtMs !== undefined)) this.image(cell);
    this.#cells.delete(cell.key);
  }

  /** The definition that was not loaded when the cell was made, and is now. */
  #missed({ key, definition }: Cell): Definition | undefined {
    return definition.isMissing === true ? this.#ports.definitions.of(key) : undefined;
  }

  /** The cell with the definition that has come since it was asked for, and everything in its mailbox. */
  #withDefinition(cell: Cell): Cell {
    const definition = this.#missed(cell);
    return definition === undefined ? cell : this.#renew(cell, definition, () => true);
  }

  /** Another cell in place of this one, with those of its messages that it is to keep. */
  #renew(cell: Cell, definition: Definition, keeps: (envelope: Envelope) => boolean): Cell {
    const fresh = new Cell(cell.key, definition);
    for (const envelope of cell.mailbox.waiting()) if (keeps(envelope)) fresh.mailbox.push(envelope);
    this.#cells.set(cell.key, fresh);
    this.#ports.replaced(cell, fresh);
    return fresh;
  }

  #loaded(loaded: LoadedCell): void {
    const known = this.#cells.get(loaded.key);
    this.#loading -= 1;
    if (known === undefined || known.phase.kind !== 'loading') return;
    const cell = this.#withDefinition(known);
    const result = recover(cell, loaded, this.#ports.turn);
    if (loaded.turns.length > 0 || loaded.damage !== undefined) cell.dirtyFrom = 0;
    if (result.kind === 'blocked') {
      // Messages of a cell without its code are carried, not in its mailbox: the tail may not move on without an image of them.
      if (loaded.pending.length > 0) cell.dirtyFrom = 0;
      cell.phase = { kind: 'blocked', error: result.error };
    } else {
      cell.run();
      // The row of what was a blocked actor holds turns that only some code can repeat: its state takes their place at once.
      if (isCarried(loaded)) this.image(cell);
    }
    this.#ports.arrived(cell);
  }
}

function isDueSoon(cell: Cell, nowMs: number): boolean {
  const { wakeAtMs } = cell.book;
  return wakeAtMs !== undefined && wakeAtMs <= nowMs + SOON_MS;
}
