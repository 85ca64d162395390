/**
 * Promises of a run: steps that wait until somebody outside settles their token.
 *
 * Owns: what a token's settlement means for its step. How a token is made and read is `promise-token.ts`.
 *
 * Invariants:
 * RP1. A promise is settled once. The same settlement again changes nothing and is accepted; another one is refused.
 * RP2. One that comes before its step has begun is kept for it.
 */
import { valueFaults } from './value-shape.ts';
import { hashOfJson } from './workflow-data.ts';
import type { RunDraft } from './run-draft.ts';
import { settlePromise } from './run-forward.ts';
import type { PromiseOutcome, StepState } from './run-state.ts';

export function onPromise(draft: RunDraft, id: string, token: string, outcome: PromiseOutcome): void {
  const step = draft.steps[id];
  if (step?.token === undefined || step.token !== token)
    return draft.refuse('UNKNOWN_TOKEN', 'the token is of no promise of this run');
  if (isSame(step, outcome)) return;
  const { phase } = draft;
  const isForward =
    phase.kind === 'running' ||
    (phase.kind === 'stuck' && phase.in === 'step') ||
    (phase.kind === 'draining' && !phase.abandoned);
  const isOpen = step.status === 'pending' || step.status === 'ready' || step.status === 'active';
  if (!isForward || !isOpen || step.early !== undefined) {
    const why = isOpen && step.early === undefined ? `the run is ${phase.kind}` : `step "${id}" is settled already`;
    return draft.refuse('TOKEN_USED', `the promise cannot be settled any more: ${why}`);
  }
  if (outcome.kind === 'resolved') {
    const faults = valueFaults(outcome.value, draft.plan(id).data.result, 'value');
    if (faults.length > 0) {
      const listed = faults.map(({ path, rule, expected }) => `${path} (${rule}): ${expected}`).join('; ');
      return draft.refuse('INVALID_VALUE', `step "${id}" does not take this value: ${listed}`);
    }
  }
  if (step.status === 'active') settlePromise(draft, id, outcome);
  else draft.setStep(id, { early: outcome });
}

function isSame(step: StepState, outcome: PromiseOutcome): boolean {
  const settled = step.early ?? settlementOf(step);
  return settled !== undefined && hashOfJson(settled) === hashOfJson(outcome);
}

function settlementOf({ status, result, error }: StepState): PromiseOutcome | undefined {
  if (status === 'completed') return { kind: 'resolved', value: result };
  return status === 'failed' && error !== undefined ? { kind: 'rejected', error } : undefined;
}
