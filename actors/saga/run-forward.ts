/**
 * A run on its way forward: steps become ready, start, end.
 *
 * Invariants:
 * RF1. A step starts once, when as many of its dependencies are over as it asks for, and never before.
 * RF2. While the run is paused, stuck or failing no step starts; what has become ready meanwhile is kept.
 * RF3. Every step that is over is over once: `open` counts those that are not.
 */
import { type EncodedError, encodeError, ExpressionError } from '../../runtime/kernel/errors.ts';
import type { CompiledStep } from './compiled-workflow.ts';
import { backOff, failTry, isRetried, pump } from './run-attempts.ts';
import { adapted, isHeld, retryOf } from './run-adaptation.ts';
import type { RunDraft } from './run-draft.ts';
import {
  isCancelledAlone,
  type ExecutionName,
  type ExecutionState,
  type PromiseOutcome,
  QUEUED,
  type StepState,
} from './run-state.ts';
import { sleepMs, wakeMs } from './sleep-time.ts';
import { assertFits } from './value-size.ts';

/** Signals that wait for a step. */
const SIGNALS_LIMIT = 1_000;
/** Items of one loop. */
const ITEMS_LIMIT = 100_000;

/** Starts what can start, and sees whether the run is complete. */
export function advance(draft: RunDraft): void {
  const moves = (): boolean => draft.phase.kind === 'running' && !draft.paused && draft.failure === undefined;
  while (moves() && (draft.ready.length > 0 || draft.queue.length > 0)) {
    if (isHeld(draft)) return;
    const at = draft.ready.shift();
    if (at !== undefined) activate(draft, at);
    else {
      const before = draft.queue.length;
      pump(draft, (name) => onUnitFailed(draft, name));
      if (draft.queue.length === before) break;
    }
  }
  if (moves() && draft.open === 0) complete(draft);
}

function complete(draft: RunDraft): void {
  const { output, order } = draft.workflow;
  try {
    const results = (): unknown => Object.fromEntries(order.map((id) => [id, draft.step(id).result ?? null]));
    const result = output === undefined ? results() : output.evaluate(draft.variables(order[0] as string));
    assertFits(result, 'the result of the run');
    draft.result = result;
    draft.phase = { kind: 'completed' };
    draft.endedMs = draft.turn.nowMs;
    draft.commands.push({ type: 'ended' });
    if (draft.workflow.data.timeoutMs !== undefined) draft.cancelTimer('run');
  } catch (error) {
    draft.fail('failed', encodeError(error), undefined);
  }
}

function activate(draft: RunDraft, id: string): void {
  const plan = draft.plan(id);
  const { data, condition } = plan;
  const { nowMs } = draft.turn;
  try {
    if (condition !== undefined && condition.evaluate(draft.variables(id)) !== true) {
      return settle(draft, id, { status: 'skipped', cascades: data.skipDependents });
    }
    if (adapted(draft, id, 'skip') === true) {
      return settle(draft, id, { status: 'skipped', cascades: data.skipDependents });
    }
    const change = adapted(draft, id, 'timeoutMs');
    const within = change === undefined ? {} : { timeoutMs: change };
    draft.setStep(id, { status: 'active', startedMs: nowMs, endedMs: undefined, ...within });
    const timeoutMs = draft.timeoutMs(id);
    if (timeoutMs !== undefined) draft.setTimer(`step:${id}`, timeoutMs);
    start(draft, plan);
  } catch (error) {
    draft.setStep(id, { startedMs: nowMs });
    failStep(draft, id, encodeError(error));
  }
}

