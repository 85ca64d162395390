/**
 * What is seen of a run from outside: its status, step by step, and its trace.
 */
import type { EncodedError } from '../../runtime/kernel/errors.ts';
import type { CompiledWorkflow } from './compiled-workflow.ts';
import {
  executionId,
  type ExecutionState,
  isUnknown,
  type RunState,
  type StepStatus,
  type UnitState,
} from './run-state.ts';

/** `stuck`: waits for `retry`, `resolve` or `cancel`. The others as in the life of a run. */
export type RunStatus = RunState['phase']['kind'];

/** One step of a run. */
export interface StepReport {
  readonly status: StepStatus;
  readonly result: unknown;
  readonly error: EncodedError | undefined;
  readonly startedMs: number | undefined;
  readonly endedMs: number | undefined;
  /** Tries begun, over all items. */
  readonly attempts: number;
  /** `none`: there is nothing to undo. `open`: it is to be undone, or would be. */
  readonly compensation: 'none' | 'open' | 'undone' | 'failed' | 'resolved';
  /** Of a promise: settles it. */
  readonly token?: string;
  /** What the handler of its call has said last; of a loop the latest of all items. */
  readonly heartbeat?: { readonly atMs: number; readonly details: unknown };
}

export interface RunReport {
  readonly runId: string;
  readonly workflow: string;
  readonly version: number;
  /** Hash of the definition that it runs by. */
  readonly definition: string;
  readonly status: RunStatus;
  readonly paused: boolean;
  readonly startedMs: number;
  readonly endedMs: number | undefined;
  readonly input: unknown;
  readonly context: Readonly<Record<string, unknown>>;
  readonly result: unknown;
  readonly failure:
    | { readonly kind: 'failed' | 'cancelled'; readonly step: string | undefined; readonly error: EncodedError }
    | undefined;
  readonly steps: Readonly<Record<string, StepReport>>;
  readonly trace: readonly TraceEntry[];
}

/** One thing that happened in a run. */
export interface TraceEntry {
  readonly atMs: number;
  readonly what:
    | 'run started'
    | 'step started'
    | 'step over'
    | 'try failed'
    | 'try started'
    | 'undone'
    | 'undo failed'
    /** To another version of its definition. */
    | 'migrated'
    | 'updated'
    | 'failure'
    | 'run over';
  /** Step, unit, undo, or the name of an update: `charge`, `charge#3`, `charge/undo`. */
  readonly of?: string;
  readonly attempt?: number;
  readonly status?: string;
  readonly error?: EncodedError;
  /** Of a migration: from which version to which. */
  readonly detail?: string;
  /** Of an update: the variables that it set. */
  readonly set?: Readonly<Record<string, unknown>>;
}

export function reportOf(runId: string, workflow: CompiledWorkflow, run: RunState): RunReport {
  const { phase, paused, startedMs, endedMs, input, context, result, failure } = run;
  return {
    runId,
    workflow: workflow.data.id,
    version: workflow.data.version,
    definition: workflow.hash,
    status: phase.kind,
    paused,
    startedMs,
    endedMs,
    input,
    context,
    result,
    failure: failure === undefined ? undefined : { kind: failure.kind, step: failure.step, error: failure.error },
    steps: Object.fromEntries(Object.keys(run.steps).map((id) => [id, stepReport(run, id)])),
    trace: traceOf(run),
  };
}

function stepReport(run: RunState, id: string): StepReport {
  const { status, result, error, startedMs, endedMs, units, token } = run.steps[id] as RunState['steps'][string];
  const compensation = compensationOf(units);
  const attempts = units.reduce((sum, unit) => sum + unit.run.attempt, 0);
  const beats = units.flatMap((unit) => unit.run.heartbeat ?? []).sort((a, b) => a.atMs - b.atMs);
  const heartbeat = beats.at(-1);
  return {
    status,
    result,
    error,
    startedMs,
    endedMs,
    attempts,
    compensation,
    ...(token === undefined ? {} : { token }),
    ...(heartbeat === undefined ? {} : { heartbeat }),
  };
}

function compensationOf(units: readonly UnitState[]): StepReport['compensation'] {
  const needed = units
    .filter(({ run }) => run.status === 'done' || isUnknown(run))
    .flatMap(({ undo }) => undo?.status ?? []);
  const open = needed.filter((status) => status !== 'dropped');
  if (open.length === 0) return 'none';
  if (open.includes('failed')) return 'failed';
  if (!open.every((status) => status === 'done' || status === 'resolved')) return 'open';
  return open.includes('resolved') ? 'resolved' : 'undone';
}

/** In the order of time; of the same millisecond, as they follow from each other. */
function traceOf(run: RunState): TraceEntry[] {
  const entries: TraceEntry[] = [{ atMs: run.startedMs, what: 'run started' }];
  for (const [id, { status, startedMs, endedMs, units, error, items }] of Object.entries(run.steps)) {
    if (startedMs !== undefined) entries.push({ atMs: startedMs, what: 'step started', of: id });
    for (const [index, unit] of units.entries()) {
      for (const undo of [false, true]) {
        const execution = undo ? unit.undo : unit.run;
        if (execution !== undefined)
          entries.push(...triesOf(execution, executionId({ step: id, index, undo }, items !== undefined), undo));
      }
    }
    if (endedMs !== undefined)
      entries.push({ atMs: endedMs, what: 'step over', of: id, status, ...(error === undefined ? {} : { error }) });
  }
  for (const { atMs, name, set } of run.updates) entries.push({ atMs, what: 'updated', of: name, set });
  const { failure, endedMs, phase } = run;
  if (failure !== undefined)
    entries.push({
      atMs: failure.atMs,
      what: 'failure',
      error: failure.error,
      ...(failure.step === undefined ? {} : { of: failure.step }),
    });
  if (endedMs !== undefined) entries.push({ atMs: endedMs, what: 'run over', status: phase.kind });
  return entries.sort((a, b) => a.atMs - b.atMs);
}

function triesOf(
  { failures, status, attempt, startedMs, endedMs }: ExecutionState,
  of: string,
  undo: boolean,
): TraceEntry[] {
  const entries = failures.flatMap((failed): TraceEntry[] => [
    { atMs: failed.startedMs, what: 'try started', of, attempt: failed.attempt },
    { atMs: failed.endedMs, what: 'try failed', of, attempt: failed.attempt, error: failed.error },
  ]);
  const isOpen = startedMs !== undefined && failures.at(-1)?.attempt !== attempt;
  if (isOpen) entries.push({ atMs: startedMs, what: 'try started', of, attempt });
  if (undo && endedMs !== undefined && status === 'done') entries.push({ atMs: endedMs, what: 'undone', of, attempt });
  if (undo && endedMs !== undefined && status === 'failed')
    entries.push({ atMs: endedMs, what: 'undo failed', of, attempt });
  return entries;
}
