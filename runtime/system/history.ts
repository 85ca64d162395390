/**
 * The past of one actor: its turns, its state at any of them, and a fork from there.
 *
 * Owns: reading the journal for one actor, and replaying it aside, on the calling thread. The actor itself is not touched.
 *
 * Invariants:
 * H4. `at(n)` is the state after turn n as it was committed, moved to the present version; or an error, never an approximation.
 */
import { assertCellId, type CellKey, definitionOf, keyOf } from '../kernel/address.ts';
import { ActorAlreadyExistsError, ActorNotFoundError, InvalidOptionsError } from '../kernel/errors.ts';
import { uncarry } from '../cell/carry.ts';
import { Cell } from '../cell/cell.ts';
import { CellTurn } from '../cell/cell-turn.ts';
import { forkImage, imageOf } from '../cell/image.ts';
import { restore } from '../cell/replay.ts';
import type { DefinitionTable } from '../host/definition-table.ts';
import type { CellReport } from '../host/items.ts';
import { installTurnGlobals } from '../host/turn-globals.ts';
import type { JournalControl } from '../journal/journal-control.ts';
import type { TurnRecord } from '../journal/turn-record.ts';
import type { ActorRef } from './actor-ref.ts';

/** One turn, as history lists it. */
export interface TurnEntry {
  readonly sequence: number;
  readonly position: number;
  readonly timeMs: number;
  /** Of the definition that made it. */
  readonly version: number;
  readonly outcome: TurnRecord['outcome'];
  /** What was handled: a user's message, or `{ control }` for what the runtime said. */
  readonly message: unknown;
  readonly from: CellKey | undefined;
  /** What the turn asked for, by kind. */
  readonly intents: readonly string[];
}

/** An actor's state after one turn. */
export interface PastState<TView = unknown> {
  readonly sequence: number;
  readonly status: 'absent' | 'running' | 'stopped';
  readonly view: TView;
}

export interface HistoryPorts {
  readonly journal: JournalControl;
  readonly definitions: DefinitionTable;
  readonly run: number;
  report(key: CellKey): Promise<CellReport>;
  refOf(key: CellKey): ActorRef;
}

export class History {
  readonly #key: CellKey;
  readonly #ports: HistoryPorts;

  constructor(key: CellKey, ports: HistoryPorts) {
    this.#key = key;
    this.#ports = ports;
  }

  /** The actor's committed turns, oldest first. With `retention: 'trim'` only those since the last checkpoint are kept. */
  async turns(
    range: { readonly from?: number; readonly to?: number; readonly limit?: number } = {},
  ): Promise<readonly TurnEntry[]> {
    const records = await this.#records(range.from ?? 1, range.to, range.limit);
    return records.map((record) => ({
      sequence: record.sequence,
      position: record.position,
      timeMs: record.timeMs,
      version: record.version,
      outcome: record.outcome,
      message: record.envelope.control === undefined ? record.envelope.message : { control: record.envelope.control },
      from: record.envelope.from,
      intents: record.intents.map((intent) => intent.kind),
    }));
  }

  /**
   * The actor's state after its turn `sequence`: what it would be, had it been stopped then and started with the present code. Turns of
   * older versions are repeated by `previous`.
   *
   * @throws ActorNotFoundError when the turn is not (or no longer) in the journal; ActorBlockedError when the past cannot be
   *   repeated, as by a version that is not in `previous`
   * @example const past = await system.history(ref).at(17)
   */
  async at(sequence: number): Promise<PastState> {
    const cell = await this.#cellAt(sequence);
    return {
      sequence: cell.sequence,
      status: cell.book.status.kind,
      view: cell.behavior && this.#ports.definitions.present(this.#key, cell.behavior.view(cell.state)),
    };
  }

  /**
   * A new actor of the same definition that begins with this one's state after turn `sequence`: its timers come along, its
   * effects, children, watchers and unanswered requests do not.
   *
   * @throws ActorAlreadyExistsError, and what `at` throws
   */
  async fork(sequence: number, options: { readonly id: string }): Promise<ActorRef> {
    assertCellId(options.id);
    const key = keyOf(definitionOf(this.#key), options.id);
    const { status } = await this.#ports.report(key);
    if (status !== 'absent') throw new ActorAlreadyExistsError(`actor ${key} already exists: fork to another id`);
    const cell = await this.#cellAt(sequence);
    await this.#ports.journal.putImage(forkImage(imageOf(cell, this.#ports.run), key));
    return this.#ports.refOf(key);
  }

  async #cellAt(sequence: number): Promise<Cell> {
    if (!Number.isInteger(sequence) || sequence < 1) {
      throw new InvalidOptionsError(`turn ${String(sequence)} is not a turn's number: turns count from 1`);
    }
    const definition = this.#ports.definitions.require(definitionOf(this.#key));
    const image = await this.#ports.journal.image(this.#key);
    const usable = image !== undefined && image.sequence <= sequence ? image : undefined;
    const first = (usable?.sequence ?? 0) + 1;
    const records = await this.#records(first, sequence, sequence - first + 1);
    // Of a past that was trimmed, the turns that led here may be missing, though this one is not.
    const begins = records[0]?.sequence ?? first;
    const reached = records.at(-1)?.sequence ?? usable?.sequence;
    if (begins !== first || reached !== sequence) {
      throw new ActorNotFoundError(
        `turn ${sequence} of ${this.#key}, or one that led to it, is not in the journal: it was not reached yet, or was trimmed (retention: 'trim')`,
        { details: { key: this.#key, sequence } },
      );
    }
    const cell = new Cell(this.#key, definition);
    const turn = new CellTurn({ isDurable: (key) => this.#ports.definitions.isDurable(key), log: () => {} });
    const uninstall = installTurnGlobals();
    try {
      // What a blocked actor was stored as is its past as it was loaded.
      const past = uncarry({ key: this.#key, image: usable, turns: records, pending: [] });
      const fault = restore(cell, past, turn);
      if (fault?.kind === 'blocked') throw fault.error;
    } finally {
      uninstall();
    }
    return cell;
  }

  #records(fromSequence: number, toSequence?: number, limit?: number): ReturnType<JournalControl['turns']> {
    return this.#ports.journal.turns(this.#key, {
      fromSequence,
      ...(toSequence === undefined ? {} : { toSequence }),
      ...(limit === undefined ? {} : { limit }),
    });
  }
}
