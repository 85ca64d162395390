/**
 * Spans around what the runtime does.
 *
 * Owns: how a span begins, ends and fails. Without a registered tracer provider `run` is simply called.
 */
import { openTelemetry, SCOPE } from './open-telemetry.ts';
import { runInTrace, type TraceCarrier } from './trace-carrier.ts';

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
