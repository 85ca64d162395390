/**
 * Tries of calls and of child workflows: begun, answered, tried again, given up. The same for doing a step and for undoing it.
 *
 * Invariants:
 * RA1. At most `parallelism` calls are under way in one run.
 * RA2. What undoes a unit is registered before the unit's first try begins.
 * RA3. An answer to a try that is not the present one changes nothing.
 */
import { delayMs } from '../../runtime/kernel/backoff.ts';
import { type EncodedError, encodeError } from '../../runtime/kernel/errors.ts';
import type { CompiledCall } from './compiled-workflow.ts';
import type { ExpressionVariables } from './expression.ts';
import { adapted, callOf, nextRoute, parallelismOf, sample, targetRoom } from './run-adaptation.ts';
import type { RunDraft } from './run-draft.ts';
import { type ExecutionName, executionName, type ExecutionState, REGISTERED, type RunCommand } from './run-state.ts';
import { assertFits } from './value-size.ts';
import type { RetryData, TargetData, WorkData } from './workflow-data.ts';

/** What another try would not change. */
const NEVER_RETRIED: ReadonlySet<string> = new Set([
  'EXPRESSION_FAILED',
  'UNSERIALIZABLE_VALUE',
  'MESSAGE_TOO_LARGE',
  'INVALID_MESSAGE',
  'INVALID_SUBJECT',
  'INVALID_ADDRESS',
  'CONTRACT_VIOLATION',
  'UNKNOWN_DEFINITION',
  'UNKNOWN_WORKFLOW',
]);

/** Begins what waits, as far as there is room. `onFailed`: a parameter has no value, and the try is over before it began. */
export function pump(draft: RunDraft, onFailed: (name: ExecutionName) => void): void {
  const { queue } = draft;
  const parallelism = parallelismOf(draft);
  const hasRoom = targetRoom(draft);
  const waiting: string[] = [];
  let taken = 0;
  for (; taken < queue.length && draft.inFlight < parallelism; taken++) {
    const id = queue[taken] as string;
    const name = executionName(id);
    if (draft.execution(name)?.status !== 'queued') continue;
    if (!hasRoom(name)) waiting.push(id);
    else if (!begin(draft, name)) onFailed(name);
  }
  queue.splice(0, taken, ...waiting);
}

function begin(draft: RunDraft, name: ExecutionName): boolean {
  const { step, index, undo } = name;
  const { compensation } = draft.plan(step);
  const attempt = (draft.execution(name) as ExecutionState).attempt + 1;
  const way = undo || draft.adaptation === undefined ? {} : { route: nextRoute(draft, name) };
  draft.setExecution(name, { status: 'running', attempt, startedMs: draft.turn.nowMs, endedMs: undefined, ...way });
  if (!undo && (compensation ?? callOf(draft, { step, index, undo: true })) !== undefined)
    draft.setUnit(step, index, { undo: REGISTERED });
  draft.inFlight++;
  try {
    const command = commandOf(draft, name, attempt);
    assertFits(
      command.type === 'call' ? command.parameters : command.input,
      `what "${draft.idOf(name)}" is to be given`,
    );
    draft.commands.push(command);
    listen(draft, name);
    return true;
  } catch (error) {
    failTry(draft, name, encodeError(error), false);
    return false;
  }
}

/** From now on its handler may be silent for so long. */
export function listen(draft: RunDraft, name: ExecutionName): void {
  const silenceMs = silenceOf(draft, name);
  if (silenceMs !== undefined) draft.setTimer(`heartbeat:${draft.idOf(name)}`, silenceMs);
}

function stopListening(draft: RunDraft, name: ExecutionName): void {
  if (silenceOf(draft, name) !== undefined) draft.cancelTimer(`heartbeat:${draft.idOf(name)}`);
}

/** How long the handler may be silent. */
export function silenceOf(draft: RunDraft, { step, undo }: ExecutionName): number | undefined {
  const { call, compensation } = draft.plan(step);
  return (undo ? compensation : call)?.data.heartbeatTimeoutMs;
}

