/**
 * Spans around what the runtime does.
 *
 * Owns: how a span begins, ends and fails. Without a registered tracer provider `run` is simply called.
 */
import { openTelemetry, SCOPE } from './open-telemetry.ts';
import { formatTraceparent, parseTraceparent, runInTrace, type TraceCarrier } from './trace-carrier.ts';

export interface SpanOptions {
  /** Which side of a message this is; `internal` for neither. */
  readonly kind?: 'producer' | 'consumer' | 'client' | 'internal' | undefined;
  readonly attributes?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** The span to be a child of; default: the active one. */
  readonly parent?: TraceCarrier | undefined;
}

/** Runs `run` inside a span, which ends with it, or with its promise. What it throws is recorded and thrown on. */
export function runInSpan<T>(name: string, options: SpanOptions, run: () => T): T {
  const api = openTelemetry('trace');
  if (api === undefined) return run();
  const kind = api.SpanKind[(options.kind ?? 'internal').toUpperCase() as keyof typeof api.SpanKind];
  const begin = (): T =>
    api.trace.getTracer(SCOPE).startActiveSpan(name, { kind, attributes: options.attributes ?? {} }, (span) => {
      const fail = (error: unknown): void => {
        span.recordException(error instanceof Error ? error : String(error));
        span.setStatus({
          code: api.SpanStatusCode.ERROR,
          message: error instanceof Error ? error.message : String(error),
        });
        span.end();
      };
      try {
        const result = run();
        if (result instanceof Promise) result.then(() => span.end(), fail);
        else span.end();
        return result;
      } catch (error) {
        fail(error);
        throw error;
      }
    });
  return runInTrace(options.parent, begin);
}

export interface PastSpan {
  readonly name: string;
  readonly attributes?: Readonly<Record<string, string | number | boolean>> | undefined;
  readonly parent: TraceCarrier | undefined;
  /** Others that it has to do with. */
  readonly links?: readonly TraceCarrier[] | undefined;
  readonly startMs: number;
  readonly endMs: number;
  /** Why it failed. */
  readonly error?: string | undefined;
}

/** A span of something that is over, with its times; its own carrier, for those within it. Undefined without a tracer provider. */
export function recordSpan(span: PastSpan): TraceCarrier | undefined {
  const api = openTelemetry('trace');
  if (api === undefined) return undefined;
  const links = (span.links ?? []).flatMap(({ traceparent }) => {
    const linked = parseTraceparent(traceparent);
    return linked === undefined
      ? []
      : [{ context: { traceId: linked.traceId, spanId: linked.spanId, traceFlags: linked.flags, isRemote: true } }];
  });
  return runInTrace(span.parent, () => {
    const made = api.trace
      .getTracer(SCOPE)
      .startSpan(span.name, { startTime: span.startMs, attributes: span.attributes ?? {}, links });
    if (span.error !== undefined) made.setStatus({ code: api.SpanStatusCode.ERROR, message: span.error });
    made.end(span.endMs);
    const { traceId, spanId, traceFlags } = made.spanContext();
    return { traceparent: formatTraceparent({ traceId, spanId, flags: traceFlags }) };
  });
}