function start(draft: RunDraft, plan: CompiledStep): void {
  const { work, id } = plan.data;
  switch (work.kind) {
    case 'value':
      return settle(draft, id, { status: 'completed', result: plan.operand?.evaluate(draft.variables(id)) });
    case 'raise':
      return failStep(draft, id, raisedError(plan.operand?.evaluate(draft.variables(id))));
    case 'sleep':
      return draft.setTimer(`sleep:${id}`, sleepMs(plan.operand?.evaluate(draft.variables(id))));
    case 'until':
      return draft.setTimer(
        `sleep:${id}`,
        Math.max(0, wakeMs(plan.operand?.evaluate(draft.variables(id))) - draft.turn.nowMs),
      );
    case 'signal': {
      const at = draft.signals.findIndex(({ name }) => work.signals.includes(name));
      const [signal] = at === -1 ? [] : draft.signals.splice(at, 1);
      if (signal === undefined) draft.waiting.push(id);
      else receive(draft, id, signal.name, signal.payload);
      return;
    }
    case 'promise': {
      // Somebody was quicker.
      const early = draft.takeEarly(id);
      if (early === undefined) return;
      return settlePromise(draft, id, early);
    }
    case 'call':
    case 'workflow':
      return plan.items === undefined ? addUnit(draft, id) : startLoop(draft, plan);
  }
}

function raisedError(evaluated: unknown): EncodedError {
  const {
    code,
    message = code,
    details,
  } = evaluated as {
    code: unknown;
    message?: unknown;
    details?: Record<string, unknown>;
  };
  const error = { name: 'RaisedError', code: String(code), message: String(message) };
  return details === undefined ? error : { ...error, details };
}

export function settlePromise(draft: RunDraft, id: string, outcome: PromiseOutcome): void {
  if (outcome.kind === 'resolved') settle(draft, id, { status: 'completed', result: outcome.value });
  else failStep(draft, id, outcome.error);
}

function startLoop(draft: RunDraft, { data, items: list }: CompiledStep): void {
  const items = list?.evaluate(draft.variables(data.id));
  if (!Array.isArray(items))
    throw new ExpressionError(`step "${data.id}", forEach: ${JSON.stringify(items)} is no list`);
  if (items.length > ITEMS_LIMIT) {
    throw new ExpressionError(
      `step "${data.id}", forEach: ${items.length} items, more than ${ITEMS_LIMIT}: use child workflows`,
    );
  }
  draft.setStep(data.id, { items });
  const first = Math.min(items.length, concurrencyOf(draft, data.id));
  for (let index = 0; index < first; index++) addUnit(draft, data.id);
  if (items.length === 0) settle(draft, data.id, { status: 'completed', result: [] });
}

function concurrencyOf(draft: RunDraft, step: string): number {
  return adapted(draft, step, 'concurrency') ?? draft.plan(step).data.forEach?.concurrency ?? 1;
}

/** As many items as may be under way: one, unless a rule has changed how many that is. */
function addUnits(draft: RunDraft, step: string, items: readonly unknown[]): void {
  if (draft.adaptation === undefined) return addUnit(draft, step);
  const { units } = draft.step(step);
  const open = units.filter(({ run }) => run.status !== 'done').length;
  // Lowered: some others end first. What began cannot be stopped.
  const more = Math.min(concurrencyOf(draft, step) - open, items.length - units.length);
  for (let i = 0; i < more; i++) addUnit(draft, step);
}

function addUnit(draft: RunDraft, step: string): void {
  const index = draft.step(step).units.length;
  draft.addUnit(step, { run: QUEUED, undo: undefined });
  draft.queue.push(draft.idOf({ step, index, undo: false }));
}

/** A step is over; what depends on it may become ready, or be skipped with it. */
export function settle(
  draft: RunDraft,
  id: string,
  outcome: Partial<StepState> & { readonly status: 'completed' | 'skipped' | 'failed' | 'cancelled' },
): void {
  const over: { id: string; outcome: typeof outcome }[] = [{ id, outcome }];
  for (let at = over.pop(); at !== undefined; at = over.pop()) {
    const { dependents } = draft.plan(at.id);
    const isActive = draft.step(at.id).status === 'active';
    draft.setStep(at.id, { endedMs: draft.turn.nowMs, ...at.outcome });
    if (isActive && draft.timeoutMs(at.id) !== undefined) draft.cancelTimer(`step:${at.id}`);
    draft.open--;
    for (const next of dependents) {
      if (draft.step(next).status !== 'pending') continue;
      const fate = fateOf(draft, next);
      if (fate === 'ready') {
        draft.setStep(next, { status: 'ready' });
        draft.ready.push(next);
      } else if (fate !== 'wait')
        over.push({ id: next, outcome: { status: 'skipped', cascades: fate === 'skip all' } });
    }
  }
}

