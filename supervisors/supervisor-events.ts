/**
 * What a supervisor tells its subscribers, through `turn.emit`: plain data, one closed union. Nothing is decided by it.
 */
import type { CellKey } from '../runtime/kernel/address.ts';
import type { ExitReason } from '../runtime/kernel/exit.ts';

export type SupervisorEvent =
  /** A start was asked for; `restart` when it is not the child's first. */
  | { readonly type: 'child_started'; readonly id: string; readonly key: CellKey; readonly restart: boolean }
  /** A child has ended; `requested` when the supervisor had asked for it. */
  | {
      readonly type: 'child_terminated';
      readonly id: string;
      readonly key: CellKey;
      readonly reason: ExitReason;
      readonly requested: boolean;
    }
  /** A child will be started again in `waitMs`; `group` are the children that go down and up with it. */
  | {
      readonly type: 'child_restarting';
      readonly id: string;
      readonly attempt: number;
      readonly waitMs: number;
      readonly group: readonly string[];
    }
  /** A child did not stop within its deadline and was killed. */
  | { readonly type: 'child_killed'; readonly id: string; readonly key: CellKey }
  /** Too many restarts: the supervisor stops its children and ends with an error. */
  | { readonly type: 'escalated'; readonly id: string; readonly intensity: number; readonly periodMs: number }
  /** A significant child ended: the supervisor stops its children and ends. */
  | { readonly type: 'auto_shutdown'; readonly id: string }
  /** All children have ended, and so does the supervisor. */
  | { readonly type: 'stopped'; readonly reason: ExitReason };
