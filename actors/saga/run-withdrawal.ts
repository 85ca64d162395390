/**
 * Cancelling one step of a run, which goes on without it.
 *
 * Invariants:
 * RW1. A step that only waits (for its dependencies, a signal, a promise, a time, another try) is cancelled at once.
 * RW2. A call under way is not torn off: its answer is waited for, and is the last. If it is done, so is the step. A child workflow is
 *      cancelled, and undoes itself.
 * RW3. What depends on a cancelled step goes on as if it were skipped.
 */
import type { EncodedError } from '../../runtime/kernel/errors.ts';
import { nearest } from './expression-hints.ts';
import type { RunDraft } from './run-draft.ts';
import { cancelled, dropWaiting, isUnderWay, stopWaiting } from './run-forward.ts';
import { STEP_CANCELLED } from './run-state.ts';

export function onCancelStep(draft: RunDraft, id: string, reason: string | undefined): void {
  const { workflow, phase } = draft;
  const step = draft.steps[id];
  if (step === undefined) {
    const known = [...workflow.steps.keys()];
    return draft.refuse('UNKNOWN_STEP', `no step "${id}" (${nearest(id, known) ?? `steps: ${known.join(', ')}`})`);
  }
  if (phase.kind !== 'running') {
    return draft.refuse('NOT_RUNNING', `the run is ${phase.kind}: single steps are cancelled while it is running`);
  }
  const message = reason ?? 'cancelled';
  const error: EncodedError = { name: 'StepCancelledError', code: STEP_CANCELLED, message };
  switch (step.status) {
    case 'completed':
    case 'skipped':
    case 'failed':
      return draft.refuse('STEP_OVER', `step "${id}" is ${step.status} already`);
    case 'cancelled':
      return;
    case 'pending':
      return cancelled(draft, id, error);
    case 'ready':
      draft.ready.splice(draft.ready.indexOf(id), 1);
      return cancelled(draft, id, error);
    case 'active':
      if (step.withdrawn === undefined) withdraw(draft, id, error);
  }
}

function withdraw(draft: RunDraft, id: string, error: EncodedError): void {
  draft.setStep(id, { withdrawn: error });
  dropWaiting(draft, id);
  if (!isUnderWay(draft, id)) {
    stopWaiting(draft, id);
    return cancelled(draft, id, error);
  }
  if (draft.plan(id).data.work.kind !== 'workflow') return;
  for (const [index, { run }] of draft.step(id).units.entries()) {
    if (run.status !== 'running') continue;
    const unit = draft.idOf({ step: id, index, undo: false });
    draft.commands.push({ type: 'child.cancel', id: `${unit}/${run.attempt}` });
  }
}
