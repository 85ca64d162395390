/**
 * Forks: a run that shares what another has done, up to a step or a turn, and goes its own way from there.
 *
 * Owns: what of a run is shared, and taking it up.
 *
 * Invariants:
 * RK1. What is shared was over, and stands: the step that is forked from runs anew, and so does one whose work was undone, and all that
 *      depends on one of those.
 * RK2. What was done belongs to the run that did it: a fork undoes only what it has done itself.
 */
import type { CompiledStep, CompiledWorkflow } from './compiled-workflow.ts';
import type { RunDraft } from './run-draft.ts';
import { fateOf, settle } from './run-forward.ts';
import { isCancelledAlone, type RunState, type StepState } from './run-state.ts';

/** What a fork begins with. */
export interface SharedPast {
  readonly context: RunState['context'];
  readonly steps: Readonly<Record<string, StepState>>;
}

/** What of a run a fork shares. `isAnew`: steps that run anew in any case. */
export function sharedSteps(
  workflow: CompiledWorkflow,
  { steps }: RunState,
  isAnew: (step: string) => boolean,
): SharedPast['steps'] {
  const anew = new Set<string>();
  const shared: Record<string, StepState> = {};
  for (const id of workflow.order) {
    const { data } = workflow.steps.get(id) as CompiledStep;
    const step = steps[id] as StepState;
    if (isAnew(id) || wasUndone(step) || data.dependencies.some((needed) => anew.has(needed))) anew.add(id);
    else if (isOver(step, data.onFailure)) {
      shared[id] = { ...step, units: step.units.map(({ run }) => ({ run, undo: undefined })) };
    }
  }
  return shared;
}

function wasUndone({ units }: StepState): boolean {
  return units.some(({ undo }) => undo !== undefined && undo.status !== 'registered' && undo.status !== 'dropped');
}

function isOver(step: StepState, onFailure: 'fail' | 'continue'): boolean {
  const { status } = step;
  return (
    isCancelledAlone(step) ||
    status === 'completed' ||
    status === 'skipped' ||
    (status === 'failed' && onFailure === 'continue')
  );
}

/** A new run with the past of another; its event is `forked`. */
export function forkedRun(fresh: RunState, { context, steps }: SharedPast): RunState {
  const all = { ...fresh.steps, ...steps };
  return { ...fresh, context, steps: all, open: fresh.open - Object.keys(steps).length, ready: [] };
}

/** What can begin begins. */
export function takeUp(draft: RunDraft): void {
  for (const id of draft.workflow.order) {
    if (draft.step(id).status !== 'pending') continue;
    const fate = fateOf(draft, id);
    if (fate === 'ready') {
      draft.setStep(id, { status: 'ready' });
      draft.ready.push(id);
    } else if (fate !== 'wait') settle(draft, id, { status: 'skipped', cascades: fate === 'skip all' });
  }
}
