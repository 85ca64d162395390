/**
 * The planner: what a run does next. Pure: the same definition, state and event give the same state and commands.
 *
 * Owns: reading the events. Forward is `run-forward.ts`, backward `run-backward.ts`.
 *
 * Invariants:
 * PL1. An event that says nothing new (an answer to an earlier try, a timer that was cancelled) changes nothing.
 * PL2. A refused event changes nothing, and the refusal says why.
 * PL3. A run that is not over is running, waits for something that will come, or is paused or stuck, which is seen from outside.
 */
import type { CompiledWorkflow } from './compiled-workflow.ts';
import { failTry, enqueue, presentTry, succeed, tryAgain } from './run-attempts.ts';
import { compensate, drain, failedSteps, isPastPivot, onUndoFailed } from './run-backward.ts';
import { onAdapted, onGovern } from './run-adaptation.ts';
import { RunDraft } from './run-draft.ts';
import { advance, onSignal, onStepTimeout, onTryFailed, onUnitDone, settle } from './run-forward.ts';
import { takeUp } from './run-fork.ts';
import { onHeartbeat, onSilence } from './run-heartbeats.ts';
import { onPromise } from './run-promises.ts';
import {
  executionName,
  type ExecutionName,
  isOver,
  type PlannerTurn,
  type RunCommand,
  type RunEvent,
  type RunState,
} from './run-state.ts';
import { onUpdate } from './run-updates.ts';
import { onCancelStep } from './run-withdrawal.ts';

export interface Planned {
  readonly state: RunState;
  readonly commands: readonly RunCommand[];
}

/** Events that a run which is over looks at: they change nothing then, or say so themselves. */
const ALWAYS: ReadonlySet<RunEvent['type']> = new Set(['done', 'failed', 'timer', 'promise', 'adapted', 'govern']);

/** The next state of a run, and what is to be done for it. */
export function planRun(workflow: CompiledWorkflow, state: RunState, event: RunEvent, turn: PlannerTurn): Planned {
  const draft = new RunDraft(workflow, state, turn);
  if (isOver(state) && !ALWAYS.has(event.type)) {
    draft.refuse('RUN_ENDED', `the run is ${state.phase.kind}: nothing can be done with it any more`);
  } else {
    noteTold(draft, event);
    handle(draft, event);
  }
  if (draft.commands.some(({ type }) => type === 'refused')) return { state, commands: draft.commands };
  settleRun(draft);
  return { state: draft.finish(), commands: draft.commands };
}

/** Until nothing more follows from what has happened. */
function settleRun(draft: RunDraft): void {
  advance(draft);
  const { kind } = draft.phase;
  if (draft.failure !== undefined && (kind === 'running' || kind === 'draining')) drain(draft);
  // A cancellation that came too late leaves the run as it was.
  if (draft.phase.kind === 'running') advance(draft);
  compensate(draft);
}

/** What comes from outside is in the trace. */
function noteTold(draft: RunDraft, event: RunEvent): void {
  switch (event.type) {
    case 'pause':
    case 'resume':
      // Said twice it changes nothing.
      if (draft.paused === (event.type === 'pause')) return;
      return draft.note(event.type);
    case 'retry':
      return draft.note(event.type);
    case 'cancel':
      if (!isForward(draft)) return;
      return draft.note('cancel', event.reason);
    case 'signal':
      return draft.note('signal', event.name);
    case 'cancelStep':
      return draft.note('cancel', event.step);
    case 'resolve':
      return draft.note('resolve', event.unit);
    default:
      return;
  }
}