function commandOf(
  draft: RunDraft,
  name: ExecutionName,
  attempt: number,
): RunCommand & { readonly type: 'call' | 'child' } {
  const { data, operand } = draft.plan(name.step);
  const unit = draft.idOf(name);
  const id = `${unit}/${attempt}`;
  const variables = draft.variables(name.step, name.index);
  const made = callOf(draft, name);
  if (made === undefined) {
    const { workflow, detached = false } = data.work as Extract<WorkData, { kind: 'workflow' }>;
    return { type: 'child', id, unit, attempt, workflow, input: operand?.evaluate(variables), detached };
  }
  const { heartbeat } = draft.execution(name) as ExecutionState;
  return {
    type: 'call',
    id,
    unit,
    attempt,
    undo: name.undo,
    target: targetOf(made, variables),
    action: made.data.action,
    parameters: made.parameters.evaluate(variables),
    timeoutMs: (name.undo ? undefined : adapted(draft, name.step, 'attemptTimeoutMs')) ?? made.data.attemptTimeoutMs,
    ...(silenceOf(draft, name) === undefined ? {} : { listens: true }),
    ...(heartbeat === undefined ? {} : { heartbeat: heartbeat.details }),
  };
}

function targetOf(call: CompiledCall, variables: ExpressionVariables): TargetData {
  const { target } = call.data;
  return target.kind === 'system' ? target : { ...target, id: String(call.targetId?.evaluate(variables)) };
}

/** Reads the id of a command; undefined when it is not the try under way. */
export function presentTry(draft: RunDraft, commandId: string): ExecutionName | undefined {
  const at = commandId.lastIndexOf('/');
  const name = executionName(commandId.slice(0, at));
  if (!draft.workflow.steps.has(name.step)) return undefined;
  const execution = draft.execution(name);
  const isPresent = execution?.status === 'running' && execution.attempt === Number(commandId.slice(at + 1));
  return isPresent && draft.idOf(name) === commandId.slice(0, at) ? name : undefined;
}

export function succeed(draft: RunDraft, name: ExecutionName, result: unknown): void {
  draft.inFlight--;
  stopListening(draft, name);
  sample(draft, name, 'done');
  draft.setExecution(name, { status: 'done', result, endedMs: draft.turn.nowMs });
}

/** Records that the try under way has failed. What follows from it is decided by whoever calls. */
export function failTry(draft: RunDraft, name: ExecutionName, error: EncodedError, unknown: boolean): void {
  const { attempt, failures, startedMs } = draft.execution(name) as ExecutionState;
  const { nowMs } = draft.turn;
  draft.inFlight--;
  stopListening(draft, name);
  sample(draft, name, unknown ? 'unknown' : 'failed');
  const failed = { attempt, startedMs: startedMs ?? nowMs, endedMs: nowMs, error, unknown };
  draft.setExecution(name, { status: 'failed', failures: [...failures, failed], endedMs: nowMs });
}

/** Whether the try that has just failed is followed by another. */
export function isRetried(execution: ExecutionState, retry: RetryData): boolean {
  const error = execution.failures.at(-1)?.error;
  if (error === undefined || NEVER_RETRIED.has(error.code)) return false;
  if (retry.nonRetryable.includes(error.code) || retry.nonRetryable.includes(error.name)) return false;
  return execution.attempt - execution.before < retry.maxAttempts;
}

/** Waits for the next try. */
export function backOff(draft: RunDraft, name: ExecutionName, retry: RetryData): void {
  const { attempt, before } = draft.execution(name) as ExecutionState;
  draft.setExecution(name, { status: 'backoff' });
  draft.setTimer(`backoff:${draft.idOf(name)}`, delayMs(retry, attempt - before, draft.turn.random()));
}

/** The wait is over. */
export function enqueue(draft: RunDraft, name: ExecutionName): void {
  draft.setExecution(name, { status: 'queued' });
  draft.queue.push(draft.idOf(name));
}

/** Another round of tries, as if it were new. */
export function tryAgain(draft: RunDraft, name: ExecutionName): void {
  const { attempt } = draft.execution(name) as ExecutionState;
  draft.setExecution(name, { before: attempt });
  enqueue(draft, name);
}
