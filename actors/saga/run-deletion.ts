/**
 * Runs that are deleted: what is left of one, and what goes with it.
 *
 * Owns: forgetting a run. Its id is kept, a few dozen bytes, so that a late answer, or a late start, finds no other run under it.
 *
 * Invariants:
 * RX1. Its children go with it; one that is still being undone, once that is over.
 */
import { keyOf } from '../../runtime/kernel/address.ts';
import type { Turn } from '../../runtime/kernel/behavior.ts';
import { UnknownRunError } from '../../runtime/kernel/errors.ts';
import { workflowOf } from './run-bundle.ts';
import { childRunId, RUN_DEFINITION, type RunStart } from './run-commands.ts';
import { type IndexMessage, indexKey } from './run-index.ts';
import { executionId, type RunState } from './run-state.ts';

/** What is left of a run. */
export interface DeletedRun {
  readonly deleted: { readonly runId: string; readonly atMs: number };
}

/** Fires when a run that is over has been kept for long enough. No timer of the planner is called so. */
export const RETENTION_TIMER = 'retention';

export function isDeleted(state: object): state is DeletedRun {
  return 'deleted' in state;
}

export function unknownDeleted({ deleted }: DeletedRun): UnknownRunError {
  const { runId, atMs } = deleted;
  return new UnknownRunError(`run "${runId}" was deleted at ${new Date(atMs).toISOString()}`, {
    details: { runId, deleted: true, atMs },
  });
}

/** Forgets a run that is over, with its children. */
export function deletedRun(start: RunStart, run: RunState, turn: Turn): DeletedRun {
  const { runId } = start;
  turn.cancelTimer(RETENTION_TIMER);
  turn.send(indexKey(runId), { type: 'gone', runId } satisfies IndexMessage);
  for (const command of childCommands(start, run)) {
    turn.send(keyOf(RUN_DEFINITION, childRunId(start, command)), { type: 'delete' });
  }
  return { deleted: { runId, atMs: turn.nowMs } };
}

/** Every try of a child workflow that was waited for. */
function childCommands({ bundle, workflow }: RunStart, run: RunState): string[] {
  const { data } = workflowOf(bundle, workflow);
  const steps = data.steps.filter(({ work }) => work.kind === 'workflow' && work.detached !== true);
  return steps.flatMap(({ id: step }) => {
    const { units, items } = run.steps[step] as RunState['steps'][string];
    return units.flatMap(({ run: { attempt } }, index) => {
      const unit = executionId({ step, index, undo: false }, items !== undefined);
      return Array.from({ length: attempt }, (_, before) => `${unit}/${before + 1}`);
    });
  });
}
