/**
 * A run that cannot go on: it drains, and is undone, or waits for somebody.
 *
 * Invariants:
 * RB1. What is undone is what was done, and what nobody knows of: no try of it ended with an answer, or one had none.
 * RB2. A unit is undone when everything that depends on it is undone; what does not depend on each other, in parallel.
 * RB3. Nothing is undone once a pivot is completed: the run is stuck until somebody tries again or says that it is done.
 * RB4. Cancelling a run that is being undone changes nothing.
 */
import type { EncodedError } from '../../runtime/kernel/errors.ts';
import { backOff, enqueue, isRetried, pump } from './run-attempts.ts';
import { callOf } from './run-adaptation.ts';
import type { RunDraft } from './run-draft.ts';
import { dropWaiting, stopWaiting } from './run-forward.ts';
import { type ExecutionName, type ExecutionState, isUnknown, type StepState } from './run-state.ts';

/** Something has failed, or the run is cancelled: decides where it goes, as far as that can be said by now. */
export function drain(draft: RunDraft): void {
  const { failure } = draft;
  const { onFailure } = draft.workflow.data;
  if (failure === undefined) return;
  const isAbandoned = draft.phase.kind === 'draining' && draft.phase.abandoned;
  if (!isAbandoned) {
    const isPast = isPastPivot(draft);
    if (failure.kind === 'failed' && (isPast || onFailure === 'park')) {
      draft.phase = { kind: 'stuck', in: 'step' };
      return;
    }
    if (isPast) {
      // The pivot was quicker than the cancellation. What has failed meanwhile has failed all the same.
      draft.failure = undefined;
      const [failed] = failedSteps(draft);
      if (failed !== undefined) draft.fail('failed', draft.step(failed).error as EncodedError, failed);
      draft.phase = failed === undefined ? { kind: 'running' } : { kind: 'stuck', in: 'step' };
      return;
    }
    if (isPivotUnderWay(draft)) {
      draft.phase = { kind: 'draining', abandoned: false };
      return;
    }
    abandon(draft);
    draft.phase = { kind: 'draining', abandoned: true };
  }
  if (draft.inFlight === 0) beginCompensation(draft);
}

/** Those that have failed the run. */
export function failedSteps(draft: RunDraft): string[] {
  const { steps } = draft.workflow.data;
  return steps
    .filter(({ id, onFailure }) => onFailure === 'fail' && draft.step(id).status === 'failed')
    .map(({ id }) => id);
}

/** Whether a pivot is completed. */
export function isPastPivot(draft: RunDraft): boolean {
  return pivots(draft).some(({ status }) => status === 'completed');
}

function isPivotUnderWay(draft: RunDraft): boolean {
  return pivots(draft).some(({ units }) => units.some(({ run }) => run.status === 'running'));
}

function pivots(draft: RunDraft): StepState[] {
  return draft.workflow.data.steps.filter(({ pivot }) => pivot).map(({ id }) => draft.step(id));
}

/** Waits, sleeps and further tries are given up; what is under way is waited for. */
function abandon(draft: RunDraft): void {
  forgetWaiting(draft);
  for (const { data } of draft.workflow.steps.values()) {
    const { id, work } = data;
    // Units of a failed step may still be under way, and wait for another try.
    dropWaiting(draft, id);
    const { status, units } = draft.step(id);
    const isRunning = units.some(({ run }) => run.status === 'running');
    if (isRunning && work.kind === 'workflow') {
      for (const [index, { run }] of units.entries()) {
        if (run.status !== 'running') continue;
        draft.commands.push({
          type: 'child.cancel',
          id: `${draft.idOf({ step: id, index, undo: false })}/${run.attempt}`,
        });
      }
    }
    if (status !== 'active' || isRunning) continue;
    stopWaiting(draft, id);
    if (draft.timeoutMs(id) !== undefined) draft.cancelTimer(`step:${id}`);
    draft.setStep(id, { status: 'cancelled', endedMs: draft.turn.nowMs });
  }
}

/** What has become ready, or waits for room, will not start. */
function forgetWaiting(draft: RunDraft): void {
  draft.queue.length = 0;
  for (const id of draft.ready.splice(0)) draft.setStep(id, { status: 'pending' });
}

function beginCompensation(draft: RunDraft): void {
  const { steps, data } = draft.workflow;
  if (data.timeoutMs !== undefined) draft.cancelTimer('run');
  draft.phase = { kind: 'compensating' };
  forgetWaiting(draft);
  for (const { data: step } of steps.values()) {
    if (draft.step(step.id).status === 'active') {
      if (draft.timeoutMs(step.id) !== undefined) draft.cancelTimer(`step:${step.id}`);
      draft.setStep(step.id, { status: 'cancelled', endedMs: draft.turn.nowMs });
    }
    for (const [index, { run, undo }] of draft.step(step.id).units.entries()) {
      if (undo?.status !== 'registered' || run.status === 'done' || isUnknown(run)) continue;
      draft.setExecution({ step: step.id, index, undo: true }, { status: 'dropped' });
    }
  }
}

/** Undoes what can be undone now, and sees whether that was all. */
export function compensate(draft: RunDraft): void {
  if (draft.phase.kind !== 'compensating' || draft.paused) return;
  release(draft);
  pump(draft, (name) => onUndoFailed(draft, name));
  if (draft.inFlight > 0 || draft.queue.length > 0) return;
  const undos = Object.values(draft.steps).flatMap(({ units }) => units.map(({ undo }) => undo?.status));
  if (undos.includes('backoff')) return;
  if (undos.includes('failed')) {
    draft.phase = { kind: 'stuck', in: 'compensation' };
    return;
  }
  draft.phase = { kind: draft.failure?.kind ?? 'failed' };
  draft.endedMs = draft.turn.nowMs;
  draft.commands.push({ type: 'ended' });
}

/** From the end of the graph to its beginning: whatever has nothing undone behind it may be undone. */
function release(draft: RunDraft): void {
  const clear = new Set<string>();
  for (const id of [...draft.workflow.order].reverse()) {
    if (!draft.plan(id).dependents.every((after) => clear.has(after))) continue;
    const { units } = draft.step(id);
    for (const [index, { undo }] of units.entries()) {
      if (undo?.status === 'registered') enqueue(draft, { step: id, index, undo: true });
    }
    if (draft.step(id).units.every(({ undo }) => isSettled(undo))) clear.add(id);
  }
}

function isSettled(undo: ExecutionState | undefined): boolean {
  return undo === undefined || undo.status === 'done' || undo.status === 'dropped' || undo.status === 'resolved';
}

/** The try under way has failed: there is another, or the compensation has failed. */
export function onUndoFailed(draft: RunDraft, name: ExecutionName): void {
  const retry = callOf(draft, name)?.data.retry;
  const execution = draft.execution(name) as ExecutionState;
  if (retry !== undefined && isRetried(execution, retry)) backOff(draft, name, retry);
}