function handle(draft: RunDraft, event: RunEvent): void {
  switch (event.type) {
    case 'started':
    case 'forked': {
      const { timeoutMs } = draft.workflow.data;
      if (timeoutMs !== undefined) draft.setTimer('run', timeoutMs);
      if (event.type === 'forked') takeUp(draft);
      return;
    }
    case 'migrated':
      return;
    case 'done': {
      const name = presentTry(draft, event.id);
      if (name === undefined) return;
      succeed(draft, name, event.result);
      if (!name.undo) onUnitDone(draft, name);
      return;
    }
    case 'failed': {
      const name = presentTry(draft, event.id);
      if (name === undefined) return;
      failTry(draft, name, event.error, event.unknown);
      if (name.undo) onUndoFailed(draft, name);
      else onTryFailed(draft, name);
      return;
    }
    case 'timer':
      return onTimer(draft, event.id);
    case 'signal':
      return onSignal(draft, event.name, event.payload);
    case 'promise':
      return onPromise(draft, event.step, event.token, event.outcome);
    case 'heartbeat':
      return onHeartbeat(draft, event.id, event.details);
    case 'update':
      return onUpdate(draft, event.name, event.payload);
    case 'cancelStep':
      return onCancelStep(draft, event.step, event.reason);
    case 'cancel':
      return onCancel(draft, event.reason);
    case 'pause':
      draft.paused = true;
      return;
    case 'resume':
      draft.paused = false;
      return;
    case 'retry':
      return onRetry(draft);
    case 'resolve':
      return onResolve(draft, event.unit, event.result);
    case 'adapted':
      return onAdapted(draft, event.rules);
    case 'govern':
      if (!isOver(draft)) onGovern(draft);
      return;
  }
}

function onTimer(draft: RunDraft, id: string): void {
  const at = id.indexOf(':');
  const [kind, rest] = at === -1 ? [id, ''] : [id.slice(0, at), id.slice(at + 1)];
  switch (kind) {
    case 'sleep':
      if (draft.step(rest).status === 'active') settle(draft, rest, { status: 'completed', result: null });
      return;
    case 'step':
      return onStepTimeout(draft, rest);
    case 'backoff': {
      const name = executionName(rest);
      if (draft.execution(name)?.status === 'backoff') enqueue(draft, name);
      return;
    }
    case 'heartbeat':
      return onSilence(draft, rest);
    case 'run': {
      if (draft.phase.kind !== 'running') return;
      const message = `the run was not over within ${draft.workflow.data.timeoutMs} ms`;
      return draft.fail('failed', { name: 'RunTimeoutError', code: 'RUN_TIMEOUT', message }, undefined);
    }
  }
}

function isForward({ phase }: RunDraft): boolean {
  return phase.kind === 'running' || (phase.kind === 'stuck' && phase.in === 'step');
}

function onCancel(draft: RunDraft, reason: string | undefined): void {
  if (draft.phase.kind === 'stuck' && draft.phase.in === 'compensation') {
    const remedy = 'retry it, or resolve what was done by hand';
    return draft.refuse('BEING_UNDONE', `the run is being undone, and a compensation has failed: ${remedy}`);
  }
  // What is being undone is cancelled already.
  if (!isForward(draft)) return;
  if (isPastPivot(draft)) {
    return draft.refuse('PAST_PIVOT', 'a pivot is completed: the run cannot be undone any more, only finished');
  }
  const message = reason ?? 'cancelled';
  // Whoever cancels wants it undone.
  draft.paused = false;
  draft.failure = {
    kind: 'cancelled',
    error: { name: 'RunCancelledError', code: 'RUN_CANCELLED', message },
    step: undefined,
    atMs: draft.turn.nowMs,
  };
  draft.phase = { kind: 'running' };
}

/** The failed steps, or compensations, of a stuck run are tried again. */
function onRetry(draft: RunDraft): void {
  const { phase } = draft;
  if (phase.kind !== 'stuck')
    return draft.refuse('NOT_STUCK', `the run is ${phase.kind}: only a stuck one can be tried again`);
  if (phase.in === 'compensation') {
    draft.phase = { kind: 'compensating' };
    for (const { data } of draft.workflow.steps.values()) {
      for (const [index, { undo }] of draft.step(data.id).units.entries()) {
        if (undo?.status === 'failed') tryAgain(draft, { step: data.id, index, undo: true });
      }
    }
    return;
  }
  goOn(draft);
  for (const id of failedSteps(draft)) reopen(draft, id);
}

