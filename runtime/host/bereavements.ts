/**
 * The death of cells in memory with their host: what their parents and watchers are told.
 *
 * Owns: finding, in one cell's books, who of its children and watched cells is lost. Journaled cells are never lost: they come back.
 */
import type { CellKey } from '../kernel/address.ts';
import type { Envelope } from '../kernel/message.ts';
import type { Cell } from '../cell/cell.ts';

/** What `cell` is to be told: one `terminated` for every child and watched cell that `isLost`. */
export function bereavements(cell: Cell, isLost: (key: CellKey) => boolean): Envelope[] {
  const { key: to, book } = cell;
  const reason = { kind: 'host_lost' } as const;
  const told: Envelope[] = [];
  for (const [childId, { key, incarnation }] of book.children ?? []) {
    if (isLost(key))
      told.push({
        to,
        message: undefined,
        control: { kind: 'terminated', key, childId, incarnation, reason },
        from: key,
      });
  }
  for (const key of book.watching ?? []) {
    if (isLost(key)) told.push({ to, message: undefined, control: { kind: 'terminated', key, reason }, from: key });
  }
  return told;
}
