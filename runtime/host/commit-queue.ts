/**
 * Turns on their way to the disk, and what to do once they are there.
 *
 * Owns: the batch being written, the batches in flight, and the order of release.
 *
 * Invariants:
 * Q3. Output commit: what a turn asked for is released after its batch is committed, never before, in the order of the turns; but for
 *     messages to journaled actors, which leave when the batch is accepted: what comes of them is behind it in the log.
 * Q4. At most `BATCHES_IN_FLIGHT_LIMIT` batches are in flight; beyond it `congested` tells the host to stop stepping durable cells.
 */
import type { Asked, Intent } from '../kernel/intent.ts';
import { BATCH_TURNS_LIMIT, BATCHES_IN_FLIGHT_LIMIT } from '../kernel/limits.ts';
import type { Envelope } from '../kernel/message.ts';
import type { Cell } from '../cell/cell.ts';
import type { Recorder } from '../cell/step.ts';
import type { BatchBuilder, HostJournal } from '../journal/host-journal.ts';
import type { DeadLetter, ImageRow, TurnRecord } from '../journal/turn-record.ts';
import type { CellReport } from './items.ts';

/** A turn that waits for its commit. */
export interface PendingTurn {
  readonly cell: Cell;
  readonly envelope: Envelope;
  readonly intents: readonly Asked[];
  readonly sequence: number;
  /** What observers are to see; taken when the turn ran, since the cell runs ahead. */
  readonly view: { readonly status: CellReport['status']; readonly view: unknown } | undefined;
  /** The behavior never saw it. */
  readonly refused: boolean;
  /** Why it was refused or parked. */
  readonly error: Error | undefined;
}

type Entry = PendingTurn | (() => void);

/** What becomes of turns (`release.ts`). */
export interface Release {
  forward(turn: PendingTurn, position: number): void;
  finish(turn: PendingTurn, position: number): void;
}

interface Batch {
  readonly number: number;
  readonly entries: readonly Entry[];
  isForwarded: boolean;
}

export class CommitQueue {
  readonly #journal: HostJournal;
  readonly #release: Release;
  #builder: BatchBuilder;
  #entries: Entry[] = [];
  #rows = 0;
  /** Something in the batch is for another journaled actor. */
  #forwards = false;
  readonly #inFlight: Batch[] = [];
  #next = 1;
  /** Every turn of this host below it is committed. */
  committedEnd = 0;

  constructor(journal: HostJournal, release: Release) {
    this.#journal = journal;
    this.#release = release;
    this.#builder = journal.newBatch();
  }

  get congested(): boolean {
    return this.#inFlight.length >= BATCHES_IN_FLIGHT_LIMIT;
  }

  get full(): boolean {
    return this.#builder.turns >= BATCH_TURNS_LIMIT;
  }

  get idle(): boolean {
    return this.#inFlight.length === 0 && this.#entries.length === 0 && this.#rows === 0;
  }

  /** Writes a turn into the batch; throws when it cannot be encoded, and then nothing of it is left. */
  write(record: TurnRecord): void {
    this.#builder.mark();
    try {
      this.#builder.turn(record);
    } catch (error) {
      this.#builder.rewind();
      throw error;
    }
  }

  /** Writes turns of a cell that happen at `nowMs`. */
  recorderOf(cell: Cell, nowMs: number): Recorder {
    const { book, definition, key } = cell;
    const { durability, version } = definition;
    return (outcome, envelope, intents, state) => {
      const { behavior } = cell;
      const isStored = durability === 'snapshot' && outcome === 'handled' && behavior !== undefined;
      this.write({
        key,
        sequence: cell.sequence + 1,
        version,
        timeMs: nowMs,
        envelope,
        outcome,
        intents,
        obliged: book.obliged || intents.some(obliges),
        state: isStored ? behavior.save(state) : undefined,
      });
    };
  }

  /** What is to be released with the turn written last. Until then the cell stays in memory: its effects are to know it. */
  push(turn: PendingTurn): void {
    turn.cell.holds += 1;
    this.#entries.push(turn);
    this.#forwards ||= turn.intents.some((intent) => intent.kind === 'send' && intent.durable);
  }

  image(row: ImageRow): void {
    this.#builder.image(row);
    this.#rows += 1;
  }

  deadLetter(letter: DeadLetter): void {
    this.#builder.mark();
    try {
      this.#builder.deadLetter(letter);
    } catch (error) {
      this.#builder.rewind();
      throw error;
    }
    this.#rows += 1;
  }

  /** Runs `after` once everything written so far is committed. */
  after(run: () => void): void {
    if (this.idle) run();
    else this.#entries.push(run);
  }

  /** Hands the batch to the journal. */
  seal(): void {
    if (this.#entries.length === 0 && this.#rows === 0) return;
    const number = this.#next;
    this.#next += 1;
    const forwards = this.#forwards;
    this.#inFlight.push({ number, entries: this.#entries, isForwarded: false });
    this.#entries = [];
    this.#rows = 0;
    this.#forwards = false;
    this.#journal.append(number, this.#builder.seal(), forwards);
  }

  accepted(number: number, position: number): void {
    const batch = this.#inFlight.find((one) => one.number === number);
    if (batch === undefined || batch.isForwarded)
      throw new RangeError(`batch ${number} was accepted twice or never written`);
    batch.isForwarded = true;
    let at = position;
    for (const entry of batch.entries) {
      if (typeof entry === 'function') continue;
      this.#release.forward(entry, at);
      at += 1;
    }
  }

  committed(number: number, position: number): void {
    const batch = this.#inFlight.shift();
    if (batch === undefined || batch.number !== number) {
      throw new RangeError(`batch ${number} was committed out of order: expected ${batch?.number ?? 'none'}`);
    }
    let at = position;
    for (const entry of batch.entries) {
      if (typeof entry === 'function') {
        entry();
      } else {
        this.#release.finish(entry, at);
        entry.cell.holds -= 1;
        at += 1;
      }
    }
    if (at > this.committedEnd) this.committedEnd = at;
  }
}

function obliges(intent: Intent): boolean {
  return intent.kind === 'timer.set' || intent.kind === 'effect.start' || intent.kind === 'unstash';
}
