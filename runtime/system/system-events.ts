/** What a system tells those who operate it. */
import type { CellKey } from '../kernel/address.ts';
import type { BlocksError } from '../kernel/errors.ts';
import type { HostLoss } from './topology.ts';

/** What `system.on` can listen to. */
export interface SystemEvents {
  /** An actor cannot be brought back by the present code. One that only lacks its definition is told of when that has not come for 5 s. */
  blocked: { readonly key: CellKey; readonly error: BlocksError };
  dead_letter: { readonly id: string; readonly key: CellKey; readonly error: BlocksError };
  /** A host thread died or hung, and is being replaced. */
  host_lost: { readonly slot: number } & HostLoss;
  host_replaced: { readonly slot: number };
  storage: { readonly state: 'full' | 'ok' };
  /**
   * Actors of one host that wait for each other's mailboxes in a ring, which may pass other hosts. `relieved`: one of them goes on
   * without waiting; said again after a minute without. `stuck`: what they wait for holds four times what it has room for, since they
   * send more than they receive; they wait for good. Said once.
   */
  standstill: { readonly state: 'relieved' | 'stuck'; readonly keys: readonly CellKey[] };
  /** The journal failed: the system is stopping. */
  failed: { readonly error: Error };
}
