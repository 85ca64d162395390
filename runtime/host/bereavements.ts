/**
 * The death of actors in memory: what their parents and watchers in this host's cells are told, and what they ask.
 *
 * Owns: which slots are known to have died before this host began, finding in a cell's books who of its children and watched cells is
 * lost, and asking after those that may be. Journaled cells are never lost: they come back.
 *
 * Invariants:
 * BE1. When a host dies, every cell in memory here is told of its children and watched cells there.
 * BE2. A cell that comes back asks after every other child in memory: its end may have been told to this host's dead predecessor, its
 *      start may never have been sent. Whoever is asked tells the end of that very start, unless it lives or waits to begin.
 */
import { type CellKey, placementOf } from '../kernel/address.ts';
import type { Envelope } from '../kernel/message.ts';
import type { Cell } from '../cell/cell.ts';
import type { HostLink, Inbound } from './items.ts';

export type Probe = Extract<Inbound, readonly ['probe', ...unknown[]]>;

export interface BereavementPorts {
  readonly hosts: number;
  isDurable(key: CellKey): boolean;
  link(slot: number): HostLink;
  /** Takes a message of nobody's turn to wherever its cell lives. */
  route(envelope: Envelope): void;
}

export class Bereavements {
  readonly #ports: BereavementPorts;
  /** Hosts of which cells in memory only are known to have died with this host's predecessor, or with the process. */
  #diedBefore: ReadonlySet<number> = new Set();

  constructor(ports: BereavementPorts) {
    this.#ports = ports;
  }

  /** Cells in memory only of these slots died before this host began. */
  diedBefore(slots: Iterable<number>): void {
    this.#diedBefore = new Set(slots);
  }

  /** The host of `slot` died: these cells are told who of theirs died with it. */
  hostLost(slot: number, cells: Iterable<Cell>): void {
    const lost = (key: CellKey): boolean => placementOf(key, this.#ports.hosts) === slot;
    for (const cell of [...cells]) if (cell.phase.kind !== 'loading') this.#tell(cell, lost);
  }

  /** A cell has come back. */
  arrived(cell: Cell): void {
    const { children, watching } = cell.book;
    if (children === undefined && watching === undefined) return;
    const ports = this.#ports;
    const slotOf = (key: CellKey): number => placementOf(key, ports.hosts);
    const isLost = (key: CellKey): boolean => this.#diedBefore.has(slotOf(key));
    this.#tell(cell, isLost);
    const mayBeLost = (key: CellKey): boolean => !ports.isDurable(key) && !isLost(key);
    for (const [childId, { key, incarnation }] of children ?? []) {
      const probe: Probe = ['probe', key, cell.key, childId, incarnation];
      if (mayBeLost(key)) ports.link(slotOf(key)).push(probe);
    }
    for (const to of watching ?? []) {
      const control = { kind: 'watch', watcher: cell.key } as const;
      if (mayBeLost(to)) ports.route({ to, message: undefined, control, from: cell.key });
    }
  }

  /** A parent asks after the child `cell`. */
  answer([, key, parent, childId, incarnation]: Probe, cell: Cell | undefined): void {
    const lives = cell?.book.status.kind === 'running' && cell.book.incarnation === incarnation;
    if (lives || cell?.mailbox.waiting().some(({ control }) => control?.kind === 'spawn') === true) return;
    const control = { kind: 'terminated', key, childId, incarnation, reason: { kind: 'host_lost' } } as const;
    this.#ports.route({ to: parent, message: undefined, control, from: key });
  }

  #tell(cell: Cell, isOfLostHost: (key: CellKey) => boolean): void {
    const { key: to, book } = cell;
    const isLost = (key: CellKey): boolean => !this.#ports.isDurable(key) && isOfLostHost(key);
    const reason = { kind: 'host_lost' } as const;
    const told: Envelope[] = [];
    for (const [childId, { key, incarnation }] of book.children ?? []) {
      const control = { kind: 'terminated', key, childId, incarnation, reason } as const;
      if (isLost(key)) told.push({ to, message: undefined, control, from: key });
    }
    for (const key of book.watching ?? []) {
      const control = { kind: 'terminated', key, reason } as const;
      if (isLost(key)) told.push({ to, message: undefined, control, from: key });
    }
    for (const envelope of told) this.#ports.route(envelope);
  }
}
