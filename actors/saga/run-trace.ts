/**
 * The trace of a run: everything that happened in it, with times.
 *
 * Owns: reading it from a run's state, in order, and its bound; and showing it as a table.
 *
 * Invariants:
 * TR1. Every step, try, wait between tries, decision of a rule, intervention and compensation that the run's state knows of is in it.
 * TR2. At most `TRACE_LIMIT` entries: of more, those in the middle are left out, and one entry says how many.
 */
import type { EncodedError } from '../../runtime/kernel/errors.ts';
import type { AdaptationDecision } from './adaptation-data.ts';
import { executionId, type ExecutionState, type RunState } from './run-state.ts';
import type { StepData } from './workflow-data.ts';

/** One thing that happened in a run. */
export interface TraceEntry {
  readonly atMs: number;
  readonly what:
    | 'run started'
    | 'step started'
    | 'step over'
    | 'try started'
    | 'try done'
    | 'try failed'
    /** The next try is not before a while. */
    | 'waiting'
    | 'undone'
    | 'undo failed'
    /** Somebody has seen to it by hand. */
    | 'resolved'
    /** An adaptation rule changed something; `detail` says what, `figures` what its condition read. */
    | 'adapted'
    | 'adaptation released'
    /** Whether a rule is engaged could not be learned in time. */
    | 'adaptation unknown'
    /** Somebody paused, resumed, cancelled, retried, signalled. */
    | 'told'
    /** To another version of its definition. */
    | 'migrated'
    /** An update was accepted. */
    | 'updated'
    | 'failure'
    | 'run over'
    | 'left out';
  /** Step, unit, undo, or the name of an update: `charge`, `charge#3`, `charge/undo`. */
  readonly of?: string;
  readonly attempt?: number;
  readonly status?: string;
  readonly error?: EncodedError;
  /** What a step does, a rule changes, somebody told; of a migration from which version to which. */
  readonly detail?: string;
  /** Of an update: the variables that it set. */
  readonly set?: Readonly<Record<string, unknown>>;
  /** Of an adaptation. */
  readonly rule?: string;
  readonly figures?: Readonly<Record<string, number | string>>;
}

const TRACE_LIMIT = 10_000;

/** In the order of time; of the same millisecond step by step as they are defined, each with what undoes it: no times are finer than that. */
export function traceOf(steps: readonly StepData[], run: RunState): TraceEntry[] {
  const entries: TraceEntry[] = [{ atMs: run.startedMs, what: 'run started' }];
  for (const { atMs, what, of } of run.told ?? [])
    entries.push({ atMs, what: 'told', detail: what, ...(of === undefined ? {} : { of }) });
  for (const decision of run.adaptation?.decisions ?? []) entries.push(adaptationEntry(decision));
  for (const step of steps) entries.push(...stepEntries(step, run));
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
  return bounded(entries.sort((a, b) => a.atMs - b.atMs));
}

function bounded(entries: TraceEntry[]): TraceEntry[] {
  const more = entries.length - TRACE_LIMIT;
  if (more <= 0) return entries;
  const half = TRACE_LIMIT >> 1;
  const { atMs } = entries[half] as TraceEntry;
  const gap: TraceEntry = { atMs, what: 'left out', detail: `${more + 1} entries` };
  return [...entries.slice(0, half), gap, ...entries.slice(half + more + 1)];
}

function adaptationEntry(decision: AdaptationDecision): TraceEntry {
  const { atMs, what, rule, of, change, value, figures } = decision;
  const about = { ...(of === undefined ? {} : { of }), ...(rule === undefined ? {} : { rule }) };
  if (what === 'unknown') return { atMs, what: 'adaptation unknown' };
  if (what === 'released') return { atMs, what: 'adaptation released', ...about, figures };
  const detail = `${change}: ${typeof value === 'string' ? value : JSON.stringify(value)}`;
  return { atMs, what: 'adapted', ...about, detail, figures };
}

