/**
 * Runs as OpenTelemetry sees them: spans of a run, of its tries and waits, and its figures.
 *
 * Owns: what is told, and when: once a run that was started here, or found here, is over, from its trace. Its turns happen on any thread and
 * are repeated after a crash, so they tell nothing; what they hand on is the context of the trace that the run was started in.
 *
 * Invariants:
 * RT1. Without a registered provider nothing is followed, told or kept.
 * RT2. Commands, and what is done because of them, belong to the trace that the run was started in, over restarts too.
 * RT3. A run is told of once for each process that has asked for it and sees its end.
 */
import { isMeasuring, measure } from '../../runtime/telemetry/instruments.ts';
import { isObserved } from '../../runtime/telemetry/messaging.ts';
import { type PastSpan, recordSpan, runInSpan } from '../../runtime/telemetry/spans.ts';
import { currentTrace, parseTraceparent, type TraceCarrier } from '../../runtime/telemetry/trace-carrier.ts';
import type { RunStart } from './run-commands.ts';
import type { TraceEntry } from './run-trace.ts';
import type { RunReport } from './run-view.ts';

export interface RunTelemetryPorts {
  readonly result: (runId: string, options: { readonly signal: AbortSignal }) => Promise<unknown>;
  readonly query: (runId: string) => Promise<RunReport>;
}

/** Runs whose end is waited for at a time; of others only the commands are seen. */
const FOLLOWED_LIMIT = 10_000;

export class RunTelemetry {
  readonly #ports: RunTelemetryPorts;
  readonly #following = new Set<string>();
  readonly #closing = new AbortController();

  constructor(ports: RunTelemetryPorts) {
    this.#ports = ports;
  }

  /** Starts a run in a span, which it then keeps. `spawn` resolves with whether it is a new one. */
  async start(start: RunStart, spawn: (start: RunStart) => Promise<boolean>): Promise<void> {
    if (!isObserved()) return void (await spawn(start));
    const { workflow, runId } = start;
    const caller = currentTrace();
    const attributes = { 'blocks.workflow': workflow, 'blocks.run': runId };
    const isNew = await runInSpan(`start ${workflow}`, { kind: 'producer', attributes }, () => {
      const trace = currentTrace();
      return spawn(trace === undefined ? start : { ...start, trace });
    });
    if (isNew) measure('blocks.workflow.started', 1, { 'blocks.workflow': workflow });
    void this.#follow(runId, caller);
  }

  close(): void {
    this.#closing.abort();
  }

  async #follow(runId: string, caller: TraceCarrier | undefined): Promise<void> {
    if (this.#following.has(runId) || this.#following.size >= FOLLOWED_LIMIT) return;
    this.#following.add(runId);
    try {
      // How it ended is in its report.
      await this.#ports.result(runId, { signal: this.#closing.signal }).catch(() => undefined);
      if (!this.#closing.signal.aborted) tellRun(await this.#ports.query(runId), caller);
    } catch {
      // Deleted meanwhile, or the system has stopped.
    } finally {
      this.#following.delete(runId);
    }
  }
}

/** Tells of a run that is over. `caller`: who asked for it, linked where the run belongs to another trace. */
function tellRun(report: RunReport, caller: TraceCarrier | undefined): void {
  const { workflow, runId, version, status, startedMs, endedMs, failure, traceparent } = report;
  if (endedMs === undefined) return;
  const parent = traceparent === undefined ? undefined : { traceparent };
  const error = status === 'completed' ? undefined : failure?.error.message;
  const own = recordSpan({
    name: `run ${workflow}`,
    attributes: {
      'blocks.workflow': workflow,
      'blocks.run': runId,
      'blocks.workflow.version': version,
      'blocks.workflow.status': status,
    },
    parent,
    links: caller === undefined || isSameTrace(caller, parent) ? [] : [caller],
    startMs: startedMs,
    endMs: endedMs,
    error,
  });
  const work = workOf(report);
  for (const span of work) recordSpan({ ...span, parent: own });
  if (!isMeasuring()) return;
  const about = { 'blocks.workflow': workflow, 'blocks.workflow.status': status };
  measure('blocks.workflow.ended', 1, about);
  measure('blocks.workflow.duration', (endedMs - startedMs) / 1_000, about);
  for (const { attributes, startMs, endMs } of work) {
    if (attributes?.['blocks.attempt'] === undefined) continue;
    const { 'blocks.run': _run, 'blocks.attempt': _attempt, ...rest } = attributes;
    measure('blocks.workflow.step_duration', (endMs - startMs) / 1_000, rest);
  }
}

function isSameTrace(a: TraceCarrier, b: TraceCarrier | undefined): boolean {
  return b !== undefined && parseTraceparent(a.traceparent)?.traceId === parseTraceparent(b.traceparent)?.traceId;
}

const WAITS = /^(?:signal|sleep|until|promise)\b/;

/** Tries and waits of a run, each with its times. */
export function workOf({ workflow, runId, trace }: RunReport): Omit<PastSpan, 'parent'>[] {
  const spans: Omit<PastSpan, 'parent'>[] = [];
  const details = new Map<string, string>();
  const tries = new Map<string, TraceEntry>();
  const waits = new Map<string, TraceEntry>();
  const attributesOf = (unit: string): Record<string, string | number> => {
    const step = unit.replace(/\/undo$/, '').replace(/#\d+$/, '');
    const target = details.get(step);
    return {
      'blocks.workflow': workflow,
      'blocks.run': runId,
      'blocks.step': step,
      ...(target === undefined ? {} : { 'blocks.target': target }),
    };
  };
  const endWait = (of: string, endMs: number): void => {
    const began = waits.get(of);
    waits.delete(of);
    if (began === undefined) return;
    spans.push({ name: `wait ${of}`, attributes: attributesOf(of), startMs: began.atMs, endMs });
  };
  for (const entry of trace) {
    const { atMs, what, of = '', attempt = 0, error, detail, rule } = entry;
    const key = `${of}/${attempt}`;
    switch (what) {
      case 'step started':
        details.set(of, detail ?? '');
        if (WAITS.test(detail ?? '')) waits.set(of, entry);
        break;
      case 'step over':
        endWait(of, atMs);
        break;
      case 'waiting':
        waits.set(of, entry);
        break;
      case 'try started':
        endWait(of, atMs);
        tries.set(key, entry);
        break;
      case 'try done':
      case 'undone':
      case 'try failed': {
        const began = tries.get(key);
        tries.delete(key);
        if (began === undefined) break;
        const outcome = error === undefined ? 'done' : error.code;
        const by = rule ?? began.rule;
        const more = {
          'blocks.attempt': attempt,
          'blocks.outcome': outcome,
          ...(by === undefined ? {} : { 'blocks.rule': by }),
        };
        const name = of.endsWith('/undo') ? `undo ${of.slice(0, -5)}` : `step ${of}`;
        const attributes = { ...attributesOf(of), ...more };
        spans.push({ name, attributes, startMs: began.atMs, endMs: atMs, error: error?.message });
        break;
      }
      default:
        break;
    }
  }
  return spans;
}
