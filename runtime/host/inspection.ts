/**
 * Looking at cells from outside: reports, observed actors, and what waits for a cell to be loaded.
 *
 * Owns: which keys are observed, and answering `observe`, `inspect`, `unblock`.
 *
 * Invariants:
 * IN1. What is reported of a cell is on disk when it is seen.
 * IN2. An observed cell stays in memory.
 */
import type { CellKey } from '../kernel/address.ts';
import type { Definition } from '../kernel/definition.ts';
import { encodeError } from '../kernel/errors.ts';
import type { Cell } from '../cell/cell.ts';
import type { CommitQueue, PendingTurn } from './commit-queue.ts';
import type { CellReport } from './items.ts';
import type { Residence } from './residence.ts';

export interface InspectionPorts {
  /** The cell of a key, brought into memory. */
  resident(key: CellKey): Cell;
  definitionOf(key: CellKey): Definition;
  readonly residence: Residence;
  readonly commits: CommitQueue;
  answer(call: number, report: CellReport): void;
}

export class Inspection {
  readonly #ports: InspectionPorts;
  readonly #observed = new Set<CellKey>();
  readonly #arrivals = new Map<CellKey, (() => void)[]>();

  constructor(ports: InspectionPorts) {
    this.#ports = ports;
  }

  isObserved(key: CellKey): boolean {
    return this.#observed.size > 0 && this.#observed.has(key);
  }

  observe(key: CellKey, call: number): void {
    const cell = this.#ports.resident(key);
    if (!this.#observed.has(key)) {
      this.#observed.add(key);
      // One that is loading is held when it arrives.
      if (cell.phase.kind !== 'loading') cell.holds += 1;
    }
    this.#whenArrived(key, () => this.#report(key, call));
  }

  unobserve(key: CellKey): void {
    const cell = this.#ports.residence.get(key);
    if (this.#observed.delete(key) && cell !== undefined && cell.phase.kind !== 'loading') cell.holds -= 1;
  }

  inspect(key: CellKey, call: number): void {
    this.#ports.resident(key);
    this.#whenArrived(key, () => this.#report(key, call));
  }

  unblock(key: CellKey, call: number): void {
    const cell = this.#ports.resident(key);
    if (cell.phase.kind === 'blocked') this.#ports.residence.reload(cell, this.#ports.definitionOf(key));
    this.#whenArrived(key, () => this.#report(key, call));
  }

  arrived(cell: Cell): void {
    if (this.#observed.has(cell.key)) cell.holds += 1;
    const waiting = this.#arrivals.get(cell.key);
    if (waiting === undefined) return;
    this.#arrivals.delete(cell.key);
    for (const run of waiting) run();
  }

  /** What observers of the cell are to see of its last turn. */
  viewOf(cell: Cell): PendingTurn['view'] {
    if (!this.isObserved(cell.key) || cell.behavior === undefined) return undefined;
    return { status: cell.book.status.kind, view: cell.behavior.view(cell.state) };
  }

  #whenArrived(key: CellKey, run: () => void): void {
    const cell = this.#ports.residence.get(key);
    if (cell === undefined || cell.phase.kind !== 'loading') {
      run();
      return;
    }
    const waiting = this.#arrivals.get(key);
    if (waiting === undefined) this.#arrivals.set(key, [run]);
    else waiting.push(run);
  }

  #report(key: CellKey, call: number): void {
    const cell = this.#ports.residence.get(key);
    const report: CellReport =
      cell === undefined ? { key, sequence: 0, status: 'absent', view: undefined, mailbox: 0 } : reportOf(cell);
    this.#ports.commits.after(() => this.#ports.answer(call, report));
    // Looking at one that never was must not keep it: a fork may be about to be put in its place.
    if (cell?.book.status.kind === 'absent') this.#ports.residence.settle(cell);
  }
}

function reportOf(cell: Cell): CellReport {
  const { phase, book } = cell;
  const status = phase.kind === 'blocked' || phase.kind === 'waiting' ? phase.kind : book.status.kind;
  return {
    key: cell.key,
    sequence: cell.sequence,
    status,
    view: cell.behavior === undefined || phase.kind === 'blocked' ? undefined : cell.behavior.view(cell.state),
    mailbox: cell.mailbox.length,
    error: phase.kind === 'blocked' ? encodeError(phase.error) : undefined,
  };
}