function stepEntries(step: StepData, run: RunState): TraceEntry[] {
  const { id } = step;
  const state = run.steps[id];
  if (state === undefined) return [];
  const { status, startedMs, endedMs, units, error, items } = state;
  const entries: TraceEntry[] = [];
  if (startedMs !== undefined) entries.push({ atMs: startedMs, what: 'step started', of: id, detail: detailOf(step) });
  for (const [index, unit] of units.entries()) {
    for (const undo of [false, true]) {
      const execution = undo ? unit.undo : unit.run;
      if (execution === undefined) continue;
      entries.push(...triesOf(execution, executionId({ step: id, index, undo }, items !== undefined), undo));
    }
  }
  if (endedMs !== undefined)
    entries.push({ atMs: endedMs, what: 'step over', of: id, status, ...(error === undefined ? {} : { error }) });
  return entries;
}

function detailOf({ work }: StepData): string {
  switch (work.kind) {
    case 'call':
      return `${work.target.kind === 'system' ? work.target.system : work.target.definition} ${work.action}`;
    case 'workflow':
      return `workflow ${work.workflow}`;
    case 'signal':
      return `signal ${work.signals.join(' or ')}`;
    default:
      return work.kind;
  }
}

function triesOf(execution: ExecutionState, of: string, undo: boolean): TraceEntry[] {
  const { failures, status, attempt, startedMs, endedMs, route } = execution;
  const way = route === undefined ? {} : { rule: route.rule };
  const entries: TraceEntry[] = [];
  for (const { attempt: number, error, startedMs: beganMs, endedMs: failedMs } of failures) {
    entries.push({ atMs: beganMs, what: 'try started', of, attempt: number });
    entries.push({ atMs: failedMs, what: 'try failed', of, attempt: number, error });
    const isLast = number === failures.at(-1)?.attempt;
    if (!isLast || status === 'backoff' || attempt > number) entries.push({ atMs: failedMs, what: 'waiting', of });
  }
  const isOpen = startedMs !== undefined && failures.at(-1)?.attempt !== attempt;
  if (isOpen) entries.push({ atMs: startedMs, what: 'try started', of, attempt, ...way });
  if (endedMs === undefined) return entries;
  if (status === 'done') entries.push({ atMs: endedMs, what: undo ? 'undone' : 'try done', of, attempt });
  if (status === 'resolved') entries.push({ atMs: endedMs, what: 'resolved', of });
  if (undo && status === 'failed') entries.push({ atMs: endedMs, what: 'undo failed', of, attempt });
  return entries;
}

/**
 * A trace as a table, for a terminal: a line an entry, times from the first one on.
 *
 * @example console.log(formatTrace(await engine.trace('order-42')))
 */
export function formatTrace(trace: readonly TraceEntry[]): string {
  const beganMs = trace[0]?.atMs ?? 0;
  const rows = trace.map(({ atMs, what, of = '', attempt, status, error, detail, set, rule, figures }) => [
    `+${Math.round(atMs - beganMs)} ms`,
    what,
    of,
    attempt === undefined ? '' : String(attempt),
    [
      status,
      rule === undefined ? undefined : `by ${rule}`,
      detail,
      set === undefined ? undefined : JSON.stringify(set),
      error === undefined ? undefined : `${error.code}: ${error.message}`,
      figures === undefined ? undefined : figuresText(figures),
    ]
      .filter((part) => part !== undefined)
      .join(', '),
  ]);
  const table = [['time', 'what', 'of', 'try', 'detail'], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => (row[column] ?? '').length)));
  return table
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padStart(widths[0] ?? 0) : cell.padEnd(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function figuresText(figures: Readonly<Record<string, number | string>>): string {
  return Object.entries(figures)
    .map(([path, value]) => `${path} = ${typeof value === 'number' ? Number(value.toPrecision(4)) : value}`)
    .join(', ');
}
