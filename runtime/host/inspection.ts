/**
 * Looking at cells from outside of turns: reports, observed actors, and what waits for a cell to be loaded.
 *
 * Owns: who observes which actors: the system, and ports of hosts that follow one for an effect. Answering `observe`, `follow`, `inspect`,
 * `unblock`.
 *
 * Invariants:
 * IN1. What is reported of a cell is on disk when it is seen.
 * IN2. An observed cell stays in memory.
 */
import type { CellKey } from '../kernel/address.ts';
import type { Definition } from '../kernel/definition.ts';
import { encodeError } from '../kernel/errors.ts';
import type { Envelope } from '../kernel/message.ts';
import type { Cell } from '../cell/cell.ts';
import { sightFor } from './actor-port.ts';
import type { CommitQueue, PendingTurn } from './commit-queue.ts';
import type { CellReport } from './items.ts';
import type { Residence } from './residence.ts';

/** Stands for the system among the ports that observe an actor. */
export const OUTSIDE: CellKey = '';

export interface InspectionPorts {
  /** The cell of a key, brought into memory. */
  resident(key: CellKey): Cell;
  definitionOf(key: CellKey): Definition;
  readonly residence: Residence;
  readonly commits: CommitQueue;
  answer(call: number, report: CellReport): void;
  /** Takes a message of nobody's turn to wherever its cell lives. */
  route(envelope: Envelope): void;
}

export class Inspection {
  readonly #ports: InspectionPorts;
  readonly #audiences = new Map<CellKey, Set<CellKey>>();
  readonly #arrivals = new Map<CellKey, (() => void)[]>();

  constructor(ports: InspectionPorts) {
    this.#ports = ports;
  }

  /** Who is to see an actor's committed states and events: `OUTSIDE`, addresses of ports; undefined when nobody is. */
  audienceOf(key: CellKey): Iterable<CellKey> | undefined {
    return this.#audiences.size === 0 ? undefined : this.#audiences.get(key);
  }

  observe(key: CellKey, call: number): void {
    this.#join(key, OUTSIDE);
    this.#whenArrived(key, () => this.#report(key, call));
  }

  unobserve(key: CellKey): void {
    this.#leave(key, OUTSIDE);
  }

  follow(key: CellKey, follower: CellKey): void {
    this.#join(key, follower);
    this.#whenArrived(key, () => {
      const report = this.#reportOf(key);
      this.#ports.commits.after(() => this.#ports.route(sightFor(follower, report)));
    });
  }

  unfollow(key: CellKey, follower: CellKey): void {
    this.#leave(key, follower);
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
    if (this.#audiences.has(cell.key)) cell.holds += 1;
    const waiting = this.#arrivals.get(cell.key);
    if (waiting === undefined) return;
    this.#arrivals.delete(cell.key);
    for (const run of waiting) run();
  }

  /** What observers of the cell are to see of its last turn. */
  viewOf(cell: Cell): PendingTurn['view'] {
    if (this.audienceOf(cell.key) === undefined || cell.behavior === undefined) return undefined;
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
    const report = this.#reportOf(key);
    this.#ports.commits.after(() => this.#ports.answer(call, report));
    // Looking at one that never was must not keep it: a fork may be about to be put in its place.
    if (cell?.book.status.kind === 'absent') this.#ports.residence.settle(cell);
  }

  #reportOf(key: CellKey): CellReport {
    const cell = this.#ports.residence.get(key);
    return cell === undefined ? { key, sequence: 0, status: 'absent', view: undefined, mailbox: 0 } : reportOf(cell);
  }

  #join(key: CellKey, observer: CellKey): void {
    const cell = this.#ports.resident(key);
    const audience = this.#audiences.get(key);
    if (audience !== undefined) {
      audience.add(observer);
      return;
    }
    this.#audiences.set(key, new Set([observer]));
    // One that is loading is held when it arrives.
    if (cell.phase.kind !== 'loading') cell.holds += 1;
  }

  #leave(key: CellKey, observer: CellKey): void {
    const audience = this.#audiences.get(key);
    if (audience === undefined || !audience.delete(observer) || audience.size > 0) return;
    this.#audiences.delete(key);
    const cell = this.#ports.residence.get(key);
    if (cell !== undefined && cell.phase.kind !== 'loading') cell.holds -= 1;
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