/** What is to become of a step that has not begun. */
export function fateOf(draft: RunDraft, id: string): 'ready' | 'wait' | 'skip' | 'skip all' {
  const { dependencies, join, skipDependents } = draft.plan(id).data;
  let completed = 0;
  let over = 0;
  let isCascade = false;
  for (const needed of dependencies) {
    const step = draft.step(needed);
    if (step.status === 'completed') completed++;
    if (isSettled(draft, needed, step)) over++;
    if ((step.status === 'skipped' || step.status === 'cancelled') && step.cascades) isCascade = true;
  }
  if (join === 'all') {
    if (isCascade) return 'skip all';
    return over === dependencies.length ? 'ready' : 'wait';
  }
  if (completed >= join) return 'ready';
  if (over < dependencies.length) return 'wait';
  return isCascade || skipDependents ? 'skip all' : 'skip';
}

function isSettled(draft: RunDraft, id: string, step: StepState): boolean {
  const { status } = step;
  return (
    status === 'completed' ||
    status === 'skipped' ||
    isCancelledAlone(step) ||
    (status === 'failed' && draft.plan(id).data.onFailure === 'continue')
  );
}

/** The step has failed for good; the run fails with it unless the step says otherwise. */
export function failStep(draft: RunDraft, id: string, error: EncodedError): void {
  if (draft.plan(id).data.onFailure === 'continue') return settle(draft, id, { status: 'failed', error });
  if (draft.timeoutMs(id) !== undefined) draft.cancelTimer(`step:${id}`);
  draft.setStep(id, { status: 'failed', error, endedMs: draft.turn.nowMs });
  draft.open--;
  draft.fail('failed', error, id);
}

/** The try under way has failed: there is another, or the unit has failed. */
export function onTryFailed(draft: RunDraft, name: ExecutionName): void {
  const { work } = draft.plan(name.step).data;
  const { status, error, withdrawn } = draft.step(name.step);
  // An active step with an error is a loop of which one item has failed for good.
  const mayRetry =
    draft.phase.kind === 'running' && status === 'active' && error === undefined && withdrawn === undefined;
  const execution = draft.execution(name) as ExecutionState;
  const retry = work.kind === 'call' && mayRetry ? retryOf(draft, name.step, work.retry) : undefined;
  if (retry !== undefined && isRetried(execution, retry)) backOff(draft, name, retry);
  else onUnitFailed(draft, name);
}

function onUnitFailed(draft: RunDraft, { step, index }: ExecutionName): void {
  const { status, error: earlier, withdrawn } = draft.step(step);
  if (withdrawn !== undefined) return onWithdrawnUnit(draft, step);
  const error = earlier ?? draft.unit(step, index)?.run.failures.at(-1)?.error;
  if (status !== 'active' || error === undefined) return;
  if (draft.plan(step).data.onFailure === 'fail') return failStep(draft, step, error);
  draft.setStep(step, { error });
  dropWaiting(draft, step);
  if (!isUnderWay(draft, step)) failStep(draft, step, error);
}

export function isUnderWay(draft: RunDraft, step: string): boolean {
  return draft.step(step).units.some(({ run }) => run.status === 'running');
}

/** A unit is done: the next item, or the step is completed. */
export function onUnitDone(draft: RunDraft, { step }: ExecutionName): void {
  const { status, units, items, error, withdrawn } = draft.step(step);
  if (status !== 'active') return;
  const isWhole =
    (items === undefined || units.length === items.length) && units.every(({ run }) => run.status === 'done');
  if (isWhole) {
    const results = units.map(({ run }) => run.result);
    return settle(draft, step, { status: 'completed', result: items === undefined ? results[0] : results });
  }
  if (withdrawn !== undefined) return onWithdrawnUnit(draft, step);
  if (error === undefined) {
    if (items !== undefined && units.length < items.length) addUnits(draft, step, items);
  } else if (!isUnderWay(draft, step)) failStep(draft, step, error);
}

