/**
 * Restart strategies: which children go down and come up with one that failed. Pure.
 *
 * Owns: the three plans of OTP. Knows nothing of time, deadlines or what is running.
 *
 * Invariants:
 * RS1. `stop` is in reverse start order and never has the failed child: it has ended already.
 * RS2. `start` is in start order, has the failed child, and has no temporary child but that one: OTP drops temporary siblings
 *      when a group is restarted.
 * RS3. Children outside the group are in neither.
 */
import type { RestartType } from './child-spec.ts';

/**
 * - `one_for_one`: only the failed child is restarted.
 * - `one_for_all`: all others are stopped, then all are started.
 * - `rest_for_one`: those started after the failed child are stopped, then it and they are started.
 */
export type RestartStrategy = 'one_for_one' | 'one_for_all' | 'rest_for_one';

export const RESTART_STRATEGIES: readonly RestartStrategy[] = ['one_for_one', 'one_for_all', 'rest_for_one'];

/** What a plan needs to know of a child. */
export interface PlannedChild {
  readonly id: string;
  readonly restart: RestartType;
}

export interface RestartPlan {
  readonly stop: readonly string[];
  readonly start: readonly string[];
}

/** The plan for `failedId` among `children` (in start order). Empty when `failedId` is not among them. */
export function planRestart(
  children: readonly PlannedChild[],
  failedId: string,
  strategy: RestartStrategy,
): RestartPlan {
  const failedAt = children.findIndex((child) => child.id === failedId);
  if (failedAt === -1) return { stop: [], start: [] };
  const group = groupOf(children, failedAt, strategy);
  return {
    stop: group
      .filter((child) => child.id !== failedId)
      .map((child) => child.id)
      .reverse(),
    start: group.filter((child) => child.id === failedId || child.restart !== 'temporary').map((child) => child.id),
  };
}

function groupOf(
  children: readonly PlannedChild[],
  failedAt: number,
  strategy: RestartStrategy,
): readonly PlannedChild[] {
  switch (strategy) {
    case 'one_for_one':
      return children.slice(failedAt, failedAt + 1);
    case 'one_for_all':
      return children;
    case 'rest_for_one':
      return children.slice(failedAt);
  }
}