function goOn(draft: RunDraft): void {
  draft.phase = { kind: 'running' };
  draft.failure = undefined;
}

/** A failed step is active again; its failed units are tried again. Without units it starts anew. */
function reopen(draft: RunDraft, id: string): void {
  const { units } = draft.step(id);
  const timeoutMs = draft.timeoutMs(id);
  draft.open++;
  if (units.length === 0) {
    draft.setStep(id, { status: 'ready', error: undefined, endedMs: undefined, items: undefined });
    draft.ready.push(id);
    return;
  }
  draft.setStep(id, { status: 'active', error: undefined, endedMs: undefined });
  if (timeoutMs !== undefined) draft.setTimer(`step:${id}`, timeoutMs);
  for (const [index, { run }] of units.entries()) {
    if (run.status === 'failed' || run.status === 'dropped') tryAgain(draft, { step: id, index, undo: false });
  }
}

function onResolve(draft: RunDraft, unit: string, result: unknown): void {
  const { phase } = draft;
  if (phase.kind !== 'stuck')
    return draft.refuse('NOT_STUCK', `the run is ${phase.kind}: only a stuck one has something to resolve`);
  const name = executionName(unit);
  const isStep = draft.workflow.steps.has(name.step);
  const isUndo = phase.in === 'compensation';
  const failed =
    isStep && draft.idOf(name) === unit && draft.execution(name)?.status === 'failed' && name.undo === isUndo;
  if (!failed && !(isStep && !isUndo && isFailedWhole(draft, unit))) {
    const known = isUndo ? failedUndos(draft) : failedSteps(draft).flatMap((id) => failedUnits(draft, id));
    return draft.refuse('NOT_FAILED', `"${unit}" has not failed (failed: ${known.join(', ')})`);
  }
  if (isUndo) {
    draft.setExecution(name, { status: 'resolved', result, endedMs: draft.turn.nowMs });
    draft.phase = { kind: 'compensating' };
    return;
  }
  resolveForward(draft, name, failed, result);
  // The others are still failed.
  if (failedSteps(draft).length === 0) goOn(draft);
}

function resolveForward(draft: RunDraft, name: ExecutionName, hasUnit: boolean, result: unknown): void {
  draft.open++;
  draft.setStep(name.step, { status: 'active', error: undefined });
  if (!hasUnit) return settle(draft, name.step, { status: 'completed', result });
  draft.setExecution(name, { status: 'done', result, endedMs: draft.turn.nowMs });
  const rest = draft.step(name.step).units.find(({ run }) => run.status === 'failed');
  if (rest === undefined) return onUnitDone(draft, name);
  draft.setStep(name.step, { status: 'failed', error: rest.run.failures.at(-1)?.error });
  draft.open--;
}

/** Failed before it had begun: a condition or a list without a value, a wait that took too long. */
function isFailedWhole(draft: RunDraft, id: string): boolean {
  return draft.step(id)?.status === 'failed' && draft.step(id).units.length === 0;
}

function failedUnits(draft: RunDraft, step: string): string[] {
  const { units } = draft.step(step);
  const failed = [...units.entries()].filter(([, { run }]) => run.status === 'failed');
  return units.length === 0 ? [step] : failed.map(([index]) => draft.idOf({ step, index, undo: false }));
}

function failedUndos(draft: RunDraft): string[] {
  return [...draft.workflow.steps.keys()].flatMap((step) =>
    [...draft.step(step).units.entries()]
      .filter(([, { undo }]) => undo?.status === 'failed')
      .map(([index]) => draft.idOf({ step, index, undo: true })),
  );
}
