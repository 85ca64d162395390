/**
 * Trace context on its way from one cell to another, in the W3C form that envelopes carry.
 *
 * Owns: the form (https://www.w3.org/TR/trace-context/), and the step from and to OpenTelemetry's active context.
 *
 * Invariants:
 * TC1. Without a registered tracer provider nothing is loaded, and a carrier passes through untouched.
 * TC2. What `parseTraceparent` accepts `formatTraceparent` gives back, up to the version.
 */
import { openTelemetry } from './open-telemetry.ts';

/** What an envelope carries. */
export interface TraceCarrier {
  readonly traceparent: string;
  readonly tracestate?: string | undefined;
}

export interface TraceParent {
  /** 32 hex digits, not all zero. */
  readonly traceId: string;
  /** 16 hex digits, not all zero. */
  readonly spanId: string;
  /** 1: sampled. */
  readonly flags: number;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** The parts of a traceparent; undefined for anything that is none. */
export function parseTraceparent(text: string): TraceParent | undefined {
  const match = TRACEPARENT.exec(text);
  if (match === null) return undefined;
  const [, version, traceId = '', spanId = '', flags = '', rest] = match;
  // Version ff is never valid, and only a later version than 00 may have more fields.
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, flags: Number.parseInt(flags, 16) };
}

export function formatTraceparent({ traceId, spanId, flags }: TraceParent): string {
  return `00-${traceId}-${spanId}-${(flags & 0xff).toString(16).padStart(2, '0')}`;
}

/** The active span of this thread, for a message that leaves now; undefined without one. */
export function currentTrace(): TraceCarrier | undefined {
  const api = openTelemetry('trace');
  if (api === undefined) return undefined;
  const span = api.trace.getSpanContext(api.context.active());
  if (span === undefined || !api.isSpanContextValid(span)) return undefined;
  const traceparent = formatTraceparent({ traceId: span.traceId, spanId: span.spanId, flags: span.traceFlags });
  const tracestate = span.traceState?.serialize();
  return tracestate === undefined || tracestate === '' ? { traceparent } : { traceparent, tracestate };
}

/** Runs `run` with the carried span as the active one, so that spans begun in it are its children. */
export function runInTrace<T>(carrier: TraceCarrier | undefined, run: () => T): T {
  if (carrier === undefined) return run();
  const api = openTelemetry('trace');
  const parent = api === undefined ? undefined : parseTraceparent(carrier.traceparent);
  if (api === undefined || parent === undefined) return run();
  const { tracestate } = carrier;
  const context = api.trace.setSpanContext(api.context.active(), {
    traceId: parent.traceId,
    spanId: parent.spanId,
    traceFlags: parent.flags,
    isRemote: true,
    ...(tracestate === undefined ? {} : { traceState: api.createTraceState(tracestate) }),
  });
  return api.context.with(context, run);
}
