/**
 * What is seen of a run from outside: its status, step by step, with its trace.
 */
import type { EncodedError } from '../../runtime/kernel/errors.ts';
import type { AdaptationDecision } from './adaptation-data.ts';
import type { CompiledWorkflow } from './compiled-workflow.ts';
import { isUnknown, type RunState, type StepStatus, type UnitState } from './run-state.ts';
import { type TraceEntry, traceOf } from './run-trace.ts';

/** `stuck`: waits for `retry` or `resolve`, or for `cancel` where no compensation is what has failed. The others as in the life of a run. */
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
  /** Of the span that it was started in, by W3C Trace Context; absent without one. */
  readonly traceparent?: string;
  /** What adaptation rules did; the latest 200. */
  readonly adaptations: readonly AdaptationDecision[];
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
    steps: stepReports(run),
    trace: traceOf(workflow.data.steps, run),
    adaptations: run.adaptation?.decisions ?? [],
  };
}

/** By id. */
export function stepReports(run: RunState): Readonly<Record<string, StepReport>> {
  return Object.fromEntries(Object.keys(run.steps).map((id) => [id, stepReport(run, id)]));
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