/** A unit of a step that is being cancelled has ended, but not all of it is done. */
function onWithdrawnUnit(draft: RunDraft, step: string): void {
  const { status, withdrawn } = draft.step(step);
  if (status === 'active' && !isUnderWay(draft, step)) cancelled(draft, step, withdrawn as EncodedError);
}

/** A step is over because somebody has cancelled it; the run goes on, as after one that is skipped. */
export function cancelled(draft: RunDraft, step: string, error: EncodedError): void {
  settle(draft, step, { status: 'cancelled', error, cascades: draft.plan(step).data.skipDependents });
}

/** Units of a step that wait, for room or for another try, are not begun any more. */
export function dropWaiting(draft: RunDraft, step: string): void {
  for (const [index, { run }] of draft.step(step).units.entries()) {
    if (run.status !== 'queued' && run.status !== 'backoff') continue;
    const name = { step, index, undo: false };
    if (run.status === 'backoff') draft.cancelTimer(`backoff:${draft.idOf(name)}`);
    draft.setExecution(name, { status: 'dropped' });
  }
}

/** Gives up what a step does: nobody knows what became of the tries under way. */
export function onStepTimeout(draft: RunDraft, id: string): void {
  const { status, units, withdrawn } = draft.step(id);
  if (status !== 'active') return;
  const { work } = draft.plan(id).data;
  const timeoutMs = draft.timeoutMs(id);
  const message = `step "${id}" was not over within ${timeoutMs} ms`;
  const error: EncodedError = { name: 'StepTimeoutError', code: 'STEP_TIMEOUT', message };
  dropWaiting(draft, id);
  for (const [index, { run }] of units.entries()) {
    if (run.status !== 'running') continue;
    const name = { step: id, index, undo: false };
    failTry(draft, name, error, true);
    if (work.kind === 'workflow')
      draft.commands.push({ type: 'child.cancel', id: `${draft.idOf(name)}/${run.attempt}` });
  }
  stopWaiting(draft, id);
  if (withdrawn === undefined) failStep(draft, id, error);
  else cancelled(draft, id, withdrawn);
}

/** A sleep ends, a wait for a signal ends. */
export function stopWaiting(draft: RunDraft, id: string): void {
  const { kind } = draft.plan(id).data.work;
  if (kind === 'sleep' || kind === 'until') draft.cancelTimer(`sleep:${id}`);
  const at = draft.waiting.indexOf(id);
  if (at !== -1) draft.waiting.splice(at, 1);
}

export function onSignal(draft: RunDraft, name: string, payload: unknown): void {
  const waits = (id: string): boolean => {
    const { work } = draft.plan(id).data;
    return work.kind === 'signal' && work.signals.includes(name);
  };
  const at = draft.waiting.findIndex(waits);
  if (at !== -1) {
    const [id = ''] = draft.waiting.splice(at, 1);
    return receive(draft, id, name, payload);
  }
  const { steps } = draft;
  const willWait = Object.keys(steps).some(
    (id) => (steps[id]?.status === 'pending' || steps[id]?.status === 'ready') && waits(id),
  );
  if (!willWait) {
    const known = [...draft.workflow.signals].join(', ');
    return draft.refuse(
      'UNKNOWN_SIGNAL',
      `no step waits for the signal "${name}" any more, or ever did (signals of the workflow: ${known || 'none'})`,
    );
  }
  if (draft.signals.length >= SIGNALS_LIMIT)
    return draft.refuse('SIGNALS_FULL', `${SIGNALS_LIMIT} signals wait for their steps already`);
  draft.signals.push({ name, payload });
}

function receive(draft: RunDraft, id: string, signal: string, payload: unknown): void {
  const { work } = draft.plan(id).data;
  const single = work.kind === 'signal' && work.single;
  settle(draft, id, { status: 'completed', result: single ? (payload ?? null) : { signal, payload: payload ?? null } });
}
